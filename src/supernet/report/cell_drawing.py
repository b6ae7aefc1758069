"""Drawings of architectures as SVG text: cells (after figures 4 to 6 of DARTS, https://arxiv.org/abs/1806.09055), chains, tables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from supernet.genotype import Cell, Genotype, RecurrentGenotype, present
from supernet.report.arc_drawing import draw_layers
from supernet.report.chain_drawing import draw_blocks
from supernet.report.graph_drawing import LABEL, arrow, page, picture, plate, titled
from supernet.report.layout import Box
from supernet.report.svg import paint, text, text_width
from supernet.space import Taken
from supernet.spaces import SPACES, enas_macro, space
from supernet.spaces.pictured import Graph, edge_by_edge, recurrent_graph

INPUTS, OUTPUT = ("c_{k-2}", "c_{k-1}"), "c_{k}"
FIXED_REDUCTION = Graph(  # Dong, Yang 2019, section 3.3, https://arxiv.org/abs/1910.04465
    (*INPUTS, OUTPUT), [(source, OUTPUT, op) for source in INPUTS for op in ("conv_1x3_3x1", "max_pool_3x3")], INPUTS, (OUTPUT,)
)
CHAIN_WIDTH, GAP, ROW = 960.0, 30.0, 66.0  # of a chain: most pixels across, between blocks, between rows
TABLE_ROWS, TABLE_COLUMNS = 24, 4


def draw(
    space_name: str, choices: Mapping[str, Taken] | None, genotype_text: str | None = None, settings: Mapping[str, Any] | None = None
) -> str:
    """The picture of an architecture, else a table of its choices.

    Raises ``InputError`` where ``genotype_text`` says cells and cannot be read.
    """
    return depict(space_name, choices, genotype_text, settings) or draw_choices(choices or {})


def depict(
    space_name: str, choices: Mapping[str, Taken] | None, genotype_text: str | None = None, settings: Mapping[str, Any] | None = None
) -> str | None:
    """The picture that suits an architecture: cells, a recurrent cell, one of NAS-Bench-201, a chain, levels; None: there is none.

    ``settings``: of its network, where they are known; the blocks of a chain are drawn by them, in the sizes that they have.
    Raises ``InputError`` where ``genotype_text`` says cells and cannot be read.
    """
    choices = choices or {}
    if space_name == enas_macro.NAME and choices:
        layers = enas_macro.layers_of(choices)
        return draw_layers(layers, f"Layers of {space_name}", enas_macro.reductions(len(layers)))
    if settings is not None and (blocks := draw_blocks(space_name, choices, settings)):
        return blocks
    own = space(space_name) if space_name in SPACES and choices else None
    if own and own.pictured:
        graphs = own.pictured(choices)
        return page([picture(graph, title) for title, graph in graphs.items()], ", ".join(graphs))
    if genotype_text and re.search(r"\bnormal\s*=", genotype_text):
        return draw_genotype(Genotype.parse(genotype_text))
    if genotype_text and re.search(r"\brecurrent\s*=", genotype_text):
        return draw_recurrent(RecurrentGenotype.parse(genotype_text))
    if cells := _cells(choices):
        return page([picture(cell_graph(cell, concat), title) for title, (cell, concat) in cells.items()], "Cells")
    if genotype_text and (chain := re.fullmatch(r"\s*[a-z-]+(?:\([^()]*\))?:([^()]*)", genotype_text)):
        return draw_chain(re.findall(r"\d+ \S+|[^\s|]+", chain[1]), f"Layers of {space_name}")  # a width stays with what follows it
    if choices and all(re.fullmatch(r"\d+<\d+", name) for name in choices):
        return page([picture(edge_by_edge(choices), title := f"Cell of {space_name}")], title)
    numbered = {name: re.fullmatch(r"(.*?)(\d+)", name) for name in choices}
    single = not any(isinstance(taken, tuple | list) for taken in choices.values())
    if choices and single and len({m and m[1] for m in numbered.values()}) == 1 and all(numbered.values()):
        order = sorted(choices, key=lambda name: int(re.findall(r"\d+", name)[-1]))
        return draw_chain([str(choices[name]) for name in order], f"Layers of {space_name}")
    return None


def _cells(choices: Mapping[str, Taken]) -> dict[str, tuple[Cell, Sequence[int]]]:
    """The cells that choices say, and the states that make up their outputs; none of other choices.

    Those of DARTS: "normal.2" (inputs of a node) and "normal.2<0" (operation on an edge), of which all nodes are put out; those of ENAS:
    "normal.2.x", "normal.2.x.op" and the same of y, which puts out what no node reads.
    """
    found: dict[str, tuple[Cell, Sequence[int]]] = {}
    for kind, title in (("normal", "Normal cell"), ("reduce", "Reduction cell")):
        nodes: list[tuple[tuple[str, int], ...]] = []
        while isinstance(inputs := choices.get(name := f"{kind}.{len(nodes) + 2}"), tuple | list):
            nodes.append(tuple((str(choices[f"{name}<{i}"]), int(i)) for i in inputs if f"{name}<{i}" in choices))
        if any(nodes):
            found[title] = tuple(nodes), range(2, len(nodes) + 2)
        while f"{kind}.{len(nodes) + 2}.x" in choices:
            sides = [f"{kind}.{len(nodes) + 2}.{side}" for side in "xy"]
            nodes.append(tuple((str(choices[f"{side}.op"]), int(i)) for side in sides for i in choices[side]))  # type: ignore[union-attr]
            read = {source for node in nodes for _, source in node}
            found[title] = tuple(nodes), [i for i in range(len(nodes) + 2) if i not in read]
    return found


def cell_graph(cell: Cell, concat: Sequence[int]) -> Graph:
    """A cell as nodes ``c_{k-2}``, ``c_{k-1}``, ``0``, ``1``, ..., ``c_{k}`` and its edges in order, those to the output last.

    Inputs that nothing reads are shown all the same; nodes that nothing enters are shown as left out.
    """
    states, there = [*INPUTS, *map(str, range(len(cell)))], present(cell)
    edges = [(states[source], str(i), operation) for i, node in enumerate(cell) for operation, source in node]
    edges += [(states[s], OUTPUT, "") for s in concat if s in there]
    return Graph([*states, OUTPUT], edges, INPUTS, (OUTPUT,), [n for s, n in enumerate(states) if s not in there])


def draw_cell(cell: Cell, concat: Sequence[int], title: str) -> str:
    """One cell: ``cell`` has the (operation, input state) pairs of each node, ``concat`` the states that make up the output."""
    return page([picture(cell_graph(cell, concat), title)], title)


def draw_genotype(genotype: Genotype) -> str:
    """The normal and the reduction cell, one above the other."""
    normal = picture(cell_graph(genotype.normal, genotype.normal_concat), "Normal cell")
    if genotype.reduce is None:
        reduce = picture(FIXED_REDUCTION, "Reduction cell: fixed reduction cell (FRC)")
    else:
        reduce = picture(cell_graph(genotype.reduce, genotype.reduce_concat), "Reduction cell")
    return page([normal, reduce], "Normal and reduction cell")


def draw_recurrent(genotype: RecurrentGenotype) -> str:
    """A recurrent cell: state 0 mixes the input with the old hidden state, the new one is the mean of the listed states."""
    return page([picture(recurrent_graph(genotype), "Recurrent cell")], "Recurrent cell")


def draw_graph(nodes: Sequence[str], edges: Sequence[tuple[str, str, str]], title: str = "") -> str:
    """Any directed acyclic graph; ``edges`` are (source, target, operation), where an empty operation draws a bare edge.

    Nodes that nothing enters stand at the left. Raises ``InputError`` where the edges run in a circle.
    """
    first = [n for n in nodes if all(n != target for _, target, _ in edges)]
    return page([picture(Graph(nodes, edges, first), title)], title)


def draw_chain(layers: Sequence[str], title: str = "") -> str:
    """Blocks one after the other, in rows that read from left to right."""
    wide = max((text_width(name, LABEL, mono=True) for name in layers), default=0.0) + 16
    across = max(1, min(len(layers), int(CHAIN_WIDTH // (wide + GAP))))
    parts = []
    for i, name in enumerate(layers):
        box = Box((i % across) * (wide + GAP), (i // across) * ROW + 16, wide, 26)
        middle, end = box.y + 13, box.x + wide
        parts.append(text(box.x, box.y - 5, i, 10, colour="faint") + plate(box, name))
        if i + 1 < len(layers) and (i + 1) % across:
            parts.append(arrow([(end, middle), (end + GAP, middle)], "faint"))
        elif i + 1 < len(layers):
            line = f"M{end:.1f} {middle:.1f}h10v28H-14v{ROW - 28:.1f}h8"
            parts.append(f'<path d="{line}" {paint(None, "faint", 1.6)}/><path d="M0 {middle + ROW:.1f}l-7 -3.5v7z" {paint("faint")}/>')
    height = max(1, (len(layers) + across - 1) // across) * ROW - 24
    return page([titled("".join(parts), across * (wide + GAP) - 15, height, title, layers)], title)


def draw_choices(choices: Mapping[str, Taken], title: str = "Choices") -> str:
    """A table of what every choice takes, for spaces without a drawing of their own."""
    rows = [(name, ", ".join(map(str, t)) if isinstance(t, tuple | list) else str(t)) for name, t in choices.items()]
    deep = max(1, min(len(rows), TABLE_ROWS), -(-len(rows) // TABLE_COLUMNS))
    parts, left = [], 0.0
    for start in range(0, len(rows), deep):
        block = rows[start : start + deep]
        names, takes = (max(text_width(r[k], LABEL, mono=True) for r in block) for k in (0, 1))
        for i, (name, taken) in enumerate(block):
            if i % 2 == 0:
                parts.append(f'<rect x="{left:.1f}" y="{i * 20:.1f}" width="{names + takes + 28:.1f}" height="20" {paint("shade")}/>')
            parts.append(text(left + 6, i * 20 + 14, name, LABEL, colour="faint", mono=True))
            parts.append(text(left + names + 22, i * 20 + 14, taken, LABEL, mono=True))
        left += names + takes + 52
    return page([titled("".join(parts), max(left - 24, 0.0), deep * 20.0, title)], title)
