"""What is learnt: how a network meets a batch, and how wrong its outputs are. Strategies never open a batch."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import repeat
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.data.batches import pinned
from supernet.data.streams import Data
from supernet.errors import InputError, refuse_unknown
from supernet.first_batch import check_labels, check_loss, first, inside
from supernet.metrics import LOSS, USUAL, Measure, Metric, Pass, Score, what
from supernet.mixture import Mixture
from supernet.modules.modes import evaluating, kept_buffers, training
from supernet.ops import ONE_VALUE
from supernet.randomness import drawing_apart
from supernet.ranks import ALONE, Ranks
from supernet.settings.given import keywords
from supernet.tree import mapped, tensors

Self = TypeVar("Self", bound="Task")
Loss = Callable[[Any, Any], Tensor]
OTHER = "a batch is (*inputs, targets), not a {}: else override {} of Task"


class Task:
    """Data, a loss and metrics on a device.

    ``train``, ``validation``, ``test``: loaders of batches ``(*inputs, targets)``, whose passes can be repeated; a search
    never reads ``test``. ``loss(outputs, targets)`` -> scalar. ``metrics``: name -> function of (outputs, targets) -> the
    mean over the batch (a Python number too), larger is better; or a ``Metric``, which says more. By the first of them architectures
    are judged; without any, by the loss. Accuracy where none are given, the loss is cross-entropy and batches are of that kind.
    ``autocast``: a dtype for mixed precision, ``torch.bfloat16`` or ``torch.float16``, for which whoever trains scales losses.
    Images (4-d tensors) run in channels_last.
    For other batches (any tree of tensors: dicts, lists, dataclasses; or what moves by a ``to`` of its own) override ``predict`` and
    ``loss``, and ``targets`` where there are metrics. ``size`` counts the examples of a batch for means over a pass.
    ``batch_dimension``: where examples are counted in every tensor of a batch: 0, 1 for text (T, B), None where there is no such
    dimension, as in graphs. A few examples are cut out of a batch there, if all its tensors are equally long in it.
    ``ranks``: those that train together, each on its part of every training batch; a pass is evaluated by all of them, a batch each.
    Raises ``InputError`` where the device or such a precision of it does not exist here, and for an argument that there is not.
    """

    def __init__(
        self,
        train: Iterable[Any],
        validation: Iterable[Any] | None = None,
        test: Iterable[Any] | None = None,
        *,
        loss: Loss,
        metrics: Mapping[str, Measure | Metric] | None = None,
        device: str | torch.device = "cpu",
        autocast: torch.dtype | None = None,
        seed: int = 0,
        batch_dimension: int | None = 0,
        ranks: Ranks = ALONE,
        **other: Any,
    ):
        refuse_unknown("argument of Task", other, keywords(Task))
        self.criterion, self.autocast, self.device = loss, autocast, usable(device)
        check_precision(self.device, autocast)
        plain = loss.func if isinstance(loss, partial) else loss
        self.classifies = plain is F.cross_entropy or isinstance(plain, nn.CrossEntropyLoss)
        self.batch_dimension, self.ranks = batch_dimension, ranks
        other_batches = type(self).predict is not Task.predict and type(self).loss is not Task.loss
        given_metrics = USUAL if metrics is None and self.classifies and not other_batches else metrics or {}
        self.metrics = {name: m if isinstance(m, Metric) else Metric(m) for name, m in given_metrics.items()}
        self._examples: dict[str, int] = {}  # how many a pass of a stream has
        given = {"train": train, "validation": validation, "test": test}
        self.data = Data(seed, self.prepare, self.share, **{n: loader for n, loader in given.items() if loader is not None})

    @property
    def judged(self) -> Score:
        """What architectures are judged by: the first metric; without one, the loss."""
        return next((metric.score(name) for name, metric in self.metrics.items()), LOSS)

    def scores(self) -> dict[str, dict[str, Any]]:
        """Which way is better, and the unit, of each metric by name, as a run keeps it."""
        return {name: metric.score(name).facts() for name, metric in self.metrics.items()}

    @property
    def example(self) -> tuple[Any, ...]:
        """The inputs of two examples, on the device: what ``derive`` and ``export`` run once."""
        return self.sample(2)

    def sample(self, examples: int) -> tuple[Any, ...]:
        """What the network is given for so many examples, on the device; for a whole batch where it cannot be cut, see ``first``."""
        return self.inputs(self.few(examples))

    def few(self, examples: int) -> Any:
        """The first batch that architectures are compared by, cut to so many examples; whole where it cannot be cut, see ``first``."""
        return first(self._some_batch(), examples, self.batch_dimension)

    def inputs(self, batch: Any) -> tuple[Any, ...]:
        """What ``predict`` gives the network for a batch, in order; raises ``InputError`` where it gives something by name."""
        try:
            self.predict(_given, batch)
        except _Given as given:
            if given.named:
                raise InputError(f"predict gives the network {', '.join(given.named)} by name: override inputs(batch) too") from None
            return given.inputs
        raise InputError(f"{type(self).__name__}.predict does not call the network: override inputs(batch) too")

    def targets(self, batch: Any) -> Any:
        """What outputs are compared with: the last entry of a batch; raises ``InputError`` for one that has none."""
        try:
            return batch[-1]
        except (KeyError, TypeError) as error:
            raise InputError(OTHER.format(type(batch).__name__, "targets")) from error

    def size(self, batch: Any) -> int:
        """How many examples a batch holds: the length of its last entry, the targets; of what is no sequence, of its last tensor."""
        last = batch[-1] if isinstance(batch, list | tuple) else next(reversed(tensors(batch)), None)
        if isinstance(last, Tensor):
            return len(last) if last.dim() else 1
        return len(last) if isinstance(last, Sized) else 1

    def sizes_ahead(self) -> Iterator[int]:
        """How large each batch of training to come is beside the others, without end: of batches that cost alike, 1."""
        return repeat(1)

    def share(self, batch: Any) -> Any:
        """This rank's part of a training batch, see ``Ranks.part``."""
        return self.ranks.part(batch, self.batch_dimension)

    def prepare(self, batch: Any) -> Any:
        """``batch``, a tree of tensors and other values, on the device; images in channels_last."""
        return mapped(lambda x: self._moved(x) if isinstance(x, Tensor) else x.to(self.device) if hasattr(x, "to") else x, batch)

    def place(self, model: nn.Module) -> nn.Module:
        """``model`` on the device; in channels_last where the batches hold images."""
        model = model.to(self.device)
        images = any(x.dim() == 4 for x in tensors(self._some_batch()))
        return model.to(memory_format=torch.channels_last) if images else model  # type: ignore[call-overload]

    def predict(self, network: Callable[..., Any], batch: Any) -> Any:
        """The network's outputs for one batch; raises ``InputError`` where training batch norms on it is impossible."""
        try:
            with self.ranks.norms():
                return self._outputs(network, batch)
        except ValueError as error:
            if ONE_VALUE not in str(error):
                raise
            raise InputError(
                "a batch norm cannot learn from a batch of one example: use a larger batch size, and drop_last=True for a last batch of one"
            ) from error

    def _outputs(self, network: Callable[..., Any], batch: Any) -> Any:
        if not isinstance(batch, list | tuple):
            raise InputError(OTHER.format(type(batch).__name__, "predict and loss"))
        with self.precision():
            outputs = network(*batch[:-1])
        if self.autocast is None:
            return outputs
        return mapped(lambda x: x.float() if isinstance(x, Tensor) and x.is_floating_point() else x, outputs)

    def precision(self) -> AbstractContextManager[Any]:
        """In what precision the network runs meanwhile: mixed, where ``autocast`` asks for it."""
        return nullcontext() if self.autocast is None else torch.autocast(self.device.type, self.autocast)

    @contextmanager
    def single_precision(self) -> Iterator[None]:
        """Nothing runs in mixed precision meanwhile: second derivatives would be noise in it, and may overflow."""
        before, self.autocast = self.autocast, None
        try:
            yield
        finally:
            self.autocast = before

    def loss(self, outputs: Any, batch: Any) -> Tensor:
        """The mean loss over one batch: (); raises ``InputError`` with what was given where it cannot be taken."""
        try:
            return self.criterion(outputs, self.targets(batch))
        except (InputError, torch.OutOfMemoryError):
            raise
        except (IndexError, RuntimeError, TypeError, ValueError) as error:
            given = f"outputs ({what(outputs)}) and labels ({what(self.targets(batch), True)})"
            raise InputError(f"the loss of {given} cannot be taken: {str(error).splitlines()[0] if str(error) else error!r}") from error

    def check(self, model: nn.Module, mixture: Mixture | None = None) -> None:
        """Run the first examples of the training and the validation data through ``model``, of a supernet under ``mixture``.

        Raises ``InputError`` for inputs that are not finite or that the network cannot take, labels that the loss cannot take (all of them
        are looked at where they are in memory), a loss or a metric that is no number, and a batch of one example where a batch norm
        would meet it. ``model`` and the global random state are left as they were. Where the network takes a whole batch but nothing that
        is cut out of it, ``batch_dimension`` becomes None.
        """
        network = model if mixture is None else partial(model, mixture)
        with evaluating(model), drawing_apart(self.device), inside(model) as where:
            for stream in filter(self.data.has, ("train", "validation")):
                batch = next(self.data.each(stream))
                if any(x.is_floating_point() and not x.isfinite().all() for x in tensors(batch)):
                    raise InputError(f"the first batch of the {stream} data holds numbers that are not finite (NaN or infinite)")
                part, outputs = self._tried(network, batch, stream, where)
                if self.classifies and type(self).loss is Task.loss and isinstance(outputs, Tensor) and outputs.dim() == 2:
                    check_labels(self.targets(batch) if (whole := self.data.labels(stream)) is None else whole, outputs.shape[1], stream)
                check_loss(self.loss(outputs, part), outputs)
                if stream == "train" and self.data.smallest(stream) == 1 and self.size(one := first(batch, 1, self.batch_dimension)) == 1:
                    with training(model), kept_buffers(model), torch.no_grad():
                        self.predict(network, one)
                with torch.no_grad():
                    for name, value in self._taken(outputs, part).items():
                        self.metrics[name].of_pass(name, [value], [self.size(part)])

    def _tried(self, network: Callable[..., Any], batch: Any, stream: str, where: list[str]) -> tuple[Any, Any]:
        """A few examples of a batch and the outputs for them, cut off from the network; the whole batch where it takes nothing less."""
        few = first(batch, 2, self.batch_dimension)
        if few is not batch:
            try:
                return few, self._traced(network, few, where)
            except (InputError, torch.OutOfMemoryError):
                raise
            except Exception:  # whether it is the cut that is wrong the whole batch shows
                pass
        try:
            outputs = self._traced(network, batch, where)
        except (InputError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # whatever a module of the user's raises
            held = ", ".join(what(x) for x in tensors(batch))
            place = f" in {where[-1]!r}" if where and where[-1] else ""
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(f"the network fails{place} on a batch of the {stream} data ({held}): {reason}") from error
        if few is not batch:
            self.batch_dimension = None
        return batch, outputs

    def _traced(self, network: Callable[..., Any], batch: Any, where: list[str]) -> Any:
        where.clear()
        with torch.no_grad():
            outputs = self.predict(network, batch)
        return mapped(lambda x: x.detach().requires_grad_() if isinstance(x, Tensor) and x.is_floating_point() else x, outputs)

    def measure(self, outputs: Any, batch: Any) -> dict[str, Tensor]:
        """The metrics that are means over a batch's examples, without gradients: (); raises ``InputError`` for one that is no number."""
        with torch.no_grad():
            return {name: value for name, value in self._taken(outputs, batch).items() if self.metrics[name].of_a_batch}

    def _taken(self, outputs: Any, batch: Any) -> dict[str, Any]:
        """What every metric gathers of one batch."""
        return {name: m.taken(name, outputs, self.targets(batch), self.device) for name, m in self.metrics.items()}

    @property
    def evaluating(self) -> Ranks:
        """Those that share the batches of a pass that is evaluated."""
        return self.ranks

    def evaluate(self, model: nn.Module, stream: str = "validation", mixture: Mixture | None = None) -> dict[str, float]:
        """Loss and metrics over one pass of a stream, in evaluation mode; of a supernet under ``mixture``."""
        return self.measured(model, stream, mixture).scores()

    @torch.no_grad()
    def measured(self, model: nn.Module, stream: str = "validation", mixture: Mixture | None = None) -> Pass:
        """What one pass of a stream gives batch by batch, in evaluation mode; of a supernet under ``mixture``."""
        network = model if mixture is None else partial(model, mixture)
        own: list[tuple[int, Tensor, dict[str, Any]]] = []
        with evaluating(model):
            for batch in self.data.each(stream, self.evaluating.number, self.evaluating.count):
                outputs = self.predict(network, batch)
                own.append((self.size(batch), self.loss(outputs, batch).detach(), self._taken(outputs, batch)))
        held = self.evaluating.in_turn(own)
        self._examples[stream] = sum(size for size, _, _ in held)
        gathered = {name: [taken[name] for _, _, taken in held] for name in self.metrics}
        return Pass(self.metrics, [loss for _, loss, _ in held], gathered, [size for size, _, _ in held])

    def beginning(self, batches: Callable[[int], int]) -> Task:
        """This task, evaluated on the first batches of every stream alone, ``batches(n)`` of the n that this one is evaluated on."""
        part = copy.copy(self)
        part.data, part._examples = self.data.beginning(batches), {}
        return part

    def of_size(self: Self, examples: int) -> Self:
        """This task, trained on the first ``examples`` of each batch, or on whole batches that cannot be cut, see ``first``."""
        part = copy.copy(self)
        part.data = self.data.cut(partial(first, examples=examples, dimension=self.batch_dimension))
        return part

    def examples(self, stream: str = "validation") -> int:
        """How many examples one pass of a stream has; 0 of one that is not there."""
        if stream not in self._examples and self.data.has(stream):
            self._examples[stream] = sum(self.size(batch) for batch in self.data.each(stream))
        return self._examples.get(stream, 0)

    def covering(self, examples: int, stream: str = "validation") -> int:
        """How many batches of a stream, from the first on, hold so many examples; all of them where there are fewer."""
        batches = held = 0
        for batch in self.data.each(stream):
            batches, held = batches + 1, held + self.size(batch)
            if held >= examples:
                break
        return batches

    def _some_batch(self) -> Any:
        return next(iter(self.data.each("validation" if self.data.has("validation") else "train")))

    def _moved(self, x: Tensor) -> Tensor:
        x = pinned(x, self.device)
        if x.dim() == 4:
            return x.to(self.device, non_blocking=True, memory_format=torch.channels_last)
        return x.to(self.device, non_blocking=True)


class _Given(Exception):
    """What a network was called with."""

    def __init__(self, inputs: tuple[Any, ...], named: Mapping[str, Any]):
        super().__init__()
        self.inputs, self.named = inputs, named


def _given(*inputs: Any, **named: Any) -> Any:
    raise _Given(inputs, named)


def check_precision(device: torch.device, autocast: torch.dtype | None) -> None:
    """Refuse mixed precision that the device does not have."""
    if autocast is None:
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # by which torch says that it goes on in single precision
            torch.autocast(device.type, autocast)
    except (RuntimeError, UserWarning) as error:
        name = str(autocast).removeprefix("torch.")
        raise InputError(f"{device} has no mixed precision in {name} with torch {torch.__version__}: leave autocast out") from error


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
