"""What can be chosen, and one way of choosing it: plain data, no torch."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from supernet.errors import InputError

Option = str | int | float
Taken = Option | tuple[Option, ...]
Architecture = dict[str, Taken]  # choice name -> what is taken


@dataclass(frozen=True)
class Choice:
    """One decision: take one of ``options``, or, where ``pick`` is (low, high), a subset of that many.

    ``when`` lists (choice, option) pairs: this choice matters where ANY of them is taken by a choice that itself
    matters; empty: always. (Any, because a later block may be reached from several; all, by chaining.)
    ``search_only`` options take part in a blend and can never be taken (the ``none`` of DARTS).
    """

    name: str
    options: tuple[Option, ...]
    pick: tuple[int, int] | None = None
    when: tuple[tuple[str, Option], ...] = ()
    search_only: tuple[Option, ...] = ()

    @property
    def able(self) -> tuple[Option, ...]:
        """The options that can be taken."""
        return tuple(o for o in self.options if o not in self.search_only) if self.search_only else self.options

    def count(self) -> int:
        """The number of things that can be taken."""
        n = len(self.able)
        return n if self.pick is None else sum(math.comb(n, k) for k in self._sizes())

    def takes(self) -> Iterator[Taken]:
        """Everything that can be taken, in the order of ``options``."""
        if self.pick is None:
            return iter(self.able)
        return itertools.chain.from_iterable(itertools.combinations(self.able, k) for k in self._sizes())

    def legal(self, taken: Taken) -> bool:
        """Whether ``taken`` can be taken; a subset must follow the order of ``options``."""
        if self.pick is None:
            return not isinstance(taken, tuple) and any(o == taken and type(o) is type(taken) for o in self.able)
        if not isinstance(taken, tuple) or not set(taken) <= set(self.able):
            return False
        order = [self.options.index(o) for o in taken]
        return order == sorted(set(order)) and self.pick[0] <= len(taken) <= self.pick[1]

    def draw(self, rng: Random) -> Taken:
        """Every take equally likely, without listing the 2^n subsets."""
        if self.pick is None:
            return rng.choice(self.able)
        sizes = self._sizes()
        k = rng.choices(sizes, [math.comb(len(self.able), k) for k in sizes])[0]
        return tuple(self.able[i] for i in sorted(rng.sample(range(len(self.able)), k)))

    def holds(self, taken: Taken, option: Option) -> bool:
        """Whether ``option`` is (among) what is taken."""
        return taken == option if self.pick is None else option in taken  # type: ignore[operator]

    def narrow(self, options: Iterable[Option]) -> Choice:
        """This choice with the given options only, in their old order."""
        kept = set(options)
        return replace(
            self, options=tuple(o for o in self.options if o in kept), search_only=tuple(o for o in self.search_only if o in kept)
        )

    def _sizes(self) -> range:
        assert self.pick is not None
        return range(self.pick[0], self.pick[1] + 1)


class SearchSpace(dict[str, Choice]):
    """Every choice of a search space by name; a choice comes after those it depends on.

    Raises ``InputError`` where two choices share a name and differ.
    """

    def __init__(self, choices: Iterable[Choice] = ()):
        super().__init__()
        known: dict[str, Choice] = {}
        for choice in choices:
            if known.setdefault(choice.name, choice) != choice:
                raise InputError(f"two choices share the name {choice.name!r} but differ: {known[choice.name]} and {choice}")
        places = {name: i for i, name in enumerate(known)}

        def add(name: str, path: tuple[str, ...]) -> None:
            if name in path:
                raise InputError(f"choices depend on each other in a circle: {' -> '.join((*path, name))}")
            if name in self:
                return
            for parent in sorted({p for p, _ in known[name].when}, key=places.__getitem__):
                add(parent, (*path, name))
            self[name] = known[name]

        for name in known:
            add(name, ())

    def dependents(self, name: str, option: Option) -> list[Choice]:
        """The choices that ``option`` of choice ``name`` switches on."""
        return [c for c in self.values() if (name, option) in c.when]

    def size(self) -> int:
        """The number of architectures that differ in choices that matter; exact, without enumerating them."""
        last_use = {parent: name for name, c in self.items() for parent, _ in c.when}
        states: dict[tuple[tuple[str, Taken], ...], int] = {(): 1}  # what is remembered of the parents -> count
        for name, choice in self.items():
            grown: dict[tuple[tuple[str, Taken], ...], int] = {}
            for state, n in states.items():
                arch = dict(state)
                takes = list(choice.takes()) if self._on(choice, arch) else []
                follow = [{**arch, name: t} for t in takes] if name in last_use else [arch]
                times = 1 if name in last_use else max(len(takes), 1)
                for new in follow or [arch]:
                    kept = tuple((p, t) for p, t in new.items() if last_use.get(p) != name)
                    grown[kept] = grown.get(kept, 0) + n * times
            states = grown
        return sum(states.values())

    def check(self, arch: Mapping[str, Any]) -> Architecture:
        """``arch`` as this space writes it (JSON has no tuples); a choice that decides nothing may be left out.

        Raises ``InputError`` for unknown choices, illegal takes and choices that matter but are not decided.
        """
        if extra := sorted(arch.keys() - self.keys()):
            raise InputError(f"the space has no choice {extra[0]!r}; its choices: {', '.join(itertools.islice(self, 12))}, ...")
        given: Architecture = {n: tuple(t) if isinstance(t, list) else t for n, t in arch.items()}
        for name, taken in given.items():
            if not self[name].legal(taken):
                raise InputError(f"choice {name!r} cannot take {taken!r}; its options: {self[name].able}, pick {self[name].pick or 1}")
        full = {n: given[n] if n in given else next(c.takes()) for n, c in self.items()}
        if missing := sorted(self.matters(full).keys() - given.keys()):
            raise InputError(f"not decided: {', '.join(missing)}")
        return full

    def sample(self, rng: Random) -> Architecture:
        """One architecture, each choice drawn uniformly."""
        return {n: c.draw(rng) for n, c in self.items()}

    def mutate(self, arch: Architecture, rng: Random, rate: float | None = None) -> Architecture:
        """``arch`` with one choice that matters changed; with ``rate``, every choice redrawn at that probability."""
        if rate is not None:
            return {n: c.draw(rng) if rng.random() < rate else arch[n] for n, c in self.items()}
        able = [n for n in self.matters(arch) if self[n].count() > 1]
        if not able:
            return dict(arch)
        name = rng.choice(able)
        while (taken := self[name].draw(rng)) == arch[name]:
            pass
        return {**arch, name: taken}

    def cross(self, a: Architecture, b: Architecture, rng: Random) -> Architecture:
        """Each choice from one parent or the other, equally likely."""
        return {n: rng.choice((a[n], b[n])) for n in self}

    def neighbours(self, arch: Architecture) -> Iterator[Architecture]:
        """Every architecture that differs from ``arch`` in one choice that matters."""
        for name in self.matters(arch):
            for taken in self[name].takes():
                if taken != arch[name]:
                    yield {**arch, name: taken}

    def enumerate(self) -> Iterator[Architecture]:
        """Every architecture, each key once; a choice that decides nothing takes its first."""
        names = list(self)

        def rest(i: int, arch: Architecture) -> Iterator[Architecture]:
            if i == len(names):
                yield dict(arch)
                return
            choice = self[names[i]]
            for taken in choice.takes() if self._on(choice, self.matters(arch)) else itertools.islice(choice.takes(), 1):
                arch[names[i]] = taken
                yield from rest(i + 1, arch)
            del arch[names[i]]

        return rest(0, {})

    def narrow(self, options: Mapping[str, Iterable[Option]]) -> SearchSpace:
        """The space in which the named choices keep only the given options."""
        return SearchSpace(c.narrow(options[n]) if n in options else c for n, c in self.items())

    def matters(self, arch: Architecture) -> Architecture:
        """``arch`` without the choices that decide nothing in it: equal networks, equal dicts."""
        on: Architecture = {}
        for name, choice in self.items():
            if name in arch and self._on(choice, on):
                on[name] = arch[name]
        return on

    def key(self, arch: Architecture) -> str:
        """A string that is equal for architectures that differ only in choices that do not matter."""
        return json.dumps(self.matters(arch), sort_keys=True)

    def encode(self, arch: Architecture) -> list[float]:
        """Zeros and ones, one place an option; a choice that does not matter is all zeros. For predictors."""
        on = self.matters(arch)
        return [float(n in on and c.holds(on[n], o)) for n, c in self.items() for o in c.options]

    def _on(self, choice: Choice, on: Architecture) -> bool:
        """Whether ``choice`` matters, given the choices before it that do."""
        return not choice.when or any(p in on and self[p].holds(on[p], o) for p, o in choice.when)
