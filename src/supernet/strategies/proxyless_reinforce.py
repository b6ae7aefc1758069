"""ProxylessNAS by REINFORCE: Cai, Zhu, Han, ICLR 2019, section 3.3.1, https://arxiv.org/abs/1812.00332

Weights are trained as in the gradient variant; the alphas learn from the rewards of drawn paths, which may be measured ones. Its
authors say that the main published results are this variant's: https://github.com/D-X-Y/Awesome-AutoDL/issues/2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from supernet import relaxations
from supernet.errors import InputError
from supernet.layers.base import Supernet
from supernet.mixture import Mixture
from supernet.settings.quantities import Count, Share
from supernet.strategies.proxyless import DrawnPaths
from supernet.task import Task


class ProxylessREINFORCE(DrawnPaths):
    """Alphas by policy gradient from ``samples`` drawn paths, all scored on one validation batch, in training mode as in the official code.

    The score is the share of right answers that the task is judged by, as accuracy; for another task exp(-loss). A price multiplies it
    by (reference / cost) ** 0.1.
    ``renewal``: how far the baseline moves to the mean reward of a step before it is used, after the first. The official 0.99
    leaves nearly nothing of what was before; 0.01 averages over a hundred steps.
    """

    pricing: ClassVar[Mapping[str, Any]] = {"form": "reward", "exponent": 0.1}
    by_blends: ClassVar[bool] = False

    def __init__(self, supernet: Supernet, task: Task, *, samples: Count = 10, renewal: Share = 0.99, **settings: Any):
        if samples < 2:
            raise InputError(f"rewards are compared with their mean: samples must be at least 2; got {samples}")
        if not 0 < renewal <= 1:
            raise InputError(f"renewal is a share, above 0 and at most 1; got {renewal}")
        self.samples, self.renewal = samples, renewal
        self.baseline: float | None = None
        super().__init__(supernet, task, relaxations.draw, **settings)

    def alpha_step(self, train: Any, validation: Any) -> None:
        paths = [self.blended(self.relax) for _ in range(self.samples)]
        advantages = self.compared(self.rewards(paths, validation))
        loss = self.surrogate(paths, advantages)
        for term in self.regularise:
            loss = loss + term(self)
        self.alphas.apply(torch.autograd.grad(loss, list(self.alphas.values()), allow_unused=True), self.task.ranks)

    @torch.no_grad()
    def rewards(self, paths: Sequence[Mixture], batch: Any) -> Tensor:
        """The score of each path on one batch, priced: (samples,), on the CPU."""
        scores = torch.stack([self._score(path, batch) for path in paths]).cpu().double()
        self.task.ranks.mean([scores])
        return torch.stack([self.price(score, path, self.space) for score, path in zip(scores, paths, strict=True)])

    def compared(self, rewards: Tensor) -> Tensor:
        """The rewards less the baseline, which is renewed first."""
        mean = float(rewards.mean())
        self.baseline = mean if self.baseline is None else self.baseline + self.renewal * (mean - self.baseline)
        return rewards - self.baseline

    def surrogate(self, paths: Sequence[Mixture], advantages: Tensor) -> Tensor:
        """What has the policy gradient: the mean of advantage times -log p(path): ()."""
        drawn = {n: torch.tensor([path[n].runs[0] for path in paths]) for n in self.alphas}
        log_p = torch.stack([p.log_softmax(-1)[drawn[n]] for n, p in self.alphas.items()]).sum(0)
        return -(advantages.to(log_p) * log_p).mean()

    def facts(self) -> dict[str, Any]:
        """What a history line records; the baseline is near the mean reward of the last step."""
        return {**super().facts(), "baseline": self.baseline}

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "baseline": self.baseline}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.baseline = state["baseline"]

    def _score(self, path: Mixture, batch: Any) -> Tensor:
        outputs = self.task.predict(partial(self.supernet, self.moved(path)), batch)
        judged = self.task.judged
        return self.task.measure(outputs, batch)[judged.name] if judged.counted else (-self.task.loss(outputs, batch)).exp()
