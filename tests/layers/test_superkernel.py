"""The depthwise superkernel of Single-Path NAS against the numbers of the official code, and against plain blocks (float64)."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from supernet import Supernet, derive
from supernet.costs.count import macs, params
from supernet.costs.table import count_tables
from supernet.layers.superkernel import SuperKernel, SuperKernelBlock
from supernet.mixture import Mix, expected, one_hot
from supernet.ops import InvertedResidual

BOTH, ALL = (0, 1), (0, 1, 2)


class Net(nn.Module):
    """A block that cannot be skipped and one that can."""

    def __init__(self, **settings: object) -> None:
        super().__init__()
        self.first = SuperKernelBlock(3, 4, 2, **settings)  # type: ignore[arg-type]
        self.second = SuperKernelBlock(4, 4, **settings)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


def trained(net: Supernet) -> Supernet:
    """Batch norms that are not fresh."""
    g = torch.Generator().manual_seed(1)
    for name, tensor in net.state_dict().items():
        if tensor.dim() == 1:
            tensor.copy_(torch.rand(tensor.shape, generator=g) + (0.5 if name.endswith(("var", "weight")) else -0.5))
    return net.eval()


def test_norms_are_those_of_the_official_code(double: None) -> None:
    kernel = SuperKernel(4)
    kernel.weight.data = torch.sin(0.1 * torch.arange(100.0)).view(5, 5, 4, 1).permute(2, 3, 0, 1)  # TensorFlow's order of axes
    assert kernel.ring_norm().item() == pytest.approx(5.5545236808014415, rel=1e-12)
    assert [n.item() for n in kernel.half_norms(1.0)] == pytest.approx([4.8643893467033, 4.890295147141573], rel=1e-12)
    assert [n.item() for n in kernel.half_norms(0.0)] == pytest.approx([2.8802343487162205, 2.903237351366269], rel=1e-12)


def test_choices_are_named_by_the_layer_and_the_kernel_matters_where_the_block_is_not_skipped() -> None:
    space = Supernet(Net()).space
    assert {n: c.options for n, c in space.items()} == {
        "first": (3, 6),
        "first.kernel": (3, 5),
        "second": (0, 3, 6),
        "second.kernel": (3, 5),
    }
    assert space["first.kernel"].when == () and space["second.kernel"].when == (("second", 3), ("second", 6))
    assert space.size() == 4 * 5
    assert list(Supernet(SuperKernelBlock(4, 4, name="layer.3")).space) == ["layer.3.expansion", "layer.3.kernel"]


def test_derived_block_equals_the_supernet_under_one_hot(double: None) -> None:
    net, x = trained(Supernet(Net(activation=nn.ReLU6, norm={"eps": 1e-3}))), torch.randn(2, 3, 9, 9)
    for arch in net.space.enumerate():
        plain = derive(net, arch, x)
        assert torch.equal(plain(x), net(one_hot(net.space, arch), x)), arch
        fresh = InvertedResidual(3, 4, arch["first.kernel"], arch["first"], 2, activation=nn.ReLU6, norm={"eps": 1e-3})  # type: ignore[arg-type]
        fresh.load_state_dict(plain.first.state_dict())
        assert torch.equal(fresh.eval()(x), plain.first(x))
        assert isinstance(plain.second, nn.Identity) == (arch["second"] == 0)


def test_one_hot_trains_the_slices_that_stay_and_nothing_else(double: None) -> None:
    net = Supernet(SuperKernelBlock(4, 4, name="b"))
    net(one_hot(net.space, {"b.expansion": 3, "b.kernel": 3}), torch.randn(2, 4, 5, 5)).square().sum().backward()
    kernel, expand = net.model.kernel.weight.grad, net.model.expand[0].weight.grad
    assert kernel[:12, :, 1:4, 1:4].ne(0).all() and kernel[12:].eq(0).all() and kernel[:, :, 0].eq(0).all() and kernel[..., 4].eq(0).all()
    assert expand[:12].ne(0).any() and expand[12:].eq(0).all()
    norm = net.model.expand[1]
    assert norm.running_mean[:12].ne(0).all() and norm.running_mean[12:].eq(0).all()


@pytest.mark.parametrize(("ring", "half", "rest"), [(1.0, 1.0, 0.0), (0.3, 1.0, 1.0), (0.0, 0.7, 0.2), (1.0, 0.0, 1.0), (5 / 3, 0.0, 0.0)])
def test_blend_masks_the_depthwise_kernel_alone(ring: float, half: float, rest: float, double: None) -> None:
    net, x = trained(Supernet(SuperKernelBlock(4, 4, name="b"))), torch.randn(2, 4, 7, 7)
    block = net.model
    blend = {
        "b.kernel": Mix(torch.tensor([1 - ring, ring]), BOTH),
        "b.expansion": Mix(torch.tensor([1 - half, half * (1 - rest), half * rest]), ALL),
    }
    whole = InvertedResidual(4, 4, 5, 6)
    centre = torch.zeros(5, 5)
    centre[1:4, 1:4] = 1
    masked = half * block.kernel.weight * (centre + ring * (1 - centre))
    masked[12:] *= rest
    state = {f"body.{i}.{n}": t for i, part in ((0, block.expand), (2, block.project)) for n, t in part.state_dict().items()}
    state |= {"body.1.0.weight": masked}
    state |= {f"body.1.{int(n[0]) + 1}{n[1:]}": t for n, t in block.normalise.state_dict().items()}
    state = {n.replace("0.plain", "0"): t for n, t in state.items()}
    whole.load_state_dict(state)
    assert torch.allclose(net(blend, x), whole.eval()(x), rtol=1e-12, atol=1e-12)


def test_masked_block_equals_the_sliced_one_only_while_batch_norms_are_fresh(double: None) -> None:
    net, x = Supernet(SuperKernelBlock(4, 4, name="b")).eval(), torch.randn(2, 4, 7, 7)
    blend = {"b.kernel": Mix(torch.tensor([1.0, 0.0]), BOTH), "b.expansion": Mix(torch.tensor([0.0, 1.0, 0.0]), ALL)}
    taken = one_hot(net.space, {"b.kernel": 3, "b.expansion": 3})
    assert torch.allclose(net(blend, x), net(taken, x), rtol=1e-12, atol=1e-12)
    assert not torch.allclose(trained(net)(blend, x), net(taken, x))


def test_blended_weights_get_their_gradients(double: None) -> None:
    net, x = Supernet(SuperKernelBlock(2, 2, name="b")), torch.randn(2, 2, 5, 5)

    def output(kernel: Tensor, expansion: Tensor) -> Tensor:
        return net({"b.kernel": Mix(kernel, BOTH), "b.expansion": Mix(expansion, ALL)}, x)

    weights = (torch.tensor([0.4, 0.6], requires_grad=True), torch.tensor([0.2, 0.3, 0.5], requires_grad=True))
    assert torch.autograd.gradcheck(output, weights)


def test_count_tables_of_both_choices_together_are_the_derived_counts() -> None:
    net, shape = Supernet(Net()), (3, 9, 9)
    tables = count_tables(net, torch.zeros(1, *shape))
    assert {frozenset(names) for names in tables["macs"] if names} == {frozenset({n, f"{n}.kernel"}) for n in ("first", "second")}
    for arch in net.space.enumerate():
        plain, taken = derive(net, arch, torch.zeros(1, *shape)), one_hot(net.space, arch)
        assert expected(net.space, taken, tables["macs"]) == macs(plain, shape)
        assert expected(net.space, taken, tables["params"]) == params(plain)


def test_network_that_skips_everything_it_can_gives_its_input() -> None:
    net, x = Supernet(SuperKernelBlock(4, 4, name="b")), torch.randn(1, 4, 5, 5)
    for kernel, idle in itertools.product((3, 5), (False, True)):
        arch = {"b.kernel": kernel, "b.expansion": 0}
        assert net(one_hot(net.space, arch), x) is x
        assert derive(net, {"b.expansion": 0} if idle else arch, x)(x) is x
