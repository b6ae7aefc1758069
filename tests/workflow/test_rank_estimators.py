"""``supernet rank`` without a run: estimators beside a table, or beside trainings on their own; scores that are kept."""

from __future__ import annotations

import json
import math
from pathlib import Path
from random import Random
from unittest import mock

import numpy
import pytest

from command_line import called, document
from supernet import Choice, SearchSpace
from supernet.estimators.compared import TRUSTED, Scorer, Scores, compared
from supernet.estimators.ranking import interval, kendall, spearman
from supernet.run import Run
from supernet.stopping import Interrupted

SMALL = ("--space", "nasbench201", "--data", "digits", "--limit-data", 60, "--channels", 2, "--cells", 1, "--threads", 1)
SPACE = SearchSpace([Choice("a", tuple(range(5))), Choice("b", tuple(range(5)))])
EVERY = list(SPACE.enumerate())


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A benchmark table that counts the 3x3 convolutions."""
    path = tmp_path_factory.mktemp("table") / "t.npz"
    ops = numpy.stack(numpy.unravel_index(numpy.arange(5**6), (5,) * 6), 1)
    names = numpy.array(["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"])
    numpy.savez(path, ops=ops, op_names=names, val=(ops == 3).sum(1) + ops[:, 0] / 10, stored=(ops == 3).sum(1) * 1e9, params=ops.sum(1))
    return path


def sums(scale: float = 1.0) -> Scorer:
    return Scorer(f"by {scale}", lambda architecture: {"x": float(architecture["a"]), "y": scale}, lambda found: found["x"] * found["y"])


def test_estimators_are_ranked_by_a_table_and_by_its_other_columns(table: Path, tmp_path: Path) -> None:
    words = ("rank", *SMALL, "--table", table, "--samples", 12, "--out", tmp_path / "r")
    found = document(*words, "--estimator", "synflow,jacob-cov")
    assert found["samples"] == 12 and found["against"] == "val of t.npz" and list(found["estimators"]) == ["synflow", "jacob-cov"]
    flow = found["estimators"]["synflow"]
    assert set(flow["regret"]) == {"1", "5", "10"} and set(flow["columns"]) == set(found["columns"]) == {"stored", "params"}
    assert flow["interval"][0] <= flow["kendall"] <= flow["interval"][1] and flow["measured"]["seconds"] > 0
    assert flow["spearman_interval"][0] <= flow["spearman"] <= flow["spearman_interval"][1]
    stored = json.loads((tmp_path / "r" / "estimators.json").read_text())["points"]
    own, known = [point["scores"]["synflow"] for point in stored], [point["known"] for point in stored]
    assert flow["kendall"] == kendall(own, known) and flow["spearman"] == spearman(own, known)
    convolutions = [1e9 * sum(taken == "nor_conv_3x3" for taken in point["architecture"].values()) for point in stored]
    assert flow["columns"]["stored"] == pytest.approx(spearman(own, convolutions))
    page = (tmp_path / "r" / "report.html").read_text()
    assert "Spearman&#39;s correlation" in page and page.count("<svg") == 2 and "Columns of the table" in page
    (tmp_path / "r" / "report.html").unlink()
    assert called("report", tmp_path / "r")[0] == 0 and (tmp_path / "r" / "report.html").read_text() == page


def test_what_is_scored_is_kept_for_more_samples_and_other_estimators_and_other_settings_are_refused(table: Path, tmp_path: Path) -> None:
    words = ("rank", *SMALL, "--table", table, "--out", tmp_path / "r")
    first = document(*words, "--samples", 4, "--estimator", "synflow")
    history = tmp_path / "r" / "history.jsonl"
    before = history.read_text()
    history.write_text(before + before[:20])  # as a process leaves it that is killed while it writes
    again = document(*words, "--samples", 4, "--estimator", "synflow")
    assert again == first and history.read_text() == before
    document(*words, "--samples", 6, "--estimator", "zen,synflow")
    lines = [json.loads(line) for line in history.read_text().splitlines()]
    assert history.read_text().startswith(before) and [line["estimator"] for line in lines].count("synflow") == 6 and len(lines) == 12
    code, _, error = called(*words, "--samples", 4, "--estimator", "synflow", "--seed", 3)
    assert code == 2 and "was started with other settings (seed)" in error


def test_a_ranking_that_is_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    asked: list[object] = []

    def slow(architecture: dict[str, object]) -> dict[str, float]:
        asked.append(architecture)
        if len(asked) == 7:
            raise KeyboardInterrupt
        return {"x": float(SPACE.key(architecture) < "b") + len(SPACE.key(architecture))}

    scorers = [sums(), Scorer("slow", slow, lambda found: found["x"])]
    with pytest.raises(Interrupted), Run(tmp_path / "r", {"of": 1}) as run:
        compared(scorers, SPACE, EVERY[:10], run)
    with Run(tmp_path / "r", {"of": 1}, resume=True) as run:
        found = compared(scorers, SPACE, EVERY[:10], run)
    with Run(tmp_path / "s", {"of": 1}) as run:
        whole = compared(scorers, SPACE, EVERY[:10], run)
    assert len(asked) == 11 + 10 and {name: each.values for name, each in found.items()} == {n: each.values for n, each in whole.items()}


def test_scores_that_are_not_finite_rank_last(tmp_path: Path) -> None:
    def fails(architecture: dict[str, int]) -> dict[str, float]:
        if architecture["a"] == 0:
            raise FloatingPointError
        return {"x": math.nan if architecture["a"] == 1 else -math.inf if architecture["a"] == 2 else float(architecture["a"])}

    with Run(tmp_path / "r", {}) as run:
        found = compared([Scorer("fails", fails, lambda found: found["x"])], SPACE, EVERY, run)["fails"]
    known = [float(architecture["a"]) for architecture in EVERY]
    assert [value for value in found.values if math.isfinite(value)] == [value for value in known if value > 2]
    said = found.beside(known, {"up": known, "down": [-value for value in known], "holes": [math.nan, *known[1:]]})
    assert said["columns"]["holes"] == spearman(found.values[1:], known[1:])
    assert said["failed"] == 15 and said["kendall"] > 0.7 and said["columns"]["up"] == said["spearman"] == -said["columns"]["down"]
    assert said["regret"] == {str(k): 0 for k in TRUSTED}
    json.dumps(said, allow_nan=False)


def test_an_interval_is_of_the_correlation_that_is_asked_for() -> None:
    draw = Random(0)
    known = [draw.random() for _ in range(40)]
    own = [value + draw.gauss(0, 0.3) for value in known]
    for of in (kendall, spearman):
        low, high = interval(own, known, of=of, resamples=200) or (0.0, 0.0)
        assert low < (of(own, known) or 0.0) < high
    assert Scores(own, [1.0, 3.0, 2.0]).beside(known, {})["measured"] == {"seconds": 2.0}


def test_estimators_are_ranked_by_trainings_on_their_own(tmp_path: Path) -> None:
    trained = ("search", "random", *SMALL, "--trials", 3, "--set", "estimator.epochs=1", "--out", tmp_path / "runs" / "alone")
    assert called(*trained)[0] == 0
    found = document("rank", *SMALL, "--estimator", "scratch,snip", "--runs", tmp_path / "runs", "--out", tmp_path / "r")
    assert found["against"] == "validation accuracy of training on its own" and found["columns"] == {}
    assert found["samples"] == 3 and found["estimators"]["scratch"]["regret"]["1"] == 0  # it trains them alike


def test_what_cannot_be_ranked_is_one_line(table: Path, tmp_path: Path) -> None:
    beside = ("--table", table, "--out", tmp_path / "r")
    for arguments, said in (
        ((*SMALL, "--estimator", "synflow", "--out", tmp_path / "r"), "--table FILE or with --runs DIR"),
        (("--estimator", "synflow", *beside), "give the folder of a search, or --space and --estimator"),
        ((*SMALL, *beside), "give --estimator with names"),
        ((*SMALL, "--estimator", "synflow,synflow", *beside), "give --estimator with names that differ"),
        ((*SMALL, "--estimator", "synflwo", *beside), "did you mean 'synflow'"),
        ((*SMALL, "--estimator", "shared", *beside), "shared scores no networks on data"),
        ((*SMALL, "--estimator", "snip", "--set", "estimator.epochs=3", *beside), "estimator.epochs would have no effect"),
        ((*SMALL, "--estimator", "snip", "--set", "estimator.examples=3", *beside), "estimator.examples would have no effect"),
        ((tmp_path, "--space", "nasbench201", "--table", table), "space beside a run would have no effect"),
        (("--space", "darts-rnn", "--estimator", "zen", *beside), "read tokens"),
    ):
        code, _, error = called("rank", *arguments)
        assert code == 2 and said in error and error.count("error:") == 1, error
    assert not (tmp_path / "r").exists()
    with mock.patch("supernet.workflow.estimators.rank_estimators", side_effect=AssertionError):
        dry = document("rank", *SMALL, "--estimator", "snip", *beside, "--dry-run")
    assert dry["settings"]["estimator"] == {"epochs": 1} and dry["against"] == "val of t.npz" and not (tmp_path / "r").exists()
