"""The notation of Once-for-All's ResNet50-D: ``ofa-resnet50d: w0.65 w1 b | w0.8 e0.2 e0.35 | ...``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from supernet.errors import InputError
from supernet.space import Architecture
from supernet.spaces import image_sizes
from supernet.spaces.ofa_resnet_blocks import EXPANSIONS, SHARES
from supernet.spaces.record import headed

NAME = "ofa-resnet50d"


def parse(text: str) -> Architecture:
    """Read ``ofa-resnet50d: w0.65 w1 b | w0.8 e0.2 e0.35 | ...``; raises ``InputError``.

    First, perhaps after a size of images, the stem: the widths of its inside and of its outputs, and b where it has the third convolution.
    Then each stage: its width, and the expansion of each block.
    """
    found, text = image_sizes.split(text)
    stem, *stages = (part.split() for part in text.partition(":")[2].split("|"))
    form = [("ww", "wwb"), *[("we" + "e" * (len(stage) - 2),) for stage in stages]]
    kinds = ["".join(token[0] for token in part) for part in (stem, *stages)]
    if headed(text) != NAME or re.match(r"[^:]*\(", text) or not stages or any(k not in f for k, f in zip(kinds, form, strict=True)):
        what = "the widths of the stem and b or nothing, then the width of each stage and the expansions of its blocks"
        raise InputError(
            f"not a network of {NAME}: {' '.join(text.split())[:80]!r}; expected '{NAME}: w1 w1 b | w1 e0.35 e0.2 | ...', {what}"
        )
    found |= {"width.middle": _number(stem[0], SHARES), "depth.stem": len(stem) - 2, "width.stem": _number(stem[1], SHARES)}
    for i, (width, *blocks) in enumerate(stages):
        found[f"width.{i}"], found[f"depth.{i}"] = _number(width, SHARES), len(blocks)
        found |= {f"block.{i}.{j}.expansion": _number(block, EXPANSIONS) for j, block in enumerate(blocks)}
    return found


def _number(token: str, able: tuple[float, ...]) -> float:
    """What stands behind a letter; raises ``InputError`` unless it is one of ``able``."""
    found = next((number for number in able if token[1:] == f"{number:g}"), None)
    if found is None:
        raise InputError(f"there is no {token} in {NAME}; there is {', '.join(f'{token[0]}{number:g}' for number in able)}")
    return found


def notation(architecture: Mapping[str, Any]) -> str:
    """Widths and expansions in order, with ``|`` between stages; raises ``InputError`` where one is not decided."""
    try:
        parts = [[f"w{architecture['width.middle']:g}", f"w{architecture['width.stem']:g}", *["b"] * architecture["depth.stem"]]]
        for i in range(sum(re.fullmatch(r"width\.\d+", name) is not None for name in architecture)):
            blocks = [architecture[f"block.{i}.{j}.expansion"] for j in range(architecture[f"depth.{i}"])]
            parts.append([f"w{architecture[f'width.{i}']:g}", *(f"e{block:g}" for block in blocks)])
    except KeyError as error:
        raise InputError(f"the architecture does not decide {error.args[0]}") from error
    return f"{NAME}: {image_sizes.said(architecture)}" + " | ".join(map(" ".join, parts))
