import math
from random import Random

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from supernet import Task
from supernet.errors import InputError
from supernet.estimators.naswot import Naswot, kernel
from supernet.spaces import space


def task(inputs):
    return Task([(inputs, torch.zeros(len(inputs), dtype=torch.long))], loss=nn.CrossEntropyLoss())


def linear(weights):
    layer = nn.Linear(len(weights[0]), len(weights), bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weights))
    return layer


def test_the_kernel_counts_the_units_on_which_two_codes_agree_by_hand():
    first = linear([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    model = nn.Sequential(first, nn.ReLU(), linear([[1.0, -1.0, 0.0]]), nn.ReLU(), nn.Linear(1, 2))
    inputs = torch.tensor([[1.0, -2.0], [2.0, 1.0], [-1.0, 3.0]])
    # What the first three units get: (1, -2, -1), (2, 1, 3), (-1, 3, 2); the fourth, of rectified numbers: 1, 1, -3.
    # Codes: 1001, 1111, 0110.
    expected = torch.tensor([[4.0, 2, 0], [2, 4, 2], [0, 2, 4]]).double()
    assert torch.equal(kernel(model, [inputs]), expected)
    found = Naswot(lambda architecture: model, task(inputs))({})
    assert found == {"naswot": pytest.approx(math.log(4 * (16 - 4) - 2 * 8))}


@pytest.mark.parametrize(
    "rectify", [F.relu, torch.relu, lambda x: x.relu(), lambda x: x.relu_(), nn.ReLU(inplace=True), nn.ReLU6(), lambda x: F.relu(input=x)]
)
def test_every_way_to_rectify_counts_once(rectify):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = linear([[1.0, 0.0], [0.0, 1.0]]), nn.Linear(2, 2)

        def forward(self, x):
            return self.last(rectify(self.first(x)))

    assert kernel(Net(), [torch.tensor([[1.0, -2.0], [2.0, 1.0]])]).tolist() == [[2, 1], [1, 2]]


def test_units_on_which_no_output_depends_do_not_count():
    class Net(nn.Module):
        def forward(self, x):
            F.relu(x - 1)
            return F.relu(x)

    assert kernel(Net(), [torch.tensor([[1.0, -2.0], [2.0, 1.0]])]).tolist() == [[2, 1], [1, 2]]


def test_networks_that_tell_examples_not_apart_have_minus_infinity():
    for model in (nn.Linear(2, 2), nn.Sequential(nn.Flatten(), nn.ReLU())):
        assert Naswot(lambda architecture, model=model: model, task(torch.ones(3, 2)))({}) == {"naswot": -math.inf}


def test_batch_norms_take_the_statistics_of_the_batch():
    inputs = torch.randn(8, 3, 6, 6) + 50
    norm = nn.BatchNorm2d(3).eval()
    found = kernel(nn.Sequential(norm, nn.ReLU()).train(), [inputs])
    assert torch.equal(found, kernel(nn.ReLU(), [F.batch_norm(inputs, None, None, training=True)]))


def test_the_seed_draws_the_weights_and_nothing_else_does():
    def build(architecture):
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))

    data = task(torch.randn(8, 3, 8, 8))
    first, again, other = (Naswot(build, data, seed=seed)({}) for seed in (1, 1, 2))
    assert first == again != other


def test_no_more_than_128_examples_are_told_apart():
    assert len(Naswot(lambda architecture: nn.ReLU(), task(torch.randn(200, 5))).inputs[0]) == 128


def test_tokens_and_single_examples_are_refused():
    with pytest.raises(InputError, match="read tokens"):
        Naswot(lambda architecture: nn.Embedding(9, 2), task(torch.randint(9, (4, 2))))
    with pytest.raises(InputError, match="at least 2"):
        Naswot(lambda architecture: nn.ReLU(), task(torch.randn(1, 2)))


def test_a_published_cell_ranks_above_what_skips_in_nasbench201():
    torch.manual_seed(0)
    bench = space("nasbench201")
    estimate = Naswot(lambda arch: bench.network(arch, channels=4, cells=1), task(torch.randn(16, 3, 16, 16)))
    best = bench.parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|")
    choices, rng = bench.supernet(channels=4, cells=1).space, Random(0)
    known, others = estimate(best)["naswot"], [estimate(choices.sample(rng))["naswot"] for _ in range(12)]
    assert sum(known > other for other in others) >= 10
