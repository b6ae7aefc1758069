"""What a command would do, before it does it: every setting with its value, and everything refused that the work would refuse.

A search and its dry run are prepared alike; the search then goes on with what was prepared.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import torch
from torch import nn

from supernet.costs.limits import Limits
from supernet.errors import InputError
from supernet.layers.base import Supernet
from supernet.search import warm_start
from supernet.searchers import SEARCHERS, searcher_class
from supernet.settings import NOT_FOR_USERS, Settings, accepted, defaults
from supernet.sketch import fitting
from supernet.space import Architecture
from supernet.spaces import space as space_named
from supernet.strategies import STRATEGIES
from supernet.strategies.base import SupernetStrategy
from supernet.strategies.weights import Weights
from supernet.tasks import kind_for
from supernet.tasks.kind import Kind
from supernet.workflow.building import make_strategy, network_settings, sketch, supernet_settings
from supernet.workflow.estimating import estimator_of, estimator_on_data, open_table, searcher_of
from supernet.workflow.limits import bounds_of, limits_of, prices


def use_threads(settings: Settings) -> None:
    """Use the threads asked for; write down how many there are, since results depend on it."""
    if settings["threads"]:
        torch.set_num_threads(settings["threads"])
    settings["threads"] = torch.get_num_threads()


@dataclass
class Prepared:
    """What a search starts from; ``task`` is None on a table, ``limits`` where nothing is bound. ``resolved``: see ``with_resolved``.

    ``feasible``: an architecture that keeps all bounds, where there are any and one is known.
    """

    task: Kind | None
    limits: Limits | None
    supernet: Supernet
    feasible: Architecture | None = None
    resolved: Settings = field(default_factory=dict)


def prepared(settings: Settings) -> Prepared:
    """Read the data or the table, build everything without storage, and refuse what does not go together.

    Raises ``InputError``. The streams of the task are as they were.
    """
    check_combination(settings)
    method, task = settings["method"], None if settings["table"]["file"] else kind_for(settings["space"], settings["task"]).read(settings)
    start = task.data.state_dict() if task else {}
    supernet = sketch(settings, task)
    network = network_settings(settings, task) if task else settings["network"]
    check_network(settings["space"], supernet, network)
    counted = {"params", "macs"} if settings["table"]["file"] else set()
    limits = limits_of(settings, network) if bounds_of(settings).keys() - counted or (task and prices(settings)) else None
    feasible = limits.check() if limits else None
    if task and method in SEARCHERS:
        estimator_on_data(estimator_of(settings), settings, task)  # refuses networks that it cannot score
    if settings["table"]["file"]:
        kept = open_table(settings)[1].check({name: bound for name, bound in bounds_of(settings).items() if name in counted})
        feasible = kept if limits is None else feasible
    if settings["initial"]:
        check_initial(supernet, settings["initial"])
    strategy = None
    if task and method in STRATEGIES:
        check_stages(settings, task)
        strategy = make_strategy(settings, task, sketch(settings, task), limits)
        task.data.load_state_dict(start)
    return Prepared(task, limits, supernet, feasible, resolved(settings, task, network, supernet, limits, strategy))


def check_combination(settings: Settings) -> None:
    """Refuse settings that exclude each other or that the method would take no notice of."""
    method = settings["method"]
    if settings["steps"] and settings["seconds"]:
        raise InputError("steps and seconds are both lengths of the search: give one of them")
    if settings["baseline"]["name"] and method not in STRATEGIES:
        raise InputError(f"{method} tries single architectures: --baseline random is for a method that trains a supernet; see compare")
    if settings["table"]["file"]:
        for name in ("steps", "seconds", "initial"):
            if settings[name]:
                raise InputError(f"{name} would have no effect: on a table nothing is trained; set trials instead")
    elif method in SEARCHERS and settings["initial"]:
        raise InputError(f"initial would have no effect: {method} trains each architecture from nothing")


def check_network(space: str, supernet: Supernet, network: Mapping[str, Any]) -> None:
    """Refuse an evaluation network that could not be built at the end of the search."""
    drawn = supernet.space.matters(supernet.space.sample(Random(0)))
    build = space_named(space).network
    fitting(build.what, lambda: build(drawn, **build.sized(network)))


def check_stages(settings: Settings, task: Kind) -> None:
    """Refuse stages whose supernets could not be built when their turn comes."""
    space = space_named(settings["space"])
    method = STRATEGIES[settings["method"]].load(space.name)
    if not space.builds_again(method.needs):
        return
    stages = settings["strategy"].get("stages", defaults(method).get("stages", ()))
    for number, stage in enumerate(stages, start=1):
        build, what = space.supernet, f"the supernet of stage {number} of {settings['method']}"
        sizes = accepted(what, build.sizes, {**supernet_settings(settings, task), **stage})
        fitting(what, lambda: build(**sizes))  # noqa: B023, called at once


def check_initial(network: nn.Module, path: str) -> None:
    """Refuse a file to start from that cannot be read or of which nothing fits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that nothing is copied into networks without storage
        warm_start(network, path)


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
