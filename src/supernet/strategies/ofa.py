"""Once-for-All: Cai et al. 2020, section 3.3, https://arxiv.org/abs/1908.09791; https://github.com/mit-han-lab/once-for-all

Progressive shrinking: the largest network is trained first, then networks with smaller kernels, fewer blocks and fewer channels as well,
by the labels and by what the largest had learnt. A searcher picks one afterwards. The warm-up of the longer phases is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from typing import Any, ClassVar

import torch
from torch import nn

from supernet.errors import InputError, without_effect
from supernet.layers.base import Supernet
from supernet.layers.importance import sort_channels
from supernet.mixture import one_hot
from supernet.modules.modes import by_batch
from supernet.settings.quantities import Amount
from supernet.strategies.lessons import Taught, uniform
from supernet.strategies.one_shot import Objective, OneShot, taught_by_both
from supernet.strategies.shrinking import PAPER, Sizes, borders
from supernet.strategies.weights import Weights, matrices_decay, over
from supernet.task import Task


def check_sortable(supernet: Supernet, *example: Any) -> None:
    """Raise ``InputError`` now, not in the training, where channels cannot be sorted; ``supernet`` is left as it is."""
    if not any(p.is_meta for p in supernet.parameters()):  # as in a dry run: without values nothing is sorted
        sort_channels(deepcopy(supernet), *example)


class OFA(OneShot):
    """The phases of the paper that open a size which the supernet has, as long and at such rates as there, in proportion to the run.

    A step runs as many networks as the phase says on one batch and adds up their gradients. Channels are sorted by importance where widths
    are opened, and every phase has its own optimiser. From the second on, the largest network as the first has left it teaches too.

    ``trained``: the supernet is given with trained weights of its largest network, and the first phase is left out. ``distil``: how much
    what the largest says counts beside the labels, by default 1. ``objective``: another loss in the place of both.
    ``weights``, ``seed``: as of ``OneShot``; the rate is that of the largest network, for batches of 64.
    Raises ``InputError`` for a space without sizes, for channels that cannot be sorted, and at the first epoch for fewer than phases.
    """

    trainer: ClassVar[Callable[..., Weights]] = staticmethod(matrices_decay)
    recipe: ClassVar[Mapping[str, Any]] = {"lr": 0.08, "lr_min": 0.0, "nesterov": True, "decay": 3e-5, "clip": None}

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        *,
        trained: bool = False,
        distil: Amount | None = None,
        objective: Objective | None = None,
        weights: Callable[[nn.Module], Weights] | Mapping[str, Any] | None = None,
        seed: int = 0,
    ):
        if objective is not None and distil is not None:
            raise without_effect("distil", "the objective is another one")
        self.sizes, self.given, self.phase = Sizes(supernet), weights, 0
        self.phases = self.sizes.of(PAPER)[int(trained) :]
        if not set(self.sizes.kinds.values()) - {"input"}:
            raise InputError("progressive shrinking needs sizes: a choice of a kernel, a depth or a width, whose options are numbers")
        self.example = task.sample(1)
        check_sortable(supernet, *self.example)
        self.teacher = deepcopy(supernet) if trained else None
        loss = objective or partial(taught_by_both, distil=1.0 if distil is None else distil)
        super().__init__(supernet, task, lessons=uniform, objective=loss, weights=self._weights, seed=seed)

    def _weights(self, supernet: nn.Module) -> Weights:
        """How the weights are trained in the present phase."""
        made = self.given(supernet) if callable(self.given) else self.trainer(supernet, **over(self.recipe, self.given))
        made.full = [rate * self.phases[self.phase].rate for rate in made.full]
        return made

    def lessons_on(self, batch: Any) -> Taught:
        """The networks of the present phase, on inputs of one size."""
        phase, space, inputs, target = self.phases[self.phase], self.supernet.space, self.sizes.inputs(self.rng), None
        if self.teacher is not None:
            largest = one_hot(space, self.sizes.draw(PAPER[0], self.rng, inputs))
            with torch.no_grad(), by_batch(self.teacher):
                target = self.task.predict(partial(self.teacher, largest), batch)
        for _ in range(phase.networks):
            yield one_hot(space, self.sizes.draw(phase, self.rng, inputs)), target

    def epoch(self, done: int, of: int, metrics: dict[str, Any]) -> bool:
        while self.phase + 1 < len(self.phases) and done >= borders(self.phases, of)[self.phase + 1]:
            self.begin(self.phase + 1)
        return super().epoch(done, of, metrics)

    def schedule(self, done: float, of: int) -> None:
        super().schedule(done, of)
        first, last = borders(self.phases, of)[self.phase : self.phase + 2]
        self.weights.epoch(done - first, last - first)

    def begin(self, phase: int) -> None:
        """Go on to a phase: what the largest knows is kept, channels are sorted where more widths open, the optimiser is new."""
        self.teacher = self.teacher or deepcopy(self.supernet)
        was, now = (self.sizes.open("width", self.phases[i]) for i in (self.phase, phase))
        if now > was:
            sort_channels(self.supernet, *self.example, apart=was - 1)
        self.phase = phase
        self.weights = self._weights(self.supernet).scaled_for(self.task)

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "phase": self.phases[self.phase].name}

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "phase": self.phase, "teacher": self.teacher and self.teacher.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.phase = state["phase"]
        self.weights = self._weights(self.supernet).scaled_for(self.task)
        if state["teacher"] is not None:
            self.teacher = self.teacher or deepcopy(self.supernet)
            self.teacher.load_state_dict(state["teacher"])
        super().load_state_dict(state)
