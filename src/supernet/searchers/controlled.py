"""Searchers whose architectures an LSTM decides, choice by choice; how it learns from a batch is what they differ in."""

from __future__ import annotations

from typing import Any

import torch

from supernet.policies.anything import AnyPolicy
from supernet.policies.controller import drawing
from supernet.policies.reinforce import Reinforce
from supernet.searchers.rewarded import WORST, Rewarded
from supernet.searchers.tensors import listed, unlisted
from supernet.space import Architecture, SearchSpace


class Controlled(Rewarded):
    """Draws by ``policy``, which learns by ``learner``."""

    def __init__(self, space: SearchSpace, seed: int, policy: AnyPolicy, learner: Reinforce) -> None:
        super().__init__(space, seed, learner.samples)
        self.policy, self.learner = policy, learner

    @torch.inference_mode()
    def draw(self, number: int) -> list[Architecture]:
        return [self.space.check(drawn) for drawn in self.policy.several(number, drawing(self.learner.rng)).architectures]

    def learn(self, batch: list[tuple[Architecture, float]]) -> None:
        """Where nothing has a score there is no better and worse to learn from: the baseline would be what all of it is worth."""
        if any(worth > WORST for _, worth in batch):
            self.learner.learn(self.policy.again([architecture for architecture, _ in batch]), [worth for _, worth in batch])

    def state_dict(self) -> dict[str, Any]:
        """That of ``Rewarded``, and what the policy has learnt."""
        return {**super().state_dict(), "learner": listed(self.learner.state_dict())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the searcher that gave ``state``."""
        super().load_state_dict(state)
        self.learner.load_state_dict(unlisted(state["learner"]))
