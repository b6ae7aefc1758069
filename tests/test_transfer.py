"""Weights of a pretrained network in a supernet: by name, then by shape, and nothing that does not fit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from supernet import ElasticConv2d, ElasticLinear, ElasticNorm, InputError, OneOf, Supernet, UpTo, transfer
from supernet.mixture import one_hot


class Pretrained(nn.Module):
    """A user's own network."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.blocks = nn.Sequential(*(nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()) for _ in range(2)))
        self.head = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(torch.relu(self.norm(self.stem(x)))).mean((2, 3)))


class Open(Pretrained):
    """The same with choices: a width, kernels and a depth."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = ElasticConv2d(3, (4, 8), 3, padding=1, name="width"), ElasticNorm(8)  # type: ignore[assignment]

        def block() -> nn.Module:
            return OneOf({"k3": ElasticConv2d(8, 8, 3, padding=1), "k5": ElasticConv2d(8, 8, 5, padding=2)})

        self.blocks = UpTo([nn.Sequential(block(), nn.ReLU()) for _ in range(2)], (1, 2), name="depth")  # type: ignore[assignment]
        self.head = ElasticLinear(8, 5)  # type: ignore[assignment]


LARGEST = {"width": 8, "depth": 2, "blocks.blocks.0.0": "k3", "blocks.blocks.1.0": "k3"}


def trained(network: nn.Module) -> nn.Module:
    """Every tensor away from its start."""
    torch.manual_seed(1)
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape) + 0.1)
    return network.eval()


def test_the_largest_network_of_a_supernet_computes_what_the_pretrained_one_does() -> None:
    source, net, x = trained(Pretrained()), Supernet(Open()).eval(), torch.randn(2, 3, 6, 6)
    moved = transfer(net, source)
    assert moved.by_name["blocks.1.0"] == "model.blocks.blocks.1.0.branches.0.plain" and not moved.by_shape
    assert moved.left == [f"model.blocks.blocks.{i}.0.branches.1.plain" for i in (0, 1)]
    assert torch.allclose(net(one_hot(net.space, LARGEST), x), source(x))


def test_what_has_other_names_goes_by_shape_in_order() -> None:
    source, net, x = trained(Pretrained()), Supernet(Open()).eval(), torch.randn(2, 3, 6, 6)
    state = {name.replace("blocks", "layer").replace("stem", "conv1"): tensor for name, tensor in source.state_dict().items()}
    moved = transfer(net, state)
    assert moved.by_shape["conv1"] == "model.stem.plain"
    assert moved.by_shape["layer.1.0"] == "model.blocks.blocks.1.0.branches.0.plain"
    assert torch.allclose(net(one_hot(net.space, LARGEST), x), source(x))


def test_names_may_be_given_and_a_head_of_other_classes_may_stay_behind() -> None:
    state = {name.replace("stem", "conv1"): tensor for name, tensor in trained(Pretrained(classes=100)).state_dict().items()}
    moved = transfer(Supernet(Open()), state, names={"conv1": "model.stem"}, without=("head",))
    assert moved.by_name["conv1"] == "model.stem.plain" and "model.head.plain" in moved.left


def test_what_does_not_fit_is_refused_and_nothing_is_copied() -> None:
    net = Supernet(Open())
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(InputError, match=r"head \(weight \(100, 8\), bias \(100,\)\) finds no place .* where model.head.plain has"):
        transfer(net, trained(Pretrained(classes=100)))
    with pytest.raises(InputError, match="the weights may go to a or to b"):
        transfer(nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)}), nn.Linear(2, 2))
    with pytest.raises(InputError, match=r"a and a.b both go to a.b"):
        deep = nn.ModuleDict({"a": nn.ModuleDict({"b": nn.Linear(2, 2)})})
        transfer(deep, {"a.weight": torch.ones(2, 2), "a.b.weight": torch.ones(2, 2)})
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
