"""Latency tables that name each kind of block by its sizes: ProxylessNAS' and Once-for-All's, YAML, a mean in ms an entry.

Cai et al. 2019, https://arxiv.org/abs/1812.00332; Cai et al. 2020, https://arxiv.org/abs/1908.09791
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from supernet.costs.parts import Part, tabulate
from supernet.errors import InputError
from supernet.files.readers import json_of, read_text, yaml_of
from supernet.mixture import Table
from supernet.modules.squeeze_excite import SqueezeExcite
from supernet.space import SearchSpace

Lookup = dict[str, float]  # kind of block -> ms


def table_in(path: Path) -> Any:
    """JSON or YAML; raises ``InputError``."""
    text = read_text(path)
    return json_of(text, str(path)) if text.lstrip()[:1] in ("{", "[") else yaml_of(text, str(path))


def lookup(path: Path) -> Lookup:
    """The mean times of a YAML table by the names of its entries; raises ``InputError``."""
    content = table_in(path)
    try:
        found = {str(name): float(entry["mean"]) for name, entry in content.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not a latency table: expected entries with a mean") from error
    if bad := [name for name, ms in found.items() if not 0 <= ms < math.inf]:
        raise InputError(f"{path}: the mean of {bad[0]} is not a time")
    return found


def block_name(
    size: int,
    inputs: int,
    outputs: int,
    *,
    expand: int,
    kernel: int,
    stride: int,
    skip: bool,
    se: bool | None = None,
    hs: bool | None = None,
) -> str:
    """What the YAML tables call an inverted residual block.

    size: of its input, pixels. expand: the ratio in ProxylessNAS' table, the channels in Once-for-All's, which also says whether the
    block has squeeze-and-excitation (``se``) and h-swish (``hs``).
    """
    end = "" if se is None else f"-se:{int(se)}-hs:{int(bool(hs))}"
    sizes = f"input:{size}x{size}x{inputs}-output:{math.ceil(size / stride)}x{math.ceil(size / stride)}x{outputs}"
    return f"expanded_conv-{sizes}-expand:{expand}-kernel:{kernel}-stride:{stride}-idskip:{int(skip)}{end}"


def network_latency(entries: Mapping[str, float], names: Iterable[str]) -> float:
    """The sum over the blocks of a network, by their names in the table, in ms; raises ``InputError`` for one that is not there."""
    return math.fsum(_entry(entries, name) for name in names)


def _entry(entries: Mapping[str, float], name: str) -> float:
    if name not in entries:
        raise InputError(f"the table has no entry {name}: it is of a network of other sizes")
    return entries[name]


def proxyless(entries: Lookup, space: SearchSpace, found: Sequence[Part]) -> Table:
    """The table of ProxylessNAS over the parts of a network; raises ``InputError`` where an entry is missing."""
    features = ""  # the size of what the classifier's pooling is fed

    def cost(part: Part) -> float:
        nonlocal features
        convolutions = [m for m in part.module.modules() if isinstance(m, nn.Conv2d)]
        linear = next((m for m in part.module.modules() if isinstance(m, nn.Linear)), None)
        if linear is not None:
            return _entry(entries, f"Logits-input:{features}-output:{linear.out_features}")
        if not convolutions or not part.inputs:
            return 0.0
        inputs, size = part.inputs[0].shape[1], part.inputs[0].shape[2]
        stride, outputs = math.prod(c.stride[0] for c in convolutions), convolutions[-1].out_channels
        if len(convolutions) == 1:
            kind, after = "Conv" if convolutions[0].kernel_size[0] > 1 else "Conv_1", math.ceil(size / stride)
            features = f"{after}x{after}x{outputs}"
            return _entry(entries, f"{kind}-input:{size}x{size}x{inputs}-output:{features}")
        spatial = next(c for c in convolutions if c.groups > 1)
        block = {"expand": spatial.in_channels // inputs, "kernel": spatial.kernel_size[0], "stride": stride}
        return _entry(entries, block_name(size, inputs, outputs, **block, skip=stride == 1 and inputs == outputs))

    return tabulate(space, found, cost)


def once_for_all(entries: Lookup, space: SearchSpace, found: Sequence[Part]) -> Table:
    """The table of Once-for-All over the parts of a network of ``ofa-mobilenetv3``; raises ``InputError`` where an entry is missing.

    One table is of one size of images. What pools between the last two convolutions is no part, and is paid with the second.
    """
    features = ""  # the size of what is pooled, once it is known

    def cost(part: Part) -> float:
        nonlocal features
        convolutions = [m for m in part.module.modules() if isinstance(m, nn.Conv2d)]
        linear = next((m for m in part.module.modules() if isinstance(m, nn.Linear)), None)
        if linear is not None:
            return _entry(entries, f"Logits-input:1x1x{linear.in_features}-output:{linear.out_features}")
        if not convolutions or not part.inputs:
            return 0.0
        inputs, size = part.inputs[0].shape[1], part.inputs[0].shape[2]
        stride, outputs = math.prod(c.stride[0] for c in convolutions), convolutions[-1].out_channels
        after = f"{math.ceil(size / stride)}x{math.ceil(size / stride)}x{outputs}"
        if len(convolutions) == 1 and features:
            pool = _entry(entries, f"AvgPool2D-input:{features}-output:1x1x{inputs}")
            return pool + _entry(entries, f"Conv_2-input:1x1x{inputs}-output:1x1x{outputs}")
        if len(convolutions) == 1:
            first = convolutions[0].kernel_size[0] > 1
            features = "" if first else after
            return _entry(entries, f"{'Conv' if first else 'Conv_1'}-input:{size}x{size}x{inputs}-output:{after}")
        spatial = next(c for c in convolutions if c.groups > 1)
        sizes: dict[str, Any] = {"expand": spatial.in_channels, "kernel": spatial.kernel_size[0], "stride": stride}
        se, hs = (any(isinstance(m, kind) for m in part.module.modules()) for kind in (SqueezeExcite, nn.Hardswish))
        return _entry(entries, block_name(size, inputs, outputs, **sizes, skip=stride == 1 and inputs == outputs, se=se, hs=hs))

    return tabulate(space, found, cost)
