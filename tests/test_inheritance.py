"""A network that inherits computes what the other does, wherever it holds all that the other does."""

import copy
from random import Random

import pytest
import torch
from torch import nn

from supernet import ops
from supernet.modules.inheritance import inherit
from supernet.modules.squeeze_excite import SqueezeExcite
from supernet.spaces import space


class Residual(nn.Module):
    """Two branches and a skip connection whose sum shares one width; with what is given between stem and head."""

    def __init__(self, width, hidden, kernel=3, blocks=1):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList(ops.InvertedResidual(width, width, kernel, hidden / width) for _ in range(blocks))
        self.other, self.norm, self.head = nn.Conv2d(width, width, 1), nn.BatchNorm2d(width), nn.Linear(width, 4)

    def forward(self, x):
        x = self.stem(x).relu()
        for block in self.blocks:
            x = block(x) + self.other(x)
        return self.head(self.norm(x).mean((2, 3)))


def conv(width, kernel=3, **how):
    """A convolution between two others, which share its width."""
    middle = nn.Conv2d(width, width, kernel, padding=kernel // 2 * how.get("dilation", 1), **how)
    return nn.Sequential(nn.Conv2d(3, width, 1), nn.ReLU(), middle, nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, 2, 1))


def squeezed(width, hidden):
    return nn.Sequential(nn.Conv2d(3, width, 1), SqueezeExcite(width, hidden), nn.Conv2d(width, 2, 1, bias=False))


