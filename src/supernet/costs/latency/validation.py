"""Check a table of parts against whole networks, and fit what sums of parts leave out.

Networks that cover the range of what the table predicts are timed whole, in turns. One half of them fits an offset and a
scale; on the other half the table is judged. How well a second measurement agrees with the first is the most to expect.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from random import Random
from typing import Any

import torch

from supernet.costs.latency.backends import Call
from supernet.costs.latency.table import Fit, short
from supernet.costs.latency.timing import Effort, measure
from supernet.errors import InputError
from supernet.mixture import Table, expected, one_hot
from supernet.progress import Progress
from supernet.space import Architecture, SearchSpace

DRAWS = 600  # architectures from which those that are measured are taken
VISITS = Effort(least=16, most=16)
STEEPEST = 6.0  # how strongly draws are biased to cheap or dear options, in standard deviations of their costs


def validate(
    space: SearchSpace,
    table: Table,
    prepared: Callable[[Architecture], Call],
    *,
    rng: Random,
    fit_networks: int = 20,
    test_networks: int = 20,
    effort: Effort = VISITS,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Fit, dict[str, Any]]:
    """The fit, and how well the fitted table predicts the networks that it was not fitted on.

    Args:
        table: of the space, as measured, without a fit.
        prepared: makes the call that runs a whole network once; see ``supernet.costs.latency.backends.prepare``.
        clock: seconds, see ``supernet.costs.latency.machine.clock``.

    Returns ``networks`` and ``fit_networks`` (numbers), ``range`` (ms), ``tau`` (Kendall's), ``pearson``, ``error`` (mean absolute, ms),
    ``error_percent``, ``repeat_tau`` (between two interleaved halves of the measurement) and ``points`` (predicted, measured), by
    the medians of the networks' times; what is not defined is None. Raises ``InputError`` for fewer than 3 networks of either kind.
    """
    if min(fit_networks, test_networks) < 3:
        raise InputError(f"a fit and a test need 3 networks or more each; got {fit_networks} and {test_networks}")
    chosen = spread_out(space, table, fit_networks + test_networks, rng)
    sums = [predicted(space, table, architecture) for architecture in chosen]
    times = time_networks(chosen, prepared, rng=rng, effort=effort, clock=clock)
    of_fit = {round(i * (len(chosen) - 1) / (fit_networks - 1)) for i in range(fit_networks)}  # both ends, and evenly between
    fit = fitted([sums[i] for i in of_fit], [statistics.median(times[i]) for i in of_fit])
    rest = [i for i in range(len(chosen)) if i not in of_fit]
    guesses, seen = [fit.offset + fit.scale * sums[i] for i in rest], [statistics.median(times[i]) for i in rest]
    return fit, {
        "networks": len(rest),
        "fit_networks": len(of_fit),
        "range": [short(min(map(statistics.median, times))), short(max(map(statistics.median, times)))],
        "tau": kendall(guesses, seen),
        "pearson": _pearson(guesses, seen),
        "error": short(statistics.fmean(abs(a - b) for a, b in zip(guesses, seen, strict=True))),
        "error_percent": short(100 * statistics.fmean(abs(a - b) / b for a, b in zip(guesses, seen, strict=True))),
        "repeat_tau": kendall(*([statistics.median(times[i][half::2]) for i in rest] for half in (0, 1))),
        "points": [[short(a), short(b)] for a, b in zip(guesses, seen, strict=True)],
    }


def time_networks(
    architectures: Sequence[Architecture],
    prepared: Callable[[Architecture], Call],
    *,
    rng: Random,
    effort: Effort = VISITS,
    clock: Callable[[], float] = time.perf_counter,
) -> list[list[float]]:
    """The visits of every network, in ms, in turns; ``prepared`` makes the call that runs one once."""
    progress = Progress("timing networks", len(architectures), unit="networks")
    try:
        visits = measure(_Networks(architectures, prepared), rng=rng, effort=effort, progress=progress, clock=clock)
    finally:
        progress.close()
    return [visits[str(i)] for i in range(len(architectures))]


def predicted(space: SearchSpace, table: Table, architecture: Architecture) -> float:
    """What a table says that an architecture costs."""
    return float(expected(space, one_hot(space, architecture), table))


def spread_out(space: SearchSpace, table: Table, count: int, rng: Random, draws: int = DRAWS) -> list[Architecture]:
    """``count`` architectures spread evenly over what ``table`` predicts, cheapest first.

    Sums of many choices drawn uniformly lie close together, so each draw is biased towards cheap options or dear ones, by its own amount.
    """
    marginal = {name: _marginal(space, table, name) for name in space}
    found: dict[str, tuple[float, Architecture]] = {}
    for _ in range(max(draws, 2 * count)):
        bias = rng.uniform(-STEEPEST, STEEPEST)
        architecture: Architecture = {}
        for name, choice in space.items():
            if choice.pick is None:
                weights = [math.exp(bias * marginal[name][choice.options.index(option)]) for option in choice.able]
                architecture[name] = rng.choices(choice.able, weights)[0]
            else:
                architecture[name] = choice.draw(rng)
        found.setdefault(space.key(architecture), (predicted(space, table, architecture), architecture))
    pool = sorted(found.values(), key=lambda pair: pair[0])
    if len(pool) < count:
        raise InputError(f"the space has too few architectures to measure {count}: {len(pool)} were found")
    low, high = pool[0][0], pool[-1][0]
    taken = []
    for i in range(count):
        target = low + (high - low) * i / max(count - 1, 1)
        taken.append(pool.pop(min(range(len(pool)), key=lambda j: abs(pool[j][0] - target))))
    return [architecture for _, architecture in sorted(taken, key=lambda pair: pair[0])]


def _marginal(space: SearchSpace, table: Table, name: str) -> list[float]:
    """How dear each option of a choice is by itself: 0 on average, with a standard deviation of 1, or all 0."""
    total = torch.zeros(len(space[name].options), dtype=torch.float64)
    for names, values in table.items():
        if name in names:
            others = [i for i, n in enumerate(names) if n != name]
            total += values.double().mean(others) if others else values.double()
    total -= total.mean()
    deviation = total.square().mean().sqrt()
    return (total / deviation if deviation > 0 else total).tolist()


def fitted(sums: Sequence[float], times: Sequence[float]) -> Fit:
    """The line from sums of parts to times of networks with the least squares of relative errors; strays are left out.

    What is a stray shows against the median of all slopes (Theil 1950, Sen 1968), which a few of them do not move.
    """
    x, y = torch.tensor(sums, dtype=torch.float64), torch.tensor(times, dtype=torch.float64)
    dx, dy = x[:, None] - x, y[:, None] - y
    slopes = (dy / dx)[dx.abs() > 1e-9 * x.abs().max()]
    if not len(slopes):
        return Fit(offset=float((y - x).median()))
    scale = slopes.median()
    off = (y - scale * x - (y - scale * x).median()) / y
    near = off.abs() <= 3 * 1.4826 * off.abs().median() + 1e-12  # three standard deviations, were they normal
    lines = torch.stack([x, torch.ones_like(x)], 1) / y[:, None]
    line = torch.linalg.lstsq(lines[near], torch.ones(int(near.sum()), 1, dtype=torch.float64)).solution[:, 0]
    if line[0] <= 0:  # the sums say nothing of the times; at least the mean is right
        return Fit(scale=short(float((y / x).median())))
    return Fit(offset=short(float(line[1])), scale=short(float(line[0])))


def kendall(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Kendall's tau (b), from -1 to 1; None where all of one are equal."""
    tau = float(import_module("scipy.stats").kendalltau(a, b).statistic)  # slow to import, and needed here only
    return None if math.isnan(tau) else short(tau)


def _pearson(a: Sequence[float], b: Sequence[float]) -> float | None:
    try:
        return short(statistics.correlation(a, b))
    except statistics.StatisticsError:
        return None


class _Networks(Mapping[str, Call]):
    """The networks to measure, by number, each made ready when it is looked up."""

    def __init__(self, architectures: Sequence[Architecture], prepared: Callable[[Architecture], Call]):
        self.architectures, self.prepared, self.ready = architectures, prepared, dict[str, Call]()

    def __getitem__(self, name: str) -> Call:
        if name not in self.ready:
            self.ready[name] = self.prepared(self.architectures[int(name)])
        return self.ready[name]

    def __iter__(self) -> Iterator[str]:
        return map(str, range(len(self.architectures)))

    def __len__(self) -> int:
        return len(self.architectures)
