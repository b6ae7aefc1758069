"""Quantisers against values worked out by hand, their gradients, and convolutions that choose their bits."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from supernet import Choice, Supernet
from supernet.costs.bit_operations import bit_operations
from supernet.costs.table import count_tables
from supernet.derive import derive
from supernet.layers.bits import BitsConv2d
from supernet.mixture import Mix, expected, one_hot
from supernet.modules.quantised import QuantisedConv2d, levels, quantised_activations, quantised_weights, straight_through

pytestmark = pytest.mark.usefixtures("double")
BITS = (1, 2, 4, 32)


def net() -> Supernet:
    torch.manual_seed(0)
    return Supernet(nn.Sequential(BitsConv2d(3, 4, 3, 2, bits=BITS, weights="weights", activations="inputs")), Choice("inputs", BITS))


def test_values_go_to_the_nearest_of_the_levels() -> None:
    x = torch.tensor([0.0, 0.16, 0.17, 0.49, 0.51, 0.84, 1.0])
    assert levels(x, 1).tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert levels(x, 2).tolist() == [0, 0, 1 / 3, 1 / 3, 2 / 3, 1, 1]
    assert len(levels(torch.linspace(0, 1, 1000), 3).unique()) == 8


def test_activations_are_clipped_and_take_the_levels_below_the_clip() -> None:
    x, clip = torch.tensor([-1.0, 0.4, 0.9, 1.1, 2.9, 3.0, 7.0]), torch.tensor(3.0)
    assert quantised_activations(x, clip, 2).tolist() == [0, 0, 1, 1, 3, 3, 3]
    assert quantised_activations(x, clip, 1).tolist() == [0, 0, 0, 0, 3, 3, 3]
    assert quantised_activations(x, clip, 32) is x


def test_weights_of_one_bit_are_signs_times_their_mean_size() -> None:
    assert quantised_weights(torch.tensor([0.5, -1.0, 0.0, 2.5]), 1).tolist() == [1.0, -1.0, 1.0, 1.0]


def test_weights_of_more_bits_are_levels_of_their_tangents_as_shares_of_the_largest() -> None:
    weight = torch.tensor([math.atanh(x) for x in (0.8, -0.8, 0.3, 0.1, -0.5, 0.0)])
    shares = [1.0, -1.0, 0.375, 0.125, -0.625, 0.0]  # of the largest tangent
    assert quantised_weights(weight, 2).tolist() == pytest.approx([1, -1, 1 / 3, 1 / 3, -1 / 3, 1 / 3])  # half a step: to even
    assert quantised_weights(weight, 3).tolist() == pytest.approx([1, -1, 3 / 7, 1 / 7, -5 / 7, 1 / 7])
    assert torch.allclose(quantised_weights(weight, 20), torch.tensor(shares), atol=1e-5)
    assert quantised_weights(weight, 32) is weight


def test_rounding_is_exact_and_passes_gradients_as_they_are() -> None:
    x = torch.randn(50, requires_grad=True)
    rounded = straight_through(x, x.round())
    assert torch.equal(rounded, x.round())
    (gradient,) = torch.autograd.grad((rounded * torch.arange(50)).sum(), x)
    assert torch.equal(gradient, torch.arange(50).double())


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_gradients_of_quantised_weights_are_those_of_the_weights_before_rounding(bits: int) -> None:
    weight, factor = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3)
    (found,) = torch.autograd.grad((quantised_weights(weight, bits) * factor).sum(), weight)
    (before,) = torch.autograd.grad((weight.tanh() / weight.tanh().abs().max() * factor).sum(), weight)
    assert torch.allclose(found, before)
    (signs,) = torch.autograd.grad((quantised_weights(weight, 1) * factor).sum(), weight)
    assert torch.equal(signs, factor)


def test_inputs_learn_below_the_clip_and_the_clip_from_what_lies_beyond() -> None:
    x, clip = torch.tensor([-1.0, 0.3, 1.4, 2.5, 9.0], requires_grad=True), torch.tensor(2.0, requires_grad=True)
    factor = torch.tensor([1.0, 2.0, 3.0, 5.0, 7.0])
    of_x, of_clip = torch.autograd.grad((quantised_activations(x, clip, 2) * factor).sum(), (x, clip))
    assert of_x.tolist() == [0, 2, 3, 0, 0] and of_clip.item() == 5 + 7  # PACT, section 3


def test_32_bits_are_the_convolution_itself() -> None:
    conv, x = QuantisedConv2d(3, 4, 3), torch.randn(2, 3, 5, 5)
    assert torch.equal(conv(x), F.conv2d(x, conv.weight, padding=1))


def test_the_derived_convolution_equals_the_open_one_for_every_pair_of_bits() -> None:
    open_net, x = net(), torch.randn(2, 3, 7, 7)
    seen = []
    for architecture in open_net.space.enumerate():
        expected_output = open_net(one_hot(open_net.space, architecture), x)
        assert torch.equal(derive(open_net, architecture, x)(x), expected_output)
        seen.append(expected_output)
    assert len(seen) == 16 and not any(torch.equal(a, b) for i, a in enumerate(seen) for b in seen[:i])


def test_a_blend_is_the_convolution_of_blended_inputs_with_blended_weights() -> None:
    open_net, x = net(), torch.randn(2, 3, 7, 7)
    shares = torch.tensor([0.1, 0.2, 0.3, 0.4], requires_grad=True)
    out = open_net({"weights": Mix(shares, (0, 1, 2, 3)), "inputs": Mix(None, (2,))}, x)
    alone = [open_net(one_hot(open_net.space, {"weights": bits, "inputs": 4}), x) for bits in BITS]
    assert torch.allclose(out, sum(share * one for share, one in zip(shares.detach(), alone, strict=True)), atol=1e-12)
    (gradient,) = torch.autograd.grad(out.square().sum(), shares)
    assert bool((gradient != 0).all())


def test_bit_operations_are_multiply_adds_times_both_bits_and_their_table_is_joint() -> None:
    open_net, x = net(), torch.empty(1, 3, 7, 7)
    table = count_tables(open_net, x)["bit_operations"]
    assert set(table) == {(), ("weights", "inputs")}
    for architecture in open_net.space.enumerate():
        weights, inputs = (int(str(architecture[name])) for name in ("weights", "inputs"))
        conv = QuantisedConv2d(3, 4, 3, 2, weight_bits=weights, activation_bits=inputs)
        assert expected(open_net.space, one_hot(open_net.space, architecture), table) == 4 * 4 * 4 * 27 * weights * inputs
        assert bit_operations(conv, x.to("meta")) == 4 * 4 * 4 * 27 * weights * inputs
