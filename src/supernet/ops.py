"""Operations that search spaces are made of.

Those without parameters compute once per input and forward pass of a supernet (``supernet.modules.memo``). All padding keeps sizes:
stride 2 gives ceil(size / 2) everywhere, so that odd sizes work too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.errors import InputError
from supernet.modules.graph import Chance
from supernet.modules.memo import once
from supernet.modules.squeeze_excite import SqueezeExcite

ONE_VALUE = "more than 1 value per channel"  # in what torch says where a batch norm has nothing to take a variance of


class ReLU(nn.ReLU):
    """Rectify; computed once for all that asks for it."""

    rectifies = True  # and does nothing else, so that a kernel may do it

    def forward(self, x: Tensor) -> Tensor:
        return once("relu", x, F.relu)


class MaxPool(nn.Module):
    """The largest of 3x3."""

    def __init__(self, stride: int):
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return once(("max_pool", self.stride), x, lambda x: F.max_pool2d(x, 3, self.stride, 1))


class AvgPool(nn.Module):
    """The mean of 3x3, of what lies inside the image."""

    def __init__(self, stride: int):
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return once(("avg_pool", self.stride), x, lambda x: F.avg_pool2d(x, 3, self.stride, 1, count_include_pad=False))


class PoolNorm(nn.BatchNorm2d):
    """Affine-free batch norm that shares its computation with its like on the same input; its running statistics are its own."""

    def __init__(self, channels: int):
        super().__init__(channels, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        out, mean, var = once(("pool_norm", self.eps), x, self._normalise)
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        with torch.no_grad():
            self.num_batches_tracked += 1
            factor = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean, factor)
            self.running_var.lerp_(var, factor)
        return out

    def settle(self) -> nn.Module:
        """The plain batch norm that it is outside a supernet."""
        norm = nn.BatchNorm2d(self.num_features, self.eps, self.momentum, affine=False)
        norm.load_state_dict(self.state_dict(), assign=True)  # on its device, of its type, also without storage
        return norm.train(self.training)

    def _normalise(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The normalised input with the mean and the unbiased variance of each channel."""
        mean, var = torch.zeros_like(self.running_mean), torch.zeros_like(self.running_var)  # type: ignore[arg-type]
        return F.batch_norm(x, mean, var, training=True, momentum=1.0, eps=self.eps), mean, var


class Zero(nn.Module):
    """Zeros in the shape of the output; ``OneOf`` does not run it beside others."""

    zero = True

    def __init__(self, stride: int):
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return 0 * x[:, :, :: self.stride, :: self.stride]


class SkipDropout(Chance, nn.Dropout):
    """Dropout behind a skip connection that only a search has; the strategy sets ``p``."""

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_compiling() and self.training:
            return self.thinned(x, tuple(x.shape))
        return super().forward(x)

    def settle(self) -> nn.Module:
        """What stays of it in a derived network."""
        return nn.Identity()


class DropPath(Chance):
    """Drop an operation's output for whole samples with probability ``p``, which whoever trains sets; the rest is scaled up.

    ``share``: of the probability that is set for a network, that which this place has (less in early cells of NASNet and ENAS).
    Larsson et al. 2017 (FractalNet), https://arxiv.org/abs/1605.07648
    """

    def __init__(self, share: float = 1.0) -> None:
        super().__init__()
        self.p, self.share = 0.0, share

    def forward(self, x: Tensor) -> Tensor:
        compiling = torch.compiler.is_compiling()
        if not self.training or (not compiling and self.p == 0):  # a graph knows no p, see Chance
            return x
        samples = (len(x),) + (1,) * (x.dim() - 1)
        if compiling:
            return self.thinned(x, samples)
        keep = x.new_empty(samples).bernoulli_(1 - self.p)
        return x * keep / (1 - self.p)


def set_drop_path(network: nn.Module, p: float) -> None:
    """Set the probability of every ``DropPath`` in ``network``, each to its share of ``p``."""
    if not 0 <= p < 1:
        raise InputError(f"the drop path probability must be at least 0 and below 1; got {p}")
    for module in network.modules():
        if isinstance(module, DropPath):
            module.p = p * module.share


def droppable(operation: nn.Module, share: float = 1.0) -> nn.Module:
    """``operation`` with a ``DropPath`` behind it; an identity stays as it is."""
    return operation if isinstance(operation, nn.Identity) else nn.Sequential(operation, DropPath(share))


class FactorizedReduce(nn.Module):
    """Halve the size by two 1x1 convolutions, one of them shifted by a pixel; odd sizes get a zero row or column after the ReLU.

    ``relu``: whether there is one (ENAS has none where a reduction is an operation of its own).
    """

    def __init__(self, inputs: int, outputs: int, affine: bool = True, relu: bool = True):
        super().__init__()
        self.relu = ReLU() if relu else nn.Identity()
        self.even = nn.Conv2d(inputs, outputs // 2, 1, 2, bias=False)
        self.odd = nn.Conv2d(inputs, outputs - outputs // 2, 1, 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(x)
        x = F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2))
        return self.norm(torch.cat([self.even(x), self.odd(x[:, :, 1:, 1:])], 1))  # type: ignore[no-any-return]


def skip_connect(channels: int, stride: int, affine: bool = True) -> nn.Module:
    """The input, at half its size where the edge strides."""
    return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, affine)


