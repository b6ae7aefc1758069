import math
import re
from functools import cache
from itertools import pairwise
from random import Random
from xml.etree import ElementTree

import pytest
from run_folders import DARTS_V2

from supernet.errors import InputError
from supernet.genotype import ALL_OPERATIONS, Cell, Genotype
from supernet.naming.lookup import design
from supernet.report.cell_drawing import FIXED_REDUCTION, cell_graph, draw, draw_chain, draw_choices, draw_genotype, draw_graph
from supernet.report.graph_drawing import laid_out
from supernet.report.layout import Box, Layout
from supernet.spaces.pictured import Graph

GENOTYPES = {
    "darts-v2": DARTS_V2,
    "nasnet-a": "Genotype(normal=[('sep_conv_5x5', 1), ('sep_conv_3x3', 0), ('sep_conv_5x5', 0), ('sep_conv_3x3', 0), ('avg_pool_3x3', 1), "
    "('skip_connect', 0), ('avg_pool_3x3', 0), ('avg_pool_3x3', 0), ('sep_conv_3x3', 1), ('skip_connect', 1)], normal_concat=range(2, 7), "
    "reduce=[('sep_conv_5x5', 1), ('sep_conv_7x7', 0), ('max_pool_3x3', 1), ('sep_conv_7x7', 0), ('avg_pool_3x3', 1), ('sep_conv_5x5', 0), "
    "('skip_connect', 3), ('avg_pool_3x3', 2), ('sep_conv_3x3', 2), ('max_pool_3x3', 1)], reduce_concat=[4, 5, 6])",
    "amoebanet-a": "Genotype(normal=[('avg_pool_3x3', 0), ('max_pool_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_5x5', 2), "
    "('sep_conv_3x3', 0), ('avg_pool_3x3', 3), ('sep_conv_3x3', 1), "
    "('skip_connect', 1), ('skip_connect', 0), ('avg_pool_3x3', 1)], normal_concat=[4, 5, 6], "
    "reduce=[('avg_pool_3x3', 0), ('sep_conv_3x3', 1), ('max_pool_3x3', 0), ('sep_conv_7x7', 2), ('sep_conv_7x7', 0), ('avg_pool_3x3', 1), "
    "('max_pool_3x3', 0), ('max_pool_3x3', 1), ('conv_7x1_1x7', 0), ('sep_conv_3x3', 5)], reduce_concat=[3, 4, 6])",
    "gdas-gf": "Genotype(normal=[('skip_connect', 0), ('skip_connect', 1), ('skip_connect', 0), ('sep_conv_5x5', 2), ('sep_conv_3x3', 3), "
    "('skip_connect', 0), ('sep_conv_5x5', 4), ('sep_conv_3x3', 3)], normal_concat=range(2, 6), reduce=None, reduce_concat=range(2, 6))",
    "fairdarts-g": "Genotype(normal=[('sep_conv_3x3', 2, 0), ('sep_conv_3x3', 2, 1), ('skip_connect', 4, 3), ('sep_conv_5x5', 4, 1), "
    "('dil_conv_3x3', 5, 0), ('sep_conv_3x3', 5, 1)], normal_concat=range(2, 6), reduce=[('avg_pool_3x3', 2, 1), ('skip_connect', 2, 0), "
    "('skip_connect', 3, 2), ('max_pool_3x3', 3, 1), ('sep_conv_5x5', 4, 3), ('max_pool_3x3', 4, 0), ('dil_conv_3x3', 5, 1), "
    "('dil_conv_3x3', 5, 4)], reduce_concat=range(2, 6))",
}


def random_cell(seed: int) -> tuple[Cell, tuple[int, ...]]:
    """Up to six nodes with none to four edges each, repeats allowed, and some of the states as output."""
    rng = Random(seed)
    nodes = [
        [(rng.choice(ALL_OPERATIONS), rng.randrange(i)) for _ in range(rng.choice((0, 1, 2, 2, 2, 2, 3, 4)))]
        for i in range(2, rng.randint(3, 8))
    ]
    cell = tuple(map(tuple, nodes))
    return cell, tuple(s for s in range(2, len(cell) + 2) if rng.random() < 0.8)


