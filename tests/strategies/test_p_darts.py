"""P-DARTS: what its official search script keeps and derives from given alphas, its schedules, and its stages."""

from __future__ import annotations

import copy
from functools import cache, partial
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from supernet import InputError, OneOf, Supernet, Task
from supernet.ops import SkipDropout
from supernet.space import Architecture, SearchSpace
from supernet.spaces import cell
from supernet.strategies.p_darts import PDARTS
from supernet.strategies.rules import capped, leading, strongest

KINDS = ("normal", "reduce")
EDGES = {kind: [f"{kind}.{i}<{j}" for i in range(2, 6) for j in range(i)] for kind in KINDS}
SHORT = dict(zip(["none", "max", "avg", "skip", "sep3", "sep5", "dil3", "dil5"], cell.OPERATIONS, strict=True))

# the operations of every normal edge after stages 1 and 2 for alphas sin(1 + stage + i), and with 2 added to skip-connections
KEPT = (
    "none max avg dil3 dil5 | none sep3 sep5 dil3 dil5 | max avg skip sep3 sep5 | none max avg skip dil5 | none max sep5 dil3 dil5 | "
    "none skip sep3 sep5 dil3 | max avg skip sep3 dil5 | none max avg dil3 dil5 | none max sep5 dil3 dil5 | avg skip sep3 sep5 dil3 | "
    "max avg skip sep3 dil5 | none max avg dil3 dil5 | none sep3 sep5 dil3 dil5 | max avg skip sep3 sep5",
    "none max dil5 | none sep3 sep5 | avg skip sep3 | avg skip dil5 | none dil3 dil5 | none skip dil3 | max avg skip | max avg dil3 | "
    "sep5 dil3 dil5 | avg sep5 dil3 | max avg dil5 | none max avg | sep3 sep5 dil3 | skip sep3 sep5",
)
KEPT_SKIPS = (
    "none max skip dil3 dil5 | none skip sep3 sep5 dil3 | max avg skip sep3 sep5 | none max avg skip dil5 | none max skip dil3 dil5 | "
    "none skip sep3 sep5 dil3 | max avg skip sep3 dil5 | none max avg skip dil5 | none skip sep5 dil3 dil5 | avg skip sep3 sep5 dil3 | "
    "max avg skip sep3 dil5 | none max skip dil3 dil5 | none skip sep3 sep5 dil3 | max avg skip sep3 sep5",
    "none max skip | none skip sep3 | avg skip sep3 | avg skip dil5 | none skip dil5 | none skip dil3 | max avg skip | max avg skip | "
    "skip dil3 dil5 | avg skip dil3 | max avg skip | none max skip | skip sep3 sep5 | skip sep3 sep5",
)
PLAIN = "max<0 sep5<1 avg<0 dil5<1 max<1 dil3<2 dil3<0 avg<2"
REDUCE = "dil5<0 avg<1 avg<0 dil3<2 max<2 skip<3 avg<3 skip<4"
CAPPED = {  # at most so many skip-connections -> the normal cell
    8: "skip<0 skip<1 skip<1 skip<2 skip<2 skip<3 skip<2 skip<3",
    7: "max<0 skip<1 skip<1 skip<2 skip<2 skip<3 skip<2 skip<3",
    6: "max<0 skip<1 avg<0 skip<1 skip<2 skip<3 skip<2 skip<3",
    5: "max<0 skip<1 avg<0 dil5<1 skip<2 skip<3 skip<2 skip<3",
    4: "max<0 sep3<1 avg<0 dil5<1 skip<2 skip<3 skip<2 skip<3",
    3: "max<0 sep3<1 avg<0 dil5<1 skip<2 skip<3 max<1 skip<2",
    2: "max<0 sep3<1 avg<0 dil5<1 max<1 skip<2 max<1 skip<2",
    1: "max<0 sep3<1 avg<0 dil5<1 max<1 skip<2 dil3<0 max<1",
    0: "max<0 sep3<1 avg<0 dil5<1 dil3<0 max<1 dil3<0 max<1",
}


@cache
def searched() -> SearchSpace:
    """The choices of the cells of DARTS."""
    with torch.device("meta"):
        return cell.supernet(channels=4, cells=3).space


def operations(text: str) -> list[tuple[str, ...]]:
    return [tuple(SHORT[o] for o in edge.split()) for edge in text.split(" | ")]


def decided(normal: str, reduce: str) -> Architecture:
    found: Architecture = {}
    for kind, text in (("normal", normal), ("reduce", reduce)):
        pairs = [edge.split("<") for edge in text.split()]
        for k in range(4):
            two = pairs[2 * k : 2 * k + 2]
            found[f"{kind}.{k + 2}"] = tuple(int(j) for _, j in two)
            found |= {f"{kind}.{k + 2}<{j}": SHORT[o] for o, j in two}
    return found


def belief(space: SearchSpace, stage: int, skips: float) -> dict[str, list[float]]:
    found = {}
    for kind, wave in zip(KINDS, (torch.sin, torch.cos), strict=True):
        n = len(space[EDGES[kind][0]].options)
        rows = wave(1 + stage + torch.arange(14 * n, dtype=torch.float64)).view(14, n)
        for name, row in zip(EDGES[kind], rows, strict=True):
            if kind == "normal" and "skip_connect" in space[name].options:
                row[space[name].options.index("skip_connect")] += skips
            found[name] = row.softmax(-1).tolist()
    return found


