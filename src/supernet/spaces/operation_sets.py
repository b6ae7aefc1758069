"""Which operations the edges of a DARTS cell may take: the harder spaces on which searches were shown to collapse.

Zela et al. 2020 (RobustDARTS), section 3, https://arxiv.org/abs/1909.09656; https://github.com/automl/RobustDARTS
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from supernet.errors import InputError, unknown
from supernet.genotype import OPERATIONS

Operations = Sequence[str] | Mapping[str, Sequence[str]] | str

# the two operations of every edge, node by node: d3, d5 dilated, s3 separable convolutions, m, a pooling, i skip-connection
_NAMES = {"d3": "dil_conv_3x3", "d5": "dil_conv_5x5", "s3": "sep_conv_3x3", "m": "max_pool_3x3", "a": "avg_pool_3x3", "i": "skip_connect"}
_S1 = {
    "normal": "i-d3 i-d5 | i-d5 i-s3 i-d3 | m-i i-s3 i-s3 i-d3 | i-s3 m-i i-d3 d3-d5 d3-d5",
    "reduce": "m-a m-d3 | m-a m-a i-d5 | m-a m-s3 i-d3 i-d5 | m-a m-a i-d5 i-d5 i-d5",
}
SETS: dict[str, Operations] = {
    "s1": {
        f"{kind}.{i}<{j}": tuple(_NAMES[o] for o in pair.split("-"))
        for kind, text in _S1.items()
        for i, node in enumerate(text.split(" | "), start=2)
        for j, pair in enumerate(node.split())
    },
    "s2": ("skip_connect", "sep_conv_3x3"),
    "s3": ("none", "skip_connect", "sep_conv_3x3"),
    "s4": ("noise", "sep_conv_3x3"),
    "s5": tuple(o for o in OPERATIONS if o != "none"),
}


class Noise(nn.Module):
    """Standard normal noise in the shape of the output, whatever the input."""

    def __init__(self, stride: int):
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return torch.randn_like(x[:, :, :: self.stride, :: self.stride])


def operations_of(given: Operations, edge: str) -> tuple[str, ...]:
    """The operations of one edge: of a set by name, of all edges, or by edge. Raises ``InputError`` where they are not said."""
    if isinstance(given, str):
        if given not in SETS:
            raise unknown("set of operations", given, SETS)
        given = SETS[given]
    if not isinstance(given, Mapping):
        return tuple(given)
    if edge not in given:
        raise InputError(f"operations by edge must name those of {edge}")
    return tuple(given[edge])
