"""An LSTM that decides choice by choice and learns by proximal policy optimisation, as NASNet's controller.

Zoph et al. 2018, "Learning Transferable Architectures for Scalable Image Recognition", appendix A.1, https://arxiv.org/abs/1707.07012
"""

from __future__ import annotations

from typing import Any

from supernet.policies.anything import AnyPolicy
from supernet.policies.ppo import PPO
from supernet.searchers.controlled import Controlled
from supernet.settings.quantities import Amount, Channels, Count, Positive, Rate, Share
from supernet.space import SearchSpace


class PPOSearch(Controlled):
    """The policy, an LSTM of the paper's 100 units, moves ``passes`` times by each batch of ``samples``.

    policy_lr: of Adam; the paper's is 3.5e-4, of 20,000 networks, with which some hundreds teach nothing. entropy, remembered: by
    the paper's numbers. limit: as of ``reinforce``. passes, clip: of ``PPO``. What an architecture is worth, and when the searcher waits,
    ``Rewarded`` says. Raises ``InputError`` where a choice has too many subsets to tell them apart.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        hidden: Channels = 100,
        limit: Positive = 1.1,
        samples: Count = 20,
        policy_lr: Rate = 1e-2,
        entropy: Amount = 1e-5,
        remembered: Share = 0.95,
        passes: Count = 4,
        clip: Share = 0.2,
    ) -> None:
        policy = AnyPolicy(space, hidden=hidden, limit=limit)
        adam: dict[str, Any] = {"policy_lr": policy_lr, "policy_betas": (0.9, 0.999), "policy_eps": 1e-8}
        learner = PPO(policy, passes=passes, clip=clip, samples=samples, entropy=entropy, remembered=remembered, seed=seed, **adam)
        super().__init__(space, seed, policy, learner)
