"""Blocks that may be followed by any of several later blocks: the route through them is searched.

Fang et al. 2020 (DenseNAS), section 3, https://arxiv.org/abs/1906.09607
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from supernet.errors import InputError
from supernet.layers.base import Searchable, When, modules_by_name
from supernet.layers.blend import Guard, added, idle_output, weighed
from supernet.space import Option, Taken

Sent = dict[Option, Any]  # where it goes -> what arrives there


class Fork(Searchable):
    """Chooses which later place its input goes to; the probabilities of all of them add up to one.

    ``heads``: place -> what the inputs pass on the way there, which leaves them as they are; its first operation is made not to work in
    place. Gives ``Sent``: weighted outputs of the heads that run.
    ``name``: of the choice, required, because joins refer to it.
    """

    def __init__(self, heads: Mapping[Option, nn.Module], name: str, **limits: Any):
        if not heads:
            raise InputError(f"the fork {name!r} leads nowhere: give it at least one head")
        modules = modules_by_name("Fork", heads)
        super().__init__(tuple(modules), name, **limits)
        self.heads = nn.ModuleList(modules.values())

    def forward(self, *inputs: Any, **named: Any) -> Sent:
        choice, (weights, runs, idle) = self.own()
        unchanged, sent = Guard(choice.name, *inputs, *named.values()), Sent()
        for i in runs:
            out = idle_output(self.heads[i], *inputs, **named) if i in idle else self.heads[i](*inputs, **named)
            unchanged(choice.options[i], self.heads[i])
            sent[choice.options[i]] = out if weights is None else weighed(weights[i], out)
        return sent

    def under(self) -> list[tuple[nn.Module, When]]:
        assert self.choice
        return [(head, ((self.choice.name, o),)) for o, head in zip(self.choice.options, self.heads, strict=True)]

    def derive(self, taken: Taken | None, *others: Taken | None) -> nn.Module:
        assert self.choice
        assert not isinstance(taken, tuple) and taken is not None
        return Sender(taken, self.heads[self.choice.options.index(taken)])

    def restrict(self, options: Sequence[Option]) -> None:
        assert self.choice
        self.heads = nn.ModuleList(self.heads[self.choice.options.index(o)] for o in options)
        self.choice = self.choice.narrow(options)


class Join(Searchable):
    """Adds up what the forks before it send to ``place`` and runs ``body`` on the sum; where nothing arrives, gives None and runs nothing.

    Further arguments go to the body.
    ``forks``: of the model; those that do not lead here are passed over. It has no choice of its own, and its body matters where a
    fork leads to it. Raises ``InputError`` where none does, also when the supernet is restricted so.
    """

    def __init__(self, place: Option, forks: Sequence[Fork], body: nn.Module):
        super().__init__((), follows=tuple(name for name, _ in _leading(forks, place)))
        self.place, self.body = place, body
        self.forks = tuple(forks)  # a tuple hides them from torch: they are parts of other blocks

    def forward(self, sent: Sequence[Sent], *others: Any, **named: Any) -> Any:
        return _joined(sent, self.place, self.body, *others, **named)

    def under(self) -> list[tuple[nn.Module, When]]:
        return [(self.body, _leading(self.forks, self.place))]

    def derive(self, taken: Taken | None, *others: Taken | None) -> nn.Module:
        return Joined(self.place, self.body if self.place in others else None)


class Sender(nn.Module):
    """What stays of a fork: one head, and where its output goes."""

    def __init__(self, place: Option, head: nn.Module):
        super().__init__()
        self.place, self.head = place, head

    def forward(self, *inputs: Any, **named: Any) -> Sent:
        return {self.place: self.head(*inputs, **named)}


class Joined(nn.Module):
    """What stays of a join: its body, or nothing where no route leads to it."""

    def __init__(self, place: Option, body: nn.Module | None):
        super().__init__()
        self.place, self.body = place, body

    def forward(self, sent: Sequence[Sent], *others: Any, **named: Any) -> Any:
        return None if self.body is None else _joined(sent, self.place, self.body, *others, **named)


def _leading(forks: Sequence[Fork], place: Option) -> When:
    """The choices that lead to a place."""
    pairs = tuple((fork.choice.name, place) for fork in forks if fork.choice and place in fork.choice.options)
    if not pairs:
        raise InputError(f"no fork leads to {place!r}")
    return pairs


def _joined(sent: Sequence[Sent], place: Option, body: nn.Module, *others: Any, **named: Any) -> Any:
    arrived = {f"input {i}": outputs[place] for i, outputs in enumerate(sent) if place in outputs}
    if not arrived:
        return None
    return body(added(f"what leads to {place!r}", list(arrived), list(arrived.values())), *others, **named)
