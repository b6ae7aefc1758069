"""Chains of blocks: what is read of a network, and how it is drawn."""

from itertools import pairwise
from random import Random
from xml.etree import ElementTree

import pytest
import torch

from supernet.naming.lookup import design
from supernet.report.blocks import Block, blocks_of
from supernet.report.cell_drawing import draw
from supernet.report.chain_drawing import chain, draw_blocks, stages
from supernet.spaces import SPACES, space

CHAINS = [name for name in SPACES if space(name).chain]


def texts(svg: str) -> list[str]:
    return ["".join(e.itertext()) for e in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def blocks(name: str) -> list[Block]:
    there = design(name)
    assert there.choices
    return blocks_of(space(there.space), there.choices, there.settings)


@pytest.mark.parametrize("name", CHAINS)
def test_each_block_of_a_chain_takes_what_the_one_before_gives_and_has_its_box(name: str) -> None:
    known = space(name)
    with torch.device("meta"):
        choices = known.supernet().space.sample(Random(1))
    found = blocks_of(known, choices, {})
    sized = known.network.sized({})
    assert (found[0].inputs, found[0].fed) == (sized["shape"][0], tuple(sized["shape"][1:])) and found[-1].outputs == sized["classes"]
    for one, other in pairwise(found):
        assert other.inputs == one.outputs
        assert other.fed in (one.gives, (1, 1), ())  # pooled over the whole image between the last blocks
    assert chain(found, name)[0].count("<g><title>") == len(found)


def test_the_blocks_of_a_network_of_once_for_all_are_those_of_its_notation() -> None:
    there = design("ofa-pixel1_lat-143ms_top1-80.1_finetune-75")
    found = [block for block in blocks(f"{there.notation.replace(':', '(shape=[3, 240, 240], width=1.2):', 1)}") if block.kind == "block"]
    assert ["".join(block.words[:2]) for block in found[1:]] == there.notation.partition(":")[2].replace("|", "").split()
    assert [block.gives for block in found if block.stride == 2] == [(60, 60), (30, 30), (15, 15), (8, 8)]
    assert [block.outputs for block in found] == [24] + 3 * [32] + 4 * [48] + 4 * [96] + 4 * [136] + 4 * [192]
    assert sum("se" in block.words for block in found) == 12


def test_rows_are_stages_and_skipped_blocks_are_faint() -> None:
    rows = stages(blocks("fbnet-a"))
    assert [len(row) for row in rows] == [1, 1, 4, 4, 4, 4, 4, 1, 2]
    there = design("fbnet-a")
    svg = draw(there.space, there.choices, there.notation, there.settings)
    assert "Blocks of fbnet" in svg and texts(svg).count("skip") == 3 and "dashed: skipped" in svg and texts(svg).count("stride 2") == 5
    assert {"28 × 28", "184 channels", "1,000 outputs", "kernel 5"} <= set(texts(svg))


def test_boxes_stand_inside_the_picture_and_apart() -> None:
    wide = {"layer.0": "k3e1", **{f"layer.{i}": f"k5e{(1, 3, 6)[i % 3]}" for i in range(1, 22)}}
    svg = draw_blocks("fbnet", wide, {"widths": (16, 24, 32, 64, 112, 184, 352), "depths": (1, 4, 4, 8, 1, 3, 1), "classes": 3})
    assert svg
    root = ElementTree.fromstring(svg)
    boxes = [[float(e.get(k)) for k in ("x", "y", "width", "height")] for e in root.iter("{http://www.w3.org/2000/svg}rect") if e.get("x")]
    boxes = [box for box in boxes if box[3] > 12]  # the legend's are smaller
    assert len(boxes) == 25 and all(x + width <= float(root.get("width")) for x, _, width, _ in boxes)
    for i, (x, y, width, height) in enumerate(boxes):
        assert all(x + width < u or u + w < x or y + height < v or v + h < y for u, v, w, h in boxes[i + 1 :])


def test_sizes_that_make_no_network_leave_the_layers_to_be_drawn() -> None:
    choices = {f"layer.{i}": "k3e3" for i in range(22)}
    assert draw_blocks("fbnet", choices, {"width": "wide"}) is None and draw_blocks("darts", choices, {}) is None
    assert "Layers of fbnet" in draw("fbnet", choices, "fbnet: k3e3 k3e3", {"no": "setting"})


def test_layers_with_skip_connections_are_drawn_with_an_arc_for_each() -> None:
    there = design("enas-macro: 0 | 3 1 | 0 1 0 | 4 0 1 1 | 5 1 0 0 1 | 1 0 0 0 0 0")
    svg = draw(there.space, there.choices, there.notation)
    assert svg.count("stroke-opacity") == 6 and svg.count("stroke-dasharray") == 2  # added states; halvings
    said = texts(svg)
    assert said.count("conv_3x3") == 2 and {"sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3", "stem", "6"} <= set(said)
    assert len(texts(draw("enas-macro", design("enas-macro").choices))) > 24 * 2
