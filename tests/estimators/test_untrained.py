"""Scores of untrained networks by the loss, by Jacobians, by features and by votes, against what can be computed on paper."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from supernet import Choice, SearchSpace, Task
from supernet.errors import InputError
from supernet.estimators import estimator_named
from supernet.estimators.fisher import Fisher
from supernet.estimators.grad_norm import GradNorm
from supernet.estimators.grasp import Grasp
from supernet.estimators.jacob_cov import SMALL, JacobCov, unlikeness
from supernet.estimators.naswot import Naswot
from supernet.estimators.snip import Snip
from supernet.estimators.standing import LOWEST, Standing
from supernet.estimators.synflow import Synflow
from supernet.estimators.vote import Vote, preferred
from supernet.estimators.zen import CHANGE, Zen, features

SCORES = ((Synflow, "synflow"), (Naswot, "naswot"))
OF_LOSS = (Snip, GradNorm, Grasp, Fisher)
INPUTS = torch.tensor([[2.0, 0.0], [0.0, 2.0]]).double()  # whose mean is (1, 1)


def mean_of_outputs(outputs, targets):
    return outputs.mean()


def task(inputs, loss=mean_of_outputs, labels=None):
    return Task([(inputs, torch.zeros(len(inputs), dtype=torch.long) if labels is None else labels)], loss=loss)


def two_layers():
    """y = v (W x) with W = [[1, -2], [3, 4]] and v = [-5, 1/2]; both inputs together: W x = (2, 6), (-4, 8) and y = -7, 24."""
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 1, bias=False)).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, -2.0], [3.0, 4.0]]))
        model[1].weight.copy_(torch.tensor([[-5.0, 0.5]]))
    return model


def score(cls, model, data):
    (value,) = cls(lambda architecture: model, data)({}).values()
    return value


@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        # The gradient of the mean of y by W is [[-5, -5], [1/2, 1/2]], by v it is W (1, 1) = (-1, 7).
        (Snip, (5 + 10 + 1.5 + 2) + (5 + 3.5)),
        (GradNorm, math.sqrt(50.5) + math.sqrt(50)),
        # Half the squared norm of both is (|v|^2 |(1, 1)|^2 + |W (1, 1)|^2) / 2, homogeneous of second degree.
        (Grasp, -(25.25 * 2 + 50)),
        # Activation x gradient: (-5, 1.5), (10, 2) of the first layer and -3.5, 12 of the second; two weights a channel.
        (Fisher, 2 * ((25 + 100) / 4 + (2.25 + 4) / 4) + 2 * (12.25 + 144) / 4),
    ],
)
def test_scores_by_the_loss_are_those_on_paper(cls, expected):
    assert score(cls, two_layers(), task(INPUTS)) == pytest.approx(expected, rel=1e-12)


def test_grasp_is_the_hessian_times_the_gradient_by_autograd():
    torch.manual_seed(0)
    model, data = nn.Sequential(nn.Linear(3, 4, bias=False), nn.Tanh(), nn.Linear(4, 2, bias=False)).double(), torch.randn(5, 3).double()
    labels = torch.tensor([0, 1, 1, 0, 1])
    shapes = [(4, 3), (2, 4)]

    def loss(flat):
        first, second = (part.view(shape) for part, shape in zip(flat.split([12, 8]), shapes, strict=True))
        return F.cross_entropy((data @ first.T).tanh() @ second.T, labels)

    weights = torch.cat([model[0].weight.detach().flatten(), model[2].weight.detach().flatten()])
    slope = torch.autograd.functional.jacobian(loss, weights)
    expected = -weights @ torch.autograd.functional.hessian(loss, weights) @ slope
    assert score(Grasp, model, task(data, F.cross_entropy, labels)) == pytest.approx(float(expected), rel=1e-9)


def test_fisher_adds_up_positions_before_it_squares_whatever_changes_outputs_in_place():
    layer = nn.Conv2d(1, 1, 1, bias=False)
    apart = torch.tensor([[1.0, -1.0], [2.0, -2.0]]).view(2, 1, 1, 2)  # what one position adds the other takes away
    assert score(Fisher, layer, task(apart)) == 0 < score(Fisher, layer, task(apart.abs()))
    torch.manual_seed(0)
    inputs, layers = torch.randn(4, 3, 5, 5), [nn.Conv2d(3, 2, 3), nn.Conv2d(2, 2, 3)]
    plain, in_place = (nn.Sequential(layers[0], nn.ReLU(inplace), layers[1]) for inplace in (False, True))
    assert score(Fisher, plain, task(inputs)) == score(Fisher, in_place, task(inputs))


@pytest.mark.parametrize("cls", OF_LOSS)
def test_no_more_than_64_examples_count_and_a_layer_on_which_nothing_depends_counts_for_nothing(cls):
    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = nn.Linear(2, 1, bias=False), nn.Linear(2, 1)

        def forward(self, x):
            self.idle(x)
            return self.used(x)

    torch.manual_seed(0)
    model, inputs = Idle().double(), torch.randn(100, 2).double()
    square = lambda outputs, targets: outputs.pow(2).mean()  # noqa: E731
    assert score(cls, model, task(inputs, square)) == score(cls, model.used, task(inputs[:64], square)) != 0


def test_jacobians_that_are_alike_score_less_than_those_that_are_not():
    alike, apart = torch.tensor([[1.0, 2.0, 3.0]] * 2), torch.tensor([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, -1.0]])
    of = lambda *values: -sum(math.log(v + SMALL) + 1 / (v + SMALL) for v in values)  # noqa: E731
    assert unlikeness(alike) == pytest.approx(of(2, 0)) and unlikeness(apart) == pytest.approx(of(1, 1))
    linear = nn.Linear(3, 2)  # whose Jacobian is the same everywhere
    assert score(JacobCov, linear, task(torch.randn(2, 3))) == pytest.approx(of(2, 0), rel=1e-3)


def test_the_jacobian_is_of_the_sum_of_the_outputs_by_each_input():
    model = nn.Sequential(nn.Linear(2, 3, bias=False), nn.ReLU(inplace=True)).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 2.0], [-1.0, 4.0], [0.0, -3.0]]))
    inputs = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-2.0, 0.0]]).double()
    expected = torch.tensor([[1.0 - 1.0, 2.0 + 4.0], [0.0, -3.0], [-1.0, 4.0]])  # the rows of the units that are above zero
    assert score(JacobCov, model, task(inputs)) == pytest.approx(unlikeness(expected))


def test_a_network_that_depends_on_nothing_that_it_is_given_scores_minus_infinity():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.bias = nn.Parameter(torch.ones(1))

        def forward(self, x):
            return self.bias.expand(len(x), 1)

    for cls in (JacobCov, Zen):
        assert score(cls, Constant(), task(torch.randn(4, 3))) == -math.inf


def test_zen_is_the_log_of_how_far_the_features_of_a_gaussian_network_move():
    layer = nn.Linear(6, 5)
    estimate = Zen(lambda architecture: layer, task(torch.randn(8, 6)), seed=3)
    found = estimate({})["zen"]  # which has drawn weights for the layer
    (before,), (after,) = estimate.inputs, estimate.changed
    moved = ((after - before) @ layer.weight.detach().T).abs().sum(1).mean()
    assert found == pytest.approx(math.log(float(moved)), rel=1e-5) and not layer.bias.any()
    assert float((after - before).std()) == pytest.approx(CHANGE, rel=0.3)


def test_zen_multiplies_back_what_a_batch_norm_divides_by():
    data = task(torch.zeros(64, 3, 6, 6))
    plain, normed = nn.Sequential(nn.Conv2d(3, 1, 3)), nn.Sequential(nn.Conv2d(3, 1, 3), nn.BatchNorm2d(1))
    assert score(Zen, plain, data) == pytest.approx(score(Zen, normed, data), abs=0.02)  # of which the second pass has its own statistics
    running = normed[1].running_var.clone()
    dead = nn.Sequential(nn.Conv2d(3, 1, 3), nn.BatchNorm2d(1), Branch(nn.Sequential(Zeros(), nn.BatchNorm2d(1))))
    assert score(Zen, dead, data) == pytest.approx(score(Zen, normed, data)) and torch.equal(normed[1].running_var, running)


class Branch(nn.Module):
    """x + what ``inner`` makes of it."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return x + self.inner(x)