def graphs() -> list[Graph]:
    genotypes = [Genotype.parse(text) for text in GENOTYPES.values()]
    cells = [(g.normal, g.normal_concat) for g in genotypes] + [(g.reduce, g.reduce_concat) for g in genotypes if g.reduce]
    return [FIXED_REDUCTION] + [cell_graph(*cell) for cell in cells + [random_cell(seed) for seed in range(24)]]


@cache
def layouts() -> list[tuple[Graph, Layout]]:
    return [(graph, laid_out(graph)) for graph in graphs()]


def along(layout: Layout, link: int) -> list[tuple[float, float]]:
    """Points of the drawn line of a link, a few pixels apart."""
    path, points = layout.paths[link], []
    for i, ((x, y), (u, v)) in enumerate(pairwise(path)):
        for t in (k / 24 for k in range(25)):
            bent = 3 * (1 - t) * t * t + t**3 if i % 2 == 0 else t  # the curve's height is a cubic from y to v
            across = 3 * (1 - t) * t * (x + u) / 2 + (1 - t) ** 3 * x + t**3 * u if i % 2 == 0 else x + t * (u - x)
            points.append((across, y + bent * (v - y)))
    return points


def inside(point: tuple[float, float], box: Box) -> bool:
    return box.x + 1 < point[0] < box.x + box.width - 1 and box.y + 1 < point[1] < box.y + box.height - 1


def test_labels_overlap_neither_each_other_nor_nodes():
    for graph, layout in layouts():
        boxes = [*(b for b in layout.labels if b), *layout.nodes.values()]
        assert sum(b is not None for b in layout.labels) == sum(bool(op) for _, _, op in graph.edges)
        for i, a in enumerate(boxes):
            assert not any(a.overlaps(b, apart=5) for b in boxes[i + 1 :])


def test_every_label_lies_on_its_own_edge_and_no_edge_runs_through_another_label_or_node():
    for graph, layout in layouts():
        for link, (source, target, _) in enumerate(graph.edges):
            points, own = along(layout, link), layout.labels[link]
            assert own is None or any(inside(p, own) for p in points)
            others = [b for i, b in enumerate(layout.labels) if b and i != link]
            others += [b for name, b in layout.nodes.items() if name not in (source, target)]
            assert not any(inside(p, b) for p in points for b in others)


def test_edges_lead_from_left_to_right_from_the_source_to_the_target():
    for graph, layout in layouts():
        for path, (source, target, _) in zip(layout.paths, graph.edges, strict=True):
            assert all(a[0] <= b[0] for a, b in pairwise(path))
            start, end = layout.nodes[source], layout.nodes[target]
            assert math.isclose(path[0][0], start.x + start.width) and start.y < path[0][1] < start.y + start.height
            assert math.isclose(path[-1][0], end.x) and end.y < path[-1][1] < end.y + end.height


def test_everything_stands_inside_the_picture():
    for _, layout in layouts():
        for box in (*layout.nodes.values(), *(b for b in layout.labels if b)):
            assert box.x >= -1e-6 and box.y >= -1e-6
            assert box.x + box.width <= layout.width + 1e-6 and box.y + box.height <= layout.height + 1e-6


def test_a_graph_that_needs_no_crossing_has_none():
    edges = [("in", a, "conv") for a in "abcd"] + [(a, "out", "") for a in "dbca"]
    layout = laid_out(Graph(["in", *"dbca", "out"], edges, ["in"], ["out"]))
    rows = [layout.nodes[a].y for a in "abcd"]
    labels = [box.y for box in layout.labels if box]
    assert sorted(range(4), key=rows.__getitem__) == sorted(range(4), key=labels.__getitem__)


