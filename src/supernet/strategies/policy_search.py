"""A policy and shared weights that learn by turns: Pham et al. 2018 (ENAS), section 2.2, https://arxiv.org/abs/1802.03268

The weights learn under what the policy draws, for a pass of the training data; then the policy, by REINFORCE, from what its draws are
worth on batches of validation data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from supernet.costs.price import FREE, Pricing
from supernet.data.streams import Data
from supernet.errors import InputError
from supernet.layers.base import Supernet
from supernet.mixture import one_hot
from supernet.policies.anything import AnyPolicy
from supernet.policies.controller import Controller
from supernet.policies.reinforce import Reinforce
from supernet.settings.quantities import Amount, Betas, Count, CountOrNone, Positive, Rate, Share
from supernet.space import Architecture, SearchSpace
from supernet.strategies import rules
from supernet.strategies.lessons import Taught
from supernet.strategies.one_shot import OneShot
from supernet.strategies.weights import Weights
from supernet.strategies.worth import Worth
from supernet.task import Task


class PolicySearch(OneShot):
    """After each pass of the training data the policy learns in ``policy_steps``; ``samples`` to ``penalty_weight``: of ``Reinforce``.

    A reward is the share of right answers on one validation batch, whose own statistics batch norms take, or ``scale`` exp(-loss); priced,
    where a cost is. At the end ``candidates`` are drawn that keep the bounds, and the best on the validation data is found; before, the
    architecture is the likeliest. Both are evaluated with batch norms recalibrated on ``calibration`` batches.
    ``weights``, ``seed``: as for ``OneShot``; ``penalty``, ``within``: as for ``Gradient``.
    Raises ``InputError`` for a task without validation data.
    """

    pricing: ClassVar[Mapping[str, Any]] = {"form": "reward", "exponent": 0.07}
    policy_of: ClassVar[Callable[[SearchSpace], Controller]] = AnyPolicy
    decides: ClassVar[bool] = True
    stage: int | None = None  # this and the next: what those ask that look on
    alphas_learn = True

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        *,
        weights: Callable[[nn.Module], Weights] | Mapping[str, Any] | None = None,
        policy_steps: Count = 30,
        samples: Count = 10,
        policy_lr: Rate = 3.5e-3,
        policy_betas: Betas = (0.0, 0.999),
        policy_eps: Positive = 1e-3,
        entropy: Amount = 1e-4,
        remembered: Share = 0.99,
        penalty_weight: Amount = 0.0,
        scale: Positive = 1.0,
        candidates: Count = 10,
        calibration: CountOrNone = 20,
        penalty: Pricing = FREE,
        within: Callable[[Architecture], float] = rules.unbounded,
        seed: int = 0,
    ):
        if not penalty.fits(of_reward=True):
            raise InputError(f"{type(self).__name__} prices rewards: use the form 'reward'")
        self.space, self.price, self.excess, self.seed = supernet.space, penalty, within, seed
        how: dict[str, Any] = {"policy_lr": policy_lr, "policy_betas": policy_betas, "policy_eps": policy_eps, "samples": samples}
        how |= {"entropy": entropy, "remembered": remembered, "penalty_weight": penalty_weight}
        self.drawer = Reinforce(type(self).policy_of(self.space), seed=seed, **how)
        self.worth = Worth(supernet, task, scale=scale, calibration=calibration)
        self.policy_steps, self.candidates = policy_steps, candidates
        self.at = 0  # steps since a pass of the training data began
        self.found: Architecture | None = None
        self.device = task.device
        super().__init__(supernet, task, lessons=self.lesson, weights=weights, seed=seed)

    def lesson(self, space: SearchSpace, rng: Random, progress: float) -> Taught:
        """One architecture of the policy."""
        yield one_hot(space, self.drawer.draw()), None

    def steps(self, data: Data) -> int:
        """A pass of the training data, and what the policy learns after it."""
        return super().steps(data) + self.policy_steps

    def step(self, data: Data) -> dict[str, Tensor]:
        """One update, of the weights or of the policy; the measured are means over what ran."""
        measured = super().step(data) if self.at < super().steps(data) else self.policy_step(data)
        self.at = (self.at + 1) % self.steps(data)
        return measured

    def policy_step(self, data: Data) -> dict[str, Tensor]:
        """One update of the policy, by a batch for each draw."""
        every: list[dict[str, Tensor]] = []

        def reward(architecture: Architecture) -> float:
            mixture = one_hot(self.space, architecture)
            worth, measured = self.worth.on_batch(mixture, data.next("validation"))
            every.append(measured)
            return float(self.price(worth, mixture, self.space))

        self.drawer.step(reward)
        return {name: torch.stack([measured[name] for measured in every]).mean() for name in every[0]}

    def schedule(self, done: float, of: int) -> None:
        """Set the learning rate, and adapt the price."""
        self.price.epoch(self.space, self.drawer.likeliest().architecture, share=max(done / max(of, 1) - self.progress, 0.0))
        super().schedule(done, of)

    def belief(self) -> dict[str, list[float]]:
        """The probability of every option, given the likeliest of the choices before it."""
        return self.drawer.likeliest().shares

    def architecture(self) -> Architecture:
        """What was found; before the end the likeliest, or, where that passes bounds, the nearest to them of some draws, changed within."""
        return self.found or rules.within(self.space, self.belief(), self.excess, lambda *_: self.drawer.nearest(self.excess, self.seed))

    def evaluate(self, stream: str = "validation") -> dict[str, float]:
        """Loss and metrics of the supernet under the present architecture."""
        return self.worth.on_stream(self.architecture(), stream)

    def finish(self, data: Data) -> None:
        """Draw candidates that keep the bounds, and find the best of them and the present architecture."""
        present = self.architecture()
        drawn = self.drawer.within(self.excess, self.candidates)
        self.found = self.worth.best([present, *drawn] if self.excess(present) <= 0 else drawn or [present])

    def facts(self) -> dict[str, Any]:
        """What a history line records of this strategy."""
        found = {**super().facts(), "baseline": self.drawer.baseline, "architecture": self.architecture()}
        paid = self.price.facts(self.space, self.drawer.likeliest().architecture)
        return {**found, "price": paid} if paid else found

    def state_dict(self) -> dict[str, Any]:
        own = {"policy": self.drawer.state_dict(), "at": self.at, "found": self.found, "price": self.price.state_dict()}
        return {**super().state_dict(), **own}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.drawer.load_state_dict(state["policy"])
        self.price.load_state_dict(state["price"])
        self.at, self.found = state["at"], state["found"]
