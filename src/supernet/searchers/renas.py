"""RENAS: evolution whose mutations are decided by a policy, which learns from what the children are worth.

Chen et al. 2019, "RENAS: Reinforced Evolutionary Neural Architecture Search", CVPR, https://arxiv.org/abs/1808.00193
"""

from __future__ import annotations

from random import Random
from typing import Any

import torch

from supernet.policies.controller import drawing
from supernet.policies.mutator import Mutator, Step
from supernet.policies.reinforce import Learner
from supernet.searchers import Outcome
from supernet.searchers.evolution import Evolution
from supernet.searchers.rewarded import WORST, Ranks
from supernet.searchers.state import from_plain, plain
from supernet.searchers.tensors import listed, unlisted
from supernet.settings.quantities import Amount, Channels, Count, Positive, Rate, Share
from supernet.space import Architecture, SearchSpace

TRIES = 10  # mutations by the policy that lead to what is known, after which one by chance is asked for


class Renas(Evolution):
    """Of a sample of the population the best is the parent; the ``Mutator`` changes it, and moves once by every ``samples`` children.

    It moves by REINFORCE: along the gradients of the log probabilities of mutations, times how much more than a moving baseline their
    children are worth (``Ranks``; the paper rewards by the child's accuracy). In the paper children inherit weights, which is the
    estimator's affair here; its mutations are of the inputs and operations of a cell, here of the choices of any space.
    budget, population, tournament, ageing: as of ``Evolution``, whose defaults these are; default of population: 20, at most a third of
    the budget. hidden: units of the LSTM in each direction. limit: how far logits may leave 0, so that no mutation becomes certain.
    samples, policy_lr, entropy, remembered: as of ``reinforce``.
    What it asks for depends on the order of the tells. Raises ``InputError`` where a choice has too many subsets to tell them apart.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        budget: Count | None = None,
        population: Count | None = None,
        tournament: Count | None = None,
        ageing: bool = True,
        hidden: Channels = 32,
        limit: Positive = 2.5,
        samples: Count = 8,
        policy_lr: Rate = 1e-2,
        entropy: Amount = 1e-4,
        remembered: Share = 0.95,
    ) -> None:
        population = population or (20 if budget is None else max(2, min(20, budget // 3)))
        super().__init__(space, seed, population=population, tournament=tournament, ageing=ageing, mutate=self._mutated)
        self.mutator, self.samples, self.ranks = Mutator(space, hidden=hidden, limit=limit), samples, Ranks()
        adam: dict[str, Any] = {"policy_lr": policy_lr, "policy_betas": (0.9, 0.999), "policy_eps": 1e-8}
        self.learner = Learner(self.mutator, entropy=entropy, remembered=remembered, seed=seed, **adam)
        self.steps: dict[int, Step] = {}  # by the number of an ask that is not told yet
        self.known: dict[str, None] = {}  # keys of the policy's children
        self.batch: list[tuple[float | None, Step]] = []  # scores of children that it has not learnt from

    def tell(self, number: int, architecture: Architecture, outcome: Outcome) -> None:
        """As ``Evolution``; after the last of a batch of children the policy moves, unless none has a score."""
        super().tell(number, architecture, outcome)
        if number not in self.steps:
            return
        self.batch.append((None if isinstance(outcome, str) else outcome[0], self.steps.pop(number)))
        if len(self.batch) == self.samples:
            steps, worths = [step for _, step in self.batch], self.ranks.worths([score for score, _ in self.batch])
            self.batch = []
            if max(worths) > WORST:
                self.learner.learn(self.mutator.again(steps), worths)

    def _mutated(self, parent: Architecture, rng: Random) -> Architecture:
        """The policy's first child that is not known; where it knows none, that of a mutation by chance, of which nothing is learnt."""
        for _ in range(TRIES):
            with torch.no_grad():
                child: Architecture = self.mutator(parent, drawing(self.learner.rng)).architecture
            if (key := self.space.key(child)) not in self.known:
                self.known[key] = None
                self.steps[self.asked] = parent, child
                return child
        return self.space.mutate(child, rng)

    def state_dict(self) -> dict[str, Any]:
        """That of ``Evolution``, what the policy has learnt, the last scores, and the mutations that it has still to learn from."""
        return {
            **super().state_dict(),
            **{"learner": listed(self.learner.state_dict()), "scores": list(self.ranks.scores)},
            "known": list(self.known),
            "steps": [[number, plain(parent), plain(child)] for number, (parent, child) in self.steps.items()],
            "batch": [[score, plain(parent), plain(child)] for score, (parent, child) in self.batch],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the searcher that gave ``state``."""
        super().load_state_dict(state)
        self.learner.load_state_dict(unlisted(state["learner"]))
        self.ranks.scores, self.known = list(state["scores"]), dict.fromkeys(state["known"])
        self.steps = {number: (from_plain(parent), from_plain(child)) for number, parent, child in state["steps"]}
        self.batch = [(score, (from_plain(parent), from_plain(child))) for score, parent, child in state["batch"]]
