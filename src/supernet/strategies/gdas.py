"""GDAS: Dong, Yang, CVPR 2019, https://arxiv.org/abs/1910.04465; https://github.com/D-X-Y/GDAS

One operation is drawn per choice and forward pass, and only that one runs; the Gumbel softmax gives the alphas their gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from torch import Generator, Tensor, nn

from supernet import relaxations
from supernet.errors import InputError
from supernet.layers.base import Supernet
from supernet.layers.one_of import OneOf
from supernet.mixture import Mix, Mixture
from supernet.settings.quantities import Positive
from supernet.strategies.gradient import Gradient
from supernet.task import Task


class GDAS(Gradient):
    """Hard Gumbel draws whose temperature falls linearly over the epochs, reaching the second of ``temperature`` in the last.

    ``bare``: also add the weights of the options that do not run, as the code in https://github.com/D-X-Y/AutoDL-Projects
    does: they are 0, their gradient is not.
    """

    alike: ClassVar[bool] = False
    recipe: ClassVar[Mapping[str, Any]] = {"decay": 5e-4, "nesterov": True}

    def __init__(
        self, supernet: Supernet, task: Task, *, temperature: tuple[Positive, Positive] = (10.0, 0.1), bare: bool = False, **settings: Any
    ):
        if min(temperature) <= 0:
            raise InputError(f"temperatures must be above 0; got {temperature}")
        self.temperatures, self.bare = temperature, bare
        super().__init__(supernet, task, self._drawn, **settings)

    @property
    def temperature(self) -> float:
        """At this moment of the search."""
        first, last = self.temperatures
        return first + (last - first) * self.risen

    def objective(self, batch: Any, mixture: Mixture, network: Callable[..., Any] | None = None) -> Tensor:
        with _bare_weights(self.supernet, self.bare):
            return super().objective(batch, mixture, network)

    def priced(self, mixture: Mixture) -> Mixture:
        return mixture | {n: relaxations.softmax(p, self.rng) for n, p in self.alphas.items()}

    def _drawn(self, logits: Tensor, rng: Generator) -> Mix:
        return relaxations.hard_gumbel(logits, rng, self.temperature)


class GDASFRC(GDAS):
    """With the paper's fixed reduction cell: the normal cell alone is searched."""

    needs: ClassVar[Mapping[str, Any]] = {"fixed_reduction": True}


@contextmanager
def _bare_weights(supernet: Supernet, on: bool) -> Iterator[None]:
    """While it lasts, every ``OneOf`` adds to its output the weights of the options that do not run."""

    def add(layer: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        assert isinstance(layer, OneOf)
        _, (weights, runs, _) = layer.own()
        if weights is None:
            return output
        return output + sum(weights[i] for i in range(len(weights)) if i not in runs)

    handles = [m.register_forward_hook(add) for m in supernet.modules() if isinstance(m, OneOf)] if on else []
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
