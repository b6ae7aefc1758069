"""Score an untrained network by how well its rectified units tell the examples of one batch apart: NAS without training.

Mellor et al. 2021, section 3, https://arxiv.org/abs/2006.04647
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from supernet.estimators.untrained import Untrained, numbers
from supernet.space import Architecture
from supernet.task import Task
from supernet.tree import tensors

EXAMPLES = 128  # of the paper's batch
RECTIFIERS = (F.relu, F.relu_, F.relu6, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_)


class Naswot(Untrained):
    """(architecture, fidelity) -> {"naswot": log of the determinant of the kernel of ``build(architecture)``}: more is taken for better.

    Each example has a binary code: which rectified units (ReLU, ReLU6) get more than zero. The kernel counts on how many units the codes of
    two examples agree. As in the authors' code, batch norms take the statistics of the batch, and units on which no output depends do not
    count. It takes one pass of weights drawn by ``seed``, of a batch of the validation data, no more than its first 128 examples; so there
    is no cheaper answer, and every fidelity has the same. A network that tells two examples not apart at all has minus infinity.
    Raises ``InputError`` where the networks read no numbers but, such as a language model, tokens, or only one example is there.
    """

    name: ClassVar = "naswot"

    def __init__(self, build: Callable[[Architecture], nn.Module], task: Task, *, seed: int = 0):
        super().__init__(build, task, seed=seed)
        self.inputs = numbers(self.name, task, EXAMPLES, least=2)

    def score(self, model: nn.Module) -> float:
        return float(torch.linalg.slogdet(kernel(model, self.inputs)).logabsdet)


class Rectified(TorchFunctionMode):
    """Notes what every rectifier gets: ``inputs``, and ``codes``, whether these are above zero, before they are changed in place."""

    def __init__(self) -> None:
        self.inputs: list[Tensor] = []
        self.codes: list[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in RECTIFIERS or (func is F.hardtanh and kwargs.get("min_val") == 0):  # as nn.ReLU6 is
            x: Tensor = args[0] if args else kwargs["input"]
            self.inputs.append(x)
            self.codes.append(x > 0)
        return func(*args, **kwargs)


def kernel(model: nn.Module, inputs: list[Tensor]) -> Tensor:
    """On how many rectified units two of the N examples agree: (N, N), float64, on the CPU."""
    n = len(inputs[0])
    with torch.enable_grad(), Rectified() as met:
        outputs = tensors(model(*(x.detach().requires_grad_().clone() for x in inputs)))
    found = torch.zeros(n, n, dtype=torch.float64)
    if not met.inputs:
        return found
    reached = torch.autograd.grad(torch.stack([out.sum() for out in outputs]).sum(), met.inputs, allow_unused=True)
    for codes, gradient in zip(met.codes, reached, strict=True):
        if gradient is not None and len(codes) == n:
            code = codes.reshape(n, -1).float()  # in which whole numbers up to 2**24 are exact
            both, ones = (code @ code.T).cpu().double(), code.sum(1).cpu().double()
            found += 2 * both + code.shape[1] - ones - ones[:, None]  # both above zero, and neither
    return found
