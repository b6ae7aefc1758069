"""Every setting of a command with its value: what config.yaml holds, and what a resumed run compares."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch
from pydantic import BaseModel

from supernet.costs.limits import Limits
from supernet.errors import InputError, without_effect
from supernet.native import kernels
from supernet.native.kernels import used
from supernet.plan.chosen import Chosen
from supernet.plan.scoring import Asking
from supernet.searchers import searcher_class
from supernet.settings.commands import Search
from supernet.settings.given import NOT_FOR_USERS, RESOLVED, Settings, defaults
from supernet.settings.sections import Machine
from supernet.space import SearchSpace
from supernet.strategies.base import SupernetStrategy
from supernet.strategies.weights import Weights
from supernet.tasks.kind import Kind


def use_threads(asked: int | None) -> int:
    """Use the threads asked for; how many there are, to be written down, since results depend on it."""
    if asked:
        torch.set_num_threads(asked)
    return torch.get_num_threads()


def use_machine(settings: Machine) -> int:
    """Use the kernels and threads asked for; how many threads there are.

    Raises ``InputError`` for native kernels of another device than the CPU, for other kernels than PyTorch's beside synchronised batch
    norms, and where they cannot be compiled.
    """
    if settings.kernels == "native" and settings.device != "cpu":
        raise InputError(f"native kernels are for the CPU: leave --kernels out on {settings.device}")
    if settings.kernels != "torch" and settings.batch_norms:
        raise InputError(f"{settings.kernels} kernels normalise by what one rank has: leave --batch-norms or --kernels out")
    kernels.use(settings.kernels, settings.device)
    return use_threads(settings.threads)


def check_graph(settings: Machine, kind: type[Kind], method: str = "", alike: bool = True) -> None:
    """Refuse to compile a training whose steps are not ``alike``; ``method``: what trains, where it is none of a plain network."""
    if settings.kernels == "compiled":
        if not alike:
            raise without_effect("--kernels compiled", f"{method} runs other options in each step, and a graph is of the same ones")
        if not kind.alike:
            raise without_effect("--kernels compiled", f"the batches of {kind.name} differ in length, and a graph is of one shape")


def computing(config: Mapping[str, Any]) -> str:
    """What computes, for people: the device, by which kernels, in which precision; ``config``: of a run that uses its machine."""
    device = torch.device(config["device"])
    name = f" ({torch.get_device_module(device).get_device_name(device)})" if device.type in ("cuda", "xpu") else ""
    threads = f", {config['threads']} thread{'' if config['threads'] == 1 else 's'}" if device.type == "cpu" else ""
    what = {"torch": "kernels", "native": "native kernels and those", "compiled": "compiled graphs and kernels"}[used()]
    kernels = f"{what} of PyTorch {torch.__version__}"
    precision = f"mixed precision ({config['autocast']})" if config["autocast"] else "single precision"
    return f"{device}{name}{threads}, {kernels}, {precision}"


def config_of(settings: BaseModel, decided: Settings, values: Settings) -> Settings:
    """What config.yaml holds: ``settings`` with those ``decided`` and, under "resolved", all ``values`` of the open sections."""
    return {**settings.model_dump(), **decided, RESOLVED: json.loads(json.dumps(values))}


def resolved(
    settings: Search,
    chosen: Chosen,
    task: Kind | None,
    space: SearchSpace,
    supernet: Settings,
    network: Settings,
    limits: Limits | None,
    strategy: Settings,
) -> Settings:
    """Section -> all its values, those that are not given too.

    ``space``, ``supernet``: what is searched, and its settings. ``network``: those of what the search is for. ``strategy``: the values
    that the method has decided.
    """
    method, asking, recipe = chosen.method, chosen.asking, chosen.recipe
    found: Settings = {
        "supernet": {**defaults(chosen.space.supernet.sizes), **supernet},
        "network": {**defaults(chosen.space.network.sizes), **network},
    }
    if task:
        found["data"] = {**recipe.data, **task.decided}
        found["metrics"] = task.scores()
        found["weights"] = weights_of(method, recipe.weights)
    if method:
        found["strategy"] = {**defaults(method, NOT_FOR_USERS["strategy"]), **chosen.strategy, **strategy}
    if not chosen.opinion:
        found["searcher"] = searcher_of(asking, space)
    if limits:
        found["limits"] = {**settings.limits.model_dump(), "margin": limits.margin}
        if method and method.decides:
            found["price"] = limits.forms(method.pricing, settings.price.model_dump())
    return found


def searcher_of(asking: Asking, space: SearchSpace) -> Settings:
    """All settings of a searcher, by which it is made here."""
    own = {**defaults(searcher_class(asking.name), NOT_FOR_USERS["searcher"]), **asking.settings}
    return {**taken_from(asking.on(space), own), "name": asking.name}


def weights_of(method: type[SupernetStrategy] | None, given: Settings) -> Settings:
    """All settings by which the weights are trained: those of the trainer, of the method's recipe, and what is given."""
    if method is None:
        return {**_trainer(Weights), "lr_min": 0.0, **given}
    return {**_trainer(method.trainer), **method.recipe, **given}


def _trainer(trainer: Any) -> Settings:
    own = {**defaults(Weights, NOT_FOR_USERS["weights"]), **Weights.usual}
    if trainer is not Weights:  # with an optimiser and a schedule of its own, which leave these without effect
        own = {k: v for k, v in own.items() if k not in ("nesterov", "lr_min")} | defaults(trainer, NOT_FOR_USERS["weights"])
    return own


def taken_from(made: Any, own: Settings) -> Settings:
    """``own``, with the plain values that ``made`` has decided for those that are None."""
    decided = {k: vars(made).get(k) for k, v in own.items() if v is None}
    return {**own, **{k: v for k, v in decided.items() if isinstance(v, str | int | float)}}
