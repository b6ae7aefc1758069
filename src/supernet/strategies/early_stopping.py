"""Rules that end a search before it collapses; any gradient strategy takes them, made or by name.

A rule is asked after every epoch and answers None, or the architecture that the search should end with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from supernet.errors import InputError, unknown
from supernet.space import Architecture
from supernet.strategies.curvature import largest_eigenvalue


@runtime_checkable  # the type of a setting
class Stop(Protocol):
    """A rule, which may remember what it saw."""

    needs_curvature: bool  # whether it looks at second derivatives of the loss by the alphas

    def __call__(self, strategy: Any, done: int, of: int) -> Architecture | None:
        """Asked with the gradient strategy, the epochs done, and the epochs in all."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Stops:
    """Several rules, made or by name, as one: the first architecture that one answers. Without rules a search never stops early."""

    def __init__(self, rules: Sequence[Stop | str] = ()):
        self.rules = [stop_rule(rule) for rule in rules]

    @property
    def needs_curvature(self) -> bool:
        """Whether one of them does."""
        return any(rule.needs_curvature for rule in self.rules)

    def __call__(self, strategy: Any, done: int, of: int) -> Architecture | None:
        return next((found for rule in self.rules if (found := rule(strategy, done, of)) is not None), None)

    def state_dict(self) -> dict[str, Any]:
        return {"rules": [rule.state_dict() for rule in self.rules]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for rule, memory in zip(self.rules, state["rules"], strict=True):
            rule.load_state_dict(memory)


class CurvatureGrowth:
    """Stops where the largest eigenvalue of the validation loss' Hessian in the alphas has grown by more than ``factor``.

    It is measured every ``every`` epochs on one validation batch and averaged over a centred ``window`` of measurements; the average is
    compared with the one ``lag`` measurements earlier, once that one's epoch (from 0) is at least ``start``. The answer
    is the architecture of that earlier epoch. Zela et al. 2020 (RobustDARTS), section 4.3, https://arxiv.org/abs/1909.09656
    """

    needs_curvature = True

    def __init__(
        self,
        factor: float = 1.3,
        every: int = 2,
        window: int = 5,
        lag: int = 4,
        start: int = 10,
        measure: Callable[[Any], float] = largest_eigenvalue,
    ):
        if window % 2 == 0 or min(every, window, lag) < 1:
            raise InputError(f"window must be odd, every and lag at least 1; got window={window}, every={every}, lag={lag}")
        self.factor, self.every, self.window, self.lag, self.start, self.measure = factor, every, window, lag, start, measure
        self.values: list[float] = []
        self.architectures: list[Architecture] = []

    def averages(self) -> list[float]:
        """The local average at every measurement that has ``window // 2`` later ones; at the first ones over those there are."""
        half = self.window // 2
        spans = [self.values[max(i - half, 0) : i + half + 1] for i in range(len(self.values) - half)]
        return [sum(span) / len(span) for span in spans]

    def __call__(self, strategy: Any, done: int, of: int) -> Architecture | None:
        if (done - 1) % self.every:
            return None
        self.values.append(self.measure(strategy))
        self.architectures.append(strategy.architecture())
        averages = self.averages()
        earlier = len(averages) - 1 - self.lag
        if earlier * self.every < self.start or earlier < 0 or averages[-1] <= self.factor * averages[earlier]:
            return None
        return self.architectures[earlier]

    def state_dict(self) -> dict[str, Any]:
        return {"values": list(self.values), "architectures": list(self.architectures)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.values, self.architectures = list(state["values"]), list(state["architectures"])


class SkipConnects:
    """Stops where a derived normal cell would hold ``most`` or more skip-connections.

    Liang et al. 2019 (DARTS+), criterion 1, https://arxiv.org/abs/1909.06035. ``option``: the skip-connection's name; ``where``: what
    the names of the choices that count begin with.
    """

    needs_curvature = False

    def __init__(self, most: int = 2, option: str = "skip_connect", where: str = "normal"):
        self.most, self.option, self.where = most, option, where

    def __call__(self, strategy: Any, done: int, of: int) -> Architecture | None:
        found: Architecture = strategy.architecture()
        taken = strategy.supernet.space.matters(found)
        held = sum(taken[name] == self.option for name in taken if name.startswith(self.where))
        return found if strategy.alphas_learn and held >= self.most else None

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing is remembered."""


class StableRanking:
    """Stops where the options of every choice have kept their order for ``epochs`` epochs of learning: DARTS+, criterion 1*."""

    needs_curvature = False

    def __init__(self, epochs: int = 10):
        self.epochs, self.count = epochs, 0
        self.last: dict[str, list[int]] = {}

    def __call__(self, strategy: Any, done: int, of: int) -> Architecture | None:
        now = {name: sorted(range(len(shares)), key=shares.__getitem__) for name, shares in strategy.belief().items()}
        self.count = self.count + 1 if strategy.alphas_learn and now == self.last else 0
        self.last = now
        found: Architecture = strategy.architecture()
        return found if self.count >= self.epochs else None

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count, "last": self.last}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.count, self.last = state["count"], state["last"]


STOPS: dict[str, Callable[[], Stop]] = {"curvature": CurvatureGrowth, "skip-connects": SkipConnects, "stable": StableRanking}


def stop_rule(given: Stop | str) -> Stop:
    """The rule itself, or a new one by its name; raises ``InputError`` for a name that does not exist."""
    if not isinstance(given, str):
        return given
    if given not in STOPS:
        raise unknown("stopping rule", given, STOPS)
    return STOPS[given]()
