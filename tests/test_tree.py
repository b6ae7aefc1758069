from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from supernet.tree import leaves, mapped, tensors, versions


class Pair(NamedTuple):
    x: Any
    y: Any


@dataclass(frozen=True)
class Held:
    x: Any
    name: str = "a"


def test_a_tree_keeps_its_kinds_and_every_leaf_is_mapped_with_those_at_its_place() -> None:
    tree = {"a": [1, (2, Pair(3, None))], "b": OrderedDict(c=Held(4))}
    doubled = mapped(lambda x, y: (x, y) if isinstance(x, int) else x, tree, tree)
    assert doubled == {"a": [(1, 1), ((2, 2), Pair((3, 3), None))], "b": OrderedDict(c=Held((4, 4)))}
    assert type(doubled["a"][1][1]) is Pair and type(doubled["b"]) is OrderedDict
    assert leaves(tree) == [1, 2, 3, None, 4, "a"]
    assert tree == {"a": [1, (2, Pair(3, None))], "b": OrderedDict(c=Held(4))}


def test_tensors_and_their_versions_are_found_at_any_depth() -> None:
    x, y = torch.zeros(2), torch.zeros(3)
    y.add_(1)
    assert [t is u for t, u in zip(tensors([{"a": x}, Held(y), "text"]), (x, y), strict=True)] == [True, True]
    assert versions([x, [Held(y)], 3]) == [0, 1]
    with torch.inference_mode():
        made: Tensor = torch.zeros(1)
    assert versions([made]) == [0]
