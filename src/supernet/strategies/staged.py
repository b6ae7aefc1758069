"""Gradient search in stages, each on a supernet of its own that keeps fewer operations: what P-DARTS and DrNAS share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch

from supernet.errors import InputError
from supernet.layers.base import Supernet
from supernet.randomness import drawing_apart
from supernet.space import Option
from supernet.strategies.gradient import Gradient
from supernet.strategies.rules import leading
from supernet.task import Task

Build = Callable[..., Supernet]  # settings of a space's supernet that differ from the run's -> the supernet


class Staged(Gradient):
    """Splits the epochs evenly into stages; each stage learns as if it were a search, on what the one before believed in most.

    ``build(**settings)``: the supernet of a stage with all operations, whose choices have the same names at every size.
    ``stages``: the settings of each stage; ``keep``: how many options every choice of one has in it. The supernet given is the
    first stage's, with all the options it has. Weights, alphas and optimisers are made anew (a method may hand some on: ``carry``).
    Raises ``InputError`` where a stage cannot be built or has other choices, and at the first epoch for fewer epochs than stages.
    """

    narrows: ClassVar[bool] = True

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        *args: Any,
        build: Build | None,
        stages: Sequence[Mapping[str, Any]],
        keep: Sequence[int],
        seed: int = 0,
        **settings: Any,
    ):
        if len(stages) != len(keep) or not stages:
            raise InputError(f"stages and keep must say as much of every stage; got {len(stages)} and {len(keep)}")
        if build is None and len(stages) > 1:
            raise InputError(
                f"{type(self).__name__} needs build=, a function that makes the supernet of each stage from {dict(stages[1])}: "
                "the built-in cell space has one; for a module of your own write it, with choices of the same names at every size"
            )
        if settings.get("stops"):
            raise InputError(f"the stages of {type(self).__name__} have fixed lengths: it excludes stops")
        for stage in stages[1:]:
            _check_stage(build, stage, supernet)
        self.build, self.stages, self.keep, self.seed = build, stages, tuple(keep), seed
        self.stage: int = 0
        self.options, self.total = dict[str, tuple[Option, ...]](), 1
        super().__init__(supernet, task, *args, seed=seed, **settings)

    @property
    def built(self) -> dict[str, Any]:
        """The settings by which the present supernet differs from the first one."""
        return dict(self.stages[self.stage]) if self.stage else {}

    def first(self, stage: int) -> int:
        """The epoch (from 0) that stage ``stage`` begins with."""
        return -(-stage * self.total // len(self.stages))

    def epoch(self, done: int, of: int, metrics: dict[str, Any]) -> bool:
        if of < len(self.stages):
            raise InputError(f"{type(self).__name__} has {len(self.stages)} stages: give it as many epochs; got {of}")
        self.total = of
        while done < of and self.stage + 1 < len(self.stages) and done >= self.first(self.stage + 1):
            old, kept = self.supernet, leading(self.supernet.space, self.belief(), self.keep[self.stage + 1])
            alphas, options = self.alphas, {n: c.options for n, c in old.space.items()}
            self.enter(self.stage + 1, kept)
            self.carry(old, {n: p.detach()[[options[n].index(o) for o in kept.get(n, options[n])]] for n, p in alphas.items()})
        return super().epoch(done - self.first(self.stage), self.first(self.stage + 1) - self.first(self.stage), metrics)

    def schedule(self, done: float, of: int) -> None:
        first, last = self.first(self.stage), self.first(self.stage + 1)
        self.move(done - first, last - first)

    def enter(self, stage: int, options: Mapping[str, tuple[Option, ...]]) -> None:
        """Build the supernet of a stage with the given options; the same whenever it is built."""
        assert self.build is not None
        self.stage, self.options = stage, dict(options)
        with drawing_apart():
            torch.default_generator.manual_seed(self.seed + stage)
            supernet = self.build(**self.stages[stage]).restrict(options)
        self.task.place(supernet)
        self.begin(supernet)

    def carry(self, old: Supernet, alphas: Mapping[str, torch.Tensor]) -> None:
        """Hand on what a new stage begins with: the supernet before it, and its alphas of the options that are left. Nothing."""

    def facts(self) -> dict[str, Any]:
        """What a history line records; the options become fewer."""
        return {**super().facts(), "stage": self.stage + 1}

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "stage": self.stage, "options": dict(self.options), "total": self.total}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state["stage"]:
            self.enter(state["stage"], state["options"])
        self.total = state["total"]
        super().load_state_dict(state)


def _check_stage(build: Build | None, settings: Mapping[str, Any], first: Supernet) -> None:
    """Build the supernet of a later stage without memory; refuse what cannot be built and what has other choices than the first."""
    assert build is not None
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        try:
            names = set(build(**settings).space)
        except InputError as error:
            raise InputError(f"the stage {dict(settings)} cannot be built: {error}") from error
        except (NotImplementedError, RuntimeError):  # it reads values, which tensors without memory do not have
            return
    if names != set(first.space):
        other = sorted(names ^ set(first.space))[0]
        raise InputError(f"the stage {dict(settings)} has other choices than the first supernet: {other!r} is in one of them only")