@pytest.mark.parametrize("name", GENOTYPES)
def test_a_drawing_names_every_operation_as_often_as_the_genotype_has_it(name):
    genotype = Genotype.parse(GENOTYPES[name])
    root = ElementTree.fromstring(draw_genotype(genotype))
    texts = ["".join(e.itertext()) for e in root.iter("{http://www.w3.org/2000/svg}text")]
    edges = [op for cell in (genotype.normal, genotype.reduce or ()) for node in cell for op, _ in node]
    fixed = [op for _, _, op in FIXED_REDUCTION.edges] if genotype.reduce is None else []
    for operation in {*edges, *fixed}:
        assert texts.count(operation) == edges.count(operation) + fixed.count(operation)
    assert texts.count("ck") == 2 and texts.count("ck-2") == 2 and "Normal cell" in texts


def test_the_fixed_reduction_cell_is_named():
    assert "fixed reduction cell (FRC)" in draw_genotype(Genotype.parse(GENOTYPES["gdas-gf"]))


def test_a_node_that_nothing_enters_is_dashed_and_leads_nowhere():
    genotype = Genotype.parse(GENOTYPES["fairdarts-g"])
    graph = cell_graph(genotype.normal, genotype.normal_concat)
    assert graph.absent == ["1"]
    assert [source for source, target, _ in graph.edges if target == "c_{k}"] == ["0", "2", "3"]
    assert "nothing enters it" in draw_genotype(genotype)
    assert "nothing enters it" not in draw_genotype(Genotype.parse(DARTS_V2))


def test_the_same_genotype_is_drawn_the_same_way():
    assert draw_genotype(Genotype.parse(DARTS_V2)) == draw_genotype(Genotype.parse(DARTS_V2))


def test_a_drawing_has_a_ground_of_its_own_in_light_and_dark_and_no_script():
    svg = draw_genotype(Genotype.parse(DARTS_V2))
    assert '<rect width="100%" height="100%" class="sf-paper" fill="#ffffff"/>' in svg
    assert re.search(r"prefers-color-scheme:dark\)\{\.sf-paper\{fill:#15181d\}", svg)
    assert "<script" not in svg and " id=" not in svg


def test_draw_chooses_by_what_the_architecture_is():
    edges = ("1<0", "2<0", "2<1", "3<0", "3<1", "3<2")
    assert "Cell of nasbench201" in draw("nasbench201", dict.fromkeys(edges, "nor_conv_3x3"), "|nor_conv_3x3~0|+...")
    assert "Layers of nasbench-macro" in draw("nasbench-macro", {str(i): "mb3_k3" for i in range(8)}, "11111111")
    assert "Reduction cell" in draw("darts", {}, DARTS_V2)
    assert "Reduction cell" in draw("darts", None, DARTS_V2)
    assert "Choices" in draw("own", {"stage": 3, "block": "k5"})
    assert "Choices" in draw("own", {})


def test_an_encoder_and_a_decoder_are_drawn_by_levels():
    there = design("unet: down(k3e2 k5e4 skip) across(pass none) up(k3e4 k5e2)")
    svg = draw(there.space, there.choices, there.notation)
    assert "Levels of unet" in svg and "Choices" not in svg
    assert all(f">{taken}<" in svg for taken in there.choices.values()) and all(f">{side}<" in svg for side in ("x", "y", "1/8", "+1/4"))


ONE_SHOT = "one-shot-cell: 0 1 > sep_conv_3x3 | 2 > skip_connect max_pool_3x3 | 0 > avg_pool_3x3 | 3 4 > sep_conv_5x5"


