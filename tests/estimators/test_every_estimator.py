"""What every estimator promises, whatever it scores by."""

import copy
import inspect
import math
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from supernet import OneOf, Supernet, Task, derive
from supernet.costs.latency.predictor import fit_predictor
from supernet.errors import InputError
from supernet.estimators import ESTIMATORS, estimator_named, part
from supernet.estimators.shared import SharedWeights
from supernet.estimators.tabular import Table
from supernet.explore.executor import called
from supernet.settings.given import taken

BATCHES = 10


class Counted(Task):
    """A task that counts the batches that a network sees, in training and in evaluation mode."""

    seen = (0, 0)

    def predict(self, network, batch):
        train, other = self.seen
        training = torch.is_grad_enabled()
        type(self).seen = (train + training, other + (not training))
        return super().predict(network, batch)


def supernet():
    torch.manual_seed(0)
    first = OneOf({"conv": nn.Conv2d(1, 4, 3, padding=1), "point": nn.Conv2d(1, 4, 1)}, name="first")
    second = OneOf({"conv": nn.Conv2d(4, 4, 3, padding=1), "skip": nn.Identity()}, name="second")
    layers = [first, nn.BatchNorm2d(4), nn.ReLU(), second, nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)]
    return Supernet(nn.Sequential(*layers))


def task():
    torch.manual_seed(1)
    data = [TensorDataset(torch.randn(40, 1, 6, 6), torch.randint(3, (40,))) for _ in range(2)]
    Counted.seen = (0, 0)
    return Counted(*(DataLoader(d, 4, shuffle=i == 0) for i, d in enumerate(data)), loss=F.cross_entropy)


SPACE = supernet().space
ARCHITECTURES = list(SPACE.enumerate())


def on_data(known, task, **settings):
    own = task.example
    named = taken(known.load(), {"space": SPACE})
    return known.load()(lambda arch: derive(supernet(), arch, *own), task, **settings, **named)


def table(known):
    ops = np.array(list(product(range(2), range(2))))
    arrays = {"ops": ops, "op_names": np.array(["a", "b"]), "val": np.arange(4.0), "val_short": np.arange(4.0) / 2, "params": np.arange(4)}
    return Table(arrays, space=SPACE, cheaper={"val_short": 0.25}).estimate


def predicted(known):
    many = [ARCHITECTURES[i % 4] for i in range(24)]
    return known.load()(SPACE, {"latency": fit_predictor(SPACE, many, [float(i % 4) for i in range(24)], kind="boosting")})


MADE = {
    "supernet": lambda known: known.load()(supernet(), task(), batches=BATCHES),
    "data": lambda known: on_data(known, task()),
    "table": table,
    "predictor": predicted,
}


@pytest.fixture(params=ESTIMATORS)
def name(request):
    return request.param


@pytest.fixture
def estimate(name):
    return MADE[ESTIMATORS[name].needs](ESTIMATORS[name])


def test_the_same_architecture_is_worth_the_same_whatever_was_asked_before(name, estimate):
    first = [dict(estimate(arch)) for arch in ARCHITECTURES]
    torch.rand(7)
    again = [dict(estimate(arch)) for arch in reversed(ARCHITECTURES)]
    assert first == again[::-1] and len({tuple(f.values()) for f in first}) > 1
    assert all(math.isfinite(value) for found in first for value in found.values())


def test_random_states_are_left_as_they_were(estimate):
    before = torch.get_rng_state()
    estimate(ARCHITECTURES[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_what_it_raises_is_among_what_it_gives(name, estimate):
    assert (ESTIMATORS[name].raised or "accuracy") in estimate(ARCHITECTURES[0]) or ESTIMATORS[name].needs == "predictor"


def test_a_smaller_fidelity_is_answered_alike_each_time_or_refused_or_the_same(name, estimate):
    assert list(inspect.signature(estimate).parameters)[:2] == ["architecture", "fidelity"]
    whole = estimate(ARCHITECTURES[1], 1.0)
    assert whole == estimate(ARCHITECTURES[1])
    try:
        less = called(estimate, ARCHITECTURES[1], 0.3)()
    except InputError as error:
        assert ESTIMATORS[name].cheaper is None and "no cheaper answer" in str(error)
        return
    assert less.keys() == whole.keys() and less == estimate(ARCHITECTURES[1], 0.3)
    assert (less == whole) == (ESTIMATORS[name].cheaper is None)
    assert estimate(ARCHITECTURES[1]) == whole


def test_shared_weights_read_the_share_of_their_batches():
    estimate = SharedWeights(supernet(), task(), batches=8)
    state = copy.deepcopy(estimate.supernet.state_dict())

    def read(fidelity):
        Counted.seen = (0, 0)
        estimate(ARCHITECTURES[0], fidelity)
        return sum(Counted.seen)

    assert read(1.0) == 8 + BATCHES and read(0.5) == 4 + 5 and read(0.3) == 3 + 3 and read(0.01) == 1 + 1
    assert all(torch.equal(value, state[key]) for key, value in estimate.supernet.state_dict().items())
    assert estimate.task.examples() == 40


def test_training_from_nothing_takes_the_share_of_its_steps():
    for settings, whole in (({"epochs": 2}, 20), ({"steps": 12}, 12)):
        estimate = on_data(ESTIMATORS["scratch"], task(), **settings)
        for fidelity in (1.0, 0.5, 0.01):
            Counted.seen = (0, 0)
            estimate(ARCHITECTURES[0], fidelity)
            assert Counted.seen == (part(fidelity, whole), BATCHES)


def test_a_share_is_rounded_up_but_not_by_an_error_of_floating_point():
    assert [part(share, 30) for share in (0.1, 0.7, 0.01, 1.0, 1 / 3)] == [3, 21, 1, 30, 10] and part(0.5, 0) == 0


def test_another_name_suggests_the_nearest():
    with pytest.raises(InputError, match="did you mean 'scratch'"):
        estimator_named("scrach")


def test_every_estimator_says_what_it_is(name):
    assert ESTIMATORS[name].load().__doc__
