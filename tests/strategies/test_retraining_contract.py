"""What every retraining promises: the networks of every space, trained with every option, killed and resumed, end as if not stopped."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from supernet.data.augment import Augment
from supernet.data.batches import Batches
from supernet.data.text_streams import TextStream
from supernet.ops import DropPath
from supernet.randomness import seed_everything
from supernet.run import Run
from supernet.space import Architecture, SearchSpace
from supernet.spaces import SPACES, lstm
from supernet.spaces import space as space_named
from supernet.spaces.record import Build
from supernet.strategies.averaged import Averaged
from supernet.strategies.by_length import ByLength
from supernet.strategies.retrain import Retrain
from supernet.strategies.weights import Weights
from supernet.task import Task
from supernet.tasks.language import LanguageModelling
from supernet.train import fit

SMALL: dict[str, Any] = {
    **{"channels": 8, "cells": 3, "shape": (3, 20, 20), "classes": 3, "stem": "cifar", "width": 0.25, "auxiliary": True, "dropout": 0.3},
    **{"tokens": 20, "hidden": 6, "embedding": 6},
}


class Killed(Exception):
    pass


def small(build: Build) -> dict[str, Any]:
    """The smallest sizes of a build, with all options that it has."""
    return build.taken(SMALL)


@cache
def architecture(space: str) -> Architecture:
    with torch.device("meta"):
        build = space_named(space).supernet
        choices: SearchSpace = build(**small(build)).space
    return choices.sample(Random(1))


def network(space: str) -> nn.Module:
    if space == "lstm":
        return lstm.network(tokens=20, hidden=6)
    build = space_named(space).network
    return build(architecture(space), **small(build))


def pictures() -> Task:
    """Batches that are cropped, flipped and cut out, smoothed labels, mixed precision."""
    g = torch.Generator().manual_seed(0)
    x, y = torch.randint(0, 256, (16, 3, 20, 20), dtype=torch.uint8, generator=g), torch.randint(3, (16,), generator=g)
    make = partial(Batches, x, y, 4, mean=(0.5,) * 3, std=(0.25,) * 3)
    loss = partial(F.cross_entropy, label_smoothing=0.1)
    return Task(make(seed=1, augment=Augment(4, True, 8)), make(train=False), loss=loss, autocast=torch.bfloat16)


def text() -> LanguageModelling:
    tokens = torch.randint(20, (140,), generator=torch.Generator().manual_seed(0))
    train, validation = TextStream(tokens, 4, 8, lengths="normal", seed=1), TextStream(tokens[:60], 4, 8, training=False)
    return LanguageModelling(train, validation, activation=0.5)


def made(space: str) -> tuple[Any, Task, nn.Module]:
    seed_everything(0)
    model = network(space)
    if space == "lstm" or "language" in space_named(space).tasks:
        task = text()
        averaged = Averaged(model, task, patience=1, weights=lambda m: Weights(m, lr=20.0, lr_min=20.0, momentum=0.5, accumulate=2))
        return ByLength(averaged, task.streams["train"]), task, model
    drops = any(isinstance(m, DropPath) for m in model.modules())
    settings = {"weights": partial(Weights, accumulate=2, lr_min=0.0, nesterov=True), **({"drop_path": 0.2} if drops else {})}
    return Retrain(model, images := pictures(), **settings), images, model


def trained(space: str, run: Run | None = None, steps: int = 10**6) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """History and everything that was trained, in epochs of two steps; killed at a step where there are more than ``steps``."""
    strategy, task, model = made(space)
    assert strategy.steps(task.data) == 2
    epochs = 3 if isinstance(strategy, Retrain) else 5  # until averaging has begun
    inner, count = strategy.step, iter(range(steps))

    def step(data: Any) -> Any:
        if next(count, None) is None:
            raise Killed
        return inner(data)

    strategy.step = step
    evaluate = lambda: {"validation": strategy.evaluate()}  # noqa: E731
    history = fit(strategy, task.data, epochs, run, evaluate=evaluate, save_every=0.0)
    return [{k: v for k, v in line.items() if k != "measured"} for line in history], model.state_dict()


def deep(space: str) -> bool:
    """Whether the networks of a space are long chains, or wide, which take their time."""
    return space_named(space).one_build or space in ("nasbench-macro", "nasnet", "smash", "enas-micro", "enas-macro")


@pytest.mark.parametrize("space", [*(pytest.param(s, marks=pytest.mark.slow if deep(s) else ()) for s in SPACES), "lstm"])
def test_retraining_killed_in_an_epoch_and_between_epochs_ends_as_one_not_stopped(space: str, tmp_path: Path) -> None:
    history, state = trained(space)
    assert history[-1].get("averaging", True), "averaging was to begin"
    end = 2 * len(history)
    for turn, steps in enumerate([end - 3, 1]):  # in the middle of the last epoch but one; between it and the last
        with Run(tmp_path, {}, resume=turn > 0) as run, pytest.raises(Killed):
            trained(space, run, steps)
        torch.manual_seed(100 + turn)
    with Run(tmp_path, {}, resume=True) as run:
        again, other = trained(space, run)
    assert again == history
    assert all(torch.equal(a, b) for a, b in zip(state.values(), other.values(), strict=True))
