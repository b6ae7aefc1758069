"""A search that is resumed in Python is compared with what it was begun with, whatever it was given."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn
from torch.nn import functional as F

from supernet import InputError, OneOf, Supernet, Task, search
from supernet.costs.objective import Objective
from supernet.described import described
from supernet.searchers.evolution import Evolution
from supernet.space import Choice, SearchSpace
from supernet.strategies import STRATEGIES
from supernet.strategies.darts import DARTS
from supernet.strategies.weights import Weights


def net(width: int = 4, *names: str) -> Supernet:
    torch.manual_seed(0)
    branches = {name: nn.Linear(4, width) for name in names or ("a", "b")}
    return Supernet(nn.Sequential(OneOf(branches), nn.Linear(width, 3)))


def task(loss: Any = F.cross_entropy, batches: int = 2) -> Task:
    g = torch.Generator().manual_seed(0)
    made = [(torch.randn(8, 4, generator=g), torch.randint(3, (8,), generator=g)) for _ in range(batches)]
    return Task(made, made[:2], loss=loss)


def watch(strategy: Any, line: dict[str, Any]) -> dict[str, Any]:
    return {"watched": True}


GRADIENT = [  # what differs on resumption, and what the message names
    ({"epochs": 3}, "epochs"),
    ({"seed": 1}, "seed"),
    ({"alpha_lr": 0.1}, "settings.alpha_lr"),
    ({"weights": {"lr": 0.5}}, "settings.weights.lr"),
    ({"order": 2}, "strategy.order"),
    ({"limits": {"params": 1e6}}, "limits"),
    ({"calibration": 1}, "calibration"),
    ({"watch": watch}, "watch"),
]
ONE_SHOT = [
    ({"trials": 3}, "trials"),
    ({"searcher": "random"}, "searcher.is"),
    ({"objective": Objective(("accuracy",))}, "objective.maximise"),
    ({"costs": lambda arch: {"macs": 1.0}}, "costs"),
]


CASES = [*(("darts", *case) for case in GRADIENT), *(("one-shot", *case) for case in ONE_SHOT)]


@pytest.mark.parametrize(("method", "more", "named"), CASES)
def test_a_search_resumed_with_other_arguments_is_refused_by_name(method: str, more: dict[str, Any], named: str, tmp_path: Path) -> None:
    given: dict[str, Any] = {"epochs": 1, "trials": 2, "searcher": "evolution", "out": tmp_path / "r"}
    search(net(), task(), method, **given)
    stored = (tmp_path / "r" / "config.yaml").read_text()
    with pytest.raises(InputError, match=rf"other settings \(.*{named}"):
        search(net(), task(), method, **{**given, **more}, resume=True)
    assert (tmp_path / "r" / "config.yaml").read_text() == stored
    search(net(), task(), method, **given, save_every=1.0, resume=True)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (lambda: (net(5), task()), "supernet.parameters"),
        (lambda: (net(4, "a", "c"), task()), "supernet.choices"),
        (lambda: (net(), task(partial(F.cross_entropy, label_smoothing=0.1))), "task.loss"),
        (lambda: (net(), task(nn.CrossEntropyLoss(label_smoothing=0.1))), "task.loss"),
        (lambda: (net(), task(batches=3)), "data.train"),
    ],
)
def test_a_search_resumed_on_another_network_task_or_data_is_refused_by_name(other: Any, named: str, tmp_path: Path) -> None:
    search(net(), task(), "darts", epochs=1, out=tmp_path / "r")
    with pytest.raises(InputError, match=rf"other settings \(.*{named}"):
        search(*other(), "darts", epochs=1, out=tmp_path / "r", resume=True)


def test_strategies_and_searchers_that_are_made_are_compared_by_their_settings(tmp_path: Path) -> None:
    def begin(lr: float = 0.025, lr_min: float = 0.001, **given: Any) -> None:
        supernet, own = net(), task()
        made = DARTS(supernet, own, weights=lambda model: Weights(model, lr=lr, lr_min=lr_min), **given)
        search(supernet, own, made, epochs=1, out=tmp_path / "r", resume=(tmp_path / "r").exists())

    begin()
    begin()
    rates = (({"lr": 0.5}, "strategy.weights.optimiser.groups"), ({"lr_min": 0.01}, "strategy.weights.schedule"))
    for given, named in (({"order": 2}, "strategy.order"), ({"warmup": 1}, "strategy.learning.warmup"), *rates):
        with pytest.raises(InputError, match=named):
            begin(**given)
    space = SearchSpace([Choice("a", (1, 2))])
    assert described(Evolution(space, population=5)) == described(Evolution(space, population=5))
    assert described(Evolution(space, population=5)) != described(Evolution(space, population=6))


@pytest.mark.slow
def test_every_strategy_is_described_alike_in_every_process() -> None:
    code = (
        "import sys, yaml; sys.path.insert(0, sys.argv[1])\n"
        "from test_contract import made\nfrom supernet.described import described\n"
        "from supernet.strategies import STRATEGIES\n"
        "for name in sys.argv[2:]: print(yaml.safe_dump(described(made(name)[0])))"
    )
    folder = str(Path(__file__).parent / "strategies")
    found = [subprocess.run([sys.executable, "-c", code, folder, *STRATEGIES], capture_output=True, text=True, check=True) for _ in "12"]
    assert found[0].stdout == found[1].stdout and "0x" not in found[0].stdout
    assert found[0].stdout.count("is: ") >= len(STRATEGIES) and yaml.safe_load(found[0].stdout.split("\n\n")[0])["order"] == 1
