"""Choose a size; smaller sizes are slices of the largest weight.

Widths: Cai et al. 2020 (Once-for-All), section 3, https://arxiv.org/abs/1908.09791. Under a soft blend a
width is a mask over the channels, as in Wan et al. 2020 (FBNetV2), section 3.1, https://arxiv.org/abs/2004.05565:
behind norms and activations, where the next layer reads the channels, since a batch norm before it would undo the mask.

A layer that owns a choice slices its outputs; every layer takes its input size from what arrives.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.errors import InputError
from supernet.layers.base import Searchable
from supernet.layers.channels import Axes, ByChannel, held
from supernet.layers.width import Width, width_of
from supernet.modules.convolutions import conv2d
from supernet.space import Option, Taken

Widths = int | Sequence[int] | Mapping[Option, int] | Width


class _Elastic(Searchable, ByChannel):
    """``plain``: the largest layer. ``width``: how many outputs to choose from; None: there is no choice."""

    def __init__(self, plain: nn.Conv1d | nn.Conv2d | nn.Linear, width: Width | None):
        if width is None:
            super().__init__(())
        else:
            super().__init__(width.options, width.name, width.follows, **width.limits)
        self.plain, self.width = plain, width
        self.seen = plain.weight.shape[1]

    @abstractmethod
    def _run(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Apply slices of the weight and the bias."""

    def _sliced(self, width: int | None) -> tuple[Tensor, Tensor | None]:
        weight, bias = self.plain.weight[:width, : self.seen], self.plain.bias
        return weight, None if bias is None else bias[:width]

    def weights(self, like: Tensor) -> Tensor | None:
        return None if self.width is None or self.mix is None else self.width.mask(like, self.mix, *self.others)

    def forward(self, x: Tensor) -> Tensor:
        self.seen = x.shape[self.dimension]
        weight, bias = self._sliced(None if self.width is None else self.width.widest(self.own()[1], *self.others))
        out = self._run(x, self.weighed(weight), bias)
        mask = None if self.read else self.weights(out)
        if mask is None:
            return out
        return out * (mask if self.dimension == -1 else mask.view(-1, *[1] * (x.dim() - 2)))

    def derive(self, taken: Taken | None, *others: Taken | None) -> nn.Module:
        width = None if self.width is None else self.width.of(taken, *others)
        return with_weights(self._smaller(self.seen, width), *self._sliced(width))

    def axes(self) -> Axes:
        """Of weight and bias."""
        width, reads = self.width, [(self.plain.weight, 1)]
        return Axes(held((self.plain.weight, 0), (self.plain.bias, 0)), reads, sizes=width.steps) if width else Axes(reads=reads)

    @abstractmethod
    def _smaller(self, inputs: int, width: int | None) -> nn.Module:
        """The plain layer of a size; ``width`` None: the only one."""


def outputs(widths: Widths, name: str | None, limits: Mapping[str, Any]) -> tuple[Width | None, int]:
    """What is chosen of the outputs of a layer, and the most; a single int is no choice."""
    if isinstance(widths, int):
        return None, widths
    width = width_of(widths, name, limits)
    return width, width.largest


def with_weights(module: nn.Module, weight: Tensor, bias: Tensor | None) -> nn.Module:
    """``module``, given copies of a weight and a bias."""
    with torch.no_grad():
        module.weight = nn.Parameter(weight.detach().clone())
        if bias is not None:
            module.bias = nn.Parameter(bias.detach().clone())
    return module


