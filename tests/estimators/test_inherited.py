"""Trials that begin with the weights of others: whose, how many are kept, what they cost; a search that was stopped goes on alike."""

import json
from typing import ClassVar

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from supernet import InputError, RunError, Task
from supernet.costs.objective import Objective
from supernet.costs.passes import Passes
from supernet.estimators.inherited import Inherited
from supernet.estimators.scratch import FromScratch
from supernet.estimators.states import InFolder, InMemory
from supernet.explore.exploration import Exploration
from supernet.searchers import make_searcher
from supernet.searchers.lineage import Followed, Lineage
from supernet.space import Choice, SearchSpace
from supernet.strategies.retrain import Retrain

SPACE = SearchSpace([Choice("width", (2, 4, 6)), Choice("kernel", (1, 3)), Choice("depth", (0, 1, 2))])


class Block(nn.Module):
    def __init__(self, width, kernel):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(width, width, kernel, padding=kernel // 2), nn.BatchNorm2d(width))

    def forward(self, x):
        return x + self.body(x)


def build(architecture):
    width, kernel = architecture["width"], architecture["kernel"]
    blocks = nn.Sequential(*(Block(width, kernel) for _ in range(architecture["depth"])))
    stem = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
    return nn.Sequential(stem, blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 3))


def task():
    torch.manual_seed(1)
    data = [TensorDataset(torch.randn(40, 1, 4, 4), torch.randint(3, (40,))) for _ in range(2)]
    return Task(*(DataLoader(d, 8, shuffle=i == 0) for i, d in enumerate(data)), loss=F.cross_entropy)


def arch(width, kernel=3, depth=1):
    return {"width": width, "kernel": kernel, "depth": depth}


class Seen(Retrain):
    """A training that keeps what its network scores before it, and the first batch."""

    begun: ClassVar = []

    def __init__(self, model, task):
        super().__init__(model, task)
        Seen.begun.append(self.evaluate())


def tell(lineage, estimate, architecture, parent=None):
    lineage.asked(architecture, 1.0, parent)
    scores = estimate(architecture)
    lineage.told(architecture, (scores["accuracy"],))
    return scores


def test_a_child_that_has_all_of_its_parent_begins_where_that_ended():
    lineage, Seen.begun = Lineage(SPACE), []
    estimate = Inherited(build, task(), steps=6, strategy=Seen, lineage=lineage)
    scores = {width: tell(lineage, estimate, arch(width), arch(2)) for width in (2, 4)}
    grown = [arch(6), arch(4, depth=2)]
    scores |= {i: tell(lineage, estimate, child, arch(4)) for i, child in enumerate(grown)}
    wanted = [scores[2], scores[4], scores[4]]
    assert Seen.begun[1:] == [pytest.approx(begin, rel=1e-5) for begin in wanted] and Seen.begun[0] != Seen.begun[1]


def test_without_a_parent_it_is_training_from_nothing():
    alone, own = (made(build, task(), steps=5)(arch(4)) for made in (FromScratch, Inherited))
    assert alone == own


def test_training_goes_on_with_the_batches_behind_the_parents():
    batches = []

    class Noted(Retrain):
        def step(self, data):
            state = data.state_dict()
            batches.append(data.next("train")[0].sum().item())
            data.load_state_dict(state)
            return super().step(data)

    lineage, data = Lineage(SPACE), task()
    estimate = Inherited(build, data, steps=3, strategy=Noted, lineage=lineage)
    for width in (2, 4):
        tell(lineage, estimate, arch(width))
    assert batches == [data.data.next("train")[0].sum().item() for _ in range(6)]  # the task's own stream has not moved


def search(folder, trials, name="evolution", **settings):
    lineage = Lineage(SPACE, most=3)
    estimate = Inherited(build, task(), steps=2, lineage=lineage, states=InFolder(folder))
    searcher = Followed(make_searcher(name, SPACE, budget=trials, **settings), lineage)
    return Exploration(SPACE, searcher, estimate, trials, Objective())


def finished(exploration):
    while exploration.stopped is None:
        exploration.step()
    return [{**trial.line(), "measured": {}} for trial in exploration.trials]


def test_a_search_that_was_stopped_makes_the_same_trials_and_keeps_the_same_weights(tmp_path):
    whole = search(tmp_path / "whole", 9)
    lines = finished(whole)
    for left in (1, 6):
        folder = tmp_path / str(left)
        stopped = search(folder, 9)
        while len(stopped.trials) < left:
            stopped.step()
        stopped._ask()  # one more is estimated and its weights are kept, but it was killed before its line was written
        for pending in stopped._pending.values():
            stopped.executor.submit(pending.architecture, 1.0).result()
        resumed = search(folder, 9)
        resumed.replay(json.loads(json.dumps([trial.line() for trial in stopped.trials])))
        assert finished(resumed) == lines
        kept = [{path.name: path.read_bytes() for path in where.iterdir()} for where in (tmp_path / "whole", folder)]
        assert kept[0] == kept[1] and len(kept[0]) <= 4  # three that live, and the last


def test_the_multiply_adds_of_the_parents_training_are_counted_with_theirs():
    def spent(made, architecture):
        passes = Passes()
        with passes.counting():
            made(architecture)
        return passes.total

    lineage = Lineage(SPACE)
    estimate = Inherited(build, task(), steps=6, lineage=lineage)
    alone = FromScratch(build, task(), steps=6)
    first, second = (spent(lambda a: tell(lineage, estimate, a), arch(width)) for width in (2, 4))
    assert first == spent(alone, arch(2))
    assert spent(alone, arch(4)) < second < 1.5 * spent(alone, arch(4))  # with the passes that compare child and parent


def test_networks_that_hand_nothing_on_are_refused_before_work():
    def apart(architecture):
        kind = type(f"Own{architecture['width']}", (nn.Linear,), {})
        return kind(4, 3)

    with pytest.raises(InputError, match="hand no weights on to each other: score them by --estimator scratch"):
        Inherited(apart, task(), lineage=Lineage(SearchSpace([Choice("width", (1, 2))])))


def test_weights_that_were_damaged_or_removed_are_named(tmp_path):
    states = InFolder(tmp_path / "kept")
    states.save(3, {"network": {"a": torch.ones(2)}})
    states.save(4, {})
    assert torch.equal(states.load(3)["network"]["a"], torch.ones(2))
    states.drop(5, {4})
    (tmp_path / "kept" / "4.pt").write_bytes(b"nothing")
    for number in (3, 4):
        with pytest.raises(RunError, match=rf"{number}\.pt, which a trial goes on from, cannot be read"):
            states.load(number)
    memory = InMemory()
    memory.save(1, {"a": 1})
    memory.save(2, {"a": 2})
    memory.drop(3, {2})
    assert memory.load(2) == {"a": 2}
    with pytest.raises(KeyError):
        memory.load(1)
