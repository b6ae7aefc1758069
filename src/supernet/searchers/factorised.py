"""A factorised policy: a probability for every option of every choice, without regard to the others, learnt by REINFORCE.

Williams 1992, section 4, https://doi.org/10.1007/BF00992696
"""

from __future__ import annotations

from math import exp
from typing import Any

from supernet.searchers.decisions import Decisions
from supernet.searchers.rewarded import Rewarded
from supernet.settings.quantities import Count, Positive
from supernet.space import Architecture, SearchSpace


class Factorised(Rewarded):
    """A softmax over logits for every decision, which a batch moves by ``policy_lr`` times the mean of the gradients of log probabilities.

    samples: how many are drawn before it learns from them. Choices that do not matter are drawn as well and learn nothing. What an
    architecture is worth, and when it waits: ``Rewarded``; the baseline is the middle rank, 0.
    Raises ``InputError`` where a choice has too many subsets to tell them apart.
    """

    def __init__(self, space: SearchSpace, seed: int = 0, *, samples: Count = 10, policy_lr: Positive = 1.0) -> None:
        super().__init__(space, seed, samples)
        self.policy_lr = policy_lr
        self.decisions = {name: Decisions(choice) for name, choice in space.items()}
        self.logits = {name: [[0.0] * size for size in one.sizes] for name, one in self.decisions.items()}

    def draw(self, number: int) -> list[Architecture]:
        likely = {name: [shares(row) for row in rows] for name, rows in self.logits.items()}
        return [
            {name: self.decisions[name].taken([self.rng.choices(range(len(row)), row)[0] for row in rows]) for name, rows in likely.items()}
            for _ in range(number)
        ]

    def learn(self, batch: list[tuple[Architecture, float]]) -> None:
        """The gradient of the log probability of what was taken is 1 for it, minus the probability of every option."""
        before = {name: [shares(row) for row in rows] for name, rows in self.logits.items()}
        for architecture, worth in batch:
            step = self.policy_lr * worth / len(batch)
            for name, taken in self.space.matters(architecture).items():
                for row, old, decided in zip(self.logits[name], before[name], self.decisions[name].decided(taken), strict=True):
                    for option, share in enumerate(old):
                        row[option] += step * ((option == decided) - share)

    def state_dict(self) -> dict[str, Any]:
        """That of ``Rewarded``, and the logits."""
        return {**super().state_dict(), "logits": {name: [list(row) for row in rows] for name, rows in self.logits.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the searcher that gave ``state``."""
        super().load_state_dict(state)
        self.logits = {name: [list(row) for row in rows] for name, rows in state["logits"].items()}


def shares(logits: list[float]) -> list[float]:
    """Their softmax."""
    highest = max(logits)
    raised = [exp(logit - highest) for logit in logits]
    total = sum(raised)
    return [one / total for one in raised]