@pytest.mark.parametrize(("skips", "kept", "normal"), [(0.0, KEPT, PLAIN), (2.0, KEPT_SKIPS, CAPPED[8])])
def test_stages_keep_the_operations_that_the_official_script_keeps(skips: float, kept: tuple[str, str], normal: str) -> None:
    space = searched()
    for stage, keep in enumerate((5, 3)):
        space = space.narrow(leading(space, belief(space, stage, skips), keep))
        assert [space[name].options for name in EDGES["normal"]] == operations(kept[stage])
    found = strongest(space, belief(space, 2, skips), late_ties=True)
    assert space.matters(found) == decided(normal, REDUCE)


@pytest.mark.parametrize("cap", CAPPED)
def test_skip_connections_are_capped_as_in_the_official_script(cap: int) -> None:
    space = searched()
    options = dict(zip(EDGES["normal"], operations(KEPT_SKIPS[1]), strict=True))
    for stage, keep in enumerate((5, 3)):
        space = space.narrow(leading(space, belief(space, stage, 2.0), keep))
    assert {name: space[name].options for name in EDGES["normal"]} == options
    given = belief(space, 2, 2.0)
    before = copy.deepcopy(given)
    assert space.matters(capped(space, given, cap, late_ties=True)) == decided(CAPPED[cap], REDUCE)
    assert given == before


def test_ties_go_to_the_later_input() -> None:
    space = searched()
    even = {name: [1.0] * len(c.options) for name, c in space.items() if c.pick is None}
    found = capped(space, even, 2, late_ties=True)
    assert [found[f"normal.{i}"] for i in range(2, 6)] == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_cap_that_cannot_be_kept_ends_with_what_there_is() -> None:
    with torch.device("meta"):
        space = cell.supernet(channels=4, operations=("none", "skip_connect")).space
    even = {name: [0.5] * len(c.options) for name, c in space.items() if c.pick is None}
    assert set(capped(space, even, 2).values()) >= {"skip_connect"}


def build(**settings: Any) -> Supernet:
    sizes = {"channels": 4, "cells": 3, "nodes": 2, "shape": (3, 8, 8), "classes": 3, "skip_dropout": True}
    return cell.supernet(**{**sizes, **settings})


STAGES = ({"cells": 3}, {"cells": 4}, {"cells": 5})


def search(**settings: Any) -> PDARTS:
    torch.manual_seed(0)
    batch = (torch.randn(2, 3, 8, 8), torch.tensor([0, 2]))
    task = Task([batch], [batch], loss=F.cross_entropy)
    return PDARTS(build(), task, **{"build": build, "stages": STAGES, **settings})


def test_skip_dropout_falls_then_begins_again_when_the_alphas_learn() -> None:
    strategy = search(dropout=(0.4, 0.4, 0.7))
    found, warm = [], []
    for done in range(25):
        strategy.epoch(done, 75, {})
        found.append(next(m.p for m in strategy.supernet.modules() if isinstance(m, SkipDropout)))
        warm.append(strategy.alphas_learn)
    assert [found[e] for e in (0, 5, 9, 10, 15, 24)] == pytest.approx([0.384, 0.304, 0.24, 0.4, 0.1471517765, 0.02432402505])
    assert warm == [False] * 10 + [True] * 15


def test_stages_deepen_the_network_and_drop_operations_and_begin_anew() -> None:
    strategy = search()
    sizes, starts = [], []
    for done in range(6):
        strategy.epoch(done, 6, {})
        sizes.append((len(strategy.supernet.model.cells), len(strategy.supernet.space["normal.2<0"].options), strategy.weights.lr))
        starts.append(max(float(p.detach().abs().max()) for p in strategy.alphas.values()))
        strategy.step(strategy.task.data)
    assert [s[:2] for s in sizes] == [(3, 8), (3, 8), (4, 5), (4, 5), (5, 3), (5, 3)]
    assert [s[2] for s in sizes] == pytest.approx([0.025, 0.0125] * 3)
    assert all(start < 0.01 for start in starts[::2])
    assert strategy.built == {"cells": 5}
    strategy.epoch(6, 6, {})
    found = strategy.architecture()
    assert strategy.supernet.space.check(found)
    assert "none" not in found.values()


def test_what_a_stage_keeps_is_what_was_believed_in() -> None:
    strategy = search(stages=STAGES[:2], keep=(8, 3), dropout=(0.0, 0.0))
    strategy.epoch(0, 2, {})
    for alpha in strategy.alphas.values():
        alpha.data.copy_(torch.tensor([5.0, 0, 0, 0, 4, 3, 0, 0]))
    strategy.epoch(1, 2, {})
    assert {c.options for c in strategy.supernet.space.values() if c.pick is None} == {("none", "sep_conv_3x3", "sep_conv_5x5")}


def test_gradients_of_the_alphas_are_clipped() -> None:
    strategy = search(alpha_clip=1e-3)
    strategy.epoch(5, 18, {})
    strategy.step(strategy.task.data)
    total = torch.stack([p.grad.norm() for p in strategy.alphas.values() if p.grad is not None]).norm()
    assert 0 < float(total) <= 1.001e-3


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"build": None}, "needs build="),
        ({"dropout": (0.1,)}, "each of the 3 stages"),
        ({"stops": ("stable",)}, "excludes stops"),
        ({"keep": (8, 5)}, "as much of every stage"),
    ],
)
def test_what_cannot_work_is_refused_at_construction(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        search(**settings)


def test_module_without_skip_dropout_is_refused() -> None:
    net = Supernet(torch.nn.Sequential(OneOf({"a": torch.nn.Linear(2, 2), "b": torch.nn.Identity()})))
    batch = (torch.randn(2, 2), torch.tensor([0, 1]))
    with pytest.raises(InputError, match="skip_dropout=True"):
        PDARTS(net, Task([batch], [batch], loss=F.cross_entropy), build=partial(build))


def test_fewer_epochs_than_stages_are_refused_before_any_work() -> None:
    with pytest.raises(InputError, match="3 stages"):
        search().epoch(0, 2, {})
