"""A policy of any space: choice by choice in the order of the space, those that do not matter left out.

Zoph, Le 2017, section 3.1, https://arxiv.org/abs/1611.01578: a softmax for each decision, fed with what was taken before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from supernet.policies.controller import Chooser, Controller, Path, read
from supernet.searchers.decisions import Decisions
from supernet.space import Architecture, SearchSpace


class Several(NamedTuple):
    """What a policy decided of several architectures at once."""

    architectures: list[Architecture]  # each with the choices that matter in it
    log_p: Tensor  # (n,), of each
    entropy: Tensor  # (n,), without a gradient


class AnyPolicy(Controller):
    """Decides the choices of any space; logits are kept within ``limit`` of 0.

    Of a subset of any size, each option is decided for itself; subsets of limited size are options of one decision, whose logits are
    the sums of those of what they hold. Raises ``InputError`` where a choice has too many of them.
    """

    def __init__(self, space: SearchSpace, *, hidden: int = 64, limit: float = 2.5):
        super().__init__(space, hidden=hidden)
        self.limit = limit
        self.words = nn.ParameterList(torch.empty(len(choice.options), hidden) for choice in space.values())
        self.scores = nn.ParameterList(torch.empty(hidden, len(choice.options)) for choice in space.values())
        self.decisions = {name: Decisions(choice) for name, choice in space.items()}
        # of each choice, what its takes hold, as ones: (takes, options)
        self.holds = {
            name: torch.tensor([[float(space[name].holds(taken, option)) for option in space[name].options] for taken in one.takes])
            for name, one in self.decisions.items()
        }

    def decide(self, path: Path) -> None:
        for choice, words, scores in zip(self.space.values(), self.words, self.scores, strict=True):
            if self.space.on(choice, path.architecture):
                logits = self.limit * (path.step() @ scores).tanh()  # (1, options)
                by_decision, one = self._by_decision(choice.name, logits), self.decisions[choice.name]
                decided = path.taken(by_decision[0])
                likely = (2 * logits).sigmoid() if one.free else by_decision[0].softmax(-1) @ self.holds[choice.name].to(logits)
                path.note(choice.name, one.taken(decided.tolist()), likely[0])
                path.input = self._held(choice.name, decided[None]).to(logits) @ words

    def several(self, number: int, choose: Chooser) -> Several:
        """Decide so many architectures at once; ``choose`` is asked for all decisions of a choice together, of one after the other."""
        state = (self.start.expand(number, -1), *self.start.new_zeros(2, number, self.hidden))  # what is read, said and kept: (n, hidden)
        log_p = entropy = self.start.new_zeros(number)
        architectures: list[Architecture] = [{} for _ in range(number)]
        for choice, words, scores in zip(self.space.values(), self.words, self.scores, strict=True):
            rows = [row for row, architecture in enumerate(architectures) if self.space.on(choice, architecture)]
            if not rows:
                continue
            place = slice(None) if len(rows) == number else torch.tensor(rows)
            said, cell = read(self.lstm, *(one[place] for one in state))
            by_decision = self._by_decision(choice.name, self.limit * (said @ scores).tanh())
            decided = choose(by_decision.detach().flatten(0, 1)).view(by_decision.shape[:2])  # (rows, decisions)
            each = by_decision.log_softmax(-1)
            log_p = put(log_p, place, log_p[place] + each.gather(-1, decided[..., None]).sum((1, 2)))
            entropy = put(entropy, place, entropy[place] - (each * each.exp()).detach().sum((1, 2)))
            now = (self._held(choice.name, decided).to(said) @ words, said, cell)
            state = tuple(put(old, place, new) for old, new in zip(state, now, strict=True))
            for row, taken in zip(rows, decided.tolist(), strict=True):
                architectures[row][choice.name] = self.decisions[choice.name].taken(taken)
        return Several(architectures, log_p, entropy)

    def again(self, architectures: Sequence[Architecture]) -> Callable[[], Several]:
        """What decides as ``architectures`` were decided: how probable they are by the time that it is called."""
        matter = [self.space.matters(architecture) for architecture in architectures]
        taken = {name: [one[name] for one in matter if name in one] for name in self.space}
        decided = [torch.tensor([self.decisions[name].decided(one) for one in ones]).flatten() for name, ones in taken.items() if ones]

        def decide() -> Several:
            left = iter(decided)
            return self.several(len(architectures), lambda logits: next(left))

        return decide

    def _by_decision(self, name: str, logits: Tensor) -> Tensor:
        """The logits of what can be decided, by those of the options (rows, options): (rows, decisions, decided)."""
        if self.decisions[name].free:
            return torch.stack([-logits, logits], -1)
        return (logits @ self.holds[name].to(logits).T)[:, None]

    def _held(self, name: str, decided: Tensor) -> Tensor:
        """The options that are taken by what was decided (rows, decisions), as ones: (rows, options)."""
        return decided if self.decisions[name].free else self.holds[name][decided[:, 0]]


def put(old: Tensor, place: slice | Tensor, new: Tensor) -> Tensor:
    """``old`` with the rows at ``place`` as in ``new``; a slice: all of them."""
    return new if isinstance(place, slice) else old.index_copy(0, place, new)
