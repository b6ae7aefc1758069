"""One step of DARTS as a reader of the paper would write it, for ``step.py``: every edge computes everything, in plain PyTorch.

Liu et al. 2019, https://arxiv.org/abs/1806.09055: the CIFAR supernet of 8 cells and 16 channels, first order, and second order by the
finite difference of eq. 8 over a copy of the network.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Batch = tuple[Tensor, Tensor]
NODES = 4


def norm(channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels, affine=False)


def depthwise(channels: int, kernel: int, stride: int, dilation: int) -> list[nn.Module]:
    padding = dilation * (kernel // 2)
    convolution = nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False)
    return [nn.ReLU(), convolution, nn.Conv2d(channels, channels, 1, bias=False), norm(channels)]


def project(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False), norm(outputs))


class Zero(nn.Module):
    def __init__(self, stride: int):
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, :: self.stride, :: self.stride] * 0.0


class Reduce(nn.Module):
    """Half the size by two 1x1 convolutions, the second on pixels moved by one."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.one, self.two = (nn.Conv2d(inputs, outputs // 2, 1, 2, bias=False) for _ in range(2))
        self.norm = norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = x.relu()
        return self.norm(torch.cat([self.one(x), self.two(x[:, :, 1:, 1:])], 1))


def operations(c: int, stride: int) -> nn.ModuleList:
    return nn.ModuleList(
        [
            Zero(stride),
            nn.Sequential(nn.MaxPool2d(3, stride, 1), norm(c)),
            nn.Sequential(nn.AvgPool2d(3, stride, 1, count_include_pad=False), norm(c)),
            nn.Identity() if stride == 1 else Reduce(c, c),
            nn.Sequential(*depthwise(c, 3, stride, 1), *depthwise(c, 3, 1, 1)),
            nn.Sequential(*depthwise(c, 5, stride, 1), *depthwise(c, 5, 1, 1)),
            nn.Sequential(*depthwise(c, 3, stride, 2)),
            nn.Sequential(*depthwise(c, 5, stride, 2)),
        ]
    )


class Cell(nn.Module):
    def __init__(self, before: int, inputs: int, c: int, reduces: bool, reduced: bool):
        super().__init__()
        self.first = Reduce(before, c) if reduced else project(before, c)
        self.second = project(inputs, c)
        pairs = [(i, j) for i in range(NODES) for j in range(2 + i)]
        self.edges = nn.ModuleList(operations(c, 2 if reduces and j < 2 else 1) for _, j in pairs)

    def forward(self, before: Tensor, x: Tensor, weights: Tensor) -> Tensor:
        states, edge = [self.first(before), self.second(x)], 0
        for _ in range(NODES):
            total = sum(
                sum(w * operation(state) for w, operation in zip(weights[edge + j], self.edges[edge + j], strict=True))
                for j, state in enumerate(states)
            )
            edge += len(states)
            states.append(total)
        return torch.cat(states[2:], 1)


class Network(nn.Module):
    def __init__(self, channels: int = 16, cells: int = 8, classes: int = 10):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 3 * channels, 3, padding=1, bias=False), nn.BatchNorm2d(3 * channels))
        self.cells, before, now, c, reduced = nn.ModuleList(), 3 * channels, 3 * channels, channels, False
        self.reduces = [i in (cells // 3, 2 * cells // 3) for i in range(cells)]
        for reduces in self.reduces:
            c = 2 * c if reduces else c
            self.cells.append(Cell(before, now, c, reduces, reduced))
            before, now, reduced = now, NODES * c, reduces
        self.head = nn.Linear(now, classes)
        edges = sum(2 + i for i in range(NODES))
        self.alphas = nn.ParameterList(nn.Parameter(1e-3 * torch.randn(edges, 8)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        before = now = self.stem(x)
        normal, reduction = (alpha.softmax(1) for alpha in self.alphas)
        for cell, reduces in zip(self.cells, self.reduces, strict=True):
            before, now = now, cell(before, now, reduction if reduces else normal)
        logits: Tensor = self.head(now.mean((2, 3)))
        return logits

    def weights(self) -> list[nn.Parameter]:
        return [p for name, p in self.named_parameters() if not name.startswith("alphas")]


class Textbook:
    """``step(train, validation)``: one on the alphas, one on the weights; ``order`` 1 or 2."""

    def __init__(self, order: int, **sizes: int):
        self.network, self.order = Network(**sizes), order
        self.optimiser = torch.optim.SGD(self.network.weights(), 0.025, 0.9, weight_decay=3e-4)
        self.alpha_optimiser = torch.optim.Adam(self.network.alphas.parameters(), 3e-4, (0.5, 0.999), weight_decay=1e-3)

    def step(self, train: Batch, validation: Batch) -> None:
        self.alpha_optimiser.zero_grad()
        if self.order == 1:
            self.loss(self.network, validation).backward()
        else:
            for alpha, gradient in zip(self.network.alphas, self.unrolled(train, validation), strict=True):
                alpha.grad = gradient
        self.alpha_optimiser.step()
        self.optimiser.zero_grad()
        self.loss(self.network, train).backward()
        nn.utils.clip_grad_norm_(self.network.weights(), 5.0)
        self.optimiser.step()

    def loss(self, network: Network, batch: Batch) -> Tensor:
        return F.cross_entropy(network(batch[0]), batch[1])

    def unrolled(self, train: Batch, validation: Batch) -> list[Tensor]:
        """The gradient of the validation loss at the weights one step ahead."""
        ahead = copy.deepcopy(self.network)
        for network in (self.network, ahead):
            network.zero_grad()
        self.loss(self.network, train).backward()
        with torch.no_grad():
            for mine, there in zip(self.network.weights(), ahead.weights(), strict=True):
                momentum = self.optimiser.state[mine].get("momentum_buffer")
                move = mine.grad + 3e-4 * mine
                there -= 0.025 * (move if momentum is None else move + 0.9 * momentum)
        self.network.zero_grad()
        self.loss(ahead, validation).backward()
        size = 0.01 / torch.cat([p.grad.flatten() for p in ahead.weights()]).norm()
        directions = [size * p.grad for p in ahead.weights()]
        plus, minus = (self.shifted(train, directions, sign) for sign in (1, -1))
        return [a.grad - 0.025 * (p - m) / (2 * size) for a, p, m in zip(ahead.alphas, plus, minus, strict=True)]

    def shifted(self, train: Batch, directions: Sequence[Tensor], sign: int) -> list[Tensor]:
        """The gradient of the training loss for the alphas with the weights moved."""
        with torch.no_grad():
            for w, d in zip(self.network.weights(), directions, strict=True):
                w += sign * d
        self.network.zero_grad()
        self.loss(self.network, train).backward()
        with torch.no_grad():
            for w, d in zip(self.network.weights(), directions, strict=True):
                w -= sign * d
        return [a.grad.clone() for a in self.network.alphas]
