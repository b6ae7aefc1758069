"""The supernet and the network of a search's settings, their sizes, and the strategy that trains one."""

from __future__ import annotations

import warnings
from random import Random
from typing import Any

from torch import nn

from supernet.costs.limits import Limits
from supernet.layers.base import Supernet
from supernet.modules.sketch import fitting
from supernet.randomness import seed_everything
from supernet.search import warm_start
from supernet.settings.given import Settings, accepted, defaults
from supernet.spaces import space as space_named
from supernet.spaces.record import Space
from supernet.strategies import STRATEGIES
from supernet.strategies import strategy as strategy_named
from supernet.strategies.base import SupernetStrategy
from supernet.tasks.kind import Kind


def build_supernet(settings: Settings, sizes: Settings) -> Supernet:
    """The supernet of a space with ``sizes``, seeded, with the weights that it is to start from."""
    seed_everything(settings["seed"])
    supernet: Supernet = space_named(settings["space"]).supernet(**sizes)
    if settings["initial"]:
        warm_start(supernet, settings["initial"])
    return supernet


def supernet_settings(settings: Settings, task: Kind | None = None) -> Settings:
    """Of the space, of the method, of the data, of the user: the later counts."""
    space, method = space_named(settings["space"]), STRATEGIES.get(settings["method"])
    own = space.served(method.load(space.name).needs) if method else {}
    return space.supernet.accepted({**space.supernet.usual(), **own, **(task.sizes if task else {}), **settings["supernet"]})


def network_settings(settings: Settings, task: Kind | None = None) -> Settings:
    """Of the network that a search is for: what the user says; in spaces that build but one network, else what the supernet has."""
    space = space_named(settings["space"])
    base = space.network.taken(supernet_settings(settings, task)) if space.one_build else {}
    return {**base, **(task.sizes if task else {}), **settings["network"]}


def sketch(settings: Settings, task: Kind | None = None) -> Supernet:
    """The supernet of a command's settings, without storage; raises ``InputError`` where it cannot be built, or not be held."""
    given, build = supernet_settings(settings, task), space_named(settings["space"]).supernet
    found: Supernet = fitting(build.what, lambda: build(**given))
    return found


def make_strategy(settings: Settings, task: Kind, sizes: Settings, supernet: Supernet, limits: Limits | None) -> SupernetStrategy:
    """The method of a command's settings on a supernet of ``sizes``; prices adapt, so every strategy has its own."""
    space = space_named(settings["space"])
    method = strategy_named(settings["method"]).load(space.name)
    own = dict(settings["strategy"])
    if space.builds_again(method.needs):
        own["build"] = lambda **more: space.supernet(**{**sizes, **more})
    if limits and method.decides:
        own |= limits.for_gradient(method.pricing, settings["price"])
    made: SupernetStrategy = task.paced(method(supernet, task, seed=settings["seed"], weights=settings["weights"], **own))
    return made


def check_network(space: Space, supernet: Supernet, network: Settings) -> None:
    """Refuse an evaluation network that could not be built at the end of the search."""
    drawn = supernet.space.matters(supernet.space.sample(Random(0)))
    fitting(space.network.what, lambda: space.network(drawn, **space.network.sized(network)))


def check_stages(settings: Settings, sizes: Settings) -> None:
    """Refuse stages whose supernets could not be built when their turn comes."""
    space = space_named(settings["space"])
    method = STRATEGIES[settings["method"]].load(space.name)
    if not space.builds_again(method.needs):
        return
    stages = settings["strategy"].get("stages", defaults(method).get("stages", ()))
    for number, stage in enumerate(stages, start=1):
        build, what = space.supernet, f"the supernet of stage {number} of {settings['method']}"
        staged: Any = accepted(what, build.sizes, {**sizes, **stage})
        fitting(what, lambda: build(**staged))  # noqa: B023, called at once


def check_initial(network: nn.Module, path: str) -> None:
    """Refuse a file to start from that cannot be read or of which nothing fits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that nothing is copied into networks without storage
        warm_start(network, path)

