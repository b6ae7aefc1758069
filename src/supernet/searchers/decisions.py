"""A choice as decisions between so many, which are numbered from 0: for searchers that draw each by a probability."""

from __future__ import annotations

from collections.abc import Sequence

from supernet.errors import InputError
from supernet.space import Choice, Taken

MOST = 4096  # subsets of one choice that are told apart


class Decisions:
    """Of a subset of any size a decision for each option, whether it is taken (1) or not (0); else one between all that can be taken.

    ``sizes``: between how many each decides. Raises ``InputError`` where a choice of subsets of limited size has too many of them.
    """

    def __init__(self, choice: Choice):
        self.options, self.free = choice.options, choice.pick == (0, len(choice.options)) and not choice.search_only
        if not self.free and choice.count() > MOST:
            raise InputError(f"{choice.name} has {choice.count()} subsets, more than {MOST}, which a policy cannot tell apart")
        self.takes = [] if self.free else list(choice.takes())
        self.sizes = [2] * len(choice.options) if self.free else [len(self.takes)]

    def taken(self, decided: Sequence[int]) -> Taken:
        """What is taken by what was decided, a number for each decision."""
        return tuple(o for o, kept in zip(self.options, decided, strict=True) if kept) if self.free else self.takes[decided[0]]

    def decided(self, taken: Taken) -> list[int]:
        """The decisions by which ``taken`` is taken."""
        held = taken if isinstance(taken, tuple) else ()
        return [int(o in held) for o in self.options] if self.free else [self.takes.index(taken)]
