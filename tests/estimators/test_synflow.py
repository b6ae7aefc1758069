from random import Random

import pytest
import torch
from torch import nn

from supernet import Task
from supernet.errors import InputError
from supernet.estimators.synflow import Synflow, flow
from supernet.spaces import space

IMAGES = [(torch.zeros(2, 3, 8, 8), torch.zeros(2, dtype=torch.long))]


def task(batches=None):
    return Task(batches or IMAGES, loss=nn.CrossEntropyLoss())


def test_every_layer_without_bias_has_the_flow_that_leaves_the_network():
    """Tanaka et al. 2020, theorem 1: what flows through a layer is conserved."""
    torch.manual_seed(0)
    convolutions = [nn.Conv2d(3, 5, 3, bias=False), nn.ReLU(), nn.Conv2d(5, 4, 3, bias=False), nn.ReLU()]
    model = nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(64, 7, bias=False)).double()
    inputs = torch.ones(1, 3, 8, 8).double()
    found = flow(model, [inputs])
    assert all((p >= 0).all() for p in model.parameters())
    assert found == pytest.approx(3 * model(inputs).sum().item())


def test_it_is_the_sum_of_weight_times_gradient_by_hand():
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 1, bias=False)).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, -2.0], [3.0, 4.0]]))
        model[1].weight.copy_(torch.tensor([[-5.0, 0.5]]))
    reached = 5 * (1 + 2) + 0.5 * (3 + 4)
    assert flow(model, [torch.ones(1, 2).double()]) == pytest.approx(2 * reached)


def test_a_layer_times_a_number_and_the_next_divided_by_it_let_through_the_same():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 5, 3, bias=False), nn.ReLU(), nn.Conv2d(5, 4, 3, bias=False)).double()
    inputs = [torch.ones(1, 3, 8, 8).double()]
    before = flow(model, inputs)
    with torch.no_grad():
        model[0].weight *= 7
        model[2].weight /= 7
    assert flow(model, inputs) == pytest.approx(before)


def test_a_fresh_batch_norm_lets_through_what_it_gets():
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 5, 3, bias=False)
    plain, normed = nn.Sequential(conv), nn.Sequential(conv, nn.BatchNorm2d(5))
    inputs = [torch.ones(1, 3, 8, 8).double()]
    assert flow(plain.double(), inputs) == pytest.approx(flow(normed.double(), inputs), rel=1e-4)


class Nothing(nn.Module):
    def forward(self, x):
        return 0 * x


def test_a_network_through_which_nothing_flows_scores_zero_and_a_wider_one_more_than_a_narrow_one():
    def build(architecture):
        width = architecture["width"]
        layers = [nn.Conv2d(3, width or 2, 3), nn.Identity() if width else Nothing(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return nn.Sequential(*layers, nn.Linear(width or 2, 4, bias=False))

    estimate = Synflow(build, task(), seed=3)
    scores = [estimate({"width": width})["synflow"] for width in (0, 4, 16, 64)]
    assert scores[0] == 0 and scores == sorted(scores) and len(set(scores)) == 4


def test_the_seed_draws_the_weights_and_nothing_else_does():
    def build(architecture):
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 2))

    first, again, other = (Synflow(build, task(), seed=seed)({}) for seed in (1, 1, 2))
    assert first == again != other


def test_deep_wide_networks_overflow_nothing():
    def build(architecture):
        return nn.Sequential(*(nn.Conv2d(3 if i == 0 else 64, 64, 3, padding=1) for i in range(60)), nn.Flatten(), nn.Linear(4096, 10))

    assert 60 < Synflow(build, task())({})["synflow"] < 300


def test_networks_that_read_tokens_are_refused():
    tokens = [(torch.randint(9, (4, 2)), torch.zeros(4, dtype=torch.long))]
    with pytest.raises(InputError, match="read tokens"):
        Synflow(lambda arch: nn.Embedding(9, 2), task(tokens))


def test_published_cells_rank_above_what_skips_in_nasbench201():
    bench = space("nasbench201")
    estimate = Synflow(lambda arch: bench.network(arch, channels=4, cells=1), task([(torch.zeros(2, 3, 32, 32), IMAGES[0][1])]))
    best = bench.parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|")
    choices, rng = bench.supernet(channels=4, cells=1).space, Random(0)
    others = [estimate(choices.sample(rng))["synflow"] for _ in range(20)]
    assert sum(estimate(best)["synflow"] > other for other in others) >= 18