class Zeros(nn.Module):
    def forward(self, x):
        return 0 * x


class Mean(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


def test_zen_reads_the_features_before_the_last_pooling_over_all_positions():
    data, conv = task(torch.zeros(8, 3, 6, 6)), nn.Conv2d(3, 4, 3)
    for pooling in ((nn.AdaptiveAvgPool2d(1), nn.Flatten()), (Mean(),)):
        assert score(Zen, nn.Sequential(conv, *pooling, nn.Linear(4, 2)), data) == score(Zen, nn.Sequential(conv), data)
    (whole,) = features(nn.Sequential(nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(3)), [torch.zeros(2, 3, 6, 6)])
    assert whole.shape == (2, 3, 3, 3)


def test_a_majority_decides_and_what_has_none_counts_as_half():
    assert preferred((3, 3, 0), (2, 2, 9)) == 1 and preferred((1, 5, 0), (2, 2, 9)) == 0
    assert preferred((1, 2, 3), (1, 2, 3)) == preferred((2, 1, 3), (1, 2, 3)) == 0.5


def of_width(architecture):
    width = architecture["width"]
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.Conv2d(width, 4, 3), Mean())


def test_a_vote_is_the_share_of_the_references_that_are_beaten():
    space, data = SearchSpace([Choice("width", (1, 2, 4, 8))]), task(torch.randn(16, 3, 8, 8), F.cross_entropy)
    vote = Vote(of_width, data, space=space)
    every = [vote({"width": width})["vote"] for width in (1, 2, 4, 8)]
    own = [vote.scores({"width": width}) for width in (1, 2, 4, 8)]
    assert every == [sum(preferred(one, other) for other in own) / 4 for one in own] and len(set(every)) > 1


