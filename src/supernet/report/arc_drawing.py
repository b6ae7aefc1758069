"""Drawings of layers in a row with skip connections as arcs, after figure 7 of ENAS, https://arxiv.org/abs/1802.03268"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from supernet.report.graph_drawing import arrow, page, titled
from supernet.report.layout import Box
from supernet.report.svg import kind_of, paint, text, text_width

SIDE, GAP, LABEL = 30.0, 14.0, 11.0
STEEP, HIGHEST = 0.42, 300.0  # of arcs: their height beside their width at most, and the height of the widest


def draw_layers(layers: Sequence[tuple[str, Sequence[int]]], title: str, halved: Collection[int] = ()) -> str:
    """Layers in order, each an operation and the earlier states that it takes besides: 0 is the stem, 1 the first layer, and so on.

    ``halved``: the layers after which height and width are halved.
    """
    step = SIDE + GAP
    reach = max((i + 1 - state for i, (_, kept) in enumerate(layers) for state in kept), default=0)
    flat = min(STEEP, HIGHEST / max(reach * step, 1.0))
    top, parts = flat * reach * step + 8, list[str]()
    for i, (_, kept) in enumerate(layers):
        parts += [_arc(state * step + 0.72 * SIDE, (i + 1) * step + 0.28 * SIDE, top, flat) for state in kept]
    for i, (operation, _) in enumerate([("stem", ()), *layers]):
        box, middle = Box(i * step, top, SIDE, SIDE), top + SIDE / 2
        parts.append(arrow([(box.x - GAP, middle), (box.x, middle)], "faint") if i else "")
        parts.append(_layer(box, i, operation))
        if i - 1 in halved:
            x = box.x + SIDE + GAP / 2
            parts.append(f'<path d="M{x:.1f} {top - 4:.1f}V{top + SIDE + 12:.1f}" {paint(None, "pooling", 1.2)} stroke-dasharray="3 3"/>')
    names = max(text_width(operation, LABEL, mono=True) for operation, _ in (("stem", ()), *layers))
    high, wide = top + SIDE + 16 + 0.87 * names, len(layers) * step + SIDE + 0.5 * names
    remarks = ["arcs: earlier states that a layer takes besides", *(["dashed: height and width are halved"] if halved else [])]
    return page([titled("".join(parts), max(wide, 460.0), high, title, [operation for operation, _ in layers], remarks)], title)


def _arc(start: float, end: float, y: float, flat: float) -> str:
    """Half an ellipse from one layer to a later one, with its head; ``flat``: its height beside its width."""
    line = f"M{start:.1f} {y:.1f}A{(end - start) / 2:.1f} {flat * (end - start):.1f} 0 0 1 {end:.1f} {y - 5:.1f}"
    head = f'<path d="M{end:.1f} {y:.1f}l-3 -6h6z" {paint("skip")}/>'
    return f'<path d="{line}" {paint(None, "skip", 1.1)} stroke-opacity="0.65"/>{head}'


def _layer(box: Box, number: int, operation: str) -> str:
    """One layer: its number in a box of the colour of what it does, whose name stands beneath."""
    colour = kind_of(operation)
    shape = f'x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="5"'
    x, y = box.x + SIDE / 2, box.y + SIDE + 14
    name = f'<g transform="translate({x - 4:.1f} {y:.1f}) rotate(60)">{text(0, 0, operation, LABEL, colour=colour, mono=True)}</g>'
    return f'<rect {shape} {paint("paper", colour, 1.6)}/>{text(x, box.y + SIDE / 2 + 4, number, 12, "middle", bold=True)}{name}'
