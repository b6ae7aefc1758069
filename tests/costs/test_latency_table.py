from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from supernet.costs.latency import machine as device
from supernet.costs.latency.table import Cost, Entry, Fit, LatencyTable, cost_of
from supernet.errors import InputError, RunError
from supernet.mixture import Mix, expected, one_hot
from supernet.space import Choice, SearchSpace

SPACE = SearchSpace(
    [
        Choice("block", ("conv", "skip")),
        Choice("wide", (8, 16)),
        Choice("kernel", (3, 5), when=(("block", "conv"),)),
    ]
)
MACHINE = {"processor": "abacus", "device": "cpu", "backend": "onnxruntime", "backend_version": "1.0", "threads": 1, "batch": 1}
ENTRIES = (
    Entry((), (), 1.5),
    Entry(("wide",), (8,), 0.25, 0.01),
    Entry(("wide",), (16,), 0.5, 0.02),
    Entry(("block", "kernel"), ("conv", 3), 1.0),
    Entry(("block", "kernel"), ("conv", 5), 2.0),
    Entry(("block", "kernel"), ("skip", 3), 0.0),
    Entry(("block", "kernel"), ("skip", 5), 0.0),
)


def made(**changes: Any) -> LatencyTable:
    table = LatencyTable(
        space="own",
        settings={"width": 1.0, "classes": 10},
        shape=(3, 8, 8),
        choices={n: c.options for n, c in SPACE.items()},
        machine=MACHINE,
        costs={"latency": Cost("ms", ENTRIES), "energy": Cost("mJ", (Entry((), (), 7.0),))},
        parts={"stem": 1.5},
    )
    return replace(table, **changes)


def test_the_cost_of_an_architecture_is_the_sum_of_what_it_takes() -> None:
    table = made().table(SPACE)
    found = {
        arch: float(expected(SPACE, one_hot(SPACE, {"block": arch[0], "wide": arch[1], "kernel": arch[2]}), table))
        for arch in [("conv", 8, 5), ("conv", 16, 3), ("skip", 16, 5)]
    }
    assert found == {("conv", 8, 5): 3.75, ("conv", 16, 3): 3.0, ("skip", 16, 5): 2.0}
    assert float(expected(SPACE, one_hot(SPACE, {"block": "skip", "wide": 8, "kernel": 3}), made().table(SPACE, "energy"))) == 7.0


def test_the_fit_scales_every_part_and_its_offset_is_paid_once() -> None:
    table = made(fit=Fit(offset=-0.5, scale=2.0)).table(SPACE)
    weights = {"block": Mix(torch.tensor([0.5, 0.5]), (0, 1)), "wide": Mix(None, (1,)), "kernel": Mix(torch.tensor([0.25, 0.75]), (0, 1))}
    assert float(expected(SPACE, weights, table)) == pytest.approx(-0.5 + 2 * (1.5 + 0.5 + 0.5 * (0.25 * 1.0 + 0.75 * 2.0)))
    assert float(made(fit=Fit(-0.5, 2.0)).table(SPACE, "energy")[()]) == 7.0


def test_what_a_table_was_short_of_is_that_of_nine_in_ten_networks() -> None:
    points = [[1.0 - 0.01 * i, 1.0] for i in range(11)]  # too fast by 0 to 10 %
    assert made(validation={"points": points}).underestimate == pytest.approx(0.09)
    assert made(validation={"points": [[1.2, 1.0]] * 4}).underestimate == made(validation=None).underestimate == 0


def test_what_was_written_is_read(tmp_path: Path) -> None:
    table = made(fit=Fit(0.125, 1.5), validation={"tau": 0.9, "points": [[1.0, 1.1]], "pearson": None})
    table.write(tmp_path / "table.json")
    assert LatencyTable.read(tmp_path / "table.json") == table
    content = json.loads((tmp_path / "table.json").read_text())
    assert content["format"] == 1 and content["kind"] == "latency" and content["fit"] == {"offset": 0.125, "scale": 1.5}
    assert content["costs"]["latency"]["unit"] == "ms"
    assert content["costs"]["latency"]["entries"][3] == {
        "choices": ["block", "kernel"],
        "options": ["conv", 3],
        "value": 1.0,
        "spread": 0.0,
    }
    with pytest.raises(RunError, match="cannot be written"):
        table.write(tmp_path / "nowhere" / "table.json")


def test_a_table_becomes_entries_and_is_found_again() -> None:
    values = {(): torch.tensor(1.5), ("block", "kernel"): torch.tensor([[1.0, 2.0], [0.0, 0.0]]), ("wide",): torch.tensor([0.25, 0.5])}
    spreads = {("block", "kernel"): torch.tensor([[0.1, 0.1], [0.0, 0.0]])}
    cost = cost_of(SPACE, values, spreads)
    found = made(costs={"latency": cost}).table(SPACE)
    assert {names: tensor.tolist() for names, tensor in found.items()} == {names: tensor.tolist() for names, tensor in values.items()}
    assert [entry.spread for entry in cost.entries] == pytest.approx([0.0, 0.1, 0.05, 0.0, 0.0, 0.0, 0.0])


