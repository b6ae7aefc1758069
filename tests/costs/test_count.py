from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from supernet.costs.count import macs, params


@pytest.mark.parametrize(
    ("module", "shape", "expected"),
    [
        (nn.Conv2d(3, 8, 3, padding=1), (3, 10, 12), 8 * 3 * 9 * 120),
        (nn.Conv2d(8, 8, 5, stride=2, padding=2, groups=4), (8, 10, 10), 8 * 2 * 25 * 25),
        (nn.Conv2d(4, 4, 3, dilation=2, padding=2, groups=4), (4, 9, 9), 4 * 9 * 81),
        (nn.Conv1d(3, 5, 7), (3, 20), 3 * 5 * 7 * 14),
        (nn.ConvTranspose2d(4, 6, 3, stride=2), (4, 5, 5), 4 * 6 * 9 * 25),
        (nn.Linear(7, 11), (7,), 77),
        (nn.Linear(7, 11, bias=False), (7,), 77),
        (nn.Linear(7, 11), (5, 7), 5 * 77),
        (nn.Linear(7, 11, bias=False), (5, 7), 5 * 77),
        (nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.AvgPool2d(2), nn.Sigmoid(), nn.ReLU(inplace=True)), (3, 8, 8), 0),
    ],
)
def test_macs_are_those_of_convolutions_and_linear_layers(module: nn.Module, shape: tuple[int, ...], expected: int) -> None:
    assert macs(module, shape) == expected


class Attention(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.scaled_dot_product_attention(x, x, x) @ x.transpose(-1, -2)


def test_products_of_activations_are_not_counted() -> None:
    assert macs(Attention(), (2, 5, 7)) == 0


class Functional(nn.Module):
    """Convolves without a convolution module, and only in evaluation with its second weight."""

    def __init__(self) -> None:
        super().__init__()
        self.auxiliary_weight = nn.Parameter(torch.zeros(4, 3, 1, 1))
        self.weight = nn.Parameter(torch.zeros(4, 3, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv2d(x, self.auxiliary_weight if self.training else self.weight)


def test_counting_takes_evaluation_mode_and_leaves_the_module_alone() -> None:
    module = Functional().double().train()
    module.again = module.weight
    assert macs(module, (3, 5, 5)) == 4 * 27 * 9
    assert module.training
    assert module.weight.device.type == "cpu"
    assert module.weight.dtype is torch.float64


def test_parameters_leave_out_what_is_named_and_count_shared_ones_once() -> None:
    module = Functional()
    module.again = module.weight
    assert params(module) == 108
    assert params(module, without=()) == 120
    assert params(nn.BatchNorm2d(5)) == 10
