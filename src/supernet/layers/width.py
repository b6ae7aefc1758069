"""How many channels layers have, by one choice or by several: what a stage, a residual sum and a block's inside share.

Cai et al. 2020 (Once-for-All), section 3, https://arxiv.org/abs/1908.09791: a block is its expansion times a width that may be chosen too.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from supernet.errors import InputError
from supernet.mixture import Mix
from supernet.modules.memo import once
from supernet.space import Option, Taken

Running = Sequence[tuple[int, Tensor | None]]  # the widths that run, and what each weighs; None: it counts once


class Width:
    """Channels to choose from, given to any number of layers, which then agree: ``Width((16, 24, 32), name="stage")``.

    ``sizes``: channels to choose from, or a dict from option to channels, such as {3: 72, 6: 144}. ``name``: of the choice, which all
    layers with this width share; None: the path of the one layer that has it. ``limits``: further fields of ``Choice``.
    Raises ``InputError`` for channels that are no counts or twice the same, and where several layers are given one without a name.
    """

    def __init__(self, sizes: Sequence[int] | Mapping[Option, int], name: str | None = None, **limits: Any):
        by_option = sizes if isinstance(sizes, Mapping) else {size: size for size in sizes}
        if len(by_option) < len(sizes):
            raise InputError(f"the options of a choice must differ; got {tuple(sizes)}")
        self._set({(option,): size for option, size in by_option.items()}, name, (), limits)

    def _set(self, sizes: dict[tuple[Option, ...], int], name: str | None, follows: tuple[str, ...], limits: dict[str, Any]) -> None:
        if not sizes or any(isinstance(size, bool) or not isinstance(size, int) or size < 1 for size in sizes.values()):
            raise InputError(f"widths must be whole numbers of at least 1; got {tuple(sizes.values())}")
        self.sizes = dict(sorted(sizes.items(), key=lambda entry: entry[1]))  # so that an option comes after smaller ones
        self.name, self.follows, self.limits, self.has = name, follows, limits, 0
        self.axes = [tuple(dict.fromkeys(column)) for column in zip(*self.sizes, strict=True)]  # the options of each choice, its own first

    @property
    def options(self) -> tuple[Option, ...]:
        """The options of its own choice."""
        return self.axes[0]

    @property
    def steps(self) -> list[int]:
        """The channels of each option of its own choice at the largest of those that it follows, ascending."""
        last = tuple(options[-1] for options in self.axes[1:])
        return sorted({size for (_, *others), size in self.sizes.items() if tuple(others) == last})

    @property
    def largest(self) -> int:
        """The most channels."""
        return max(self.sizes.values())

    def times(self, ratios: Sequence[float], name: str | None = None, rounded: Callable[[float], int] = round, **limits: Any) -> Width:
        """The width that is one of ``ratios`` times this one: a choice of its own, which follows this one's.

        Raises ``InputError`` where this width's choice has no name, or where it follows another.
        """
        if self.name is None or self.follows:
            raise InputError("only a width with a name and a choice of its own can be multiplied: Width(sizes, name=...)")
        found = Width.__new__(Width)
        sizes = {(ratio, *taken): rounded(size * ratio) for ratio in ratios for taken, size in self.sizes.items()}
        found._set(sizes, name, (self.name,), limits)
        return found

    def of(self, taken: Taken | None, *others: Taken | None) -> int:
        """The channels where ``taken`` is chosen, and ``others`` of the choices that it follows; raises ``InputError`` where none are."""
        found = self.sizes.get((taken, *others))  # type: ignore[arg-type]
        if found is None:
            decided = ", ".join(f"{name} {option}" for name, option in zip((self.name, *self.follows), (taken, *others), strict=True))
            raise InputError(f"no width is known for {decided}: a width that others follow is of a layer that runs wherever they do")
        return found

    def running(self, *mixes: Mix) -> Running:
        """The widths that run under the blend of its own choice and of those that it follows."""
        found = []
        for at in itertools.product(*(mix.runs for mix in mixes)):
            weights = [share for mix, i in zip(mixes, at, strict=True) for share in mix.shares([i]) or ()]
            size = self.sizes[tuple(options[i] for options, i in zip(self.axes, at, strict=True))]
            found.append((size, math.prod(weights[1:], start=weights[0]) if weights else None))
        return found

    def mask(self, like: Tensor, *mixes: Mix) -> Tensor | None:
        """The weight of each channel under these blends, on the device and of the type of ``like``; None: each counts once.

        All layers that have this width ask for it, and share it in a forward pass.
        """
        shares = next((mix.weights for mix in mixes if mix.weights is not None), None)
        if shares is None:
            return width_mask(self.running(*mixes), like)[1]
        key = ("width", self.name, self.follows, tuple(self.sizes.items()), like.dtype, like.device)
        return once(key, shares, lambda _: width_mask(self.running(*mixes), like)[1])

    def widest(self, *mixes: Mix) -> int:
        """The most channels that run under these blends."""
        runs = [[options[i] for i in mix.runs] for options, mix in zip(self.axes, mixes, strict=True)]
        return max(self.sizes[taken] for taken in itertools.product(*runs))


def width_of(widths: Width | Sequence[int] | Mapping[Option, int], name: str | None, limits: Mapping[str, Any]) -> Width:
    """The width of one more layer, which was given it whole, or as sizes of its own."""
    if not isinstance(widths, Width):
        return Width(widths, name, **limits)
    if name is not None or limits:
        raise InputError("a layer that is given a Width has its choice: name it there, Width(sizes, name=...)")
    widths.has += 1
    if widths.name is None and widths.has > 1:
        raise InputError("a width that several layers have is one choice of all, which needs a name: Width(sizes, name=...)")
    return widths


def width_mask(running: Running, like: Tensor) -> tuple[int, Tensor | None]:
    """The channels to compute, and the weight of each where widths are blended: (channels,)."""
    widest = max(size for size, _ in running)
    if len(running) == 1 and running[0][1] is None:
        return widest, None
    places = torch.arange(widest, device=like.device)
    mask = torch.zeros(widest, dtype=like.dtype, device=like.device)
    for size, weight in running:
        mask = mask + (1.0 if weight is None else weight) * (places < size).to(like)
    return widest, mask
