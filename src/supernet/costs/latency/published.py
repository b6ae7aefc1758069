"""Latency tables that papers published, as they wrote them.

- ProxylessNAS (Cai et al. 2019, https://arxiv.org/abs/1812.00332), Pixel 1: YAML, one entry a kind of block, named by its sizes.
- Once-for-All (Cai et al. 2020, https://arxiv.org/abs/1908.09791), Note10: the same with other names, a file for each resolution.
- Single-Path NAS (Stamoulis et al. 2019, https://arxiv.org/abs/1904.02877), Pixel 1: JSON, four numbers for each of 22 layers.
- DenseNAS (Fang et al. 2020, https://arxiv.org/abs/1906.09607), TITAN Xp at batch 32: nested lists, block by block.

All times are in ms and of the papers' own networks at 224x224 pixels, where the file's name does not say another size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from supernet.costs.latency.published_blocks import lookup, once_for_all, proxyless, table_in
from supernet.costs.parts import Part
from supernet.errors import InputError
from supernet.mixture import Table
from supernet.space import SearchSpace

REST = 19.5999  # Single-Path NAS: what is not searched, ms
SINGLE_PATH_INPUTS = [  # of its 20 layers: channels, side
    (16, 112),
    *[(24, 56)] * 4,
    *[(40, 28)] * 4,
    *[(80, 14)] * 4,
    *[(96, 14)] * 4,
    *[(192, 7)] * 3,
]


def kind_of(path: Path) -> str | None:
    """What a file holds: "measured" (``LatencyTable``), "predictor" (``Predictor``), or a paper's; None: none of these.

    The papers: "proxyless", "once-for-all", "single-path", "densenas".
    """
    content = table_in(path)
    if isinstance(content, list):
        return "densenas" if len(content) == 4 and isinstance(content[1], list) else None
    if not isinstance(content, dict):
        return None
    if own := {"latency": "measured", "latency predictor": "predictor"}.get(str(content.get("kind"))):
        return own
    if any(str(name).startswith("expanded_conv-") for name in content):
        return "once-for-all" if any("-se:" in str(name) for name in content) else "proxyless"
    return "single-path" if set(content) == {str(i) for i in range(22)} else None


def published_table(path: Path, space: SearchSpace, found: Sequence[Part], *, interpolated: bool = False) -> Table:
    """A published table over ``space``, in ms, fixed layers included.

    Args:
        path: a file of ProxylessNAS, Once-for-All, Single-Path NAS or DenseNAS; which one, its content says.
        found: the network's parts, see ``supernet.costs.parts``; they say whether the table is of this network.
        interpolated: of Single-Path NAS, whether kernel 3 at expansion 3 is computed from the other three, as its code does.

    Raises:
        InputError: the file is none of these, or of a network of other sizes.
    """
    kind = kind_of(path)
    try:
        if kind == "proxyless":
            return proxyless(lookup(path), space, found)
        if kind == "once-for-all":
            return once_for_all(lookup(path), space, found)
        if kind == "single-path":
            return _single_path(table_in(path), space, found, interpolated)
        if kind == "densenas":
            return _dense(table_in(path), space, found)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        reason = str(error) if isinstance(error, InputError) else "its entries are not those of this network's layers"
        raise InputError(f"{path} cannot be used: {reason}") from error
    raise InputError(f"{path} is not a latency table that is known")


def _single_path(entries: Mapping[str, Mapping[str, float]], space: SearchSpace, found: Sequence[Part], interpolated: bool) -> Table:
    fed = {name: part.inputs[0].shape for part in found for place in part.places for name in place.names}
    table: Table = {(): torch.tensor(REST, dtype=torch.float64)}
    for i, (channels, side) in enumerate(SINGLE_PATH_INPUTS):
        names = (f"layer.{i}.expansion", f"layer.{i}.kernel")
        if tuple(fed[names[0]][1:]) != (channels, side, side):
            raise InputError(
                f"layer {i} of the table is fed {channels} channels of {side}x{side}, of this network {tuple(fed[names[0]][1:])}"
            )
        half3, whole3, half5, whole5 = (float(entries[str(i + 1)][str(k)]) for k in range(4))
        if interpolated:
            half3 = half5 * whole3 / whole5
        times = {(3, 3): half3, (6, 3): whole3, (3, 5): half5, (6, 5): whole5}  # expansion, kernel
        kernels, expansions = space[names[1]].options, space[names[0]].options
        rows = [[times[int(e), int(k)] if e else 0.0 for k in kernels] for e in expansions]
        table[names] = torch.tensor(rows, dtype=torch.float64)
    if len(space) != 2 * len(SINGLE_PATH_INPUTS):
        raise InputError(f"the table is of {len(SINGLE_PATH_INPUTS)} layers, the network has {len(space) // 2}")
    return table


def _dense(lists: Sequence[Any], space: SearchSpace, found: Sequence[Part]) -> Table:
    """``lists``: what comes before the first route; [heads, stack] of each later block; the heads of the end; the classifier.

    The heads of a block start with that from the nearest block before it, with a number for each option; so do the layers of the stack.
    """
    before, blocks, end, classifier = lists
    for part in found:
        shape = tuple(part.inputs[0].shape[1:]) if part.inputs else ()
        width = next((name.split(".")[1] for place in part.places for name in place.names if name.startswith("stack.")), None)
        if (part is found[0] and shape != (3, 224, 224)) or (width and str(shape[0]) != width):
            raise InputError("the table is of the paper's widths at 224x224 pixels, the network has others")
    table: Table = {(): torch.tensor(before + classifier, dtype=torch.float64)}

    def put(name: str, times: Sequence[float]) -> None:
        if len(times) != len(space[name].options):
            raise InputError(f"the table has {len(times)} options for {name}, the network {len(space[name].options)}")
        table[(name,)] = torch.tensor(times, dtype=torch.float64)

    places = [name.removeprefix("route.") for name in space if name.startswith("route.")]
    if not places:
        raise InputError("the table is of DenseNAS' networks")
    for place, (heads, stack) in zip([*places[1:], "end"], [*blocks, ([[ms] for ms in end], [])], strict=True):
        routes = [space[f"route.{source}"] for source in places]
        leading = [(source, route) for source, route in zip(places, routes, strict=True) if place in map(str, route.options)]
        for (source, route), times in zip(reversed(leading), heads, strict=True):
            if (head := f"head.{source}.{place}") in space:
                put(head, times)
            else:  # a head without a choice is paid by the route that takes it
                row = table.setdefault((route.name,), torch.zeros(len(route.options), dtype=torch.float64))
                row[[str(option) for option in route.options].index(place)] = times[0]
        for i, name in enumerate(n for n in space if n.startswith(f"stack.{place}.")):
            put(name, stack[i])  # the last blocks are listed with stacks that the network has not
    return table
