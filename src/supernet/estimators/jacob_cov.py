"""Score an untrained network by how unlike its Jacobians are at the examples of one batch.

Mellor et al. 2020, the first version of NAS without training, section 3, https://arxiv.org/abs/2006.04647v1; as "jacob_cov" in Abdelfattah
et al. 2021, section 3.2, https://arxiv.org/abs/2101.08134
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from supernet.estimators.untrained import EXAMPLES, Untrained, numbers, slopes
from supernet.space import Architecture
from supernet.task import Task
from supernet.tree import tensors

SMALL = 1e-5  # what is added to eigenvalues


class JacobCov(Untrained):
    """(architecture, fidelity) -> {"jacob-cov": minus the sum of log v + 1 / v} over the eigenvalues v of the correlations of Jacobians.

    A row of the Jacobian is the gradient of the sum of the outputs by one example's input. It takes a batch of the validation data, no
    more than its first 64 examples. A network of which some output depends on nothing that it is given has minus infinity.
    Raises ``InputError`` where the networks read no numbers but, such as a language model, tokens, or only one example is there.
    """

    name: ClassVar = "jacob-cov"

    def __init__(self, build: Callable[[Architecture], nn.Module], task: Task, *, seed: int = 0):
        super().__init__(build, task, seed=seed)
        self.inputs = numbers(self.name, task, EXAMPLES, least=2)

    def score(self, model: nn.Module) -> float:
        inputs = [x.detach().clone().requires_grad_() for x in self.inputs]
        reached = torch.stack([out.sum() for out in tensors(model(*(x.clone() for x in inputs)))]).sum()  # a layer may change its input
        rows = [slope.reshape(len(x), -1) for x, slope in slopes(reached, list(inputs))]
        return unlikeness(torch.cat(rows, 1)) if rows else -math.inf


def unlikeness(jacobian: Tensor) -> float:
    """Of the rows of a Jacobian (N, inputs): the score of their correlations, in double precision."""
    correlations = torch.corrcoef(jacobian.detach().cpu().double())
    if not correlations.isfinite().all():
        return -math.inf
    eigenvalues = torch.linalg.eigvalsh(correlations) + SMALL
    return -float((eigenvalues.log() + 1 / eigenvalues).sum())