def relu_conv_norm(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, affine: bool = True, bias: bool = False) -> nn.Sequential:
    """ReLU, convolution, batch norm."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=bias)
    return nn.Sequential(ReLU(), conv, nn.BatchNorm2d(outputs, affine=affine))


def dil_conv(channels: int, kernel: int, stride: int, affine: bool = True, dilation: int = 2) -> nn.Sequential:
    """ReLU, depthwise convolution, pointwise convolution, batch norm."""
    depthwise = nn.Conv2d(channels, channels, kernel, stride, dilation * (kernel // 2), dilation, groups=channels, bias=False)
    return nn.Sequential(ReLU(), depthwise, nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels, affine=affine))


def sep_conv(channels: int, kernel: int, stride: int, affine: bool = True) -> nn.Sequential:
    """A separable convolution twice, the first with the stride."""
    return nn.Sequential(*dil_conv(channels, kernel, stride, affine, 1), *dil_conv(channels, kernel, 1, affine, 1))


def conv_7x1_1x7(channels: int, stride: int, affine: bool = True) -> nn.Sequential:
    """ReLU, a 1x7 and a 7x1 convolution, batch norm."""
    wide = nn.Conv2d(channels, channels, (1, 7), (1, stride), (0, 3), bias=False)
    tall = nn.Conv2d(channels, channels, (7, 1), (stride, 1), (3, 0), bias=False)
    return nn.Sequential(ReLU(), wide, tall, nn.BatchNorm2d(channels, affine=affine))


def pool(operation: nn.Module, channels: int, norm: bool) -> nn.Module:
    """A pooling operation, with affine-free batch norm behind it where ``norm`` is set."""
    return nn.Sequential(operation, PoolNorm(channels)) if norm else operation


class InvertedResidual(nn.Module):
    """Expand, depthwise, project; adds its input where sizes allow. Sandler et al. 2018 (MobileNetV2), https://arxiv.org/abs/1801.04381

    ``expansion`` 1 leaves the first convolution out. ``groups``: of the pointwise convolutions; channels are shuffled before the
    depthwise one (FBNet, as released: https://github.com/facebookresearch/mobile-vision). ``norm``: settings of the batch norms.
    ``squeeze``: features of a squeeze-and-excitation behind the depthwise convolution; 0: there is none.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        expansion: float,
        stride: int = 1,
        *,
        groups: int = 1,
        activation: type[nn.Module] = nn.ReLU,
        norm: Mapping[str, Any] | None = None,
        squeeze: int = 0,
    ):
        super().__init__()
        hidden, how = round(inputs * expansion), dict(norm or {})
        self.residual = stride == 1 and inputs == outputs
        expand: list[nn.Module] = [conv_norm_act(inputs, hidden, 1, groups=groups, activation=activation, norm=how)]
        if groups > 1:
            expand.append(nn.ChannelShuffle(groups))
        narrow = nn.Conv2d(hidden, outputs, 1, groups=groups, bias=False)
        self.body = nn.Sequential(
            *(expand if expansion != 1 else expand[1:]),
            conv_norm_act(hidden, hidden, kernel, stride, groups=hidden, activation=activation, norm=how),
            *([SqueezeExcite(hidden, squeeze)] if squeeze else []),
            nn.Sequential(narrow, nn.BatchNorm2d(outputs, **how)),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return x + out if self.residual else out


def conv_norm_act(
    inputs: int,
    outputs: int,
    kernel: int,
    stride: int = 1,
    *,
    groups: int = 1,
    activation: type[nn.Module] = nn.ReLU,
    norm: Mapping[str, Any] | None = None,
) -> nn.Sequential:
    """Convolution, batch norm, activation."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs, **(norm or {})), activation())


class AuxiliaryHead(nn.Module):
    """The second classifier of DARTS' evaluation networks: features after two thirds of the cells -> (batch, classes).

    On the official maps, 8x8 (CIFAR) and 7x7 (ImageNet), it averages 5x5 windows at stride 3 and 2 to 2x2; elsewhere the
    windows keep that share of the side. ``norm``: batch norm after the 2x2 convolution; DARTS on ImageNet has none.
    Raises ``InputError`` for maps smaller than 2x2. https://github.com/quark0/darts/blob/master/cnn/model.py
    """

    def __init__(self, inputs: int, classes: int, norm: bool = True):
        super().__init__()
        self.narrow = nn.Sequential(nn.Conv2d(inputs, 128, 1, bias=False), nn.BatchNorm2d(128), nn.ReLU())
        self.whole = nn.Sequential(nn.Conv2d(128, 768, 2, bias=False), nn.BatchNorm2d(768) if norm else nn.Identity(), nn.ReLU())
        self.classifier = nn.Linear(768, classes)

    def forward(self, x: Tensor) -> Tensor:
        (tall, down), (wide, across) = window(x.shape[2]), window(x.shape[3])
        x = F.avg_pool2d(F.relu(x), (tall, wide), (down, across))
        logits: Tensor = self.classifier(self.whole(self.narrow(x)).flatten(1))
        return logits


def window(side: int) -> tuple[int, int]:
    """Window and stride of the average pool that makes 2 of ``side`` pixels."""
    if side < 2:
        raise InputError("the auxiliary head needs a feature map of at least 2x2: use larger images or leave it out")
    size = min(side - 1, -(-5 * side // 8))
    return size, side - size
