"""A picture of a directed acyclic graph with an operation on each edge: nodes, edges, labels on plates, title and legend."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from supernet.report.layout import Box, Layout, Link, Point, arrange
from supernet.report.svg import document, kind_of, legend, moved, paint, text, text_width
from supernet.spaces.pictured import Graph

Picture = tuple[str, float, float]  # content, width, height
LABEL, PAD = 11.0, 20.0  # size of the labels' text; free space around a picture
KINDS = ("convolution", "dilated", "pooling", "skip", "none")


def laid_out(graph: Graph) -> Layout:
    """Where nodes, edges and labels stand; raises ``InputError`` where the edges run in a circle."""
    widths = {n: max(28.0, text_width(re.sub(r"[_{}]", "", n), 12) + 12) for n in graph.nodes}
    links = [Link(a, b, op, text_width(op, LABEL, mono=True) + 12) for a, b, op in graph.edges]
    return arrange(widths, links, graph.first, graph.last)


def picture(graph: Graph, title: str) -> Picture:
    """The graph below its title and above its legend."""
    layout = laid_out(graph)
    parts = []
    for path, (source, _, operation) in sorted(zip(layout.paths, graph.edges, strict=True), key=lambda pair: bool(pair[1][2])):
        dotted = kind_of(operation) == "none" or source in graph.absent
        parts.append(arrow(path, kind_of(operation) if operation else "faint", 1.6 if operation else 1.0, dotted))
    parts += [plate(box, operation) for box, (_, _, operation) in zip(layout.labels, graph.edges, strict=True) if box]
    ends = {*graph.first, *graph.last}
    parts += [_node(box, name, name in ends, name in graph.absent) for name, box in layout.nodes.items()]
    operations = [op for _, _, op in graph.edges if op]
    remarks = ["dashed: left out, nothing enters it"] if graph.absent else []
    return titled("".join(parts), layout.width, layout.height, title, operations, remarks)


def titled(content: str, width: float, height: float, title: str, operations: Sequence[str] = (), remarks: Sequence[str] = ()) -> Picture:
    """``content`` below its title and above the legend of the kinds of operation in it."""
    kinds = {kind_of(op) for op in operations}
    key, high = legend([*((k, k) for k in KINDS if k in kinds), *((r, "") for r in remarks)], max(width, 200))
    top = 32 if title else 0
    parts = [text(0, 14, title, 14, bold=True) if title else "", moved(0, top, content), moved(0, top + height + 18, key)]
    return "".join(parts), max(width, text_width(title, 14)), top + height + (18 + high if high else 0)


def page(pictures: Sequence[Picture], title: str) -> str:
    """A document with the pictures below each other."""
    parts, top = [], PAD
    for content, _, height in pictures:
        parts.append(moved(PAD, top, content))
        top += height + PAD
    return document("".join(parts), max(width for _, width, _ in pictures) + 2 * PAD, top, title)


def arrow(path: Sequence[Point], colour: str, width: float = 1.6, dotted: bool = False) -> str:
    """An edge through the points of a layout's path, with its head."""
    (x, y), tip = path[0], path[-1]
    steps = [f"M{x:.1f} {y:.1f}"]
    for i, (u, v) in enumerate(path[1:], start=1):
        end = u - 6 if i == len(path) - 1 else u
        middle = (x + end) / 2
        steps.append(f"C{middle:.1f} {y:.1f} {middle:.1f} {v:.1f} {end:.1f} {v:.1f}" if i % 2 else f"L{u:.1f} {v:.1f}")
        x, y = u, v
    dash = ' stroke-dasharray="2 4"' if dotted else ""
    head = f'<path d="M{tip[0]:.1f} {tip[1]:.1f}l-7 -3.5v7z" {paint(colour)}/>'
    return f'<path d="{"".join(steps)}" {paint(None, colour, width)}{dash}/>{head}'


def plate(box: Box, operation: str) -> str:
    """An operation's name on a ground of its own."""
    colour, middle = kind_of(operation), (box.x + box.width / 2, box.y + box.height / 2 + 4)
    shape = f'x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="4"'
    return f"<rect {shape} {paint('paper', colour)}/>" + text(*middle, operation, LABEL, "middle", colour, mono=True)


def _node(box: Box, name: str, end: bool, absent: bool) -> str:
    label = text(box.x + box.width / 2, box.y + box.height / 2 + 4, name, 12, "middle", "faint" if absent else "ink", bold=True)
    if subscript := re.fullmatch(r"(\w+)_\{(.+)\}", name):
        low = f'{escape(subscript[1])}<tspan dy="3" font-size="9">{escape(subscript[2])}</tspan>'
        label = label.replace(f">{escape(name)}<", f">{low}<")
    dash = ' stroke-dasharray="4 3"' if absent else ""
    shape = f'x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="{4 if end else 12}"'
    return f"<rect {shape} {paint('shade', 'faint' if absent else 'ink', 1.2)}{dash}/>{label}"
