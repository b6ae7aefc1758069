"""How a policy learns: REINFORCE with a moving baseline. Williams 1992, https://doi.org/10.1007/BF00992696

As ENAS has it: Pham et al. 2018, section 2.2, https://arxiv.org/abs/1802.03268; https://github.com/melodyguan/enas
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Protocol

import torch
from torch import Generator, Tensor

from supernet.errors import without_effect
from supernet.policies.controller import Controller, Drawn, Policy, drawing, likeliest
from supernet.settings.quantities import Amount, Betas, Count, Positive, Rate, Share
from supernet.space import Architecture

Reward = Callable[[Architecture], float]


class Likely(Protocol):
    """How probable the policy holds several architectures: log probabilities (n,), and entropies (n,) without a gradient."""

    @property
    def log_p(self) -> Tensor: ...

    @property
    def entropy(self) -> Tensor: ...


Again = Callable[[], Likely]
TRIES = 200  # draws among which those that keep bounds are looked for


class Learner:
    """Has a policy learn from what its draws are worth.

    ``entropy``: how much of the policy's entropy is added to a reward. The baseline, which begins at 0, keeps ``remembered`` of itself at
    each draw and is renewed before it is subtracted. ``penalty_weight``: of what a policy pays for its habits, such as too many skip
    connections. ``policy_lr``, ``policy_betas``, ``policy_eps``: of Adam.
    Raises ``InputError`` for a ``penalty_weight`` where the policy pays for none.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        policy_lr: Rate = 3.5e-3,
        policy_betas: Betas = (0.0, 0.999),
        policy_eps: Positive = 1e-3,
        entropy: Amount = 1e-4,
        remembered: Share = 0.99,
        penalty_weight: Amount = 0.0,
        seed: int = 0,
    ):
        if penalty_weight and not policy.penalised:
            raise without_effect("penalty_weight", "this policy pays for no habits")
        self.policy, self.rng = policy, Generator().manual_seed(seed)
        policy.begin(self.rng)
        self.optimiser = torch.optim.Adam(policy.parameters(), policy_lr, policy_betas, policy_eps)
        self.entropy, self.remembered, self.penalty_weight = entropy, remembered, penalty_weight
        self.baseline = 0.0

    def learn(self, again: Again, rewards: Sequence[float]) -> None:
        """Move the policy once by what was drawn before: what decides it again, and the reward of each."""
        self.optimiser.zero_grad()
        likely = again()
        (-(self.advantages(rewards, likely) * likely.log_p).mean()).backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()

    def advantages(self, rewards: Sequence[float], likely: Likely) -> Tensor:
        """The advantages of several, one after the other, with what their entropies are worth: (n,)."""
        worths = [reward + self.entropy * entropy for reward, entropy in zip(rewards, likely.entropy.tolist(), strict=True)]
        return likely.log_p.new_tensor([self.advantage(worth) for worth in worths])

    def credit(self, drawn: Drawn, reward: float, of: int) -> None:
        """Add the gradient of one of ``of`` draws."""
        advantage = self.advantage(reward + self.entropy * float(drawn.entropy))
        loss = self.penalty_weight * drawn.penalty - advantage * drawn.log_p
        (loss / of).backward()  # type: ignore[no-untyped-call]

    def advantage(self, worth: float) -> float:
        """How much more than the baseline a draw is worth; the baseline is renewed before."""
        self.baseline += (1 - self.remembered) * (worth - self.baseline)
        return worth - self.baseline

    def state_dict(self) -> dict[str, Any]:
        """Policy, optimiser, generator and baseline."""
        state = {"policy": self.policy.state_dict(), "optimiser": self.optimiser.state_dict()}
        return {**state, "rng": self.rng.get_state(), "baseline": self.baseline}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the one that gave ``state``."""
        self.policy.load_state_dict(state["policy"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.rng.set_state(state["rng"])
        self.baseline = state["baseline"]


class Reinforce(Learner):
    """Has a policy draw from its space, and learn. ``samples``: draws of one step. The other arguments are those of ``Learner``."""

    policy: Controller

    def __init__(self, policy: Controller, *, samples: Count = 10, **settings: Any):
        super().__init__(policy, **settings)
        self.samples = samples

    def step(self, reward: Reward) -> None:
        """Draw, ask for rewards, and move the policy once."""
        self.optimiser.zero_grad()
        for _ in range(self.samples):
            drawn: Drawn = self.policy(drawing(self.rng))
            self.credit(drawn, reward(drawn.architecture), self.samples)
        self.optimiser.step()

    @torch.no_grad()
    def draw(self, rng: Generator | None = None) -> Architecture:
        """An architecture by the policy; ``rng``: another generator than its own."""
        drawn: Drawn = self.policy(drawing(rng or self.rng))
        return drawn.architecture

    @torch.no_grad()
    def likeliest(self) -> Drawn:
        """The architecture of the most probable decisions, one after the other."""
        drawn: Drawn = self.policy(likeliest)
        return drawn

    def within(self, excess: Callable[[Architecture], float], number: int) -> list[Architecture]:
        """``number`` draws whose ``excess`` is at most 0; fewer where ``TRIES`` draws have no more."""
        draws = (self.draw() for _ in range(max(TRIES, number)))
        return list(islice((drawn for drawn in draws if excess(drawn) <= 0), number))

    def nearest(self, excess: Callable[[Architecture], float], seed: int) -> Architecture:
        """The likeliest architecture; where its ``excess`` is above 0, the first of some draws whose is not, or that with the least."""
        best, rng = self.likeliest().architecture, Generator().manual_seed(seed)
        for _ in range(TRIES):
            if excess(best) <= 0:
                break
            best = min(best, self.draw(rng), key=excess)
        return best
