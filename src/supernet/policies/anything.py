"""A policy of any space: choice by choice in the order of the space, those that do not matter left out.

Zoph, Le 2017, section 3.1, https://arxiv.org/abs/1611.01578: a softmax for each decision, fed with what was taken before.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from supernet.policies.controller import Controller, Drawn, Path
from supernet.searchers.decisions import Decisions
from supernet.space import Architecture, Choice, SearchSpace


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

    def decide(self, path: Path) -> None:
        for choice, words, scores in zip(self.space.values(), self.words, self.scores, strict=True):
            if not self.space.on(choice, path.architecture):
                continue
            logits = self.limit * (path.step() @ scores).tanh()  # (1, options)
            held = self._free(path, choice, logits) if self.decisions[choice.name].free else self._listed(path, choice, logits)
            path.input = held @ words

    def again(self, architecture: Architecture) -> Drawn:
        """Decide as ``architecture`` was decided: how probable it is by now."""
        taken = self.space.matters(architecture)
        decided = iter([torch.tensor(self.decisions[name].decided(one)) for name, one in taken.items()])
        drawn: Drawn = self(lambda logits: next(decided))
        return drawn

    def _free(self, path: Path, choice: Choice, logits: Tensor) -> Tensor:
        """Each option for itself; what is taken as ones: (1, options)."""
        kept = path.taken(torch.cat([-logits, logits]).T)
        path.note(choice.name, tuple(o for o, k in zip(choice.options, kept.tolist(), strict=True) if k), (2 * logits).sigmoid()[0])
        return kept[None].to(logits)

    def _listed(self, path: Path, choice: Choice, logits: Tensor) -> Tensor:
        """One of all that can be taken; its options as ones: (1, options)."""
        takes = self.decisions[choice.name].takes
        held = logits.new_tensor([[float(choice.holds(taken, o)) for o in choice.options] for taken in takes])  # (takes, options)
        by_take = logits @ held.T
        index = int(path.taken(by_take))
        path.note(choice.name, takes[index], (by_take.softmax(-1) @ held)[0])
        return held[index : index + 1]
