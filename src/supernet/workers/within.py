"""Calls that are made in this process: one after the other, or by threads that wait for what runs elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from supernet.workers import Done


class InTurn:
    """Makes each call of ``function`` when its result is asked for."""

    def __init__(self, function: Callable[..., Any]):
        self.function = function

    def __enter__(self) -> InTurn:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing runs."""

    def submit(self, *arguments: Any) -> Later:
        """Keep a call."""
        return Later(partial(self.function, *arguments))


class Later:
    """A call that is made when its result is asked for."""

    def __init__(self, call: Callable[[], Any]):
        self.call = call

    def result(self) -> Done:
        """What it gives."""
        return Done(self.call(), 0)


class Thread:
    """A worker that calls ``function`` in its thread; ``stop`` ends what that has begun elsewhere."""

    def __init__(self, function: Callable[..., Any], stop: Callable[[], None]):
        self.run, self.end = function, stop

    def replaced(self) -> Thread:
        """This one: a thread is not lost with what it waited for."""
        return self
