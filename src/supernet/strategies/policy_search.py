"""A policy and shared weights that learn by turns: Pham et al. 2018 (ENAS), section 2.2, https://arxiv.org/abs/1802.03268

The weights learn under what the policy draws, for a pass of the training data; then the policy, by REINFORCE, from what its draws are
worth on batches of validation data. Weights that a step does not run do not decay in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice
from random import Random
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn

from supernet.costs.price import FREE, Pricing
from supernet.data.streams import Data
from supernet.derive import recalibrate
from supernet.errors import InputError, without_effect
from supernet.layers.base import Supernet
from supernet.mixture import Mixture, one_hot
from supernet.modules.modes import by_batch, kept_buffers
from supernet.policies.anything import AnyPolicy
from supernet.policies.controller import Controller
from supernet.policies.reinforce import Reinforce
from supernet.randomness import drawing_apart
from supernet.settings.quantities import Amount, Betas, Count, CountOrNone, Positive, Rate, Share
from supernet.space import Architecture, SearchSpace
from supernet.strategies.lessons import Taught
from supernet.strategies.one_shot import OneShot
from supernet.strategies.rules import unbounded
from supernet.strategies.rules import within as changed_until
from supernet.strategies.weights import Reduce, Weights, alone
from supernet.task import Task

TRIES = 200  # draws among which one that keeps the bounds is looked for


class PolicySearch(OneShot):
    """After each pass of the training data the policy learns in ``policy_steps``; ``samples`` to ``penalty_weight``: of ``Reinforce``.

    A reward is the share of right answers on one validation batch, whose own statistics batch norms take, or ``scale`` exp(-loss); priced,
    where a cost is. At the end ``candidates`` are drawn, and the best on the validation data is found; before, the architecture is
    the likeliest. Both are evaluated with batch norms recalibrated on ``calibration`` batches.
    ``weights``, ``seed``, ``reduce``: as for ``OneShot``; ``penalty``, ``within``: as for ``Gradient``.
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
        within: Callable[[Architecture], float] = unbounded,
        seed: int = 0,
        reduce: Reduce = alone,
    ):
        if not task.data.has("validation"):
            raise InputError("what a policy draws is rewarded by validation data, and the task has none: give Task a validation loader")
        if not penalty.fits(of_reward=True):
            raise InputError(f"{type(self).__name__} prices rewards: use the form 'reward'")
        if scale != 1 and task.judged.counted:
            raise without_effect("scale", "what is rewarded is a share of right answers")
        self.space, self.price, self.excess, self.seed = supernet.space, penalty, within, seed
        adam: dict[str, Any] = {"policy_lr": policy_lr, "policy_betas": policy_betas, "policy_eps": policy_eps}
        rewarded: dict[str, Any] = {"entropy": entropy, "remembered": remembered, "penalty_weight": penalty_weight}
        self.drawer = Reinforce(type(self).policy_of(self.space), samples=samples, seed=seed, **adam, **rewarded)
        self.policy_steps, self.scale, self.candidates, self.calibration = policy_steps, scale, candidates, calibration
        self.at = 0  # steps since a pass of the training data began
        self.found: Architecture | None = None
        super().__init__(supernet, task, lessons=self.lesson, weights=weights, seed=seed, reduce=reduce)
        self.device = next(supernet.parameters()).device

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
            worth, measured = self.worth(mixture, data.next("validation"))
            every.append(measured)
            return float(self.price(worth, mixture, self.space))

        self.drawer.step(reward)
        return {name: torch.stack([measured[name] for measured in every]).mean() for name in every[0]}

    @torch.no_grad()
    def worth(self, mixture: Mixture, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """What a batch says an architecture is worth: (), on the CPU, and all that is measured on it."""
        with by_batch(self.supernet):
            outputs = self.task.predict(partial(self.supernet, mixture), batch)
        measured, judged = {"loss": self.task.loss(outputs, batch), **self.task.measure(outputs, batch)}, self.task.judged
        worth = measured[judged.name] if judged.counted else self.scale * (-measured["loss"]).exp()
        worth = worth.double().cpu()
        self.reduce([worth])
        return worth, measured

    def epoch(self, done: int, of: int, metrics: dict[str, Any]) -> bool:
        """Before the first epoch and after each: set the schedules, adapt the price. Never asks to stop."""
        self.price.epoch(self.space, self.drawer.likeliest().architecture, share=1 / of if done else 0.0)
        return super().epoch(done, of, metrics)

    def belief(self) -> dict[str, list[float]]:
        """The probability of every option, given the likeliest of the choices before it."""
        return self.drawer.likeliest().shares

    def architecture(self) -> Architecture:
        """What was found; before the end the likeliest, or, where that passes bounds, the nearest to them of some draws, changed within."""
        return self.found or changed_until(self.space, self.belief(), self.excess, lambda *_: self._nearest())

    def _nearest(self) -> Architecture:
        best, rng = self.drawer.likeliest().architecture, Generator().manual_seed(self.seed)
        for _ in range(TRIES):
            if self.excess(best) <= 0:
                break
            best = min(best, self.drawer.draw(rng), key=self.excess)
        return best

    def evaluate(self, stream: str = "validation") -> dict[str, float]:
        """Loss and metrics of the supernet under the present architecture."""
        return self.evaluated(self.architecture(), stream)

    def evaluated(self, architecture: Architecture, stream: str = "validation") -> dict[str, float]:
        """Loss and metrics under an architecture, by batch norms that are recalibrated for it; the supernet is left as it was."""
        mixture = one_hot(self.space, architecture)
        batches = list(islice(self.task.data.calibrating("train"), self.calibration))
        with kept_buffers(self.supernet), drawing_apart(self.task.device):
            if batches:
                recalibrate(self.supernet, partial(self.task.predict, partial(self.supernet, mixture)), batches)
            return self.task.evaluate(self.supernet, stream, mixture)

    def finish(self, data: Data) -> None:
        """Draw candidates, and find the best of those that keep the bounds."""
        drawn = [self.architecture(), *(self.drawer.draw() for _ in range(self.candidates))]
        able = {self.space.key(a): a for a in drawn if self.excess(a) <= 0}
        judged = self.task.judged
        scores = {key: judged.worth(self.evaluated(a)[judged.name]) for key, a in able.items()}
        self.found = able[max(scores, key=lambda key: scores[key])] if able else drawn[0]

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

