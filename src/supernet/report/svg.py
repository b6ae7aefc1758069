"""The pieces of SVG that drawings and charts share: colours for light and dark screens, texts, documents.

Colours are written as attributes, which every viewer understands, and as classes that a dark screen overrides. There are no
identifiers and no scripts, so any number of pictures can stand in one page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

SANS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', Arial, sans-serif"
MONO = "ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"

COLOURS = {  # name -> on a light screen and on paper, on a dark screen
    "paper": ("#ffffff", "#15181d"),
    "ink": ("#1b1f24", "#e4e7eb"),
    "faint": ("#5f6873", "#9aa4b0"),
    "rule": ("#dfe3e8", "#343a43"),
    "shade": ("#f3f5f7", "#21262d"),
    "convolution": ("#1d5fb4", "#6cb0ff"),
    "convolution-2": ("#5b9bdf", "#3c7fd0"),
    "convolution-3": ("#a9cdf2", "#24528c"),
    "dilated": ("#7a3cb0", "#c597f0"),
    "dilated-2": ("#b287d8", "#8b57bd"),
    "dilated-3": ("#d9c3ec", "#5c3a80"),
    "pooling": ("#a85a00", "#f0a850"),
    "pooling-2": ("#e0a04a", "#b5762a"),
    "pooling-3": ("#f0d2a4", "#7a5020"),
    "skip": ("#1f7a43", "#5fcf8a"),
    "skip-2": ("#6cb888", "#37935c"),
    "skip-3": ("#b5dcc3", "#245e3c"),
    "none": ("#7b838c", "#8a939d"),
    "other": ("#475361", "#b4bfcb"),
    "series-0": ("#1d5fb4", "#6cb0ff"),
    "series-1": ("#c8501e", "#ff9466"),
    "series-2": ("#1f7a43", "#5fcf8a"),
    "series-3": ("#7a3cb0", "#c597f0"),
    "series-4": ("#a07800", "#e5c04a"),
    "series-5": ("#0f7f8c", "#56c9d6"),
    "series-6": ("#b0296e", "#f07ab2"),
    "series-7": ("#5f6873", "#b4bfcb"),
    "series-8": ("#9cc3ee", "#2f6bb0"),
    "series-9": ("#f2b48f", "#a8572c"),
}
SERIES = sum(name.startswith("series-") for name in COLOURS)


def kind_of(operation: object) -> str:
    """The kind of an operation by its name, which is also its colour: convolution, dilated, pooling, skip, none or other."""
    name = str(operation).lower()
    signs = {
        "none": ("none", "zero"),
        "pooling": ("pool",),
        "skip": ("skip", "identity", "id"),
        "dilated": ("dil",),
        "convolution": ("conv", "mb", "sep", "shuffle", "xception", "k3", "k5", "k7"),
    }
    for kind, words in signs.items():
        if any(name.startswith(w) or (len(w) > 2 and w in name) for w in words):
            return kind
    return "other"


def colours_of(options: Sequence[object]) -> list[str]:
    """One colour an option, told apart: shades of its kind while they last, else one after the other."""
    kinds = [kind_of(o) for o in options]
    ranks = [kinds[:i].count(k) for i, k in enumerate(kinds)]
    if all(k != "other" and (r == 0 if k == "none" else r < 3) for k, r in zip(kinds, ranks, strict=True)):
        return [k if r == 0 else f"{k}-{r + 1}" for k, r in zip(kinds, ranks, strict=True)]
    return [f"series-{i % SERIES}" for i in range(len(options))]


def paint(fill: str | None = None, stroke: str | None = None, width: float = 1.0) -> str:
    """The attributes for a fill and an outline by names of ``COLOURS``."""
    classes = [f"sf-{fill}"] * bool(fill) + [f"ss-{stroke}"] * bool(stroke)
    line = f' stroke="{COLOURS[stroke][0]}" stroke-width="{width:g}"' if stroke else ""
    return f'class="{" ".join(classes)}" fill="{COLOURS[fill][0] if fill else "none"}"{line}'


def text(
    x: float,
    y: float,
    words: object,
    size: float = 12,
    anchor: str = "start",
    colour: str = "ink",
    *,
    mono: bool = False,
    bold: bool = False,
) -> str:
    """One line of text on the base line ``y``."""
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" text-anchor="{anchor}"{weight} '
        f'font-family="{escape(MONO if mono else SANS)}" {paint(colour)}>{escape(str(words))}</text>'
    )


def text_width(words: object, size: float = 12, mono: bool = False) -> float:
    """About how many pixels a text takes; rather too many."""
    return len(str(words)) * size * (0.61 if mono else 0.56)


def legend(entries: Iterable[tuple[str, str]], width: float, x: float = 0.0, size: float = 11) -> tuple[str, float]:
    """(name, colour) pairs in rows not wider than ``width``: the picture and its height; a name without colour is a remark."""
    parts, left, top = [], x, 0.0
    for name, colour in entries:
        indent = 14 if colour else 0
        wide = indent + text_width(name, size) + 12
        if left + wide > x + width and left > x:
            left, top = x, top + size + 6
        if colour:
            parts.append(f'<rect x="{left:.1f}" y="{top + 2:.1f}" width="10" height="10" rx="2" {paint(colour)}/>')
        parts.append(text(left + indent, top + 11, name, size, colour="faint"))
        left += wide
    return "".join(parts), top + size + 6 if parts else 0.0


def moved(x: float, y: float, content: str) -> str:
    """``content`` shifted."""
    return f'<g transform="translate({x:.1f} {y:.1f})">{content}</g>'


def document(content: str, width: float, height: float, title: str) -> str:
    """A whole picture on a ground of its own, readable on light and dark screens."""
    whole = f'<rect width="100%" height="100%" {paint("paper")}/>{content}'
    rules = "".join(
        f".{kind}-{name}{{{what}:{dark}}}"
        for name, (_, dark) in COLOURS.items()
        for kind, what in (("sf", "fill"), ("ss", "stroke"))
        if f"{kind}-{name}" in whole
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        f'role="img" aria-label="{escape(title)}"><style>@media screen and (prefers-color-scheme:dark){{{rules}}}</style>'
        f"{whole}</svg>\n"
    )
