"""Of which known architecture a new one takes over: its parent, where a searcher names one, else the nearest. Plain data.

Real et al. 2017, section 3.3 (weight inheritance), https://arxiv.org/abs/1703.01041
"""

from __future__ import annotations

from typing import Any, NamedTuple

from supernet.searchers import Ask, Outcome, Searcher
from supernet.searchers.state import from_plain, plain
from supernet.space import Architecture, SearchSpace

LIVING = 32  # trained networks are kept where nobody says how many


class Birth(NamedTuple):
    """An architecture that is to be estimated: its ``number``, from 1, and that of the one that it takes over from; None: of none."""

    number: int
    parent: int | None
    fidelity: float = 1.0


class Origin(NamedTuple):
    """What becomes of an architecture that is to be estimated: its ``number``, the ``parent`` that it takes over from, with its number;
    None: from none. ``kept``: the numbers of all that others take over from, or may, those that are being estimated among them.
    """

    number: int
    parent: tuple[int, Architecture] | None
    kept: frozenset[int]


class Lineage:
    """The architectures of ``space`` that others take over from, at most ``most``: a new one replaces what served longest ago.

    What an architecture takes over from is decided when it is asked for, by what was told until then. Of those that were told with a score
    that is the one named as its parent, or, where none is named or that is no longer known, the one from which it differs in the fewest
    choices, the latest of several. What was asked for and told before is answered from memory and changes nothing.
    ``living``: number -> architecture, what served or came last at the end.
    """

    def __init__(self, space: SearchSpace, most: int = LIVING) -> None:
        self.space, self.most, self.count = space, most, 0
        self.living: dict[int, Architecture] = {}
        self._births: dict[str, Birth] = {}  # by the keys of what is pending
        self._known: dict[tuple[str, float], None] = {}  # keys and fidelities that were told

    def asked(self, architecture: Architecture, fidelity: float = 1.0, parent: Architecture | None = None) -> None:
        """``architecture`` will be estimated, unless it is known or pending; ``parent``: whose child it is, where that is known."""
        key = self.space.key(architecture)
        if key in self._births or (key, fidelity) in self._known:
            return
        served = self._serves(architecture, parent)
        if served is not None:
            self.living[served] = self.living.pop(served)
        self.count += 1
        self._births[key] = Birth(self.count, served, fidelity)

    def told(self, architecture: Architecture, outcome: Outcome) -> None:
        """What became of ``architecture``; others take over from it where it has a score."""
        key = self.space.key(architecture)
        birth = self._births.pop(key, None)
        if birth is None:
            return
        self._known[key, birth.fidelity] = None
        if not isinstance(outcome, str):
            self.living[birth.number] = architecture
        needed = {other.parent for other in self._births.values()}
        free = [number for number in self.living if number not in needed]
        for number in free[: max(len(self.living) - self.most, 0)]:
            del self.living[number]

    def birth(self, architecture: Architecture) -> Birth | None:
        """Of an architecture that was asked for and not told; None of any other."""
        return self._births.get(self.space.key(architecture))

    def origin(self, architecture: Architecture) -> Origin | None:
        """Of an architecture that was asked for and not told; None of any other."""
        birth = self.birth(architecture)
        if birth is None:
            return None
        parent = None if birth.parent is None else (birth.parent, self.living[birth.parent])
        return Origin(birth.number, parent, frozenset(self.living) | {other.number for other in self._births.values()})

    def _serves(self, architecture: Architecture, parent: Architecture | None) -> int | None:
        """The number of the living one that ``architecture`` takes over from."""
        own, latest = self.space.matters(architecture).items(), [*reversed(self.living.items())]
        named = next((number for number, other in latest if parent is not None and self.space.key(other) == self.space.key(parent)), None)
        apart = {number: len(own ^ self.space.matters(other).items()) for number, other in latest}
        return min(apart, key=apart.__getitem__, default=None) if named is None else named

    def state_dict(self) -> dict[str, Any]:
        """All of it."""
        living = [[number, plain(architecture)] for number, architecture in self.living.items()]
        births = [[key, list(birth)] for key, birth in self._births.items()]
        return {"count": self.count, "living": living, "births": births, "known": [list(known) for known in self._known]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the one that gave ``state``."""
        self.count = state["count"]
        self.living = {number: from_plain(architecture) for number, architecture in state["living"]}
        self._births = {key: Birth(*birth) for key, birth in state["births"]}
        self._known = dict.fromkeys((key, fidelity) for key, fidelity in state["known"])


class Followed:
    """``searcher``, whose asks and tells ``lineage`` follows."""

    def __init__(self, searcher: Searcher, lineage: Lineage) -> None:
        self.searcher, self.lineage = searcher, lineage

    def ask(self) -> Ask:
        """What the searcher asks for."""
        asked = self.searcher.ask()
        self.lineage.asked(*asked[1:])
        return asked

    def tell(self, number: int, architecture: Architecture, outcome: Outcome) -> None:
        """What became of an architecture."""
        self.searcher.tell(number, architecture, outcome)
        self.lineage.told(architecture, outcome)

    def state_dict(self) -> dict[str, Any]:
        """The searcher's and the lineage's."""
        return {"searcher": self.searcher.state_dict(), "lineage": self.lineage.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the one that gave ``state``."""
        self.searcher.load_state_dict(state["searcher"])
        self.lineage.load_state_dict(state["lineage"])
