"""A table of measured costs: what each option of each choice takes on one machine, in a file that says which."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from supernet.costs.latency.machine import differences
from supernet.errors import InputError, RunError, unknown
from supernet.files.readers import read_json
from supernet.files.typed import typed
from supernet.files.whole import write_whole
from supernet.mixture import Table
from supernet.settings.quantities import Amount, Finite, Positive
from supernet.space import Option, SearchSpace

FORMAT, KIND = 1, "latency"
UNITS = {"latency": "ms", "energy": "mJ"}
DECIMALS = 9  # of a millisecond: what is less is left by subtractions, as of a skip-connection, and its relative spread would have no bound



@dataclass(frozen=True)
class Entry:
    """What taking ``options`` at ``choices`` costs; of no choices: what every network costs. ``spread``: a fraction of the value.

    Of several choices it may be below 0: it takes back what each of them alone counts.
    """

    choices: tuple[str, ...]
    options: tuple[Option, ...]
    value: Finite
    spread: Amount = 0.0


@dataclass(frozen=True)
class Cost:
    """One cost of a table, in its ``unit``."""

    unit: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Fit:
    """How sums of parts become whole networks: ``offset`` + ``scale`` x sum, in ms."""

    offset: Finite = 0.0
    scale: Finite = 1.0


@dataclass(frozen=True)
class LatencyTable:
    """Costs that were measured, with what they are of.

    Args:
        space, settings, shape: the network's search space, the settings of its build, and its input without the batch axis.
        choices: the space's choices and their options.
        machine: see ``supernet.costs.latency.machine.machine``.
        costs: "latency" in ms, perhaps "energy" in mJ, as measured.
        parts: part -> ms, for reports.
        fit: of the latency, from whole networks; applied by ``table``.
        validation: how well it predicts other networks, see ``supernet.costs.latency.validation``.
    """

    space: str
    settings: dict[str, Any]
    shape: tuple[int, ...]
    choices: dict[str, tuple[Option, ...]]
    machine: dict[str, Any]
    costs: dict[str, Cost]
    parts: dict[str, Amount] = field(default_factory=dict)
    fit: Fit = field(default_factory=Fit)
    validation: dict[str, Any] | None = None

    def table(self, space: SearchSpace, cost: str = "latency") -> Table:
        """The cost as a table over ``space``, so that ``expected`` of a one-hot mixture is what a network is predicted to take.

        Raises ``InputError`` where the space has other choices or options than the one that was measured, or an entry is missing.
        """
        if cost not in self.costs:
            raise unknown("cost of the table", cost, self.costs)
        self._check(space)
        made: Table = {(): torch.zeros((), dtype=torch.float64)}
        for entry in self.costs[cost].entries:
            at = tuple(self._option(space, name, option) for name, option in zip(entry.choices, entry.options, strict=True))
            if entry.choices not in made:
                made[entry.choices] = torch.full([len(space[n].options) for n in entry.choices], math.nan, dtype=torch.float64)
            made[entry.choices][at] = entry.value
        for names, values in made.items():
            for at in torch.nonzero(values.isnan()).tolist():
                lacking = ", ".join(f"{n}={space[n].options[i]}" for n, i in zip(names, at, strict=True))
                raise InputError(f"the table has no {cost} of {lacking}")
        if cost == "latency":
            made = {names: self.fit.scale * values for names, values in made.items()}
            made[()] = made[()] + self.fit.offset
        return made

    def _check(self, space: SearchSpace) -> None:
        for name, choice in space.items():
            if name not in self.choices:
                raise InputError(f"the table was measured without the choice {name!r}: it is of {self._of()}; measure one for this network")
            if set(self.choices[name]) != set(choice.options):
                raise InputError(
                    f"the table has other options of {name!r} ({_listed(self.choices[name])}) than the network ({_listed(choice.options)})"
                )
        if extra := [name for name in self.choices if name not in space]:
            raise InputError(f"the table has a choice {extra[0]!r} that the network has not: it is of {self._of()}")

    def _option(self, space: SearchSpace, name: str, option: Option) -> int:
        if name not in space or option not in space[name].options:
            raise InputError(f"the table has an entry for {name}={option}, which is not among its own choices")
        return space[name].options.index(option)

    def _of(self) -> str:
        return f"{self.space} on {'x'.join(map(str, self.shape))}, {len(self.choices)} choices"

    @property
    def underestimate(self) -> float:
        """By which share of its latency nine of ten networks that were measured were predicted too fast, at most; 0 where none was."""
        points = (self.validation or {}).get("points") or [(1.0, 1.0)]
        short = sorted(1 - float(guess) / float(seen) for guess, seen in points)
        return max(short[int(0.9 * (len(short) - 1))], 0.0)

    def differs(self, machine: Mapping[str, Any]) -> list[str]:
        """In what a machine differs from the one that was measured, one line each, for a warning."""
        return differences(self.machine, machine)

    def differs_in(self, space: str, settings: Mapping[str, Any], shape: tuple[int, ...]) -> list[str]:
        """In what a network differs from the one that was measured, one line each; settings that one of them lacks do not differ."""
        now = json.loads(json.dumps({**settings, "space": space, "shape": list(shape)}))
        before = json.loads(json.dumps({**self.settings, "space": self.space, "shape": list(self.shape)}))
        shared = [name for name in before if name in now and before[name] != now[name]]
        return [f"{name}: {before[name]} in the table, {now[name]} here" for name in shared]

    def write(self, path: str | Path) -> None:
        """Write the table whole or not at all."""
        content = {"format": FORMAT, "kind": KIND, **asdict(self)}
        write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")

    @classmethod
    def read(cls, path: str | Path) -> LatencyTable:
        """Read what ``write`` wrote; raises ``InputError`` that names the place where a file is otherwise."""
        content = read_json(path)
        if not isinstance(content, dict) or content.get("kind") != KIND:
            raise InputError(f"{path} is not a table of latencies: supernet profile writes one")
        if content.pop("format", None) != FORMAT:
            raise InputError(f"{path} is of a format that this version does not read; measure it again with supernet profile")
        found: LatencyTable = typed(cls, {k: v for k, v in content.items() if k != "kind"}, str(path))
        if found.validation and found.validation.get("points"):
            typed(list[tuple[Amount, Positive]], found.validation["points"], f"{path}: validation.points")
        for name, cost in found.costs.items():
            for i, entry in enumerate(cost.entries):
                if entry.value < 0 and len(entry.choices) < 2:
                    raise InputError(f"{path}: costs.{name}.entries.{i}.value must be at least 0; got {entry.value:g}")
                if len(entry.choices) != len(entry.options):
                    raise InputError(f"{path}: an entry of {name} has {len(entry.options)} options for {len(entry.choices)} choices")
        return found


def cost_of(space: SearchSpace, values: Table, spreads: Table | None = None, name: str = "latency") -> Cost:
    """A table as entries, one for each combination. ``spreads``: of each value, in its unit."""
    entries = []
    for names, tensor in values.items():
        for at in itertools.product(*map(range, tensor.shape)):
            value = round(float(tensor[at]), DECIMALS)
            spread = float(spreads[names][at]) / value if spreads and names in spreads and value else 0.0
            entries.append(Entry(names, tuple(space[n].options[i] for n, i in zip(names, at, strict=True)), short(value), short(spread)))
    return Cost(UNITS[name], tuple(entries))


def short(value: float) -> float:
    """Six digits, which is more than clocks give."""
    return float(f"{value:.6g}")


def _listed(options: tuple[Option, ...]) -> str:
    return ", ".join(map(str, options))


def write_text(path: str | Path, text: str) -> None:
    """Write a file whole or not at all; raises ``RunError``."""
    try:
        write_whole(Path(path), text)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror or error}") from error
