"""What is measured of outputs: which way is better, in which unit, and how a pass over many batches becomes one number."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from supernet.errors import InputError
from supernet.tree import mapped

Measure = Callable[[Any, Any], Any]
SHARE = "share"  # the unit of fractions of one, which are shown in percent
LARGEST = 700.0  # a loss whose exponential is still a float


@dataclass(frozen=True)
class Score:
    """What is known of a number by its name.

    ``counted``: it is the share of the examples that are right. ``label``: what reports call it; empty: its name in words.
    """

    name: str
    larger: bool = True  # whether larger is better
    unit: str = ""
    counted: bool = False
    label: str = ""

    def worth(self, value: float) -> float:
        """``value``, so that larger is better."""
        return value if self.larger else -value

    def facts(self) -> dict[str, Any]:
        """Direction, unit and label, as a run keeps them."""
        return {"larger": self.larger, "unit": self.unit, **({"label": self.label} if self.label else {})}


LOSS = Score("loss", larger=False)


@dataclass(frozen=True)
class Metric:
    """A function of (outputs, targets) of one batch, and how what it gives is gathered over a pass.

    ``gathered``: "mean": it gives the mean over the batch's examples. "sum": statistics, a tensor or a tuple of them, that are added over
    the pass, such as a confusion matrix. "all": one entry an example in the first dimension of a tensor or of a tuple of
    them, joined over the pass, for what needs all examples at once, such as the area under a curve.
    ``compute``: what was gathered (on the CPU; a mean as a float) -> the number; None: it is the number.
    ``unit``: as a report prints it; ``SHARE``: a fraction of one, printed in percent. ``label``: what reports call it; empty:
    its name in words.
    Raises ``InputError`` for another way to gather.
    """

    measure: Measure
    larger: bool = True
    unit: str = ""
    gathered: Literal["mean", "sum", "all"] = "mean"
    compute: Callable[[Any], Any] | None = None
    label: str = ""

    def __post_init__(self) -> None:
        if self.gathered not in ("mean", "sum", "all"):
            raise InputError(f"a metric is gathered by mean, sum or all; got {self.gathered!r}")

    @property
    def of_a_batch(self) -> bool:
        """Whether it says something of one batch alone."""
        return self.gathered == "mean" and self.compute is None

    def score(self, name: str) -> Score:
        """What it gives, by name."""
        return Score(name, self.larger, self.unit, self.of_a_batch and self.larger and self.unit == SHARE, self.label)

    def taken(self, name: str, outputs: Any, targets: Any, device: torch.device | str = "cpu") -> Any:
        """What is gathered of one batch; raises ``InputError`` for a mean that is no number."""
        value = self.measure(outputs, targets)
        return scalar(value, f"the metric {name!r}", device) if self.gathered == "mean" else value

    def of_pass(self, name: str, values: list[Any], sizes: list[int]) -> float:
        """The number of a pass whose batches, of so many examples, gave ``values``; raises ``InputError`` where there is none."""
        whole: Any
        if self.gathered == "mean":
            whole = mean(values, sizes)
        else:
            join = torch.cat if self.gathered == "all" else _added
            try:
                whole = mapped(lambda *parts: join([p.detach().cpu() for p in parts]), *values)
            except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
                wanted = "tensors with an entry an example" if self.gathered == "all" else "tensors that can be added"
                raise InputError(f"the metric {name!r} must give {wanted}; got {what(values[0])}: {error}") from error
        if self.compute is None:
            return number(whole, f"the metric {name!r}")
        try:
            found = self.compute(whole)
        except (ArithmeticError, IndexError, RuntimeError, TypeError, ValueError) as error:
            raise InputError(f"compute of the metric {name!r} fails on what was gathered ({what(whole)}): {error}") from error
        return number(found, f"compute of the metric {name!r}")


@dataclass(frozen=True)
class Pass:
    """What a pass over a stream gave, a batch an entry: its loss, what every metric gathers of it, how many examples it has."""

    metrics: Mapping[str, Metric]
    losses: list[Tensor]
    gathered: dict[str, list[Any]]
    sizes: list[int]

    def scores(self, batches: int | None = None) -> dict[str, float]:
        """Loss and metrics of the pass, or of its first ``batches`` alone."""
        sizes = self.sizes[:batches]
        of_metrics = {name: metric.of_pass(name, self.gathered[name][:batches], sizes) for name, metric in self.metrics.items()}
        return {"loss": mean(self.losses[:batches], sizes), **of_metrics}

    def beginnings(self, name: str) -> dict[int, float]:
        """Examples -> a metric (or "loss") of so many, from the first batch on, each time of twice as many batches up to all."""
        counts = [2**i for i in range(len(self.sizes).bit_length()) if 2**i < len(self.sizes)]
        return {sum(self.sizes[:count]): self.scores(count)[name] for count in (*counts, len(self.sizes))}


def _added(parts: list[Tensor]) -> Tensor:
    """The sum, of floating-point numbers in double precision."""
    return torch.stack([p.double() if p.is_floating_point() else p for p in parts]).sum(0)


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """The share of examples whose largest logit is the target's: (B, classes), (B,) -> ()."""
    return (outputs.argmax(1) == targets).float().mean()


def perplexity(loss: float) -> float:
    """Of a mean cross-entropy in nats."""
    return math.exp(min(loss, LARGEST))


ACCURACY = Metric(accuracy, unit=SHARE)
PERPLEXITY = Metric(F.cross_entropy, larger=False, compute=perplexity)  # of logits (N, classes) and targets (N,)
USUAL: Mapping[str, Metric] = {"accuracy": ACCURACY}  # of cross-entropy where no metrics are given
# What runs whose config.yaml does not say it were scored by.
EARLIER = {s.name: s for s in (ACCURACY.score("accuracy"), PERPLEXITY.score("perplexity"), LOSS, Score("learning_rate", larger=False))}


def scalar(value: Any, whose: str, device: torch.device | str = "cpu") -> Tensor:
    """A measured value as a tensor (); raises ``InputError`` for what is no single number."""
    if isinstance(value, Real):
        return torch.tensor(float(value), device=device)
    if isinstance(value, Tensor) and value.numel() == 1 and not value.is_complex():
        return value if value.is_floating_point() and not value.dim() else value.reshape(()).float()
    raise InputError(f"{whose} must return a number or a tensor of one; got {what(value)}")


def number(value: Any, whose: str) -> float:
    """A measured value as a float; raises ``InputError`` for what is no single number."""
    return float(value) if isinstance(value, Real) else float(scalar(value, whose))


def mean(values: list[Tensor], sizes: list[int]) -> float:
    """The mean over all examples of what was measured on batches of so many: 0-d tensors on a device, which may have no float64."""
    return float(sum(value * n for value, n in zip(torch.stack(values).tolist(), sizes, strict=True))) / sum(sizes)


def what(x: Any, values: bool = False) -> str:
    """A tensor's dtype and shape, and between which numbers its ``values`` are; of anything else, its type."""
    if not isinstance(x, Tensor):
        return type(x).__name__
    ends = f", from {x.min().item()} to {x.max().item()}" if values and x.numel() and x.device.type == "cpu" and not x.is_complex() else ""
    return f"{str(x.dtype).removeprefix('torch.')} of shape {tuple(x.shape)}{ends}"


def finite(scores: Mapping[str, float] | None) -> dict[str, float]:
    """The scores that are numbers: shared weights can give a single recurrent cell states that grow without bound."""
    return {name: value for name, value in (scores or {}).items() if math.isfinite(value)}
