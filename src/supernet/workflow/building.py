"""What settings build: the supernet, its sizes and those of the evaluation network, and the strategy."""

from __future__ import annotations

from typing import Any

from supernet.costs.limits import Limits
from supernet.layers.base import Supernet
from supernet.randomness import seed_everything
from supernet.search import warm_start
from supernet.settings import Settings
from supernet.sketch import fitting
from supernet.spaces import space as space_named
from supernet.strategies import STRATEGIES
from supernet.strategies import strategy as strategy_named
from supernet.tasks.kind import Kind


def build_supernet(settings: Settings, task: Kind) -> Supernet:
    """The supernet of the run's space and settings."""
    seed_everything(settings["seed"])
    supernet: Supernet = space_named(settings["space"]).supernet(**supernet_settings(settings, task))
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


def make_strategy(settings: Settings, task: Kind, supernet: Supernet, limits: Limits | None) -> Any:
    """The strategy of a command's settings; prices adapt, so every strategy has its own."""
    space, sizes = space_named(settings["space"]), supernet_settings(settings, task)
    method = strategy_named(settings["method"]).load(space.name)
    own = dict(settings["strategy"])
    if space.builds_again(method.needs):
        own["build"] = lambda **more: space.supernet(**{**sizes, **more})
    if limits and method.decides:
        own |= limits.for_gradient(method.pricing, settings["price"])
    return task.paced(method(supernet, task, seed=settings["seed"], weights=settings["weights"], **own))


def sketch(settings: Settings, task: Kind | None = None) -> Supernet:
    """The supernet of a command's settings, without storage; raises ``InputError`` where it cannot be built, or not be held."""
    given, build = supernet_settings(settings, task), space_named(settings["space"]).supernet
    found: Supernet = fitting(build.what, lambda: build(**given))
    return found
