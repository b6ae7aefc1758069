"""DARTS-PT: Wang et al., ICLR 2021, https://arxiv.org/abs/2108.04392; https://github.com/ruocwang/darts-pt

The supernet is trained as in DARTS, and the alphas are not asked for the result: choices are settled one by one in random order,
each by the option without which the supernet does worst, with some training between one and the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any, ClassVar

from supernet import relaxations
from supernet.data.streams import Data
from supernet.errors import InputError
from supernet.layers.base import Supernet
from supernet.mixture import Mix, one_hot
from supernet.progress import Progress
from supernet.relaxations import Relaxation
from supernet.settings.quantities import CountOrNone
from supernet.space import Architecture, Choice, Option
from supernet.strategies.gradient import Gradient
from supernet.task import Task


class DARTSPT(Gradient):
    """Softmax blends; ``finish`` selects by perturbation. ``tune_epochs``: trained after each decision, at a tenth of the learning rate.

    Raises ``InputError`` for a task without validation data, which the decisions are made on.
    """

    by_alphas: ClassVar[bool] = False

    def __init__(self, supernet: Supernet, task: Task, *, tune_epochs: CountOrNone = 5, seed: int = 0, **settings: Any):
        if not task.data.has("validation"):
            raise InputError("DARTS-PT compares options on validation data, and the task has none: give Task a validation loader")
        if tune_epochs < 0:
            raise InputError(f"tune_epochs must be at least 0; got {tune_epochs}")
        self.tune_epochs, self.seed = tune_epochs, seed
        self.settled: dict[str, Mix] = {}  # choice -> the blend that is left of it
        super().__init__(supernet, task, relaxations.softmax, seed=seed, **settings)

    def blend(self, choice: Choice, relax: Relaxation) -> Mix:
        return self.settled[choice.name] if choice.name in self.settled else super().blend(choice, relax)

    def finish(self, data: Data) -> None:
        """Settle every choice: which options stay first, then which inputs."""
        space, rng = self.supernet.space, Random(self.seed)
        options = [c for c in space.values() if c.pick is None]
        inputs = [c for c in space.values() if c.pick is not None and c.pick[1] < len(c.options)]
        for order in (options, inputs):
            rng.shuffle(order)
        for settings, full in zip(self.weights.optimiser.param_groups, self.weights.full, strict=True):
            settings["lr"] = full / 10
        progress = Progress("selecting", len(options) + len(inputs), unit="choices")
        try:
            for i, choice in enumerate(options + inputs):
                if i:
                    self._tune(data)
                kept = self._best_option(choice) if choice.pick is None else self._best_inputs(choice)
                self.settled[choice.name] = Mix(None, tuple(choice.options.index(o) for o in kept))
                progress.advance(settled=choice.name)
        finally:
            progress.close()
        self.found = self._taken()

    def _best_option(self, choice: Choice) -> tuple[Option, ...]:
        """The option whose absence costs most; of equals the first."""
        if len(choice.able) == 1:
            return choice.able
        scores = {o: self._score_without(choice, choice.options.index(o)) for o in choice.able}
        return (min(choice.able, key=scores.__getitem__),)

    def _best_inputs(self, choice: Choice) -> tuple[Option, ...]:
        """The inputs left when those whose absence costs least are gone; of equals the last goes."""
        assert choice.pick is not None
        kept = list(choice.options)
        while len(kept) > choice.pick[1]:
            self.settled[choice.name] = Mix(None, tuple(choice.options.index(o) for o in kept))
            scores = {o: self._score_without(choice, choice.options.index(o)) for o in kept}
            kept.remove(max(reversed(kept), key=scores.__getitem__))
        return tuple(kept)

    def _score_without(self, choice: Choice, option: int) -> float:
        """What architectures are judged by, on the validation data, larger is better, when one option is cut out."""
        mixture = self.mixture(self.relax)
        mix = mixture[choice.name]
        cut = Mix(None if mix.weights is None else mix.weights.detach(), tuple(i for i in mix.runs if i != option))
        metrics = self.task.evaluate(self.supernet, "validation", mixture | {choice.name: cut})
        return self.task.judged.worth(metrics[self.task.judged.name])

    def _tune(self, data: Data) -> None:
        """Train the weights under what is settled and the blends that are left."""
        with self.training():
            for _ in range(self.tune_epochs * self.steps(data)):
                self.weight_step(self.batches(data))

    def _taken(self) -> Architecture:
        space = self.supernet.space
        whole: Mapping[str, Any] = one_hot(space, self.rule(space, self.belief())) | self.settled
        found: Architecture = {}
        for name, choice in space.items():
            options = tuple(choice.options[i] for i in whole[name].runs)
            found[name] = options[0] if choice.pick is None else options
        return found