@pytest.mark.parametrize(
    ("notation", "title", "operations"),
    [
        (
            "fashion-bench: conv_3x3 skip_connect avg_pool_3x3 12 2",
            "Cell of fashion-bench: 2 of 12 channels, 2 of 24",
            "avg_pool_3x3 conv_3x3 skip_connect",
        ),
        (ONE_SHOT, "Cell of one-shot-cell", "avg_pool_3x3 max_pool_3x3 sep_conv_3x3 sep_conv_5x5 skip_connect"),
        ("enas-rnn: 0 2 1 3 0 0", "Recurrent cell", "identity sigmoid tanh"),
    ],
)
def test_a_cell_whose_notation_is_a_list_of_words_is_drawn_as_a_graph(notation: str, title: str, operations: str) -> None:
    there = design(notation)
    svg = draw(there.space, there.choices, there.notation, there.settings)
    texts = ["".join(e.itertext()) for e in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == title
    assert sorted(t for t in texts if t in operations.split()) == operations.split()
    assert not any(" " in t for t in texts[1:]), "no label is made of several words of the notation"


def test_a_recurrent_genotype_is_drawn_with_every_activation():
    text = "Genotype(recurrent=[('sigmoid', 0), ('relu', 1), ('relu', 1), ('identity', 1), ('tanh', 2), ('tanh', 3)], concat=range(1, 7))"
    texts = ["".join(e.itertext()) for e in ElementTree.fromstring(draw("darts-rnn", None, text)).iter("{http://www.w3.org/2000/svg}text")]
    assert [texts.count(a) for a in ("sigmoid", "relu", "identity", "tanh")] == [1, 2, 1, 2]
    assert {"xt", "ht-1", "ht", "0", "6"} <= set(texts)


def test_choices_of_a_cell_space_are_drawn_as_cells_without_a_genotype():
    choices = {"normal.2": [0, 1], "normal.2<0": "sep_conv_3x3", "normal.2<1": "skip_connect", "normal.3": (0, 2)}
    svg = draw("darts", {**choices, "normal.3<0": "max_pool_3x3", "normal.3<1": "none", "normal.3<2": "dil_conv_5x5"})
    assert "Normal cell" in svg and "Reduction cell" not in svg
    assert all(f">{op}<" in svg for op in ("sep_conv_3x3", "skip_connect", "max_pool_3x3", "dil_conv_5x5")) and ">none<" not in svg


def test_a_chain_keeps_its_order_over_several_rows():
    layers = [f"mb{i % 4}_k{3 + 2 * (i % 3)}_{i}" for i in range(21)]
    root = ElementTree.fromstring(draw_chain(layers, "Layers"))
    texts = [e for e in root.iter("{http://www.w3.org/2000/svg}text") if e.text in layers]
    assert [e.text for e in sorted(texts, key=lambda e: (float(e.get("y")), float(e.get("x"))))] == layers
    assert len({e.get("y") for e in texts}) > 1
    assert draw_chain([], "Empty")


def test_any_acyclic_graph_can_be_drawn_and_a_circle_is_refused():
    recurrent = [("0", "1", "tanh"), ("1", "2", "relu"), ("1", "3", "sigmoid"), ("2", "h", ""), ("3", "h", "")]
    assert draw_graph(["0", "1", "2", "3", "h"], recurrent, "Recurrent cell").count(">relu<") == 1
    with pytest.raises(InputError, match="circle"):
        draw_graph(["a", "b"], [("a", "b", "x"), ("b", "a", "y")])


def test_names_of_users_are_escaped():
    for svg in (draw_choices({"<b>&": "</svg>"}), draw_chain(["<i>"], "a & b"), draw_graph(["<", "&"], [("<", "&", "<op>")], '"')):
        ElementTree.fromstring(svg)


@pytest.mark.parametrize("name", ["fbnet-a", "proxyless-cpu", "single-path", "densenas-a"])
def test_a_chain_is_drawn_layer_by_layer(name: str) -> None:
    there = design(name)
    svg = draw(there.space, there.choices, there.notation)
    words = there.notation.partition(":")[2].replace("|", " ").split()
    assert f"Layers of {there.space}" in svg and "Choices" not in svg
    for word in set(words):
        assert svg.count(word) >= words.count(word)


def test_settings_in_the_notation_of_a_chain_are_not_drawn() -> None:
    choices = {"layer.0": "k3e3", "layer.1": "skip"}
    assert draw("fbnet", choices, "fbnet(width=0.5, depths=[1, 1]): k3e3 skip") == draw("fbnet", choices, "fbnet: k3e3 skip")
