"""How names and numbers are written in a report."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from supernet.metrics import SHARE, Score
from supernet.tasks import labels

COSTS = {
    "params": "parameters",
    "macs": "multiply-adds",
    "flops": "multiply-adds",
    "latency": "latency (ms)",
    "energy": "energy (mJ)",
    "activations": "activations (bytes)",
    "storage": "storage (bytes)",
    "bit_operations": "bit operations",
}


def scale(metric: Score, values: Iterable[float]) -> float:
    """100 for shares of one, which are shown in percent; 1 for anything else. Where no unit is known, values tell."""
    known = [v for v in values if math.isfinite(v)]
    percent = metric.unit == SHARE or (not metric.unit and metric.larger and known and all(0 <= v <= 1 for v in known))
    return 100.0 if percent else 1.0


def score(metric: Score, value: float) -> str:
    """A score with its unit: shares in percent."""
    if not math.isfinite(value):
        return str(value)
    if scale(metric, [value]) == 100:
        return f"{100 * value:.2f} %"
    text = f"{value:.4g}" if abs(value) < 1e-2 else f"{value:,.4f}".rstrip("0").rstrip(".")
    return f"{text} {metric.unit}".rstrip()


def titled(metric: Score, times: float) -> str:
    """A metric as the title of a chart, whose values are shown ``times`` as large."""
    unit = "%" if times == 100 else metric.unit
    return called(metric) + (f" ({unit})" if unit else "")


def count(value: float, short: bool = True) -> str:
    """A whole number in full, and (``short``) in millions where it is large."""
    if not math.isfinite(value):
        return str(value)
    if value != int(value):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    large = next((f" ({value / d:.2f} {s})" for d, s in ((1e9, "G"), (1e6, "M")) if short and abs(value) >= d), "")
    return f"{int(value):,}{large}"


def duration(seconds: float) -> str:
    """A time in its two largest units."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def measured(name: str, value: Any) -> str:
    """What was measured, by its name."""
    if name == "seconds" and isinstance(value, int | float):
        return duration(value)
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"
    return plain(value)


def plain(value: Any) -> str:
    """A setting as text."""
    if isinstance(value, list | tuple):
        return ", ".join(map(plain, value)) or "none"
    return {None: "not set", True: "yes", False: "no"}[value] if value is None or isinstance(value, bool) else str(value)


def flat(entry: Mapping[Any, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as dotted names and texts, without those that are not set."""
    rows: list[tuple[str, str]] = []
    for name, value in entry.items():
        if isinstance(value, Mapping):
            rows += flat(value, f"{prefix}{name}.")
        elif value is not None:
            rows.append((f"{prefix}{name}", plain(value)))
    return rows


def spoken(name: str) -> str:
    """A name of a file as words: examples_per_second -> Examples per second."""
    return _capital(name.replace("_", " "))


def called(metric: Score) -> str:
    """A score as words, its metric as its task calls it: test_miou -> Test mIoU."""
    return _capital(metric.label or labelled(metric.name, labels()))


def labelled(name: str, known: Mapping[str, str]) -> str:
    """A name as words, the metric in it as ``known`` calls it by its own name."""
    metric = max((metric for metric in known if f"_{metric}_" in f"_{name}_"), key=len, default="")
    words = f"_{name}_".replace(f"_{metric}_", f"_{known[metric]}_").strip("_") if metric else name
    return words.replace("_", " ")


def _capital(words: str) -> str:
    """With a capital to begin with, unless the first word has its own: mIoU."""
    first = words.partition(" ")[0]
    return words if first != first.lower() else words[:1].upper() + words[1:]


def architecture_text(choices: Mapping[str, Any], most: int = 90) -> str:
    """What is taken, in the order of the choices, shortened; by name where the names are more than numbers in a row."""
    taken = {name: "+".join(map(str, t)) if isinstance(t, list | tuple) else str(t) for name, t in choices.items()}
    alone = all(re.fullmatch(r"((layer|normal|reduce)\.)?\d+(<\d+)?", name) for name in taken)
    text = " ".join(taken.values()) if alone else ", ".join(f"{name} {t}" for name, t in taken.items())
    return text if len(text) <= most else text[: most - 1] + "…"
