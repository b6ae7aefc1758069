"""Where choices stand in a network, and what follows of when they matter: a choice inside an option matters where that is taken."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from supernet.space import Choice, Pair, Pairs, SearchSpace

Nesting = tuple[tuple[Pair, ...], ...]  # where a part runs: of each of these pairs ANY must be taken


def alternatives(chains: Iterable[Nesting]) -> tuple[Pairs, ...]:
    """The sets of pairs of which ANY is taken where one of ``chains`` holds."""
    return tuple(dict.fromkeys(frozenset(pairs) for chain in chains for pairs in itertools.product(*chain)))


def shortened(chain: Nesting, choices: Mapping[str, Choice]) -> Nesting:
    """``chain`` without the conditions that hold wherever the choices of a later one matter."""

    def implied(condition: tuple[Pair, ...], name: str) -> bool:
        """Whether some pair of ``condition`` is taken wherever the choice ``name`` matters."""
        if (condition, name) not in known:
            sets = choices[name].conditions
            known[condition, name] = all(any(pair in condition or implied(condition, pair[0]) for pair in pairs) for pairs in sets)
        return known[condition, name]

    known: dict[tuple[tuple[Pair, ...], str], bool] = {}
    later = range(1, len(chain))
    return tuple(
        condition
        for i, condition in enumerate(chain)
        if not any(all(implied(condition, name) for name, _ in chain[j]) for j in later if j > i)
    )


def nested(choices: Iterable[Choice], places: Mapping[str, Sequence[Nesting]]) -> dict[str, Choice]:
    """``choices`` by name, each with the conditions of the places where it stands; those with conditions of their own keep these.

    Raises ``InputError`` where choices depend on each other in a circle.
    """
    full: dict[str, Choice] = {}
    for choice in choices:
        chains = () if choice.when or choice.together else places.get(choice.name, ((),))
        sets = alternatives(chains) if all(chains) else ()
        full[choice.name] = replace(choice, together=tuple(map(tuple, sets)))
    found: dict[str, Choice] = {}
    needs: dict[str, Pairs] = {}  # what is taken wherever a choice matters
    for name, choice in SearchSpace(full.values()).items():
        if choice.together and not choice.when:
            sets = alternatives(shortened(chain, found) for chain in places[name])
            reduced = {pairs.difference(*(needs[parent] for parent, _ in pairs)) for pairs in sets}
            least = [tuple(sorted(pairs, key=str)) for pairs in reduced if not any(other < pairs for other in reduced)]
            last = {pair for chain in places[name] for pair in chain[-1]}
            alone = all(len(pairs) == 1 for pairs in least)
            choice = replace(choice, when=tuple(sorted(last, key=str)), together=() if alone else tuple(sorted(least, key=str)))
            choice = replace(choice, when=tuple(sorted((pair for pairs in least for pair in pairs), key=str))) if alone else choice
        own = frozenset.intersection(*choice.conditions)
        needs[name] = own.union(*(needs[parent] for parent, _ in own))
        found[name] = choice
    return found
