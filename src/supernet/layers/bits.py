"""Choose how many bits the weights and the inputs of a convolution have; all choices share one kernel.

Guo et al. 2020 (SPOS), section 4.4, https://arxiv.org/abs/1904.00420. A soft blend is the convolution of the blended inputs with the
blended weights, as in Cai, Vasconcelos 2020 (EdMIPS), https://arxiv.org/abs/2004.05795
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from supernet.layers.base import Searchable
from supernet.mixture import Mix
from supernet.modules.quantised import QuantisedConv2d, quantised_activations, quantised_weights
from supernet.space import Taken


class BitsConv2d(Searchable):
    """A convolution without bias whose weights and inputs are quantised; x: (B, C, H, W).

    ``bits``: to choose from, of weights and of inputs alike. ``weights``: the name of its own choice; ``activations``: of the choice that
    it follows, which stands outside the model, see ``Supernet``. ``clip``: as of ``QuantisedConv2d``.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        *,
        bits: Sequence[int],
        weights: str,
        activations: str,
        clip: float = 2.0,
    ):
        super().__init__(tuple(bits), weights, (activations,))
        self.bits = tuple(bits)
        self.plain = QuantisedConv2d(inputs, outputs, kernel, stride, clip=clip)

    def forward(self, x: Tensor) -> Tensor:
        (_, mix), (other,) = self.own(), self.others
        x = self._blended(other, lambda bits: quantised_activations(x, self.plain.clip, bits))
        weight = self._blended(mix, lambda bits: quantised_weights(self.plain.weight, bits))
        out: Tensor = self.plain._conv_forward(x, weight, None)
        return out

    def _blended(self, mix: Mix, quantised: Callable[[int], Tensor]) -> Tensor:
        terms = [quantised(self.bits[i]) if mix.weights is None else mix.weights[i] * quantised(self.bits[i]) for i in mix.runs]
        return sum(terms[1:], terms[0])

    def derive(self, taken: Taken | None, *others: Taken | None) -> nn.Module:
        (activations,) = others
        assert isinstance(taken, int) and isinstance(activations, int)
        self.plain.weight_bits, self.plain.activation_bits = taken, activations
        return self.plain
