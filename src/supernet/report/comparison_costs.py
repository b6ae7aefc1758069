"""The parts of the report of a comparison under bounds, or for goals that are costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from supernet.report.cost_sections import COSTS, amount
from supernet.report.record import numbers
from supernet.report.sections import Section, Table
from supernet.report.values import spoken


def asked(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What every method was after, and the bounds that all had."""
    goals = [("Objective", str(result["objective"]))] if result.get("objective") else []
    return goals + [(f"Limit on {COSTS[name][0]}", amount(name, most)) for name, most in _limits(result).items()]


def costs(result: Mapping[str, Any], several: bool) -> list[Section]:
    """What networks cost that were found, of the costs that were bound or a goal; ``several``: whether deviations say something."""
    limits, methods = _limits(result), result["methods"]
    named = {*limits, *str(result.get("objective") or "").split(",")}
    shown = [name for name in COSTS if name in named]
    if not shown:
        return []
    timed = [numbers(m.get("measured")).get("latency_ms") for m in methods.values()] if "latency" in shown else []
    header = ["Method", *(["Holds"] if limits else []), *(spoken(COSTS[name][0]) for name in shown)]
    rows = []
    for name, m in methods.items():
        holds = [{True: "yes", False: "no"}.get(m.get("holds"), "")] if limits else []
        rows.append([name, *holds, *(_spread(cost, numbers(m.get(cost)), several) for cost in shown)])
    if any(ms is not None for ms in timed):
        header.append("Measured latency")
        rows = [[*row, "" if ms is None else amount("latency", ms)] for row, ms in zip(rows, timed, strict=True)]
    words = "Of the networks that were found: means over the seeds. A bound holds where the networks of all seeds keep it."
    return [Section("Costs", [words], tables=[Table(header, rows, 1 + bool(limits))])]


def _limits(result: Mapping[str, Any]) -> dict[str, float]:
    return {name: most for name, most in numbers(result.get("limits")).items() if name in COSTS}


def _spread(cost: str, value: Mapping[str, float], several: bool) -> str:
    deviation = f" ± {amount(cost, value['std'])}" if several and "std" in value else ""
    return f"{amount(cost, value['mean'])}{deviation}" if "mean" in value else ""
