from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from supernet import OneOf, Supernet, UpTo, derive
from supernet.costs.latency import measurement as latency_measurement
from supernet.costs.latency.measurement import EMPTY, distinct, identity, latency_of, time_parts
from supernet.costs.latency.table import LatencyTable
from supernet.costs.latency.timing import Effort
from supernet.costs.parts import parts
from supernet.errors import InputError
from supernet.mixture import expected, one_hot

EFFORT = Effort(least=3, most=3)
X = torch.zeros(1, 3, 8, 8)


class Net(nn.Module):
    """A convolution takes as many ms as its kernel is wide, in the machine below."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 7, padding=3)
        self.one = OneOf({"k3": nn.Conv2d(4, 4, 3, padding=1), "k5": nn.Conv2d(4, 4, 5, padding=2), "skip": nn.Identity()}, name="one")
        self.two = OneOf({"k3": nn.Conv2d(4, 4, 3, padding=1), "k1": nn.Conv2d(4, 4, 1)}, name="two")
        self.deep = UpTo([nn.Conv2d(4, 4, 3, padding=1) for _ in range(3)], depths=(1, 2, 3), name="deep")
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.deep(self.two(self.one(self.stem(x)))).mean((2, 3)))


class Machine:
    """Stands in for a backend: a module takes 0.5 ms, and a millisecond for each pixel of a kernel's side."""

    def __init__(self) -> None:
        self.now, self.prepared, self.ran = 0.0, list[nn.Module](), 0

    def prepare(self, backend: str, module: nn.Module, inputs: Any, *, threads: int = 1, device: str = "cpu") -> Callable[[], object]:
        self.prepared.append(module)
        ms = 0.5 + sum(m.kernel_size[0] for m in module.modules() if isinstance(m, nn.Conv2d))

        def call() -> None:
            self.now += ms / 1000
            self.ran += 1

        return call


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr(latency_measurement, "prepare", machine.prepare)
    monkeypatch.setattr(latency_measurement, "clock", lambda *arguments: lambda: machine.now)
    return machine


def kernels(module: nn.Module) -> int:
    return sum(m.kernel_size[0] for m in module.modules() if isinstance(m, nn.Conv2d))


def test_every_architecture_costs_what_its_parts_take_less_the_empty_calls(machine: Machine) -> None:
    supernet = Supernet(Net())
    found = parts(supernet, X)
    timings = time_parts(found, backend="torch", rng=Random(0), effort=EFFORT)
    assert timings[EMPTY].median_ms == pytest.approx(0.5)
    cost, by_part = latency_of(supernet.space, found, timings)
    table = table_of(cost)
    assert by_part["stem"] == pytest.approx(7) and by_part["head"] == pytest.approx(0, abs=1e-9)
    for arch in supernet.space.enumerate():
        ms = sum(
            value
            for names, entries in table.items()
            for options, value in entries.items()
            if all(arch[n] == o for n, o in zip(names, options, strict=True))
        )
        assert ms == pytest.approx(kernels(derive(supernet, arch, X)))


def table_of(cost: Any) -> dict[tuple[str, ...], dict[tuple[Any, ...], float]]:
    table: dict[tuple[str, ...], dict[tuple[Any, ...], float]] = {}
    for entry in cost.entries:
        table.setdefault(entry.choices, {})[entry.options] = entry.value
    return table


def test_identical_parts_are_prepared_and_timed_once(machine: Machine) -> None:
    found = parts(Supernet(Net()), X)
    kinds = distinct(found)
    assert len(found) == 10 and len(kinds) == 6  # five convolutions of kernel 3 are one kind
    timings = time_parts(found, backend="torch", rng=Random(0), effort=EFFORT)
    assert set(timings) == {EMPTY, *kinds} and len(machine.prepared) == 7
    assert len({identity(part) for part in found if kernels(part.module) == 3}) == 1


def test_an_unfinished_measurement_is_gone_on_with_on_the_same_machine_only(machine: Machine, tmp_path: Path) -> None:
    found, path = parts(Supernet(Net()), X), tmp_path / "unfinished.json"

    def medians(**settings: Any) -> dict[str, float]:
        timings = time_parts(found, backend="torch", rng=Random(1), effort=EFFORT, unfinished=path, **settings)
        return {name: round(timing.median_ms, 6) for name, timing in timings.items()}

    first = medians()
    machine.ran = 0
    assert medians() == first and machine.ran == 0
    content = json.loads(path.read_text())
    missing = identity(found[0])
    content["visits"].pop(missing)
    path.write_text(json.dumps(content))
    machine.prepared.clear()
    assert medians() == first
    assert [kernels(module) for module in machine.prepared] == [7]
    machine.ran = 0
    medians(batch=2)
    assert machine.ran > 60  # of another batch: all over again
    path.write_text('{"visits": 3}')
    with pytest.raises(InputError, match="is not an unfinished measurement: delete it"):
        medians()


def test_a_part_that_cannot_be_run_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **settings: Any) -> None:
        raise InputError("Conv2d cannot be exported")

    monkeypatch.setattr(latency_measurement, "prepare", refuse)
    with pytest.raises(InputError, match=r"^stem: Conv2d cannot be exported$"):
        time_parts([p for p in parts(Supernet(Net()), X) if kernels(p.module)][:1], backend="torch", rng=FirstPart())


class FirstPart(Random):
    """Leaves the empty call, which is first, for last."""

    def shuffle(self, x: Any) -> None:
        x.reverse()


@pytest.mark.parametrize("backend", ["torch", "onnxruntime"])
def test_real_parts_are_timed_with_more_for_more_work(backend: str) -> None:
    class Wide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = OneOf({"k3": nn.Conv2d(3, 3, 3, padding=1), "k3x32": conv(32), "skip": nn.Identity()}, name="one")

        def forward(self, x: Tensor) -> Tensor:
            return self.one(x)

    def conv(width: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, 3, 3, padding=1))

    supernet = Supernet(Wide())
    found = parts(supernet, torch.zeros(1, 3, 32, 32))
    timings = time_parts(found, backend=backend, rng=Random(0), effort=Effort(5, 5), batch=2)
    entries = table_of(latency_of(supernet.space, found, timings)[0])[("one",)]
    assert entries[("k3x32",)] > 2 * entries[("k3",)] > 4 * entries.get(("skip",), 0.0) >= 0


def test_the_expected_cost_of_an_architecture_is_that_of_its_parts(machine: Machine) -> None:
    supernet = Supernet(Net())
    found = parts(supernet, X)
    cost, by_part = latency_of(supernet.space, found, time_parts(found, backend="torch", rng=Random(0), effort=EFFORT))
    choices = {n: c.options for n, c in supernet.space.items()}
    table = LatencyTable("own", {}, (3, 8, 8), choices, {}, {"latency": cost}, by_part).table(supernet.space)
    taken = {"one": "skip", "two": "k1", "deep": 2}
    assert float(expected(supernet.space, one_hot(supernet.space, taken), table)) == pytest.approx(7 + 1 + 6)