def test_a_standing_is_the_mean_distance_from_the_median_in_interquartile_ranges():
    space, data = SearchSpace([Choice("width", (1, 2, 4, 8))]), task(torch.randn(16, 3, 8, 8), F.cross_entropy)
    standing = Standing(of_width, data, space=space)
    own = {width: [cls(of_width, data)({"width": width})[name] for cls, name in SCORES] for width in (1, 2, 4, 8)}
    for width in (1, 8):
        expected = 0.0
        for i in range(2):
            every = torch.tensor([own[w][i] for w in own], dtype=torch.double)
            low, median, high = every.quantile(torch.tensor([0.25, 0.5, 0.75], dtype=torch.double))
            expected += float((own[width][i] - median) / (high - low)) / 2
        assert standing({"width": width})["standing"] == pytest.approx(expected)
    assert standing({"width": 8})["standing"] > standing({"width": 1})["standing"]


def test_what_a_score_fails_on_stands_low_and_does_not_drown_the_others(monkeypatch):
    space = SearchSpace([Choice("width", (1, 2, 4, 8))])
    known = {1: (float("-inf"), 1.0), 2: (1.0, 2.0), 4: (2.0, 3.0), 8: (3.0, 4.0)}
    monkeypatch.setattr(Standing, "scores", lambda self, architecture: known[architecture["width"]])
    standing = Standing(lambda architecture: nn.Identity(), task(torch.randn(4, 3, 8, 8)), space=space)
    assert standing({"width": 1})["standing"] == pytest.approx((LOWEST - 1.0) / 2)
    assert standing({"width": 2})["standing"] == pytest.approx((-1 - 1 / 3) / 2)


def test_any_scores_of_untrained_networks_stand_together_where_they_are_named():
    known = estimator_named("zen+synflow")
    assert (known.raised, known.needs, known.cheaper) == ("standing", "data", None)
    assert known.load().of == (Zen, Synflow) and Standing.of == (Synflow, Naswot)
    for name, said in {
        "naswot+scratch": "scratch cannot stand in naswot\\+scratch, where scores of untrained networks do: synflow, naswot",
        "naswot+vote": "vote cannot stand in",
        "naswot+naswot": "scores that are put together differ; got naswot",
        "naswot+synflw": "did you mean 'synflow'",
    }.items():
        with pytest.raises(InputError, match=said):
            estimator_named(name)


def test_tokens_are_read_by_scores_of_the_loss_alone():
    tokens = task(torch.randint(9, (4, 2)), F.cross_entropy)
    model = nn.Sequential(nn.Embedding(9, 2), nn.Flatten(), nn.Linear(4, 2))
    for cls in (Snip, GradNorm, Grasp):
        assert score(cls, model, tokens) != 0
    for cls in (Fisher, JacobCov, Zen):
        with pytest.raises(InputError, match="read tokens: score them by training"):
            cls(lambda architecture: model, tokens)
    with pytest.raises(InputError, match="batches of at least 2"):
        JacobCov(lambda architecture: model, task(torch.randn(1, 3)))
