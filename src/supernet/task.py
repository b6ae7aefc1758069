"""What is learnt: how a network meets a batch, and how wrong its outputs are. Strategies never open a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.data.streams import Data
from supernet.errors import InputError
from supernet.mixture import Mixture
from supernet.modes import evaluating, kept_buffers, training
from supernet.ops import ONE_VALUE
from supernet.randomness import drawing_apart

Measure = Callable[[Any, Any], Tensor]


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """The share of examples whose largest logit is the target's: (B, classes), (B,) -> ()."""
    return (outputs.argmax(1) == targets).float().mean()


class Task:
    """Data, a loss and metrics on a device.

    ``train``, ``validation``, ``test``: loaders of batches ``(*inputs, targets)``, whose passes can be repeated; a search
    never reads ``test``. ``loss(outputs, targets)`` -> scalar. ``metrics``: name -> function of (outputs, targets) -> the
    mean over the batch, larger is better; accuracy where the loss is cross-entropy and none are given.
    ``autocast``: a dtype for mixed precision, such as ``torch.bfloat16``. Images (4-d inputs) run in channels_last.
    For other batches override ``predict`` and ``loss``.
    Raises ``InputError`` where the device does not exist here.
    """

    def __init__(
        self,
        train: Iterable[Any],
        validation: Iterable[Any] | None = None,
        test: Iterable[Any] | None = None,
        *,
        loss: Measure,
        metrics: Mapping[str, Measure] | None = None,
        device: str | torch.device = "cpu",
        autocast: torch.dtype | None = None,
        seed: int = 0,
    ):
        self.criterion, self.autocast, self.device = loss, autocast, usable(device)
        plain = loss.func if isinstance(loss, partial) else loss
        self.classifies = plain is F.cross_entropy or isinstance(plain, nn.CrossEntropyLoss)
        self.metrics = dict({"accuracy": accuracy} if metrics is None and self.classifies else metrics or {})
        self._examples: dict[str, int] = {}  # how many a pass of a stream has
        given = {"train": train, "validation": validation, "test": test}
        self.data = Data(seed, self.prepare, **{n: loader for n, loader in given.items() if loader is not None})

    @property
    def example(self) -> tuple[Any, ...]:
        """The inputs of two examples, on the device: what ``derive`` and ``export`` run once."""
        batch = next(iter(self.data.each("validation" if self.data.has("validation") else "train")))
        return tuple(x[:2] for x in batch[:-1])

    def prepare(self, batch: Any) -> Any:
        """``batch`` on the device; images in channels_last."""
        return tuple(self._moved(x) if isinstance(x, Tensor) else x for x in batch)

    def place(self, model: nn.Module) -> nn.Module:
        """``model`` on the device; in channels_last where the inputs are images."""
        model = model.to(self.device)
        images = any(isinstance(x, Tensor) and x.dim() == 4 for x in self.example)
        return model.to(memory_format=torch.channels_last) if images else model  # type: ignore[call-overload]

    def predict(self, network: Callable[..., Any], batch: Any) -> Any:
        """The network's outputs for one batch; raises ``InputError`` where training batch norms on it is impossible."""
        try:
            return self._outputs(network, batch)
        except ValueError as error:
            if ONE_VALUE not in str(error):
                raise
            raise InputError(
                "a batch norm cannot learn from a batch of one example: use a larger batch size, and drop_last=True for a last batch of one"
            ) from error

    def _outputs(self, network: Callable[..., Any], batch: Any) -> Any:
        if self.autocast is None:
            return network(*batch[:-1])
        with torch.autocast(self.device.type, self.autocast):
            outputs = network(*batch[:-1])
        return tuple(o.float() for o in outputs) if isinstance(outputs, tuple) else outputs.float()

    def loss(self, outputs: Any, batch: Any) -> Tensor:
        """The mean loss over one batch: (); raises ``InputError`` with what was given where it cannot be taken."""
        try:
            return self.criterion(outputs, batch[-1])
        except (InputError, torch.OutOfMemoryError):
            raise
        except (IndexError, RuntimeError, TypeError, ValueError) as error:
            given = f"outputs ({what(outputs)}) and labels ({what(batch[-1], True)})"
            raise InputError(f"the loss of {given} cannot be taken: {str(error).splitlines()[0] if str(error) else error!r}") from error

    @torch.no_grad()
    def check(self, model: nn.Module, mixture: Mixture | None = None) -> None:
        """Run the first batch of the training and the validation data; raises ``InputError`` for what a training could not take.

        That is labels that the loss cannot index, which are looked at to the last where they are in memory, and a batch of one example
        where a batch norm would meet it. ``model`` and the global random state are left as they were.
        """
        network = model if mixture is None else partial(model, mixture)
        with evaluating(model), drawing_apart(self.device):
            for stream in filter(self.data.has, ("train", "validation")):
                batch = next(self.data.each(stream))
                outputs = self.predict(network, batch)
                if self.classifies and type(self).loss is Task.loss and isinstance(outputs, Tensor) and outputs.dim() == 2:
                    check_labels(batch[-1] if (whole := self.data.labels(stream)) is None else whole, outputs.shape[1], stream)
                self.loss(outputs, batch)
                if stream == "train" and self.data.smallest(stream) == 1 and all(isinstance(x, Tensor) for x in batch):
                    with training(model), kept_buffers(model):
                        self.predict(network, tuple(x[:1] for x in batch))

    def measure(self, outputs: Any, batch: Any) -> dict[str, Tensor]:
        """Every metric over one batch, without gradients."""
        with torch.no_grad():
            return {name: metric(outputs, batch[-1]) for name, metric in self.metrics.items()}

    @torch.no_grad()
    def evaluate(self, model: nn.Module, stream: str = "validation", mixture: Mixture | None = None) -> dict[str, float]:
        """Loss and metrics over one pass of a stream, in evaluation mode; of a supernet under ``mixture``."""
        network = model if mixture is None else partial(model, mixture)
        found: dict[str, list[Tensor]] = {}
        sizes: list[int] = []
        with evaluating(model):
            for batch in self.data.each(stream):
                outputs = self.predict(network, batch)
                sizes.append(len(batch[-1]))
                for name, value in {"loss": self.loss(outputs, batch), **self.measure(outputs, batch)}.items():
                    found.setdefault(name, []).append(value.detach())
        self._examples[stream] = sum(sizes)
        return {name: mean(values, sizes) for name, values in found.items()}

    def examples(self, stream: str = "validation") -> int:
        """How many examples one pass of a stream has; 0 of one that is not there."""
        if stream not in self._examples and self.data.has(stream):
            self._examples[stream] = sum(len(batch[-1]) for batch in self.data.each(stream))
        return self._examples.get(stream, 0)

    def _moved(self, x: Tensor) -> Tensor:
        if x.dim() == 4:
            return x.to(self.device, non_blocking=True, memory_format=torch.channels_last)
        return x.to(self.device, non_blocking=True)


