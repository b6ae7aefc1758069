"""What can be chosen, and one way of choosing it: plain data, no torch."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from random import Random
from typing import Any

from supernet.errors import InputError

Option = str | int | float
Taken = Option | tuple[Option, ...]
Architecture = dict[str, Taken]  # choice name -> what is taken
Pair = tuple[str, Option]  # a choice and one of its options
Pairs = frozenset[Pair]  # all of them taken
MOST = 1024  # sets of pairs that are told apart
SORTED = json.JSONEncoder(sort_keys=True)


@dataclass(frozen=True)
class Choice:
    """One decision: take one of ``options``, or, where ``pick`` is (low, high), a subset of that many.

    ``when`` lists (choice, option) pairs: this choice matters where ANY of them is taken by a choice that itself
    matters; empty: always. (Any, because a later block may be reached from several; all, by chaining.) ``together``: where
    chaining does not say it, because a choice that switches this one on is shared and does so in one of its places only: sets of
    pairs; this choice matters where all pairs of ANY set are taken.
    ``search_only`` options take part in a blend and can never be taken (the ``none`` of DARTS).
    """

    name: str
    options: tuple[Option, ...]
    pick: tuple[int, int] | None = None
    when: tuple[tuple[str, Option], ...] = ()
    search_only: tuple[Option, ...] = ()
    together: tuple[tuple[Pair, ...], ...] = ()

    @cached_property
    def conditions(self) -> tuple[Pairs, ...]:
        """The sets of pairs of which ANY must be taken whole for this choice to matter; one empty set: it always does."""
        if self.together:
            return tuple(map(frozenset, self.together))
        return tuple(frozenset((pair,)) for pair in self.when) or (frozenset(),)

    @cached_property
    def always(self) -> bool:
        """Whether this choice matters whatever others take."""
        return frozenset() in self.conditions

    @cached_property
    def parents(self) -> frozenset[str]:
        """The choices on which it depends whether this one matters."""
        return frozenset(name for pairs in self.conditions for name, _ in pairs)

    @cached_property
    def able(self) -> tuple[Option, ...]:
        """The options that can be taken."""
        return tuple(o for o in self.options if o not in self.search_only) if self.search_only else self.options

    def count(self) -> int:
        """The number of things that can be taken."""
        return len(self.able) if self.pick is None else self._counts[-1]

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
        k = rng.choices(self._sizes(), cum_weights=self._counts)[0]
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

    @cached_property
    def _counts(self) -> list[int]:
        """How many subsets there are of each size or a smaller one."""
        return list(itertools.accumulate(math.comb(len(self.able), k) for k in self._sizes()))


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
        self._known: dict[Any, Any] = {}  # what was worked out of conditions

        for first in known:
            waiting = {} if first in self else {first: None}  # each for the next
            while waiting:
                name = next(reversed(waiting))
                before = next((p for p in sorted(known[name].parents, key=places.__getitem__) if p not in self), None)
                if before is None:
                    self[name] = known[name]
                    del waiting[name]
                elif before in waiting:
                    raise InputError(f"choices depend on each other in a circle: {' -> '.join((*waiting, before))}")
                else:
                    waiting[before] = None
        self._free = all(choice.always for choice in self.values())

    def __deepcopy__(self, memo: Any) -> SearchSpace:
        return self  # nobody changes one

    def dependents(self, name: str, option: Option) -> list[Choice]:
        """The choices that ``option`` of choice ``name`` switches on."""
        return [c for c in self.values() if (name, option) in c.when]

    def size(self) -> int:
        """The number of architectures that differ in choices that matter; exact, without enumerating them."""
        last_use = {parent: name for name, c in self.items() for parent in c.parents}
        states: dict[tuple[tuple[str, Taken], ...], int] = {(): 1}  # what is remembered of the parents -> count
        for name, choice in self.items():
            grown: dict[tuple[tuple[str, Taken], ...], int] = {}
            for state, n in states.items():
                arch = dict(state)
                on = self.on(choice, arch)
                follow = [{**arch, name: t} for t in choice.takes()] if on and name in last_use else [arch]
                times = max(choice.count(), 1) if on and name not in last_use else 1
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
        names, arch, on = list(self), Architecture(), Architecture()
        left: list[tuple[bool, Iterator[Taken]]] = []  # of each choice so far, whether it matters and what it is still to take
        while True:
            if len(left) == len(names):
                yield dict(arch)
            else:
                choice = self[names[len(left)]]
                matters = self.on(choice, on)
                left.append((matters, choice.takes() if matters else itertools.islice(choice.takes(), 1)))
            while left:
                name, (matters, takes) = names[len(left) - 1], left[-1]
                on.pop(name, None)
                if (taken := next(takes, None)) is not None:
                    arch[name] = taken
                    if matters:
                        on[name] = taken
                    break
                left.pop()
            else:
                return

    def narrow(self, options: Mapping[str, Iterable[Option]]) -> SearchSpace:
        """The space in which the named choices keep only the given options."""
        return SearchSpace(c.narrow(options[n]) if n in options else c for n, c in self.items())

    def matters(self, arch: Architecture) -> Architecture:
        """``arch`` without the choices that decide nothing in it: equal networks, equal dicts."""
        if self._free:
            return {name: arch[name] for name in self if name in arch}
        on: Architecture = {}
        for name, choice in self.items():
            if name in arch and (choice.always or self.met(choice.conditions, on)):
                on[name] = arch[name]
        return on

    def key(self, arch: Architecture) -> str:
        """A string that is equal for architectures that differ only in choices that do not matter."""
        return SORTED.encode(self.matters(arch))

    def encode(self, arch: Architecture) -> list[float]:
        """Zeros and ones, one place an option; a choice that does not matter is all zeros. For predictors."""
        on = self.matters(arch)
        return [float(n in on and c.holds(on[n], o)) for n, c in self.items() for o in c.options]

    def on(self, choice: Choice, on: Architecture) -> bool:
        """Whether ``choice`` matters, given what the choices before it take that do: ``on``."""
        return choice.always or self.met(choice.conditions, on)

    def met(self, sets: Iterable[Pairs], on: Architecture) -> bool:
        """Whether all pairs of ANY of ``sets`` are taken, by choices that matter: ``on``."""
        for pairs in sets:
            for name, option in pairs:
                if name not in on or not self[name].holds(on[name], option):
                    break
            else:
                return True
        return False

    def order(self, name: str) -> int:
        """The place of a choice among all."""
        if "order" not in self._known:
            self._known["order"] = {n: i for i, n in enumerate(self)}
        place: int = self._known["order"][name]
        return place

    def possible(self, pairs: Pairs) -> bool:
        """Whether some architecture takes all of ``pairs``, by choices that matter in it."""
        if pairs not in self._known:
            self._known[pairs] = self._possible(pairs)
        found: bool = self._known[pairs]
        return found

    def _possible(self, pairs: Pairs) -> bool:
        if not pairs:
            return True
        choice = self[max((n for n, _ in pairs), key=self.order)]
        options = {o for n, o in pairs if n == choice.name}
        if len(options) > (1 if choice.pick is None else choice.pick[1]) or not options <= set(choice.options):
            return False
        rest = frozenset(pair for pair in pairs if pair[0] != choice.name)
        return any(self.possible(rest | further) for further in choice.conditions)

    def needs(self, name: str) -> Pairs:
        """The pairs that are taken wherever a choice matters."""
        if ("needs", name) not in self._known:
            own = frozenset.intersection(*self[name].conditions)
            self._known["needs", name] = own.union(*(self.needs(parent) for parent, _ in own))
        found: Pairs = self._known["needs", name]
        return found

    def reduced(self, pairs: Pairs) -> Pairs:
        """``pairs`` without those that are taken wherever the choices of the others matter, as far as ``reached`` allows."""
        kept = pairs.difference(*(self.needs(name) for name, _ in pairs))
        while True:
            names = {name for name, _ in kept}
            doubtful = [self[n].conditions for n in names if self[n].parents & names]
            lost = [next((one for one in sets if one <= pairs), kept) for sets in doubtful if not any(one <= kept for one in sets)]
            if all(one <= kept for one in lost):
                return kept
            kept = kept.union(*lost)

    def either(self, sets: tuple[Pairs, ...]) -> tuple[tuple[Pairs, int], ...]:
        """Sets of pairs, with how often each counts, so that what meets ANY of ``sets`` counts once (inclusion and exclusion).

        Raises ``InputError`` where too many sets may be met together.
        """
        if sets not in self._known:
            counts = Counter[Pairs]()
            for pairs in sets:
                both = [(pairs | other, -n) for other, n in counts.items() if self.possible(pairs | other)]
                for merged, n in [*([(pairs, 1)] if self.possible(pairs) else []), *both]:
                    counts[merged] += n
                if len(counts) > MOST:
                    raise InputError(f"one part runs where any of {len(sets)} choices says so, too many to tell what it costs")
            self._known[sets] = tuple((pairs, n) for pairs, n in counts.items() if n)
        found: tuple[tuple[Pairs, int], ...] = self._known[sets]
        return found

    def reached(self, names: tuple[str, ...]) -> tuple[Pairs, ...]:
        """The sets of pairs of which ANY is taken where all ``names`` matter; one that another of them switches on counts as mattering."""
        if ("reached", names) not in self._known:
            roots = {self[n].conditions: None for n in names if not self[n].parents & set(names)}
            self._known["reached", names] = tuple(dict.fromkeys(frozenset[Pair]().union(*one) for one in itertools.product(*roots)))
        found: tuple[Pairs, ...] = self._known["reached", names]
        return found
