"""Searchers: they ask for architectures and are told what these are worth, on plain data; they never see a network."""

from __future__ import annotations

import inspect
from typing import Any, Literal, Protocol

from supernet.errors import InputError, unknown
from supernet.places import at, named
from supernet.space import Architecture, SearchSpace

Score = tuple[float, ...]  # one entry per objective, to be maximised; the first is what a single-objective searcher looks at
Outcome = Score | Literal["infeasible", "failed"]
# A number, an architecture, the share of a full estimate that it is worth, above 0 and at most 1, and the architecture whose child it is,
# None where it is nobody's; where they are left out, all of it, and of none.
Ask = tuple[int, Architecture] | tuple[int, Architecture, float] | tuple[int, Architecture, float, Architecture | None]


def share_of(asked: Ask) -> float:
    """The share of a full estimate that is asked for."""
    return 1.0 if len(asked) == 2 else asked[2]


class Exhausted(Exception):
    """A searcher has nothing to ask for until it is told more; where nothing is left to be told, it has ended."""


class Searcher(Protocol):
    """Ask for an architecture, be told its outcome.

    Any number may be asked for before the first is told; tells may come late, in any order, or of architectures never asked for.
    """

    def ask(self) -> Ask:
        """The next architecture to try, under a number of its own; raises ``Exhausted``, and changes nothing, where there is none."""

    def tell(self, number: int, architecture: Architecture, outcome: Outcome) -> None:
        """What became of ``architecture``."""

    def state_dict(self) -> dict[str, Any]:
        """All that ``ask`` depends on, as lists, numbers, strings and dicts."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the searcher that gave ``state``."""


SEARCHERS = {
    "random": "supernet.searchers.random_search:RandomSearch",
    "grid": "supernet.searchers.grid:Grid",
    "evolution": "supernet.searchers.evolution:Evolution",
    "genetic": "supernet.searchers.genetic:Genetic",
    "large-scale": "supernet.searchers.large_scale:LargeScale",
    "local": "supernet.searchers.local:LocalSearch",
    "surrogate": "supernet.searchers.surrogate:Surrogate",
    "bananas": "supernet.searchers.bananas:Bananas",
    "pnas": "supernet.searchers.pnas:Pnas",
    "perturbation": "supernet.searchers.perturbation:Perturbation",
    "nsga2": "supernet.searchers.nsga2:Nsga2",
    "reinforce": "supernet.searchers.reinforce:ReinforceSearch",
    "ppo": "supernet.searchers.ppo:PPOSearch",
    "factorised": "supernet.searchers.factorised:Factorised",
    "tpe": "supernet.searchers.tpe:TPE",
    "successive-halving": "supernet.searchers.halving:SuccessiveHalving",
    "hyperband": "supernet.searchers.hyperband:Hyperband",
    "hurdles": "supernet.searchers.hurdles:Hurdles",
    "renas": "supernet.searchers.renas:Renas",
}

FRONTS = ("nsga2", "surrogate", "bananas")  # those that weigh several goals
LED_BY_NONE = ("random", "grid")


def searcher_class(name: str) -> type[Any]:
    """The class behind a name of ``SEARCHERS``; raises ``InputError`` for another name."""
    found: type[Any] = at(named(SEARCHERS, name, "searcher"))
    return found


def make_searcher(name: str, space: SearchSpace, seed: int = 0, *, budget: int | None = None, **settings: Any) -> Searcher:
    """A searcher by name, with its settings, and the number of evaluations to come for those whose defaults depend on it.

    Raises ``InputError`` for a name or a setting that it does not have.
    """
    searcher = searcher_class(name)
    parameters = inspect.signature(searcher).parameters
    known = [p for p in parameters if p not in ("space", "seed", "budget")]
    for setting in settings:
        if setting not in known:
            raise unknown(f"setting of {name}", setting, known) if known else InputError(f"{name} has no settings, so no {setting!r}")
    if "budget" in parameters:
        settings["budget"] = budget
    made: Searcher = searcher(space, seed, **settings)
    return made