def mean(values: list[Tensor], sizes: list[int]) -> float:
    """The mean over all examples of what was measured on batches of so many: 0-d tensors on a device, which may have no float64."""
    return float(sum(value * n for value, n in zip(torch.stack(values).tolist(), sizes, strict=True))) / sum(sizes)


def what(x: Any, values: bool = False) -> str:
    """A tensor's dtype and shape, and between which numbers its ``values`` are; of anything else, its type."""
    if not isinstance(x, Tensor):
        return type(x).__name__
    ends = f", from {x.min().item()} to {x.max().item()}" if values and x.numel() and x.device.type == "cpu" and not x.is_complex() else ""
    return f"{str(x.dtype).removeprefix('torch.')} of shape {tuple(x.shape)}{ends}"


def check_labels(labels: Any, classes: int, stream: str) -> None:
    """Raise ``InputError`` for labels (N,) that are no whole numbers from 0 to ``classes`` - 1; -100 is a label that does not count."""
    if not isinstance(labels, Tensor) or labels.dim() != 1 or not labels.numel():
        return  # probabilities, or what the loss itself must refuse
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise InputError(f"labels of the {stream} data must be whole numbers (int64), one an example; got {what(labels)}")
    known = labels[labels != -100]
    low, high = (int(known.min()), int(known.max())) if known.numel() else (0, 0)
    if low < 0 or high >= classes:
        hint = ": number them from 0" if (low, high) == (1, classes) else ""
        raise InputError(
            f"labels of the {stream} data go from {low} to {high}, "
            f"and the network has {classes} outputs, for labels 0 to {classes - 1}{hint}"
        )


def usable(device: str | torch.device) -> torch.device:
    """The device, or ``InputError`` where it is not there."""
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError) as error:
        able = ["cpu", *(["cuda"] if torch.cuda.is_available() else []), *(["mps"] if torch.backends.mps.is_available() else [])]
        reason = str(error).splitlines()[0].split(". ")[0][:120]
        raise InputError(f"device {str(device)!r} cannot be used here ({reason}); there is: {', '.join(able)}") from error
    return found
