"""The phases of progressive shrinking: which sizes a supernet's networks have meanwhile, how long, at which rate.

Cai et al. 2020 (Once-for-All), section 3.3 and appendix, https://arxiv.org/abs/1908.09791; lengths and rates of
https://github.com/mit-han-lab/once-for-all (``train_ofa_net.py``), in epochs and for batches of 2,048.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from supernet.errors import InputError
from supernet.layers.base import Supernet
from supernet.space import Choice, Taken
from supernet.strategies.lessons import sized

EVERY = 10**9


@dataclass(frozen=True)
class Phase:
    """``epochs``: its length in the paper. ``rate``: of learning, as a share of the first phase's. ``networks``: trained in a step.

    ``open``: what may have other sizes than the largest -> how many of the largest sizes.
    """

    name: str
    epochs: float
    rate: float
    networks: int
    open: Mapping[str, int]


KERNEL, DEPTH = {"kernel": EVERY}, {"kernel": EVERY, "depth": EVERY}
PAPER = (
    Phase("largest", 180, 1.0, 1, {}),
    Phase("kernel", 120, 0.96 / 2.6, 1, KERNEL),
    Phase("depth, two sizes", 25, 0.08 / 2.6, 2, {**KERNEL, "depth": 2}),
    Phase("depth", 120, 0.24 / 2.6, 2, DEPTH),
    Phase("width, two sizes", 25, 0.08 / 2.6, 4, {**DEPTH, "width": 2}),
    Phase("width", 120, 0.24 / 2.6, 4, {**DEPTH, "width": EVERY}),
)


class Sizes:
    """What the choices of a supernet are sizes of; choices without sizes are open in every phase, and so are sizes of the input."""

    def __init__(self, supernet: Supernet):
        self.space = supernet.space
        own = {layer.choice.name: layer.sizes_of for layer in supernet.layers if layer.choice}
        self.kinds = {name: own.get(name, "input") for name, choice in self.space.items() if sized(choice)}

    def able(self, name: str, phase: Phase) -> Sequence[Taken] | None:
        """What a choice may take in a phase, the largest last; None: anything."""
        choice, kind = self.space[name], self.kinds.get(name, "input")
        if kind == "input":
            return None
        return _takes(choice)[-phase.open.get(kind, 1) :]

    def draw(self, phase: Phase, rng: Random, given: Mapping[str, Taken]) -> dict[str, Taken]:
        """An architecture of a phase, all that it may take equally likely; ``given``: what is decided already."""
        return {name: given[name] if name in given else self._drawn(name, phase, rng) for name in self.space}

    def inputs(self, rng: Random) -> dict[str, Taken]:
        """Sizes of the input, which all networks of a step share."""
        return {name: self.space[name].draw(rng) for name, kind in self.kinds.items() if kind == "input"}

    def of(self, phases: Sequence[Phase]) -> list[Phase]:
        """Those of ``phases`` that open anything that was not open in the one before; the first in any case."""
        found: list[Phase] = []
        for phase in phases:
            if not found or any(self.able(n, phase) != self.able(n, found[-1]) for n in self.space):
                found.append(phase)
        return found

    def open(self, kind: str, phase: Phase) -> int:
        """How many sizes of a kind a choice may take, at most."""
        return max((len(self.able(n, phase) or ()) for n, k in self.kinds.items() if k == kind), default=0)

    def _drawn(self, name: str, phase: Phase, rng: Random) -> Taken:
        able, choice = self.able(name, phase), self.space[name]
        if able is None:
            return choice.draw(rng)
        taken: Any = rng.choice(able)
        return taken if choice.pick is None else tuple(choice.able[i] for i in sorted(rng.sample(range(len(choice.able)), taken)))


def _takes(choice: Choice) -> Sequence[Any]:
    """Sizes, ascending; of a subset how many are kept."""
    return sorted(choice.able) if choice.pick is None else range(choice.pick[0], choice.pick[1] + 1)


def borders(phases: Sequence[Phase], of: int) -> list[int]:
    """The epochs, of so many, that the phases begin with, and ``of``: in proportion to the paper's, each phase at least one long.

    Raises ``InputError`` for fewer epochs than phases.
    """
    if of < len(phases):
        raise InputError(f"progressive shrinking has {len(phases)} phases here: give it as many epochs; got {of}")
    total, passed, found = sum(phase.epochs for phase in phases), 0.0, [0]
    for left, phase in zip(reversed(range(len(phases))), phases, strict=True):
        passed += phase.epochs
        found.append(min(max(round(of * passed / total), found[-1] + 1), of - left))
    return found
