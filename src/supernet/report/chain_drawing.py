"""Drawings of chains of blocks: a box a block and a row a stage, after figure 4 of ProxylessNAS, https://arxiv.org/abs/1812.00332"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from math import sqrt
from typing import Any

from supernet.errors import InputError
from supernet.report.blocks import Block, blocks_of
from supernet.report.graph_drawing import Picture, arrow, page
from supernet.report.layout import Box
from supernet.report.svg import legend, moved, paint, text, text_width
from supernet.spaces import SPACES
from supernet.spaces import space as space_named

LEFT, ACROSS, GAP, BETWEEN = 110.0, 1100.0, 16.0, 34.0  # of the labels, of all, between boxes, between rows
NARROW, GROWS = 46.0, 74.0  # width of a box without channels, and what the most channels add to it
LOW, STEP, MOST = 30.0, 5.0, 8.0  # height of a box without expansion, what an expansion of 1 adds, the largest that is shown
SHADES = {"k3": "convolution-3", "k5": "convolution-2", "k7": "convolution"}  # by the largest kernel of a block
Placed = list[tuple[Block, Box]]


def draw_blocks(space_name: str, choices: Mapping[str, Any], settings: Mapping[str, Any]) -> str | None:
    """The network of an architecture as a chain of blocks; None in a space of other networks, or where these settings make none."""
    if space_name not in SPACES or not (space := space_named(space_name)).chain or not choices:
        return None
    try:
        blocks = blocks_of(space, choices, settings)
    except InputError:  # of a file that was written for other sizes
        return None
    title = f"Blocks of {space_name}"
    return page([chain(blocks, title)], title)


def chain(blocks: Sequence[Block], title: str) -> Picture:
    """The blocks below their title and above the legend."""
    most, top, parts, ends = max(block.outputs for block in blocks if block.gives), 40.0, list[str](), list[tuple[float, float]]()
    for stage in stages(blocks):
        rows = _rows(stage, most, top)
        last = stage[-1]
        middle = rows[0][0][1].y + rows[0][0][1].height / 2
        parts.append(text(0, middle - 1, " × ".join(map(str, last.gives)) or "1 × 1", 12, bold=True))
        parts.append(text(0, middle + 14, f"{last.outputs:,} {'channels' if last.gives else 'outputs'}", 11, colour="faint"))
        for row in rows:
            parts += _row(row, ends)
            top = max(box.y + box.height for _, box in row) + BETWEEN
    words = {word for block in blocks for word in block.words}
    shown = [(f"kernel {kernel[1:]}", shade) for kernel, shade in SHADES.items() if any(kernel in word.split() for word in words)]
    remarks = ["width: square root of the channels that it gives", "height: channels inside, as a multiple of those that it is given (e)"]
    remarks += ["se: squeeze-and-excitation"] if "se" in words else []
    remarks += ["dashed: skipped"] if "skip" in words else []
    wide = max(640.0, text_width(title, 14), *(x for x, _ in ends))
    key, high = legend([*shown, *((remark, "") for remark in remarks)], wide)
    whole = [text(0, 14, title, 14, bold=True), *parts, moved(0, top - 10, key)]
    return "".join(whole), wide, top - 10 + high


def stages(blocks: Sequence[Block]) -> list[list[Block]]:
    """Rows of blocks: what comes before the first that is put together, each run of equal channels and sizes, what comes after the last."""
    whole = [i for i, block in enumerate(blocks) if block.kind in ("block", "skip")] or [len(blocks)]
    keys = [(i > whole[-1], i >= whole[0], *((b.outputs, b.gives) if whole[0] <= i <= whole[-1] else ())) for i, b in enumerate(blocks)]
    return [[block for block, _ in group] for _, group in groupby(zip(blocks, keys, strict=True), key=lambda pair: pair[1])]


def _rows(stage: Sequence[Block], most: int, top: float) -> list[Placed]:
    """Where the boxes of a stage stand from ``top`` down, in one row or, where they are many, several."""
    sizes = [_size(block, most) for block in stage]
    rows, left = [list[int]()], LEFT
    for i, (width, _) in enumerate(sizes):
        if left + width > ACROSS and rows[-1]:
            rows.append([])
            left = LEFT
        rows[-1].append(i)
        left += width + GAP
    found = []
    for row in rows:
        high, x, placed = max(sizes[i][1] for i in row), LEFT, []
        for i in row:
            width, height = sizes[i]
            placed.append((stage[i], Box(x, top + (high - height) / 2, width, height)))
            x += width + GAP
        found.append(placed)
        top += high + BETWEEN
    return found


def _size(block: Block, most: int) -> tuple[float, float]:
    """Width by channels, height by expansion; never less than the words take."""
    words = max(text_width(line, 10, mono=True) for line in _lines(block)) + 8
    wide = NARROW + GROWS * sqrt(min(block.outputs / most, 1.0))
    if block.kind != "block":
        return max(words, wide if block.kind == "layer" and block.gives else NARROW), LOW
    return max(words, wide), LOW + STEP * min(block.inside / block.inputs, MOST)


def _lines(block: Block) -> list[str]:
    """The words of a block in two lines: its kernels, and the rest."""
    return [block.words[0], *([" ".join(block.words[1:])] if len(block.words) > 1 else [])]


def _row(row: Placed, ends: list[tuple[float, float]]) -> list[str]:
    """The boxes of a row with the arrows to them; ``ends``: where boxes end on the right, in the middle, which this adds to."""
    parts = []
    for i, (block, box) in enumerate(row):
        middle = box.y + box.height / 2
        if i:
            parts.append(arrow([ends[-1], (box.x, middle)], "faint", 1.2))
        elif ends:
            x, y = ends[-1]
            high = min(each.y for _, each in row) - BETWEEN / 2 + 2
            line = f"M{x:.1f} {y:.1f}h8V{high:.1f}H{LEFT - 12:.1f}V{middle:.1f}h6"
            parts.append(f'<path d="{line}" {paint(None, "faint", 1.2)}/><path d="M{LEFT:.1f} {middle:.1f}l-7 -3.5v7z" {paint("faint")}/>')
        parts.append(_box(block, box))
        ends.append((box.x + box.width, middle))
    return parts


def _box(block: Block, box: Box) -> str:
    """One block with its words, and what a pointer on it is told."""
    shade = next((SHADES[kernel] for kernel in reversed(SHADES) if kernel in block.words[0].split()), "shade")
    ink = "faint" if block.kind == "skip" else "paper" if shade == "convolution" else "ink"
    shape = f'x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="4"'
    outline = paint(shade, "faint" if shade == "shade" else "convolution")
    outline = paint("paper", "faint") + ' stroke-dasharray="4 3"' if block.kind == "skip" else outline
    lines, (x, y) = _lines(block), (box.x + box.width / 2, box.y + box.height / 2)
    words = [text(x, y + 3.5 + 12 * (i - (len(lines) - 1) / 2), line, 10, "middle", ink, mono=True) for i, line in enumerate(lines)]
    words += [text(box.x, box.y - 4, f"stride {block.stride}", 9, colour="faint")] if block.stride > 1 else []
    channels = " → ".join(str(n) for n in (block.inputs, block.inside, block.outputs) if n)
    told = f"{' '.join(block.words)}: {channels} channels" + (f", {' × '.join(map(str, block.gives))}" if block.gives else "")
    return f"<g><title>{escape(told)}</title><rect {shape} {outline}/>{''.join(words)}</g>"
