"""Part a training set into images that train weights and images that validate; a test split is never touched."""

from __future__ import annotations

from collections.abc import Sequence

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from supernet.errors import InputError


def split(labels: int | Tensor | Sequence[int], validation: float = 0.5, limit: int | None = None,
          seed: int = 0) -> tuple[Tensor, Tensor]:
    """Disjoint indices (int64, shuffled) of the training and the validation images.

    labels: the labels (N,), whose proportions the parts and a limited subset then keep, with an image of every class in the training
    part where it has room for that; or the number N of images, for a plain draw.
    validation: the fraction that validates, 0 <= validation < 1; rounded, and at least one image on each side unless it is 0.
    limit: at most this many images, training and validation together; None: all.
    seed: another seed draws another split; the same seed always draws the same.

    Raises InputError where the fraction is out of range or there are too few images.
    """
    order = _shuffled(labels, seed) if isinstance(labels, int) else _interleaved(numpy.asarray(labels), seed)
    if not 0 <= validation < 1:
        raise InputError(f"the validation fraction {validation} must be at least 0 and below 1")
    if limit is not None and limit < 1:
        raise InputError(f"the limit of {limit} images must be at least 1")
    order = order[:limit]
    if len(order) < (2 if validation else 1):
        parts = "a training and a validation part; take at least 2" if validation else "training"
        raise InputError(f"{len(order)} images are too few for {parts}")
    held = min(max(round(len(order) * validation), 1), len(order) - 1) if validation else 0
    if not isinstance(labels, int):  # again within the subset, so that both parts keep its proportions
        order = order[_interleaved(numpy.asarray(labels)[order], seed)]
    return torch.from_numpy(order[: len(order) - held].copy()), torch.from_numpy(order[len(order) - held :].copy())


def _shuffled(n: int, seed: int) -> NDArray[numpy.int64]:
    # RandomState's streams are frozen (NEP 19), so a split does not change with the version of numpy or torch
    bits = numpy.random.MT19937(numpy.random.SeedSequence(seed % 2**64))
    return numpy.random.RandomState(bits).permutation(n).astype(numpy.int64)


def _interleaved(labels: NDArray[numpy.int64], seed: int) -> NDArray[numpy.int64]:
    """A shuffled order every beginning of which has the classes in their proportions: the first of each class, and so on.

    The j-th of the n images of a class stands at j / n; equal places stay in shuffled order.
    """
    order = _shuffled(len(labels), seed)
    drawn = labels[order]
    place = numpy.empty(len(order))
    for label in numpy.unique(drawn):
        members = numpy.flatnonzero(drawn == label)
        place[members] = numpy.arange(len(members)) / len(members)
    return order[numpy.argsort(place, kind="stable")]