def one_dimensional(width, kernel):
    return nn.Sequential(nn.Flatten(2), nn.Conv1d(3, width, kernel, padding=kernel // 2), nn.BatchNorm1d(width), nn.Conv1d(width, 2, 1))


def flattened(width, features):
    return nn.Sequential(nn.Conv2d(3, width, 1), nn.Flatten(), nn.Linear(width * 36, features), nn.ReLU(), nn.Linear(features, 2))


GROWN = {
    "wider convolutions": (lambda: conv(4), lambda: conv(7)),
    "more groups of as many channels": (lambda: conv(4, groups=2), lambda: conv(8, groups=4)),
    "groups that join": (lambda: conv(4, groups=4), lambda: conv(4, groups=2)),
    "groups that go": (lambda: conv(4, groups=2), lambda: conv(6)),
    "wider depthwise": (lambda: conv(4, groups=4), lambda: conv(6, groups=6)),
    "larger kernels": (lambda: conv(4, 1), lambda: conv(4, 5)),
    "larger depthwise kernels, and wider": (lambda: conv(4, 3, groups=4), lambda: conv(6, 7, groups=6)),
    "larger dilated kernels": (lambda: conv(4, 3, dilation=2), lambda: conv(5, 5, dilation=2)),
    "a bias": (lambda: conv(4, bias=False), lambda: conv(6, bias=True)),
    "squeeze-and-excitation": (lambda: squeezed(4, 2), lambda: squeezed(6, 3)),
    "one dimension": (lambda: one_dimensional(4, 3), lambda: one_dimensional(6, 5)),
    "linear layers behind flattened maps": (lambda: flattened(3, 5), lambda: flattened(4, 8)),
    "sums that share a width": (lambda: Residual(4, 8), lambda: Residual(6, 18)),
    "a residual block more": (lambda: Residual(4, 8).blocks[0], lambda: Residual(4, 8, 5).blocks[0]),
}


def trained(network, shape=(16, 3, 6, 6)):
    """The network in float64, with statistics and weights that are not those of the start."""
    network = network.double().train()
    optimiser = torch.optim.SGD(network.parameters(), 0.1)
    for _ in range(3):
        optimiser.zero_grad()
        network(torch.randn(shape, dtype=torch.double)).square().mean().backward()
        optimiser.step()
    return network


def same(own, other, *inputs):
    return torch.allclose(own(*inputs), other(*inputs), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("what", GROWN)
def test_a_grown_layer_computes_what_the_smaller_did_in_evaluation_and_in_training_mode(what):
    torch.manual_seed(0)
    small, large = (make() for make in GROWN[what])
    channels = 4 if "block" in what else 3
    old, new = trained(small, (16, channels, 6, 6)), large.double()
    x = torch.randn(8, channels, 6, 6, dtype=torch.double)
    before = copy.deepcopy(new.state_dict())
    found = inherit(new, old, x)
    assert found.gap < 1e-12 and 0 < found.taken <= 1
    assert same(new.eval(), old.eval(), x) and same(new.train(), old.train(), x)
    grown = [name for name, tensor in new.state_dict().items() if tensor.shape != old.state_dict().get(name, tensor).shape]
    assert all(name.endswith("num_batches_tracked") or not torch.equal(before[name], new.state_dict()[name]) for name in grown)


def test_all_that_is_new_learns():
    torch.manual_seed(0)
    old, new = trained(conv(4)), conv(6).double()
    x = torch.randn(8, 3, 6, 6, dtype=torch.double)
    inherit(new, old, x)
    start, optimiser = copy.deepcopy(new.state_dict()), torch.optim.SGD(new.parameters(), 0.1)
    for _ in range(2):  # what reads new channels learns first, then what gives them
        optimiser.zero_grad()
        new(x).square().mean().backward()
        optimiser.step()
    assert all((start[name] != tensor).all() for name, tensor in new.named_parameters() if tensor.dim() > 1)


def test_the_same_network_takes_all_of_it():
    torch.manual_seed(0)
    old, new = trained(Residual(4, 8)), Residual(4, 8).double()
    assert inherit(new, old, torch.randn(4, 3, 6, 6, dtype=torch.double)) == (1.0, 0.0)
    assert all(torch.equal(tensor, old.state_dict()[name]) for name, tensor in new.state_dict().items())


def test_what_shrinks_keeps_the_leading_channels_and_the_centre_of_kernels():
    torch.manual_seed(0)
    old, new = trained(conv(6, 5)), conv(4, 3).double()
    found = inherit(new, old, torch.randn(4, 3, 6, 6, dtype=torch.double))
    assert torch.equal(new[2].weight, old[2].weight[:4, :4, 1:4, 1:4]) and torch.equal(new[3].running_var, old[3].running_var[:4])
    assert found.taken == 1 and found.gap > 0


@pytest.mark.parametrize("norm", [True, False])
def test_a_convolution_more_passes_on_what_it_is_given(norm):
    def stack(depth):
        def block(inputs):
            return nn.Sequential(nn.Conv2d(inputs, 4, 3, padding=1), *([nn.BatchNorm2d(4)] if norm else []), nn.ReLU())

        blocks = nn.Sequential(block(3), *(block(4) for _ in range(depth - 1)))
        return nn.ModuleDict({"blocks": blocks, "head": nn.Conv2d(4, 2, 1)})

    class Net(nn.Module):
        def __init__(self, depth):
            super().__init__()
            self.layers = stack(depth)

        def forward(self, x):
            return self.layers["head"](self.layers["blocks"](x))

    torch.manual_seed(0)
    old, new = trained(Net(1)), Net(3).double()
    x = torch.randn(8, 3, 6, 6, dtype=torch.double)
    assert inherit(new, old, x).gap < 1e-12 and same(new.eval(), old.eval(), x)


def test_a_block_that_replaces_zeros_or_a_skip_connection_gives_what_they_gave():
    class Edge(nn.Module):
        def __init__(self, operation):
            super().__init__()
            self.operation = operation

        def forward(self, x):
            return x + self.operation(x)

    torch.manual_seed(0)
    x = torch.randn(8, 4, 6, 6, dtype=torch.double)
    for old, grown in ((ops.Zero(1), ops.sep_conv(4, 3, 1)), (nn.Identity(), ops.InvertedResidual(4, 4, 5, 2))):
        own, other = Edge(grown).double(), Edge(old).double()
        assert inherit(own, other, x).gap == 0 and same(own.train(), other.train(), x)


def test_an_embedding_grows_in_words_and_features():
    def net(words, features):
        return nn.Sequential(nn.Embedding(words, features), nn.Linear(features, 3))

    torch.manual_seed(0)
    old, new = net(5, 4).double(), net(8, 6).double()
    words = torch.tensor([[0, 4, 2]])
    assert inherit(new, old, words).gap < 1e-12 and same(new, old, words)


def test_of_other_modules_equal_shapes_are_taken():
    torch.manual_seed(0)
    old, new, other = nn.LSTM(3, 4), nn.LSTM(3, 4), nn.LSTM(3, 5)
    x = torch.randn(2, 1, 3)
    assert inherit(new, old, x) == (1.0, 0.0)
    kept = copy.deepcopy(other.state_dict())
    assert inherit(other, old, x) == (0.0, float("inf")) and all(torch.equal(v, kept[k]) for k, v in other.state_dict().items())


SMALL = {
    "ofa-mobilenetv3": {"stem": "imagenet", "widths": (8, 16), "depths": (3, 3), "last": 16, "head": 16, "shape": (3, 8, 8)},
    "mobile-small": {"widths": (8, 8, 16), "depths": (2, 2, 2), "head": 16, "shape": (3, 8, 8)},
    "mlp": {"shape": (5,), "channels": 8, "layers": 3},
}


@pytest.mark.parametrize("name", SMALL)
def test_growing_a_network_of_a_space_by_one_choice_keeps_the_function(name):
    """Numbers one step up; of named blocks the wider, or one more in the place of a skip connection."""
    sizes, rng = SMALL[name], Random(0)
    made = space(name)
    searched = made.supernet(**sizes).space
    order = {"skip": 0, "w0.5": 1, "w1": 2, "w2": 3, "w4": 4, "k3e3": 0, "k3e6": 1, "k5e6": 2}
    for trial in range(6 if name != "mlp" else 12):
        torch.manual_seed(trial)
        small = searched.sample(rng)
        able = [n for n in searched.matters(small) if order.get(small[n], small[n]) not in (searched[n].options[-1], 4, 2, "k5e3")]
        if not able:
            continue
        choice = rng.choice(able)
        options = sorted((o for o in searched[choice].options if o != "k5e3"), key=lambda o: order.get(o, o))
        larger = {**small, choice: options[options.index(small[choice]) + 1]}
        old, new = (made.network(architecture, **sizes) for architecture in (small, larger))
        x = torch.randn(8, *sizes["shape"])
        old.train()(x)
        found = inherit(new, old, x)
        assert found.gap < 1e-5, (choice, small[choice], larger[choice])
