"""Growing step by step: numbers among the choices, such as widths, depths and kernel sizes, begin small and go up and down by one.

Real et al. 2017, section 3.2, https://arxiv.org/abs/1703.01041: mutations that insert a layer, widen one or enlarge its filters, and their
opposites; the first individuals are trivial.
"""

from __future__ import annotations

from random import Random

from supernet.space import Architecture, Choice, SearchSpace, Taken


def ordered(choice: Choice) -> bool:
    """Whether its options are numbers, of which one is taken."""
    return choice.pick is None and all(isinstance(option, int | float) for option in choice.able)


def smallest(space: SearchSpace, rng: Random) -> Architecture:
    """The smallest of all numbers, and anything else at random."""
    return {name: min(choice.able) if ordered(choice) else choice.draw(rng) for name, choice in space.items()}


def step(space: SearchSpace, architecture: Architecture, rng: Random) -> Architecture:
    """A mutation of ``architecture``, which takes a number one step towards the one that ``space.mutate`` draws."""
    mutated = space.mutate(architecture, rng)
    for name, taken in mutated.items():
        if taken != architecture[name] and ordered(space[name]):
            options: list[Taken] = sorted(space[name].able)
            at, towards = (options.index(option) for option in (architecture[name], taken))
            mutated[name] = options[at + (1 if towards > at else -1)]
    return mutated
