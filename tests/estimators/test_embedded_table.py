"""The embedded table of the space fashion-bench: what it holds, against the trainings that it was made of."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from supernet.estimators.table_layout import EMBEDDED
from supernet.estimators.tabular import Table
from supernet.spaces import fashion_bench
from supernet.spaces.fashion_bench import FASHION_BENCH, simplest

TRAININGS = Path(__file__).parents[2] / "benchmarks" / "truth" / "results.jsonl"
SEEDS = 3


@pytest.fixture(scope="module")
def table() -> Table:
    return Table.read("fashion-bench", space=fashion_bench.supernet().space)


def test_it_has_what_every_training_gave(table: Table) -> None:
    lines = [json.loads(line) for line in TRAININGS.read_text().splitlines()]
    assert len({(line["number"], line["seed"]) for line in lines}) == len(lines) == 276 * SEEDS
    every = list(table.space().enumerate())
    numbers = {FASHION_BENCH.notation(architecture): number for number, architecture in enumerate(every)}
    for architecture in every:
        number = numbers[FASHION_BENCH.notation(simplest(architecture))]
        for column, known in (("val", table.estimate(architecture)["validation"]), ("test", table.report(architecture)["test"])):
            gave = [100 * line[column] for line in lines if line["number"] == number]
            assert len(gave) == SEEDS and known == pytest.approx(sum(gave) / SEEDS, abs=1e-4)


def test_what_is_one_network_is_worth_and_costs_the_same(table: Table) -> None:
    for architecture in table.space().enumerate():
        assert table.report(architecture) == table.report(simplest(architecture))
    assert set(table.priced) == {"params", "macs", "latency"}


def test_accuracies_differ_by_more_than_noise() -> None:
    with np.load(EMBEDDED["fashion-bench"]) as arrays:
        _, rows = np.unique(arrays["test"].mean(1), return_index=True)
        test, validation = arrays["test"][rows], arrays["val"][rows]
    noise = test.var(1, ddof=1).mean()
    assert (test.mean(1).var(ddof=1) - noise / SEEDS) / test.mean(1).var(ddof=1) > 0.98
    assert np.corrcoef(test[:, 0], test[:, 1])[0, 1] > 0.95 and np.corrcoef(validation.mean(1), test.mean(1))[0, 1] > 0.98


def test_a_file_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("own.npz", ops=[[0], [1]], val=[1.0, 2.0])
    Path("own.npz").rename("fashion-bench")
    assert len(Table.read("fashion-bench").every()["validation"]) == 2


def test_a_folder_of_its_name_does_not_hide_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fashion-bench").mkdir()
    assert len(Table.read("fashion-bench").space()) == len(fashion_bench.CHOICES)
