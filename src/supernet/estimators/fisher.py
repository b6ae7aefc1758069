"""Score an untrained network by how much its loss would change without each of its channels: Fisher pruning.

Turner et al. 2020 (BlockSwap), section 3.2, https://arxiv.org/abs/1906.04113, after Theis et al. 2018, https://arxiv.org/abs/1801.05787;
added up over a network: Abdelfattah et al. 2021, section 3.2, https://arxiv.org/abs/2101.08134
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor, nn

from supernet.estimators.untrained import WEIGHTED, OfLoss, numbers, slopes
from supernet.space import Architecture
from supernet.task import Task


class Fisher(OfLoss):
    """(architecture, fidelity) -> {"fisher": the sum of the Fisher information of channels} over convolutions and linear layers.

    Of a channel it is half the mean over examples of the square of (activation x gradient of the loss), summed over positions. As in the
    authors' code (https://github.com/SamsungLabs/zero-cost-nas), a channel counts as often as it has weights.
    Raises ``InputError`` where the networks read no numbers but, such as a language model, tokens, several of which make an example.
    """

    name: ClassVar = "fisher"

    def __init__(self, build: Callable[[Architecture], nn.Module], task: Task, *, seed: int = 0):
        super().__init__(build, task, seed=seed)
        numbers(self.name, task, 1)

    def score(self, model: nn.Module) -> float:
        met: list[tuple[nn.Module, Tensor]] = []

        def note(layer: nn.Module, inputs: Any, outputs: Tensor) -> Tensor:
            met.append((layer, outputs))
            return outputs.clone()  # what follows may change it in place

        handles = [layer.register_forward_hook(note) for layer in model.modules() if isinstance(layer, WEIGHTED)]
        try:
            loss = self.loss(model)
        finally:
            for handle in handles:
                handle.remove()
        layers = {id(outputs): layer for layer, outputs in met}
        found = slopes(loss, [outputs for _, outputs in met])
        return sum(information(layers[id(outputs)], outputs.detach(), slope) for outputs, slope in found)


def information(layer: nn.Module, outputs: Tensor, slope: Tensor) -> float:
    """Of the outputs (N, C, ...) of a convolution or (N, ..., C) of a linear layer, each channel times its number of weights."""
    product = (outputs * slope).movedim(-1, 1) if isinstance(layer, nn.Linear) else outputs * slope
    channels = product.flatten(2).sum(2) if product.dim() > 2 else product  # (N, C)
    assert isinstance(layer.weight, Tensor)
    return float(channels.cpu().double().pow(2).mean(0).sum()) / 2 * layer.weight[0].numel()
