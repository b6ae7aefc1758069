"""What networks of few bits cost: multiply-adds times the bits of the weights times the bits of the inputs.

Guo et al. 2020 (SPOS), section 4.4, https://arxiv.org/abs/1904.00420. Layers that are not quantised are left out.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from supernet.costs.count import work
from supernet.modules.quantised import QuantisedConv2d


def bit_operations(network: nn.Module, *inputs: Any) -> int:
    """Bit operations of the quantised convolutions of a plain network on ``inputs`` (on the meta device)."""
    found: list[int] = []

    def count(conv: nn.Module, given: tuple[Any, ...], out: Tensor) -> None:
        assert isinstance(conv, QuantisedConv2d)
        found.append(out.numel() * conv.weight[0].numel() * conv.weight_bits * conv.activation_bits)

    handles = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, QuantisedConv2d)]
    try:
        if handles:
            work(network, *inputs)
    finally:
        for handle in handles:
            handle.remove()
    return sum(found)
