"""Small charts as SVG text: lines, steps and points over two axes, and the shares of options over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape

from supernet.report.svg import SERIES, document, moved, paint, text, text_width

Point = tuple[float, float]
DOTS = ("points", "stars")
LARGEST = 1e300  # no axis reaches further
DASHES = ("", "7 3", "2 3", "9 3 2 3")
TILT = math.radians(35)  # of names that do not fit beside each other
MOST, MOST_NOTED = 2000, 400  # points drawn in one series; points that show their values under the pointer


@dataclass(frozen=True)
class Series:
    """One set of points.

    ``style``: line, steps (a value holds until the next), front (steps and points), points or stars (large).
    ``notes``, ``spread`` (half the height of an error bar) and ``band`` (its lower and upper end) have one entry a point, or none.
    """

    name: str
    points: Sequence[Point]
    style: str = "line"
    notes: Sequence[str] = ()
    spread: Sequence[float] = ()
    band: Sequence[Point] = ()


def running_best(points: Sequence[Point], larger: bool = True) -> list[Point]:
    """(time, best score until then) where it improves, and at the end."""
    best: list[Point] = []
    for time, score in points:
        if not best or (score > best[-1][1] if larger else score < best[-1][1]):
            best.append((time, score))
    return [*best, (points[-1][0], best[-1][1])] if best else []


def ticks(low: float, high: float, whole: bool = False, count: int = 5) -> list[float]:
    """About ``count`` round numbers from below ``low`` to above ``high``; ``whole``: integers only."""
    if high - low < 1e-7 * max(abs(low), abs(high), 1e-9):
        room = max(1.0, abs(high) * 1e-6) if whole else abs(high) * 0.05 or 0.5
        low, high = low - room, high + room
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    step = max(1.0, float(round(step))) if whole else step
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [i * step for i in range(first, last + 1)]


def powers(low: float, high: float) -> list[float]:
    """The decimal logarithms of 1, 2 and 5 times powers of ten, or of these alone, from below ``low`` to above ``high``, logarithms too."""
    times = (1, 2, 5) if high - low <= 2 else (1,)
    marks = [decade + math.log10(t) for decade in range(math.floor(low) - 1, math.ceil(high) + 2) for t in times]
    first, last = max(m for m in marks if m <= low + 1e-9), min(m for m in marks if m >= high - 1e-9)
    return [m for m in marks if first <= m <= last]


def readable(values: Sequence[float]) -> list[str]:
    """The values of one axis, in thousands (k), millions (M) or billions (G) where that is shorter, with equal decimals."""
    top = max(map(abs, values), default=0.0)
    divisor, suffix = next(((d, s) for d, s in ((1e9, " G"), (1e6, " M"), (1e4, " k")) if top >= d), (1.0, ""))
    shown = [v / (1e3 if suffix == " k" else divisor) for v in values]
    near = 1e-9 * max(1.0, *map(abs, shown))
    decimals = next((n for n in range(8) if all(abs(round(v, n) - v) < near for v in shown)), 8)
    return [f"{v:.{decimals}f}{suffix if v else ''}" for v in shown]


def constant(series: Sequence[Series]) -> bool:
    """Whether an axis would show nothing: every series has one value throughout."""
    return all(s.points and all(y == s.points[0][1] for _, y in s.points) and not any(s.spread) for s in series)


def chart(
    series: Sequence[Series],
    title: str,
    x_title: str,
    names: Sequence[str] = (),
    whole: tuple[float, float] | None = None,
    log: str = "",
) -> str:
    """Several series over common axes; points that are not finite numbers are left out.

    ``names``: what x = 0, 1, ... stand for. ``whole``: the ends of an axis that a measure has by itself, such as a share's 0 and 1.
    ``log``: which of x and y, above 0, are drawn by their logarithm: "", "x" or "xy".
    """
    width, height = 540.0, 300.0
    data = [_finite(_by_logarithm(s, log)) for s in series]
    if not any(s.points for s in data):
        words = text(12, 23, title, 13, bold=True) + text(12, 50, "no finite values", 12, colour="faint")
        return document(words, width + 24, 70, title)
    xs, ys = zip(*[p for s in data for p in s.points], strict=True)
    reach = [y + sign * d for s in data for (_, y), d in zip(s.points, s.spread, strict=False) for sign in (-1, 1)]
    reach += [end for s in data for ends in s.band for end in ends]
    y_ticks = (powers if "y" in log else ticks)(min((*ys, *reach, *(whole or ()))), max((*ys, *reach, *(whole or ()))))
    integers = all(float(x).is_integer() for x in xs)
    marks = powers(min(xs), max(xs)) if log else ticks(min(xs), max(xs), integers)
    x_ticks = [t for t in marks if min(xs) <= t <= max(xs)] or [min(xs)]
    aside = any(s.spread for s in data)  # so that error bars of equal x can be told apart
    y_names = [f"{10**t:g}" for t in y_ticks] if "y" in log else readable(y_ticks)
    key, top = _key(data, width) if len(data) > 1 else ("", 0.0)
    left, top, right, bottom = 14 + max(text_width(n, 11) for n in y_names), 30 + top, width - 16, height - 34
    room = max(1.0, abs(xs[0]) * 1e-6)
    low, high = (min(xs), max(xs)) if max(xs) > min(xs) else (min(xs) - room, max(xs) + room)
    if names:
        x_ticks, low, high = [float(i) for i in range(len(names))], -0.5, len(names) - 0.5
    wide = max((text_width(name, 11) for name in names), default=0.0)
    tilted = wide > (right - left) / max(len(names), 1)
    deeper = wide * math.sin(TILT) if tilted else 0.0
    indent = 8.0 + (5 * len(data) if aside else 0)

    def at(x: float, y: float) -> Point:
        across = (right - left - 2 * indent) * (x - low) / (high - low)
        return left + indent + across, bottom - (bottom - top) * (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])

    parts = [text(0, 13, title, 13, bold=True), moved(0, 20, key), text(right, height - 2 + deeper, x_title, 11, "end", "faint")]
    for tick, name in zip(y_ticks, y_names, strict=True):
        y = at(low, tick)[1]
        parts.append(f'<path d="M{left:.1f} {y:.1f}H{right:.1f}" {paint(None, "rule")}/>' + text(left - 6, y + 4, name, 11, "end", "faint"))
    for tick, name in zip(x_ticks, names or ([f"{10**t:g}" for t in x_ticks] if log else readable(x_ticks)), strict=True):
        x = at(tick, y_ticks[0])[0]
        parts.append(f'<path d="M{x:.1f} {bottom:.1f}v4" {paint(None, "faint")}/>')
        parts.append(_tilted(x, bottom + 14, name) if tilted else text(x, bottom + 16, name, 11, "middle", "faint"))
    for i, s in enumerate(data):
        moved_by = 10 * (i - (len(data) - 1) / 2) if aside else 0.0
        bars = [at(low, y_ticks[0] + d)[1] - bottom for d in s.spread]
        if s.band:
            edges = [[at(x, ends[side]) for (x, _), ends in zip(s.points, s.band, strict=True)] for side in (0, 1)]
            outline = " ".join(f"{x:.1f},{y:.1f}" for x, y in (*edges[0], *reversed(edges[1])))
            parts.append(f'<polygon points="{outline}" fill-opacity="0.1" {paint(f"series-{i % SERIES}")}/>')
        parts.append(_marks(s, [(x + moved_by, y) for x, y in (at(*p) for p in s.points)], bars, i))
    return document(moved(12, 10, "".join(parts)), width + 24, height + 20 + deeper, title)


def _tilted(x: float, y: float, name: str) -> str:
    """A name that ends at a place, from below, so that long ones do not meet."""
    return f'<g transform="translate({x:.1f} {y:.1f}) rotate({-math.degrees(TILT):.0f})">{text(0, 0, name, 11, "end", "faint")}</g>'


def shares(parts: Mapping[str, Sequence[float]], colours: Sequence[str], times: Sequence[float], title: str, remark: str = "") -> str:
    """Stacked areas from 0 to 1, the first part on top: how a probability moves between options over time."""
    width, height, top = 226.0, 96.0, 34.0
    xs = [float(t) for t in times] if len(times) > 1 else [times[0] - 0.5, times[0] + 0.5]
    places = [width * (x - xs[0]) / (xs[-1] - xs[0]) for x in xs]
    content, above = [text(0, 11, title, 11, mono=True, bold=True), text(0, 26, remark, 11, colour="faint", mono=True)], [0.0] * len(xs)
    for (name, values), colour in zip(parts.items(), colours, strict=True):
        here = [min(1.0, max(0.0, v if math.isfinite(v) else 0.0)) for v in values] * (1 if len(times) > 1 else 2)
        below = [min(1.0, a + v) for a, v in zip(above, here, strict=True)]
        outline = [*zip(places, above, strict=True), *reversed(list(zip(places, below, strict=True)))]
        points = " ".join(f"{x:.1f},{top + height * y:.1f}" for x, y in outline)
        note = escape(f"{name}: {values[0]:.3f} to {values[-1]:.3f}")
        content.append(f'<polygon points="{points}" {paint(colour)}><title>{note}</title></polygon>')
        above = below
    content.append(f'<rect x="0" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" {paint(None, "rule")}/>')
    ends = [(0.0, times[0], "start"), (width, times[-1], "end")] if len(times) > 1 else [(width / 2, times[0], "middle")]
    content += [text(x, top + height + 13, f"{t:g}", 10, anchor, "faint") for x, t, anchor in ends]
    return document(moved(6, 6, "".join(content)), width + 12, top + height + 22, title)


def _finite(series: Series) -> Series:
    """``series`` without points that cannot be drawn, and thinned out where there are too many."""
    kept = [i for i, (x, y) in enumerate(series.points) if abs(x) < LARGEST and abs(y) < LARGEST]  # no NaN either
    kept = [i for n, i in enumerate(kept) if n % (1 + len(kept) // MOST) == 0 or n == len(kept) - 1]
    notes = [series.notes[i] for i in kept] if series.notes else []
    spread = [series.spread[i] if abs(series.spread[i]) < LARGEST else 0.0 for i in kept] if series.spread else []
    return Series(series.name, [series.points[i] for i in kept], series.style, notes, spread, [series.band[i] for i in kept if series.band])


def _by_logarithm(series: Series, log: str) -> Series:
    def of(axis: str, value: float) -> float:
        return value if axis not in log else math.log10(value) if value > 0 else math.nan

    band = [(of("y", low), of("y", high)) for low, high in series.band]
    return replace(series, points=[(of("x", x), of("y", y)) for x, y in series.points], band=band)


def _key(series: Sequence[Series], width: float) -> tuple[str, float]:
    """The legend: a sample of each line or point and its name, in rows; and its height."""
    parts, left, top = [], 0.0, 0.0
    for i, s in enumerate(series):
        wide = 30 + text_width(s.name, 11) + 14
        if left and left + wide > width:
            left, top = 0.0, top + 17
        ends = [(left + 12, top + 8)] if s.style in DOTS else [(left, top + 8), (left + 24, top + 8)]
        parts.append(_marks(Series("", ends, s.style if s.style in DOTS else "line"), ends, [], i))
        parts.append(text(left + 30, top + 12, s.name, 11, colour="faint"))
        left += wide
    return "".join(parts), top + 22


def _marks(series: Series, places: Sequence[Point], bars: Sequence[float], index: int) -> str:
    """The drawn line or points of one series; each series has a colour and a dash of its own."""
    colour, dash, parts = f"series-{index % SERIES}", DASHES[index % len(DASHES)], []
    if series.style not in DOTS and len(places) > 1:
        joint = "L{0:.1f} {1:.1f}" if series.style == "line" else "H{0:.1f}V{1:.1f}"
        line = f"M{places[0][0]:.1f} {places[0][1]:.1f}" + "".join(joint.format(x, y) for x, y in places[1:])
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        parts.append(f'<path d="{line}" {paint(None, colour, 1.8)} stroke-linejoin="round"{dashed}/>')
    for (x, y), bar in zip(places, bars, strict=False):
        line = f"M{x:.1f} {y - bar:.1f}V{y + bar:.1f}M{x - 4:.1f} {y - bar:.1f}h8M{x - 4:.1f} {y + bar:.1f}h8"
        parts.append(f'<path d="{line}" {paint(None, colour, 1.4)}/>')
    if series.style == "stars":
        parts += [f'<path d="M{x:.1f} {y - 7:.1f}l7 7l-7 7l-7 -7z" {paint("paper", colour, 2.4)}/>' for x, y in places]
    elif series.style in ("points", "front") or len(places) == 1:
        noted = series.notes if len(places) <= MOST_NOTED else ()
        for i, (x, y) in enumerate(places):
            note = f"<title>{escape(noted[i])}</title>" if i < len(noted) else ""
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" fill-opacity="0.75" {paint(colour)}>{note}</circle>')
    return "".join(parts)
