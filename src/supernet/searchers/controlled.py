"""Searchers whose architectures an LSTM decides, choice by choice; how it learns from a batch is what they differ in."""

from __future__ import annotations

from typing import Any

import torch

from supernet.policies.anything import AnyPolicy
from supernet.policies.controller import drawing
from supernet.policies.reinforce import Reinforce
from supernet.searchers.rewarded import WORST, Rewarded
from supernet.searchers.state import from_plain, plain
from supernet.searchers.tensors import listed, unlisted
from supernet.space import Architecture, SearchSpace


class Controlled(Rewarded):
    """Draws by ``policy``, all of a batch at once, which learns by ``learner``."""

    def __init__(self, space: SearchSpace, seed: int, policy: AnyPolicy, learner: Reinforce) -> None:
        super().__init__(space, seed, learner.samples)
        self.policy, self.learner = policy, learner
        self.drawn: list[Architecture] = []  # the rest of the batch

    @torch.no_grad()
    def draw(self) -> Architecture:
        if not self.drawn:
            several = self.policy.several(self.samples, drawing(self.learner.rng))
            self.drawn = [self.space.check(architecture) for architecture in several.architectures]
        return self.drawn.pop(0)

    def learn(self, batch: list[tuple[Architecture, float]]) -> None:
        """Where nothing has a score there is no better and worse to learn from: the baseline would be what all of it is worth."""
        if any(worth > WORST for _, worth in batch):
            self.learner.learn(self.policy.again([architecture for architecture, _ in batch]), [worth for _, worth in batch])

    def state_dict(self) -> dict[str, Any]:
        """That of ``Rewarded``, what the policy has learnt, and what it drew."""
        return {**super().state_dict(), "learner": listed(self.learner.state_dict()), "drawn": [plain(one) for one in self.drawn]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the searcher that gave ``state``."""
        super().load_state_dict(state)
        self.learner.load_state_dict(unlisted(state["learner"]))
        self.drawn = [from_plain(architecture) for architecture in state["drawn"]]
