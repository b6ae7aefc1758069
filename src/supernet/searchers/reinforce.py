"""An LSTM that decides choice by choice and learns by REINFORCE.

Zoph, Le 2017, "Neural Architecture Search with Reinforcement Learning", section 3, https://arxiv.org/abs/1611.01578. The paper's has two
layers of 35 units; this is the policy that ENAS has in spaces other than its own, of one layer.
"""

from __future__ import annotations

from typing import Any

from supernet.policies.anything import AnyPolicy
from supernet.policies.reinforce import Reinforce
from supernet.searchers.controlled import Controlled
from supernet.settings.quantities import Amount, Channels, Count, Positive, Rate, Share
from supernet.space import SearchSpace


class ReinforceSearch(Controlled):
    """The policy moves once by each batch of ``samples`` (the paper's 8), along the gradients of log probabilities times advantages.

    hidden: units of the LSTM. limit: how far logits may leave 0, so that no option ever becomes certain; ENAS' 1.1.
    policy_lr: of Adam; the paper's is 6e-4, of 12,800 networks, with which some hundreds teach nothing.
    entropy: how much of the policy's entropy is added to what an architecture is worth. remembered: what the baseline keeps of itself
    at each architecture. What one is worth, and when the searcher waits, ``Rewarded`` says.
    Raises ``InputError`` where a choice has too many subsets to tell them apart.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        hidden: Channels = 64,
        limit: Positive = 1.1,
        samples: Count = 8,
        policy_lr: Rate = 1e-2,
        entropy: Amount = 1e-4,
        remembered: Share = 0.95,
    ) -> None:
        policy = AnyPolicy(space, hidden=hidden, limit=limit)
        adam: dict[str, Any] = {"policy_lr": policy_lr, "policy_betas": (0.9, 0.999), "policy_eps": 1e-8}
        learner = Reinforce(policy, samples=samples, entropy=entropy, remembered=remembered, seed=seed, **adam)
        super().__init__(space, seed, policy, learner)