class ElasticConv2d(_Elastic):
    """A convolution whose outputs keep the first ``w`` channels, ``w`` one of ``widths``, and whose inputs are those that arrive.

    ``widths``: sizes, a dict from option to size, a ``Width`` that several layers have, or an int where only the inputs are elastic.
    ``depthwise``: one filter a channel, as many as arrive (``widths`` must be ``in_channels``). The rest as ``torch.nn.Conv2d``.
    x: (B, C, H, W).
    """

    Plain: type[nn.Conv1d] | type[nn.Conv2d] = nn.Conv2d

    def __init__(
        self,
        in_channels: int,
        widths: Widths,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        bias: bool = True,
        depthwise: bool = False,
        name: str | None = None,
        **limits: Any,
    ):
        if depthwise and widths != in_channels:
            raise InputError(f"a depthwise convolution is as wide as its input: widths must be {in_channels}, got {widths}")
        how: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation}
        width, most = outputs(widths, name, limits)
        super().__init__(self.Plain(in_channels, most, kernel_size, groups=in_channels if depthwise else 1, bias=bias, **how), width)
        self.how, self.depthwise = how, depthwise

    def weighed(self, weight: Tensor) -> Tensor:
        return weight if self.depthwise else super().weighed(weight)

    def _sliced(self, width: int | None) -> tuple[Tensor, Tensor | None]:
        if not self.depthwise:
            return super()._sliced(width)
        bias = self.plain.bias
        return self.plain.weight[: self.seen], None if bias is None else bias[: self.seen]

    def axes(self) -> Axes:
        """Of weight and bias; a depthwise convolution keeps channels apart."""
        return Axes(keeps=held((self.plain.weight, 0), (self.plain.bias, 0))) if self.depthwise else super().axes()

    def _run(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        convolve = conv2d if weight.dim() == 4 else F.conv1d
        return convolve(x, weight, bias, groups=self.seen if self.depthwise else 1, **self.how)

    def _smaller(self, inputs: int, width: int | None) -> nn.Module:
        outputs = inputs if self.depthwise else width or self.plain.weight.shape[0]
        groups = inputs if self.depthwise else 1
        return self.Plain(inputs, outputs, self.plain.weight.shape[-1], groups=groups, bias=self.plain.bias is not None, **self.how)


class ElasticConv1d(ElasticConv2d):
    """``ElasticConv2d`` over one dimension; x: (B, C, L)."""

    Plain = nn.Conv1d


class ElasticLinear(_Elastic):
    """A linear layer whose outputs keep the first ``w`` features, ``w`` one of ``widths``, as of ``ElasticConv2d``; x: (..., features)."""

    dimension = -1

    def __init__(self, in_features: int, widths: Widths, bias: bool = True, name: str | None = None, **limits: Any):
        width, most = outputs(widths, name, limits)
        super().__init__(nn.Linear(in_features, most, bias), width)

    def _run(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return F.linear(x, weight, bias)

    def _smaller(self, inputs: int, width: int | None) -> nn.Module:
        return nn.Linear(inputs, width or self.plain.weight.shape[0], self.plain.bias is not None)


class ElasticNorm(nn.modules.batchnorm._BatchNorm, ByChannel):
    """Batch norm over the channels that arrive: (B, C, ...). Recalibrate before its running statistics are believed."""

    seen: tuple[int, int] = (0, 4)  # channels, dimensions

    def _check_input_dim(self, input: Tensor) -> None:
        return

    def forward(self, input: Tensor) -> Tensor:
        n = input.shape[1]
        self.seen = (n, input.dim())
        factor = self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if factor is None:
                factor = 1 / float(self.num_batches_tracked)
        mean, var = (None, None) if self.running_mean is None else (self.running_mean[:n], self.running_var[:n])  # type: ignore[index]
        weight, bias = (None, None) if self.weight is None else (self.weight[:n], self.bias[:n])
        use_batch = self.training or mean is None
        return F.batch_norm(input, mean, var, weight, bias, use_batch, factor or 0.0, self.eps)

    def axes(self) -> Axes:
        """Of all that it holds."""
        return Axes(keeps=held((self.weight, 0), (self.bias, 0), (self.running_mean, 0), (self.running_var, 0)))

    def settle(self) -> nn.Module:
        """The plain batch norm over the channels that last arrived."""
        n, dims = self.seen
        kind = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}[dims]
        plain = kind(n or self.num_features, self.eps, self.momentum, self.affine, self.track_running_stats)
        for name, tensor in [*self._parameters.items(), *self._buffers.items()]:
            if tensor is not None:
                cut = tensor.detach()[:n].clone() if tensor.dim() else tensor.clone()
                setattr(plain, name, nn.Parameter(cut) if name in self._parameters else cut)
        return plain.train(self.training)
