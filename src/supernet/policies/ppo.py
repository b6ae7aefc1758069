"""How a policy learns: proximal policy optimisation, several moves by one batch. Schulman et al. 2017, section 3, equation 7,
https://arxiv.org/abs/1707.06347

So learns the controller of NASNet: Zoph et al. 2018, appendix A.1, https://arxiv.org/abs/1707.07012
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from supernet.policies.controller import Controller
from supernet.policies.reinforce import Again, Reinforce
from supernet.settings.quantities import Count, Share


class PPO(Reinforce):
    """``passes``: moves by one batch. ``clip``: how far the ratio of a probability to that before may leave 1 and still be gained by.

    The other arguments are those of ``Reinforce``.
    """

    def __init__(self, policy: Controller, *, passes: Count, clip: Share, **settings: Any):
        super().__init__(policy, **settings)
        self.passes, self.clip = passes, clip

    def learn(self, again: Again, rewards: Sequence[float]) -> None:
        """Move the policy by what was drawn before, since when it has not moved: what decides it again, and the reward of each."""
        with torch.no_grad():
            before = again()
        advantages = self.advantages(rewards, before)
        for _ in range(self.passes):
            self.optimiser.zero_grad()
            ratio = (again().log_p - before.log_p).exp()
            gain = torch.minimum(ratio * advantages, ratio.clamp(1 - self.clip, 1 + self.clip) * advantages)
            (-gain.mean()).backward()  # type: ignore[no-untyped-call]
            self.optimiser.step()