def test_what_subtractions_leave_of_nothing_is_nothing_and_has_no_spread(tmp_path: Path) -> None:
    values = {("block",): torch.tensor([0.25, 8.9e-13], dtype=torch.float64)}
    cost = cost_of(SPACE, values, {("block",): torch.tensor([0.01, 0.001], dtype=torch.float64)})
    assert [(entry.value, entry.spread) for entry in cost.entries] == [(0.25, 0.04), (0.0, 0.0)]
    made(costs={"latency": cost}).write(tmp_path / "t.json")
    assert LatencyTable.read(tmp_path / "t.json").costs["latency"] == cost


def test_another_space_is_refused_with_what_differs() -> None:
    more = SearchSpace([*SPACE.values(), Choice("depth", (1, 2))])
    with pytest.raises(InputError, match=r"measured without the choice 'depth': it is of own on 3x8x8, 3 choices; measure one"):
        made().table(more)
    with pytest.raises(InputError, match="a choice 'kernel' that the network has not"):
        made().table(SearchSpace(list(SPACE.values())[:2]))
    other = SearchSpace([SPACE["block"], Choice("wide", (8, 16, 32)), SPACE["kernel"]])
    with pytest.raises(InputError, match=r"other options of 'wide' \(8, 16\) than the network \(8, 16, 32\)"):
        made().table(other)
    with pytest.raises(InputError, match="unknown cost of the table 'energies'; did you mean 'energy'"):
        made().table(SPACE, "energies")


def test_a_table_with_a_hole_is_refused() -> None:
    with pytest.raises(InputError, match="no latency of block=skip, kernel=5"):
        made(costs={"latency": Cost("ms", ENTRIES[:-1])}).table(SPACE)
    with pytest.raises(InputError, match="an entry for wide=9, which is not among its own choices"):
        made(costs={"latency": Cost("ms", (Entry(("wide",), (9,), 1.0),))}).table(SPACE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "other"}, "is not a table of latencies: supernet profile writes one"),
        ({"format": 2}, "of a format that this version does not read"),
        ({"machine": None}, "machine must be names and values"),
        (
            {"costs": {"latency": {"unit": "ms", "entries": [{"choices": [], "options": [], "value": -1}]}}},
            r"entries.0.value must be at least 0",
        ),
        ({"costs": {"latency": {"unit": "ms", "entries": [{"choices": ["a"], "options": [], "value": 1}]}}}, "has 0 options for 1 choices"),
        ({"fit": {"offset": "much"}}, r"fit.offset must be a number"),
    ],
)
def test_a_file_that_is_otherwise_is_refused_in_one_line(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    made().write(tmp_path / "table.json")
    content = json.loads((tmp_path / "table.json").read_text())
    (tmp_path / "table.json").write_text(json.dumps(content | change))
    with pytest.raises(InputError, match=message) as error:
        LatencyTable.read(tmp_path / "table.json")
    assert "\n" not in str(error.value) and "table.json" in str(error.value)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("{")
    (tmp_path / "b").write_text("[1]")
    (tmp_path / "c").write_bytes(b"\xff\xfe")
    for name in "abcd":
        with pytest.raises(InputError, match=f"{name} (cannot be read|is not a table)"):
            LatencyTable.read(tmp_path / name)


def test_another_machine_is_told_by_what_times_depend_on() -> None:
    assert made().differs(MACHINE | {"date": "2001-01-01", "python": "2.7"}) == []
    here = MACHINE | {"threads": 4, "backend_version": "2.0"}
    assert made().differs(here) == ["backend version: 1.0 in the table, 2.0 here", "threads: 1 in the table, 4 here"]
    assert made(machine={"backend": "collected"}).differs({k: v for k, v in MACHINE.items() if k != "backend"}) == []


def test_another_network_is_told_by_its_settings() -> None:
    assert made().differs_in("own", {"width": 1.0, "classes": 10, "dropout": 0.5}, (3, 8, 8)) == []
    assert made().differs_in("own", {"width": 0.5}, (3, 16, 16)) == [
        "width: 1.0 in the table, 0.5 here",
        "shape: [3, 8, 8] in the table, [3, 16, 16] here",
    ]


def test_this_machine_is_described() -> None:
    here = device.machine("torch", threads=2, batch=4)
    assert here["backend"] == "torch" and here["backend_version"] == torch.__version__ and here["threads"] == 2 and here["batch"] == 4
    assert here["processor"] and here["clock"] == "wall time"
    json.dumps(here)


def test_a_single_thread_on_the_cpu_is_timed_by_its_own_processor_time() -> None:
    clock = device.clock(threads=1, device="cpu")
    start = clock()
    sum(range(200_000))
    assert clock() > start
    assert device.clock(threads=2) is device.clock(device="cuda") is not clock
