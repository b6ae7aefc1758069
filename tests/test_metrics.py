"""What a metric may give, how a pass gathers it, and that whatever judges asks it which way is better."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import OneOf, Supernet, Task, search
from supernet.decided import by_difference, by_seeds
from supernet.errors import InputError
from supernet.metrics import SHARE, Metric, Score
from supernet.report.record import Record
from supernet.report.values import score, titled
from supernet.strategies.darts import DARTS
from supernet.summary import summary
from supernet.trying import default_objective
from supernet.watch.alarm import Alarm


def batches(n: int = 3, size: int = 8) -> list[tuple[Tensor, Tensor]]:
    rng = torch.Generator().manual_seed(0)
    return [(torch.randn(size - i, 4, generator=rng), torch.randn(size - i, 3, generator=rng)) for i in range(n)]


def net() -> Supernet:
    torch.manual_seed(0)
    return Supernet(nn.Sequential(OneOf({"a": nn.Linear(4, 4), "skip": nn.Identity()}, name="block"), nn.Linear(4, 3)))


def squares(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    return (outputs - targets).square().sum(), torch.tensor(targets.numel())


def task(**metrics: Any) -> Task:
    return Task(batches(), batches(), loss=F.mse_loss, metrics=metrics)


ERROR = Metric(F.mse_loss, larger=False, unit="mm")


def test_sums_and_whole_passes_are_computed_once() -> None:
    model = nn.Linear(4, 3)
    of_sums = Metric(squares, larger=False, gathered="sum", compute=lambda total: (total[0] / total[1]).sqrt())
    middle = Metric(lambda outputs, targets: outputs - targets, gathered="all", compute=lambda whole: whole.abs().median())
    made = task(rmse=of_sums, middle=middle, plain=lambda outputs, targets: (outputs - targets).mean())
    found = made.evaluate(model, "validation")
    x, y = (torch.cat(parts) for parts in zip(*batches(), strict=True))
    with torch.no_grad():
        off = model(x) - y
    assert found["rmse"] == pytest.approx(off.square().mean().sqrt().item(), rel=1e-6)
    assert found["middle"] == off.abs().median().item()
    assert found["plain"] == pytest.approx(off.mean().item(), rel=1e-5)
    assert set(made.measure(model(x), (x, y))) == {"plain"}  # of one batch the others say nothing


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (Metric(squares, gathered="sum"), "must return a number or a tensor of one; got tuple"),
        (Metric(lambda o, t: "x", gathered="all"), "must give tensors with an entry an example; got str"),
        (Metric(lambda o, t: 1.0, gathered="sum"), "must give tensors that can be added; got float"),
        (Metric(squares, gathered="sum", compute=lambda total: total[2]), "compute of the metric 'm' fails"),
        (Metric(F.mse_loss, compute=lambda mean: "much"), "compute of the metric 'm' must return a number"),
    ],
)
def test_a_metric_that_gives_no_number_is_refused_before_the_search(wrong: Metric, says: str) -> None:
    with pytest.raises(InputError, match=says):
        search(net(), task(m=wrong), "darts", epochs=1)


def test_another_way_to_gather_is_refused() -> None:
    with pytest.raises(InputError, match="gathered by mean, sum or all"):
        Metric(F.mse_loss, gathered="last")  # type: ignore[arg-type]


def test_a_search_minimises_a_metric_that_is_better_smaller() -> None:
    made = task(error=ERROR)
    assert default_objective(made).minimise == ("error",) and made.judged == Score("error", False, "mm")
    found = search(net(), made, "one-shot", epochs=1, trials=2)
    assert found.scores["error"] == min(trial.scores["error"] for trial in found.trials if trial.scores)


def test_the_alarm_counts_a_rise_of_what_is_better_smaller_as_a_loss() -> None:
    strategy = DARTS(net(), task(error=ERROR))
    record = Alarm().observe(strategy, {"validation": {"error": 0.001}})
    assert record["gap"] == pytest.approx(record["discretised"] - 0.001) and record["crossed"] == ["gap"]
    now = {"learning": True, "cells": {}, "discretised": 3.0, "gap": 2.0, "smaller": True}
    assert "more than twice as much" in Alarm().crossed([now])["gap"]
    assert "gap" not in Alarm().crossed([{**now, "gap": 1.0}])


def test_verdicts_and_comparisons_follow_the_direction() -> None:
    says = by_difference(30.0, 40.0, None, larger=False)["says"]
    assert says.startswith("what was found scores 30, the best of random search 40: better")
    assert by_seeds(-1.0, -1.5, -0.5, 5, larger=False)["says"].endswith("better")
    lines = {"random": [{"validation": 40.0 + i, "evaluations": 1, "measured": {"seconds": 1}} for i in range(4)]}
    lines["darts"] = [{**line, "validation": line["validation"] - 5 - i / 10} for i, line in enumerate(lines["random"])]
    assert summary(lines, larger=False)["methods"]["darts"]["decided"]["validation"]["says"].endswith("better")
    assert summary(lines)["methods"]["darts"]["decided"]["validation"]["says"].endswith("worse")


def test_reports_print_the_unit_and_know_the_direction(tmp_path: Any) -> None:
    said = {"share": {"larger": True, "unit": SHARE}, "error": {"larger": False, "unit": "mm"}}
    record = Record(tmp_path, {"metrics": said})
    assert score(record.score("validation_error"), 1.5) == "1.5 mm" and not record.score("test_error").larger
    assert score(record.score("share"), 0.125) == "12.50 %" and titled(record.score("error"), 1.0) == "Error (mm)"
    assert record.score("validation").unit == SHARE  # by the first metric
    assert record.first(["loss", "error", "share"]) == record.score("share")
    earlier = Record(tmp_path)  # a run whose config.yaml says nothing of metrics
    assert not earlier.score("LSTM_validation_perplexity").larger and earlier.first(["loss", "accuracy"]).name == "accuracy"
