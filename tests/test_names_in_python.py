"""Keywords that do not exist, in Python: the nearest name, in one line, before any work."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from supernet import InputError, OneOf, Supernet, Task, search
from supernet.strategies import STRATEGIES


def batches() -> list[Any]:
    return [(torch.zeros(4, 2), torch.zeros(4, dtype=torch.long))] * 2


def net() -> Supernet:
    return Supernet(nn.Sequential(OneOf({"linear": nn.Linear(2, 2), "skip": nn.Identity()}), nn.Linear(2, 2)))


@pytest.mark.parametrize(
    ("method", "given", "said"),
    [
        ("darts", {"epoch": 3}, "unknown setting of darts 'epoch'; did you mean 'epochs'?"),
        ("darts", {"alpha_rl": 0.1}, "unknown setting of darts 'alpha_rl'; did you mean 'alpha_lr'?"),
        ("darts", {"lr": 0.1}, "lr is a setting of how the weights are trained: give weights={'lr': ...}"),
        ("darts", {"weights": {"momentun": 0.1}}, "unknown setting of weights 'momentun'; did you mean 'momentum'?"),
        ("one-shot", {"weights": {"momentun": 0.1}}, "unknown setting of weights 'momentun'; did you mean 'momentum'?"),
        ("one-shot", {"trial": 3}, "unknown setting of one-shot 'trial'; did you mean 'trials'?"),
        ("gdas", {"order": 2}, "unknown setting of gdas 'order'; known: "),
    ],
)
def test_search_names_the_setting_that_was_meant(method: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as refused:
        search(net(), Task(batches(), batches(), loss=F.cross_entropy), method, **given)
    assert str(refused.value).startswith(said) and "\n" not in str(refused.value)


@pytest.mark.parametrize("method", STRATEGIES)
def test_every_method_names_what_it_knows(method: str) -> None:
    with pytest.raises(InputError, match=r"unknown setting of .* 'weigths'; did you mean 'weights'"):
        search(net(), Task(batches(), batches(), loss=F.cross_entropy), method, weigths={})


def test_a_task_names_the_argument_that_was_meant() -> None:
    with pytest.raises(InputError, match=r"unknown argument of Task 'metric'; did you mean 'metrics'\?"):
        Task(batches(), loss=F.cross_entropy, metric={})
