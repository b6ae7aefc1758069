"""An architecture that keeps bounds, sought one choice at a time where no table says what the least is."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from random import Random

from supernet.space import Architecture, SearchSpace

TAKES = 64  # of one choice that are tried; of subsets the smallest come first


def sought(space: SearchSpace, excess: Callable[[Architecture], float]) -> Architecture:
    """One whose ``excess`` is at most 0; where none is found, one that no change of a single choice brings nearer to that.

    Each choice in turn takes what lowers the excess, from a random architecture on.
    """
    best = space.sample(Random(0))
    over, changed = excess(best), True
    while over > 0 and changed:
        changed = False
        for name, choice in space.items():
            for taken in itertools.islice(choice.takes(), TAKES):
                there = excess({**best, name: taken})
                if there < over:
                    best, over, changed = {**best, name: taken}, there, True
                if over <= 0:
                    return best
    return best
