from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import supernet
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


class Shaped(nn.Module):
    """Sums, products, joins and means of unlike shapes and types between the convolutions, whose sizes depend on them."""

    def __init__(self) -> None:
        super().__init__()
        self.bias, self.scale = nn.Parameter(torch.zeros(2, 1, 1)), nn.Parameter(torch.ones(4, 1))
        self.wide, self.joined, self.head = nn.Conv2d(2, 3, 1), nn.Conv2d(5, 4, 1), nn.Linear(4, 7)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bias + x * 2
        x = torch.cat([self.wide(x), x], dim=-3)
        x = self.joined(x + torch.ones(1, dtype=torch.int64, device=x.device))
        x = x.mul(x.mean((2, -1), keepdim=True)).add_(1)
        rows = x.mean(dim=(2,)) * self.scale  # (batch, 4, width)
        return self.head(rows.mean(-1) + rows.mean())


def test_counts_follow_the_shapes_that_operations_between_give() -> None:
    pixels = 6 * 5
    assert macs(Shaped(), (2, 6, 5)) == pixels * (2 * 3 + 5 * 4) + 4 * 7
    seen: list[tuple[int, ...]] = []
    model = Shaped()
    for layer in (model.wide, model.joined, model.head):
        layer.register_forward_hook(lambda layer, inputs, output: seen.append((*inputs[0].shape, *output.shape)))
    macs(model, (2, 6, 5))
    counted, seen[:] = list(seen), []
    model(torch.randn(1, 2, 6, 5))
    assert counted == seen


DESCRIBE = """
import sys
sys.argv = ["supernet", "describe", "darts-v1"]
from supernet.cli import main
try:
    main()
except SystemExit:
    print("torch._dynamo" in sys.modules)
"""


@pytest.mark.slow
def test_counting_does_not_wait_for_the_compiler_of_pytorch() -> None:
    """Importing it takes as long as all the rest of ``describe``."""
    environment = {**os.environ, "PYTHONPATH": str(Path(supernet.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", DESCRIBE], capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines()[-1] == "False", done.stderr


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
