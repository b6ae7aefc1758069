from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oracles import assert_signature, fill, inputs
from supernet import ops
from supernet.errors import InputError
from supernet.modules.memo import memo, once
from supernet.spaces.cell import BUILD

OFFICIAL = [  # 4 channels, affine-free, training mode, from https://github.com/quark0/darts
    ("max_pool_3x3", 1, {"sum": 395.5599003, "abs": 397.1767912, "sq": 329.3221622, "wsum": -66.80448143, "last": 0.2794895681}),
    ("avg_pool_3x3", 1, {"sum": 28.16072177, "abs": 93.59356723, "sq": 26.15183714, "wsum": -17.54700033, "last": -0.1773726509}),
    ("skip_connect", 1, {"sum": 25.9576436, "abs": 247.0687891, "sq": 162.3583151, "wsum": -18.69337479, "last": -0.01925073085}),
    ("sep_conv_3x3", 1, {"sum": 0.0, "abs": 402.7994213, "sq": 511.9460529, "wsum": 5.987965647, "last": -0.195456363}),
    ("dil_conv_3x3", 1, {"sum": 0.0, "abs": 401.214653, "sq": 511.7514575, "wsum": -19.67725155, "last": 0.1935301909}),
    ("dil_conv_5x5", 1, {"sum": 0.0, "abs": 409.1703618, "sq": 511.7474375, "wsum": 24.53003457, "last": -0.9619029299}),
    ("sep_conv_7x7", 1, {"sum": 0.0, "abs": 395.4637383, "sq": 511.9494972, "wsum": -12.1798855, "last": 0.3832061071}),
    ("conv_7x1_1x7", 1, {"sum": 0.0, "abs": 405.0439139, "sq": 511.9472578, "wsum": 21.34775072, "last": -0.5081988686}),
    ("max_pool_3x3", 2, {"sum": 97.18622873, "abs": 97.23204091, "sq": 80.03758423, "wsum": 72.6265438, "last": 0.9489636177}),
    ("avg_pool_3x3", 2, {"sum": 6.75577103, "abs": 23.38032726, "sq": 6.527988456, "wsum": 3.46707412, "last": 0.2026128925}),
    ("skip_connect", 2, {"sum": 0.0, "abs": 100.542962, "sq": 127.9910315, "wsum": 0.3792513137, "last": -1.736948828}),
    ("sep_conv_3x3", 2, {"sum": 0.0, "abs": 97.33979257, "sq": 127.9872712, "wsum": -2.391564853, "last": 0.9667019782}),
    ("sep_conv_5x5", 2, {"sum": 0.0, "abs": 100.5363173, "sq": 127.9717364, "wsum": 1.683008338, "last": -0.3716662163}),
    ("dil_conv_3x3", 2, {"sum": 0.0, "abs": 99.50460537, "sq": 127.9301658, "wsum": -2.861372976, "last": 0.6406825186}),
    ("sep_conv_7x7", 2, {"sum": 0.0, "abs": 103.6570682, "sq": 127.9589403, "wsum": -1.93339858, "last": -0.4335929826}),
    ("conv_7x1_1x7", 2, {"sum": 0.0, "abs": 102.1300525, "sq": 127.983858, "wsum": -0.1069121579, "last": 0.2759476072}),
]


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(("name", "stride", "expected"), OFFICIAL, ids=lambda v: str(v) if not isinstance(v, dict) else "")
def test_operations_give_the_official_values(name: str, stride: int, expected: dict[str, float]) -> None:
    operation = fill(BUILD[name](4, stride, False, False))
    assert_signature(operation(inputs(2, 4, 8, 8)), {"shape": (2, 4, 8 // stride, 8 // stride), **expected})


@pytest.mark.parametrize("stride", [1, 2])
def test_none_gives_zeros_of_the_output_size(stride: int) -> None:
    out = BUILD["none"](4, stride, False, True)(inputs(2, 4, 8, 8))
    assert out.shape == (2, 4, 8 // stride, 8 // stride)
    assert not out.any()


def test_factorized_reduce_and_the_1x1_convolution_give_the_official_values() -> None:
    expected = {"sum": -3.165085011, "abs": 101.155451, "sq": 122.8859431, "wsum": -2.739878201, "last": 1.374075633}
    assert_signature(fill(ops.FactorizedReduce(6, 4))(inputs(2, 6, 8, 8)), {"shape": (2, 4, 4, 4), **expected})
    expected = {"sum": -12.66034004, "abs": 407.805404, "sq": 491.5413483, "wsum": -20.44610197, "last": -0.0267153768}
    assert_signature(fill(ops.relu_conv_norm(6, 4))(inputs(2, 6, 8, 8)), {"shape": (2, 4, 8, 8), **expected})


@pytest.mark.parametrize("name", BUILD)
@pytest.mark.parametrize("size", [(7, 9), (1, 5), (2, 1)])
def test_every_operation_halves_odd_sizes_upwards(name: str, size: tuple[int, int]) -> None:
    x = inputs(2, 4, *size)
    assert BUILD[name](4, 1, True, True)(x).shape[2:] == size
    assert BUILD[name](4, 2, True, True)(x).shape[2:] == tuple((n + 1) // 2 for n in size)


def test_factorized_reduce_sees_zeros_beyond_an_odd_edge() -> None:
    reduce, x = fill(ops.FactorizedReduce(3, 5)), inputs(2, 3, 7, 9)
    assert torch.equal(reduce(x), reduce(F.pad(x, (0, 1, 0, 1))))


@pytest.mark.parametrize(("side", "official"), [(8, (5, 3)), (7, (5, 2))])
def test_the_auxiliary_head_pools_official_maps_as_the_official_one(side: int, official: tuple[int, int]) -> None:
    head, x = fill(ops.AuxiliaryHead(6, 10)), inputs(2, 6, side, side)
    pooled = F.avg_pool2d(F.relu(x), official[0], stride=official[1], count_include_pad=False)
    assert torch.equal(head(x), head.classifier(head.whole(head.narrow(pooled)).flatten(1)))


@pytest.mark.parametrize("size", [(2, 2), (3, 5), (4, 16), (31, 6)])
def test_the_auxiliary_head_adapts_to_other_maps(size: tuple[int, int]) -> None:
    assert ops.AuxiliaryHead(6, 10)(inputs(2, 6, *size)).shape == (2, 10)


@pytest.mark.parametrize("side", range(2, 40))
def test_the_window_of_the_auxiliary_head_gives_two_values_that_cover_the_map(side: int) -> None:
    size, stride = ops.window(side)
    assert (side - size) // stride + 1 == 2
    assert stride + size == side
    assert stride <= size


def test_the_auxiliary_head_refuses_a_map_of_one_pixel() -> None:
    with pytest.raises(InputError, match="at least 2x2"):
        ops.AuxiliaryHead(6, 10)(inputs(2, 6, 1, 4))


def pooled() -> nn.Module:
    return ops.pool(ops.MaxPool(1), 4, norm=True)


def test_shared_pools_give_what_unshared_ones_give_and_keep_their_own_statistics() -> None:
    shared, plain = [pooled(), pooled()], [nn.Sequential(ops.MaxPool(1), nn.BatchNorm2d(4, affine=False)) for _ in range(2)]
    for step in range(3):
        x, grads = inputs(2, 4, 6, 6, salt=step), []
        for pair, share in ((shared, True), (plain, False)):
            leaf = x.clone().requires_grad_()
            with memo(share):
                outs = [pair[0](leaf), pair[1](leaf)]
            (outs[0] * inputs(2, 4, 6, 6, salt=9) + outs[1].square()).sum().backward()
            grads.append((leaf.grad, outs))
        assert torch.allclose(grads[0][0], grads[1][0])
        assert torch.allclose(grads[0][1][0], grads[1][1][0])
        shared[1][1].momentum = plain[1][1].momentum = 0.3
    for a, b in zip(shared, plain, strict=True):
        assert all(torch.allclose(v, b.state_dict()[k]) for k, v in a.state_dict().items())
    assert not torch.equal(shared[0][1].running_mean, shared[1][1].running_mean)


def test_a_pool_norm_without_momentum_keeps_the_plain_average() -> None:
    norm, plain = ops.PoolNorm(4), nn.BatchNorm2d(4, affine=False, momentum=None)
    norm.momentum = None
    for step in range(3):
        norm(inputs(2, 4, 6, 6, salt=step))
        plain(inputs(2, 4, 6, 6, salt=step))
    assert torch.allclose(norm.running_var, plain.running_var)
    assert torch.allclose(norm.eval()(inputs(1, 4, 2, 2)), plain.eval()(inputs(1, 4, 2, 2)))


def test_values_are_shared_inside_a_memo_only_and_per_tensor_and_key() -> None:
    calls: list[Tensor] = []

    def double(x: Tensor) -> Tensor:
        calls.append(x)
        return 2 * x

    x, y = torch.ones(1), torch.ones(1)
    once("double", x, double), once("double", x, double)
    assert len(calls) == 2
    with memo():
        assert once("double", x, double) is once("double", x, double)
        once("double", y, double), once("other", x, double)
        with memo(False):
            once("double", x, double)
        once("double", x, double)
    assert len(calls) == 6


def test_drop_path_drops_whole_samples_keeps_the_mean_and_rests_in_evaluation() -> None:
    network = nn.Sequential(ops.droppable(ops.AvgPool(1)), ops.droppable(nn.Identity()))
    ops.set_drop_path(network, 0.25)
    torch.manual_seed(0)
    out = network(torch.ones(4000, 2, 3, 3)).flatten(1)
    assert all(len(sample.unique()) == 1 for sample in out)
    assert set(out.unique().tolist()) == {0.0, 1 / 0.75}
    assert out.mean() == pytest.approx(1, abs=0.03)
    assert torch.equal(network.eval()(torch.ones(4, 2, 3, 3)), torch.ones(4, 2, 3, 3))


@pytest.mark.parametrize("p", [-0.1, 1.0])
def test_an_impossible_drop_path_probability_is_refused(p: float) -> None:
    with pytest.raises(InputError, match="drop path"):
        ops.set_drop_path(ops.DropPath(), p)


def test_an_inverted_residual_adds_its_input_only_at_equal_size_and_width() -> None:
    x = inputs(2, 4, 5, 5)
    for block, adds in ((ops.InvertedResidual(4, 4, 3, 3), True), (ops.InvertedResidual(4, 8, 3, 3, 2), False)):
        body = block.eval().body(x)
        assert torch.equal(block(x), x + body if adds else body)
