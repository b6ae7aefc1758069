"""The named streams of batches of a run: what is next in each of them is the whole state."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable, Iterable, Iterator, Sized
from itertools import islice
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from supernet.data.batches import Batches
from supernet.data.replayed import Replayed
from supernet.errors import InputError, unknown


def as_it_is(batch: Any) -> Any:
    """The batch itself."""
    return batch


class Data:
    """Streams of batches by name, ``Data(train=..., validation=...)``: endless for those who train, a pass for those who evaluate.

    A loader is a ``Batches``, or has ``__iter__`` (the rest of a pass), ``__len__`` (batches a pass), ``state_dict`` and
    ``load_state_dict`` of its own, best also ``in_order`` and ``calibrating``; any other is wrapped in ``Replayed`` with the ``seed``
    and its name.
    ``prepare``: applied to every batch that leaves, such as moving it to a device; ``share``: before that, to those that are trained on.

    Raises InputError for no loader, and for one that is empty or cannot be iterated again.
    """

    def __init__(self, seed: int = 0, prepare: Callable[[Any], Any] = as_it_is, share: Callable[[Any], Any] = as_it_is, /, **loaders: Any):
        if not loaders:
            raise InputError("no data; give at least one loader by name, such as train=")
        self._loaders = {name: _resumable(loader, seed + zlib.crc32(name.encode())) for name, loader in loaders.items()}
        self._first = {name: copy.deepcopy(loader.state_dict()) for name, loader in self._loaders.items()}
        self._passes: dict[str, Iterator[Any]] = {}
        self._prepare, self._share = prepare, share
        self._until: Callable[[int], int | None] = all_of_them  # after how many batches of a pass evaluation ends

    def __getstate__(self) -> dict[str, Any]:
        """What another process is sent: there each pass that has begun is begun again at the batch that is next."""
        return {**self.__dict__, "_passes": {}}

    def _loader(self, name: str) -> Any:
        if name not in self._loaders:
            raise unknown("data stream", name, self._loaders)
        return self._loaders[name]

    def has(self, name: str) -> bool:
        """Whether there is a stream of this name."""
        return name in self._loaders

    def steps(self, name: str) -> int:
        """Batches a pass."""
        return len(self._loader(name))

    def lengths(self) -> dict[str, int]:
        """Batches a pass, of every stream."""
        return {name: len(loader) for name, loader in self._loaders.items()}

    def next(self, name: str) -> Any:
        """The next batch; a new pass begins where one has ended."""
        loader = self._loader(name)
        for _ in range(3):  # a pass may already be at its end; two passes without a batch are an empty loader
            if name not in self._passes:
                self._passes[name] = iter(loader)
            try:
                return self._prepare(self._share(next(self._passes[name])))
            except StopIteration:
                del self._passes[name]
        raise InputError(f"the data stream {name!r} has no batches")

    def each(self, name: str, start: int = 0, every: int = 1) -> Iterator[Any]:
        """One whole pass for evaluation, in order and without augmentation where the loader can; ``next`` goes on undisturbed.

        ``start``, ``every``: of its batches, only that one and each that comes so many after.
        """
        loader = self._loader(name)
        if hasattr(loader, "in_order"):
            return self._evaluated(loader, loader.in_order(), start, every)
        other = copy.copy(loader)
        other.load_state_dict(copy.deepcopy(self._first[name]))
        return self._evaluated(loader, other, start, every)

    def calibrating(self, name: str) -> Iterator[Any]:
        """One whole pass for batch statistics: as ``each``, without a last, smaller batch that training leaves out."""
        loader = self._loader(name)
        return self._evaluated(loader, loader.calibrating()) if hasattr(loader, "calibrating") else self.each(name)

    def _evaluated(self, loader: Any, batches: Iterable[Any], start: int = 0, every: int = 1) -> Iterator[Any]:
        return map(self._prepare, islice(batches, start, self._until(len(loader)), every))

    def beginning(self, batches: Callable[[int], int]) -> Data:
        """The same streams, of which ``each`` and ``calibrating`` give the first batches alone, ``batches(n)`` of the n that these give."""
        part, before = copy.copy(self), self._until
        part._passes = self._passes
        part._until = lambda count: batches(before(count) or count)
        return part

    def cut(self, part: Callable[[Any], Any]) -> Data:
        """The same streams, which go on together; of batches that are trained on ``next`` gives a ``part``."""
        made, share = copy.copy(self), self._share
        made._share = lambda batch: part(share(batch))
        return made

    def smallest(self, name: str) -> int | None:
        """The examples in the smallest batch of a pass; None where that is known by going through it alone."""
        loader = self._loader(name)
        if isinstance(loader, Batches):
            return loader.smallest
        inner = loader.loader if isinstance(loader, Replayed) else None
        if not isinstance(inner, DataLoader) or inner.batch_size is None or not isinstance(inner.sampler, Sized):
            return None
        return inner.batch_size if inner.drop_last else len(inner.sampler) % inner.batch_size or inner.batch_size

    def labels(self, name: str) -> Tensor | None:
        """All labels of a stream, where they lie in memory as one tensor; else None."""
        loader = self._loader(name)
        if isinstance(loader, Batches):
            return loader.y
        dataset = getattr(loader.loader, "dataset", None) if isinstance(loader, Replayed) else None
        return dataset.tensors[-1] if isinstance(dataset, TensorDataset) else None

    def state_dict(self) -> dict[str, Any]:
        """Where every stream is: the state of each loader by name."""
        return {name: loader.state_dict() for name, loader in self._loaders.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on at exactly the batch that was next; raises InputError where the streams are not the same ones."""
        if set(state) != set(self._loaders):
            raise InputError(f"the saved data streams are {', '.join(sorted(state))}; these are {', '.join(sorted(self._loaders))}")
        self._passes.clear()
        for name, loader in self._loaders.items():
            loader.load_state_dict(state[name])


def all_of_them(batches: int) -> None:
    """No end before the last batch."""


def _resumable(loader: Any, seed: int) -> Any:
    if not (hasattr(loader, "state_dict") and hasattr(loader, "load_state_dict")):
        return Replayed(loader, seed)
    if len(loader) < 1:
        raise InputError(f"the loader {type(loader).__name__} has no batches")
    return loader
