"""The processes that train one network together, each on its part of every batch: data parallelism, as ``torchrun`` begins it.

Every rank does the same from the same seed: it draws the same blends and paths, and meets the same batches, of which it runs its own
part. Gradients and batch statistics are averaged, measured numbers too, and what is decided the first rank decides for all. So a step of
N ranks is the step of one rank on the whole batch, and the state of a training does not tell how many ranks made it.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from supernet.errors import Lost
from supernet.launched import launched
from supernet.synchronised import Synchronised
from supernet.tree import leaves, mapped

T = TypeVar("T")
STATISTICS = ("running_mean", "running_var")  # of batch norms


class Ranks(Protocol):
    """The ranks of a training, as one of them sees them. All must call the same methods in the same order."""

    number: int  # of this rank, from 0
    count: int  # of all

    def mean(self, tensors: Sequence[Tensor]) -> None:
        """Replace every tensor by its mean over the ranks, in place; its graph is not followed."""

    def settle(self, model: nn.Module) -> None:
        """Replace the running statistics of every batch norm by their mean over the ranks."""

    def sum(self, x: Tensor) -> Tensor:
        """The sum over the ranks, of as high an order differentiable as is asked for."""

    def norms(self) -> contextlib.AbstractContextManager[Any]:
        """Meanwhile batch norms use the statistics of all ranks, where these are synchronised."""

    def told(self, value: T) -> T:
        """What the first rank says: plain data and tensors on the CPU."""

    def in_turn(self, own: list[T]) -> list[T]:
        """All entries of a list that was dealt out, one to each rank in turn; ``own``: those of this rank."""

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Of each flag, whether any rank has it."""

    def part(self, batch: Any, dimension: int | None) -> Any:
        """This rank's part of a batch, examples counted in ``dimension``; all of a batch that cannot be cut into equal parts."""

    def device(self, name: str) -> str:
        """The device of this rank where ``name`` is asked for."""

    def folder(self, folder: Path) -> contextlib.AbstractContextManager[Path]:
        """Where this rank writes a run: the first in ``folder``, any other in a copy of its own, which is then thrown away."""


class Alone:
    """One rank: nothing to average, nobody to ask."""

    number, count = 0, 1

    def mean(self, tensors: Sequence[Tensor]) -> None:
        """Each is its own mean."""

    def settle(self, model: nn.Module) -> None:
        """They are as they are."""

    def sum(self, x: Tensor) -> Tensor:
        return x

    def norms(self) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext()

    def told(self, value: T) -> T:
        return value

    def in_turn(self, own: list[T]) -> list[T]:
        return own

    def any(self, *flags: bool) -> tuple[bool, ...]:
        return flags

    def part(self, batch: Any, dimension: int | None) -> Any:
        return batch

    def device(self, name: str) -> str:
        return name

    def folder(self, folder: Path) -> contextlib.AbstractContextManager[Path]:
        return contextlib.nullcontext(folder)


ALONE = Alone()


class Together:
    """The ranks of the default process group of ``torch.distributed``, which must be there.

    ``synchronised``: whether batch norms use the statistics of all ranks in training, as one rank would; else each those of its own part.
    Raises ``Lost`` where another rank has ended, so that none can go on.
    """

    def __init__(self, synchronised: bool = False) -> None:
        self.number, self.count = dist.get_rank(), dist.get_world_size()
        self.synchronised = synchronised

    def mean(self, tensors: Sequence[Tensor]) -> None:
        """As one message a device and type."""
        kinds: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
        for x in tensors:
            kinds.setdefault((x.device, x.dtype), []).append(x)
        with torch.no_grad():
            for same in kinds.values():
                flat = torch.cat([x.detach().flatten() for x in same])
                with talking():
                    dist.all_reduce(flat)
                flat /= self.count
                for x, part in zip(same, torch.split(flat, [x.numel() for x in same]), strict=True):
                    x.copy_(part.view_as(x))

    def settle(self, model: nn.Module) -> None:
        self.mean([buffer for name, buffer in model.named_buffers() if name.endswith(STATISTICS)])

    def sum(self, x: Tensor) -> Tensor:
        return added(x)

    def norms(self) -> contextlib.AbstractContextManager[Any]:
        return Synchronised(self.sum, self.count) if self.synchronised else contextlib.nullcontext()

    def told(self, value: T) -> T:
        said = [value]
        with talking():
            dist.broadcast_object_list(said, src=0)
        return said[0]

    def in_turn(self, own: list[T]) -> list[T]:
        said: list[Any] = [None] * self.count
        with talking():
            dist.all_gather_object(said, mapped(lambda x: x.cpu() if isinstance(x, Tensor) else x, own))
        rounds = zip_longest(*said, fillvalue=None)
        return [entry for entries in rounds for entry in entries if entry is not None]

    def any(self, *flags: bool) -> tuple[bool, ...]:
        said = torch.tensor(flags, dtype=torch.uint8)
        with talking():
            dist.all_reduce(said, dist.ReduceOp.MAX)
        return tuple(bool(flag) for flag in said.tolist())

    def part(self, batch: Any, dimension: int | None) -> Any:
        if dimension is None:
            return batch
        lengths = {x.shape[dimension] if isinstance(x, Tensor) and x.dim() > dimension else 0 for x in leaves(batch)}
        whole = lengths.pop()
        if lengths or not whole or whole % self.count:
            return batch
        size = whole // self.count
        return mapped(lambda x: x.narrow(dimension, self.number * size, size), batch)

    def device(self, name: str) -> str:
        """The device of that number among those of this computer, where no number is asked for."""
        return name if name in ("cpu", "mps") or ":" in name else f"{name}:{os.environ.get('LOCAL_RANK', self.number)}"

    @contextlib.contextmanager
    def folder(self, folder: Path) -> Iterator[Path]:
        there = self.number == 0 and (folder / "config.yaml").exists()
        files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"] if there else []
        held = self.told({str(path.relative_to(folder)): path.read_bytes() for path in files})
        if self.number == 0:
            yield folder
            return
        with tempfile.TemporaryDirectory(prefix="supernet-rank-") as own:
            for name, content in held.items():
                (Path(own) / name).parent.mkdir(parents=True, exist_ok=True)
                (Path(own) / name).write_bytes(content)
            yield Path(own)


class _Sum(torch.autograd.Function):
    """The sum over the ranks. Whatever depends on it is summed over the ranks as well, so that its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.detach().clone(memory_format=torch.contiguous_format)
        with talking():
            dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return added(grad)


def added(x: Tensor) -> Tensor:
    """The sum over the ranks, differentiable."""
    total: Tensor = _Sum.apply(x)  # type: ignore[no-untyped-call]
    return total


@contextlib.contextmanager
def talking() -> Iterator[None]:
    """What goes wrong between ranks ends the work of this one, since another is no longer there."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise Lost("another rank has ended, and none can go on without it: begin them again with --resume") from error


@cache
def here(synchronised: bool = False) -> Ranks:
    """The ranks that ``torchrun`` began, their process group made, see ``Together``; one rank in any other process."""
    if not launched():
        return ALONE
    if not dist.is_initialized():
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(dist.destroy_process_group)
    return Together(synchronised)
