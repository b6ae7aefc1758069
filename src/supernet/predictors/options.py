"""Architectures of any space as rows of numbers: which options their choices take, where these matter."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from supernet.predictors.encoding import Array
from supernet.space import Architecture, Choice, SearchSpace, Taken

NEAR = 0.5  # how alike two numbers are that stand beside each other among the options of a choice; those k places apart: NEAR^k


class Options:
    """Encodes architectures of ``space``: a group of columns for each choice, of length 1 in every row.

    The product of two rows is therefore in how many choices they agree. A choice that does not matter takes a column of its own. Options
    that are all numbers are as alike as their places are near; a subset is as alike another as it shares options with it.
    ``groups``: the columns of each choice, in the order of the space. ``width``: how many there are.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self._blocks: dict[str, dict[Taken | None, Array]] = {name: {} for name in space}
        widths = [len(choice.options) + (not choice.always) for choice in space.values()]
        ends = np.cumsum([0, *widths]).tolist()
        self.groups = [slice(start, end) for start, end in pairwise(ends)]
        self.width: int = ends[-1]

    def rows(self, architectures: Sequence[Architecture]) -> Array:
        """The rows of architectures: (architectures, width)."""
        found = np.zeros((len(architectures), self.width))
        for row, architecture in zip(found, architectures, strict=True):
            on = self.space.matters(architecture)
            for (name, known), columns in zip(self._blocks.items(), self.groups, strict=True):
                taken = on.get(name)
                if taken not in known:
                    known[taken] = self._block(self.space[name], taken, columns.stop - columns.start)
                row[columns] = known[taken]
        return found

    @staticmethod
    def _block(choice: Choice, taken: Taken | None, width: int) -> Array:
        """The columns of one choice; ``taken`` None: it does not matter."""
        block = np.zeros(width)
        if taken is None:
            block[-1] = 1
        elif choice.pick is not None:
            chosen = [i for i, option in enumerate(choice.options) if choice.holds(taken, option)]
            block[chosen] = 1 / max(len(chosen), 1) ** 0.5
        elif all(isinstance(option, int | float) for option in choice.options):
            places = np.arange(len(choice.options))
            alike = NEAR ** np.abs(places[:, None] - places[None])
            block[: len(places)] = np.linalg.cholesky(alike)[choice.options.index(taken)]
        else:
            block[choice.options.index(taken)] = 1
        return block
