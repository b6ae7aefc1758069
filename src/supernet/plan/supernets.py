"""The supernet and the network that a search is for, their sizes, and the strategy that trains a supernet."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

from torch import nn

from supernet.costs.limits import Limits
from supernet.layers.base import Supernet
from supernet.modules.sketch import fitting
from supernet.modules.weights import warm_start
from supernet.randomness import seed_everything
from supernet.settings.given import Settings, accepted, defaults
from supernet.settings.sections import PriceSettings
from supernet.spaces.record import Space
from supernet.strategies.base import SupernetStrategy
from supernet.tasks.kind import Kind


def sizes_of(space: Space, method: type[SupernetStrategy] | None, data: Settings, given: Settings) -> Settings:
    """The settings of a supernet: of the space, of the method, of the data, and those given: the later counts."""
    own = space.served(method.needs) if method else {}
    return space.supernet.accepted({**space.supernet.usual(), **own, **data, **given})


def network_sizes(space: Space, supernet: Settings, data: Settings, given: Settings) -> Settings:
    """Of the network that a search is for: what is given; in spaces that build but one network, else what the ``supernet`` has."""
    return {**(space.network.taken(supernet) if space.one_build else {}), **data, **given}


def sketch(space: Space, sizes: Settings) -> Supernet:
    """The supernet of a space, without storage; raises ``InputError`` where it cannot be built, or not be held."""
    found: Supernet = fitting(space.supernet.what, partial(space.supernet, **sizes))
    return found


def build_supernet(space: Space, sizes: Settings, seed: int, initial: str | None) -> Supernet:
    """The supernet of a space, seeded, with the weights of the file ``initial`` where there is one."""
    seed_everything(seed)
    supernet: Supernet = space.supernet(**sizes)
    if initial:
        warm_start(supernet, initial)
    return supernet


@dataclass(frozen=True)
class Trained:
    """A method on supernets of ``sizes``, with its ``settings`` and those of the training of ``weights``; named as it was asked for.

    ``limits``, ``price``: what architectures cost, and what the method pays for that; None: nothing.
    """

    name: str
    method: type[SupernetStrategy]
    space: Space
    task: Kind
    sizes: Settings
    settings: Settings
    weights: Settings
    seed: int
    limits: Limits | None
    price: PriceSettings

    def on(self, supernet: Supernet, task: Kind) -> SupernetStrategy:
        """The strategy that trains a supernet on a task; prices adapt, so each has its own."""
        own: dict[str, Any] = dict(self.settings)
        if self.space.builds_again(self.method.needs):
            own["build"] = lambda **more: self.space.supernet(**{**self.sizes, **more})
        if self.limits and self.method.decides:
            own |= self.limits.for_gradient(self.method.pricing, self.price.model_dump())
        made: SupernetStrategy = task.paced(self.method(supernet, task, seed=self.seed, weights=self.weights, **own))
        return made

    def tried(self, supernet: Supernet) -> SupernetStrategy:
        """It on a supernet without storage, so that it refuses what it would refuse. The streams of the task are as they were."""
        start = self.task.data.state_dict()
        self._check_stages()
        strategy = self.on(supernet, self.task)
        self.task.data.load_state_dict(start)
        return strategy

    def _check_stages(self) -> None:
        """Refuse stages whose supernets could not be built when their turn comes."""
        if not self.space.builds_again(self.method.needs):
            return
        stages: Any = self.settings.get("stages", defaults(self.method).get("stages", ()))
        for number, stage in enumerate(stages, start=1):
            what = f"the supernet of stage {number} of {self.name}"
            staged = accepted(what, self.space.supernet.sizes, {**self.sizes, **stage})
            fitting(what, partial(self.space.supernet, **staged))


def check_network(space: Space, supernet: Supernet, network: Mapping[str, Any]) -> None:
    """Refuse an evaluation network that could not be built at the end of the search."""
    drawn = supernet.space.matters(supernet.space.sample(Random(0)))
    fitting(space.network.what, lambda: space.network(drawn, **space.network.sized(network)))


def check_initial(network: nn.Module, path: str) -> None:
    """Refuse a file to start from that cannot be read or of which nothing fits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that nothing is copied into networks without storage
        warm_start(network, path)
