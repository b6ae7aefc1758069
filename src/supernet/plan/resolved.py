"""Every setting of a command with its value: what config.yaml holds, and what a resumed run compares."""

from __future__ import annotations

import json
from typing import Any

import torch

from supernet.costs.limits import Limits
from supernet.layers.base import Supernet
from supernet.plan.scoring import searcher_of
from supernet.plan.supernets import supernet_settings
from supernet.searchers import searcher_class
from supernet.settings.given import NOT_FOR_USERS, Settings, defaults
from supernet.spaces import space as space_named
from supernet.strategies import STRATEGIES
from supernet.strategies.base import SupernetStrategy
from supernet.strategies.weights import Weights
from supernet.tasks.kind import Kind


def use_threads(settings: Settings) -> None:
    """Use the threads asked for; write down how many there are, since results depend on it."""
    if settings["threads"]:
        torch.set_num_threads(settings["threads"])
    settings["threads"] = torch.get_num_threads()


def with_resolved(settings: Settings, values: Settings) -> Settings:
    """What config.yaml holds: ``settings`` and, under "resolved", all ``values`` of the sections that method and data decide."""
    return {**settings, "resolved": json.loads(json.dumps(values))}


def resolved(
    settings: Settings, task: Kind | None, network: Settings, supernet: Supernet, limits: Limits | None, strategy: Any
) -> Settings:
    """Section -> all its values, those that are not given too."""
    space = settings["space"]
    method = STRATEGIES[settings["method"]].load(space) if settings["method"] in STRATEGIES else None
    known = space_named(space)
    found: Settings = {
        "supernet": {**defaults(known.supernet.sizes), **supernet_settings(settings, task)},
        "network": {**defaults(known.network.sizes), **known.network.sized(network)},
    }
    if task:
        found["data"] = {**settings["data"], **task.decided}
        found["metrics"] = task.scores()
        found["weights"] = weights_of(method, settings)
    if method:
        own = {**defaults(method, NOT_FOR_USERS["strategy"]), **settings["strategy"]}
        found["strategy"] = {**own, **strategy.resolved}
    if not method or not method.decides:
        name = settings["searcher"]["name"] if method else settings["method"]
        own = {**defaults(searcher_class(name), NOT_FOR_USERS["searcher"]), **settings["searcher"]}
        found["searcher"] = {**taken_from(searcher_of(settings, name, supernet.space), own), "name": name}
    if limits:
        found["limits"] = {**settings["limits"], "margin": limits.margin}
        if method and method.decides:
            found["price"] = limits.forms(method.pricing, settings["price"])
    return found


def weights_of(method: type[SupernetStrategy] | None, settings: Settings) -> Settings:
    """All settings by which the weights are trained: those of the trainer, of the method's recipe, and what is given."""
    if method is None:
        return {**_trainer(Weights), "lr_min": 0.0, **settings["weights"]}
    return {**_trainer(method.trainer), **method.recipe, **settings["weights"]}


def _trainer(trainer: Any) -> Settings:
    own = {**defaults(Weights, NOT_FOR_USERS["weights"]), **Weights.usual}
    if trainer is not Weights:  # with an optimiser and a schedule of its own, which leave these without effect
        own = {k: v for k, v in own.items() if k not in ("nesterov", "lr_min")} | defaults(trainer, NOT_FOR_USERS["weights"])
    return own


def taken_from(made: Any, own: Settings) -> Settings:
    """``own``, with the plain values that ``made`` has decided for those that are None."""
    decided = {k: vars(made).get(k) for k, v in own.items() if v is None}
    return {**own, **{k: v for k, v in decided.items() if isinstance(v, str | int | float)}}
