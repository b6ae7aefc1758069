"""What layers say of the axes of their tensors that are over channels, so that channels can be put into another order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

Axis = tuple[Tensor, int]  # a tensor and one of its axes


class Axes(NamedTuple):
    """Axes over channels: of those that a layer ``gives``, each made of all that it ``reads``, or of those that it ``keeps`` apart.

    ``sizes``: numbers of channels that are chosen among, ascending, of what it gives. ``inside``: layers that only this one sees.
    """

    gives: Sequence[Axis] = ()
    reads: Sequence[Axis] = ()
    keeps: Sequence[Axis] = ()
    sizes: Sequence[int] = ()
    inside: Sequence[Axes] = ()


class ByChannel(ABC):
    """A module that takes the first of its channels where fewer arrive.

    ``giver``: the layer that gives the channels that arrive, where those that read them weigh them while widths are blended.
    ``read``: whether the channels that it gives are weighed so; else it weighs them itself.
    """

    dimension = 1  # of inputs and outputs, that is over channels
    giver: ByChannel | None = None
    read = False

    def weights(self, like: Tensor) -> Tensor | None:
        """What each channel that it gives weighs now, on the device and of the type of ``like``: (channels,); None: all count once."""
        return None

    def weighed(self, weight: Tensor) -> Tensor:
        """``weight``, whose axis 1 is over the channels that arrive, times what each of these weighs."""
        weights = None if self.giver is None else self.giver.weights(weight)
        if weights is None:
            return weight
        many = weight.shape[1] // len(weights)  # features of each channel, where maps were flattened
        return weight * weights.repeat_interleave(many).view(-1, *[1] * (weight.dim() - 2))

    @abstractmethod
    def axes(self) -> Axes:
        """Its axes over channels."""


def held(*axes: tuple[nn.Parameter | Tensor | None, int]) -> list[Axis]:
    """Those whose tensor is there: a layer may have no bias, a norm no statistics."""
    return [(tensor, axis) for tensor, axis in axes if tensor is not None]
