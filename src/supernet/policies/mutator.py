"""A policy of mutations: which choice of an architecture is changed, and to what.

The mutation controller of RENAS: Chen et al. 2019, https://arxiv.org/abs/1808.00193
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from supernet.policies.anything import Several
from supernet.policies.controller import Chooser, Drawn, Policy
from supernet.searchers.decisions import Decisions
from supernet.space import Architecture, SearchSpace, Taken

Step = tuple[Architecture, Architecture]  # parent and child


class Mutator(Policy):
    """Reads the choices of an architecture that matter, in order, by an LSTM in both directions, then decides twice by a softmax.

    First which choice changes, among those that can; then to what: to another of all that it can take, or, of a subset of any size,
    which option enters or leaves. Logits are kept within ``limit`` of 0.
    Raises ``InputError`` where a choice has too many subsets to tell them apart.
    """

    def __init__(self, space: SearchSpace, *, hidden: int = 64, limit: float = 2.5):
        super().__init__(space, hidden=hidden)
        self.limit = limit
        self.decisions = {name: Decisions(choice) for name, choice in space.items()}
        self.places = {name: place for place, name in enumerate(space)}
        self.words = nn.ParameterList(torch.empty(1 + len(choice.options), hidden) for choice in space.values())  # the first: its name
        self.lstm = nn.LSTM(hidden, hidden, bidirectional=True)
        self.router = nn.Parameter(torch.empty(2 * hidden, 1))
        sizes = [len(one.sizes) if one.free else one.sizes[0] for one in self.decisions.values()]
        self.scores = nn.ParameterList(torch.empty(2 * hidden, size) for size in sizes)

    def forward(self, parent: Architecture, choose: Chooser) -> Drawn:
        """A child of ``parent``, which differs in one choice; ``parent`` itself where none can change."""
        taken = self.space.matters(parent)
        able = [place for place, name in enumerate(taken) if self.space[name].count() > 1]
        nothing = self.router.new_zeros(())
        if not able:
            return Drawn(dict(parent), nothing, nothing, nothing, {})
        said = self._read(taken)  # (choices, 2 * hidden)
        rows = self.limit * (said[able] @ self.router).tanh().T  # (1, choices that can change)
        place = able[int(index := choose(rows.detach()))]
        name = list(taken)[place]
        logits = self.limit * (said[place : place + 1] @ self.scores[self.places[name]]).tanh()
        logits = logits.masked_fill(self._now(name, taken[name])[None], -torch.inf)  # (1, what it can change to)
        to = choose(logits.detach())
        each = [(rows.log_softmax(-1), index), (logits.log_softmax(-1), to)]
        log_p = torch.stack([held[0, int(one)] for held, one in each]).sum()
        entropy = -torch.stack([torch.special.xlogy(held.exp(), held.exp()).sum() for held, _ in each]).sum()
        child = {**parent, name: self._changed(name, taken[name], int(to))}
        return Drawn(child, log_p, entropy.detach(), nothing, {})

    def again(self, steps: Sequence[Step]) -> Callable[[], Several]:
        """What decides as the children of ``steps`` were decided: how probable they are by the time that it is called."""

        def decide() -> Several:
            drawn = [self._once_more(*step) for step in steps]
            log_p, entropy = (torch.stack(held) for held in ([one.log_p for one in drawn], [one.entropy for one in drawn]))
            return Several([one.architecture for one in drawn], log_p, entropy)

        return decide

    def _once_more(self, parent: Architecture, child: Architecture) -> Drawn:
        taken = self.space.matters(parent)
        name = next(name for name, one in taken.items() if child[name] != one)
        able = [other for other in taken if self.space[other].count() > 1]
        decided = iter([able.index(name), self._step(name, taken[name], child[name])])
        return self.forward(parent, lambda logits: torch.tensor([next(decided)]))

    def _read(self, taken: Architecture) -> Tensor:
        """What the LSTM says of every choice: (choices, 2 * hidden)."""
        rows = []
        for name, one in taken.items():
            choice, words = self.space[name], self.words[self.places[name]]
            held = words.new_tensor([1.0, *(float(choice.holds(one, option)) for option in choice.options)])
            rows.append(held @ words)
        said: Tensor = self.lstm(torch.stack(rows))[0]
        return said

    def _now(self, name: str, taken: Taken) -> Tensor:
        """Which of what a choice can change to it takes already; of a subset of any size none: (decisions,)."""
        decisions = self.decisions[name]
        return torch.tensor([not decisions.free and one == taken for one in decisions.takes or decisions.options])

    def _changed(self, name: str, taken: Taken, decided: int) -> Taken:
        decisions = self.decisions[name]
        if not decisions.free:
            return decisions.takes[decided]
        held = decisions.decided(taken)
        held[decided] = 1 - held[decided]
        return decisions.taken(held)

    def _step(self, name: str, before: Taken, after: Taken) -> int:
        """The decision that leads from one to the other."""
        decisions = self.decisions[name]
        if not decisions.free:
            return decisions.takes.index(after)
        return next(i for i, (a, b) in enumerate(zip(decisions.decided(before), decisions.decided(after), strict=True)) if a != b)
