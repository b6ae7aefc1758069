"""Tree-structured Parzen estimators, by Optuna: what is more frequent among the good architectures than among the others is proposed.

Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization", section 4, https://papers.nips.cc/paper/4443; Optuna: Akiba et al.
2019, https://arxiv.org/abs/1907.10902
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from random import Random
from typing import Any

from supernet.errors import InputError
from supernet.searchers import Exhausted, Outcome
from supernet.searchers.decisions import Decisions
from supernet.searchers.state import from_plain, plain, random_state, restore_random
from supernet.settings.quantities import Count
from supernet.space import Architecture, Choice, SearchSpace

TRIES = 20  # mutations of a proposal that is known, after which it draws at random
DRAWS = 200  # of known architectures in a row, after which no new one is looked for
SEEDS = 2**32

Known = float | str  # a score, "pending", or "without": beyond the bounds or failed


class TPE:
    """Choices are drawn together by Optuna's ``TPESampler``; those that do not matter are left out, and numbers are ordered.

    startup: how many random ones with a score come first; Optuna's 10. candidates: how many are drawn from what the good have in common,
    of which the one is proposed that is the most like them and the least like the others; Optuna's 24.
    What is beyond the bounds or failed counts as worse than all that has a score; what is pending is not gone to again meanwhile.
    Nothing is asked for twice: where a known architecture is proposed, a mutation of it is asked for, or else a random one.
    What it asks for depends on the order of the tells.
    Raises ``InputError`` where Optuna is not installed, or a choice has too many subsets to tell them apart.
    """

    def __init__(self, space: SearchSpace, seed: int = 0, *, startup: Count = 10, candidates: Count = 24) -> None:
        if find_spec("optuna") is None:
            raise InputError("tpe needs Optuna; install it with: pip install 'supernet[search]'")
        self.space, self.rng, self.startup, self.candidates = space, Random(seed), startup, candidates
        self.decisions = {name: Decisions(choice) for name, choice in space.items()}
        self.ways = {name: _ways(choice, self.decisions[name].sizes) for name, choice in space.items()}
        self._begin()

    def _begin(self) -> None:
        """Nothing is known."""
        self.tried: list[tuple[Architecture, Known]] = []  # in the order of the asks
        self.keys: dict[str, None] = {}
        self.scored = 0
        self.study: Any = None  # Optuna's, from the first proposal on
        self.places: list[int] = []  # of those tried among its trials, where what was only proposed has a place too

    def ask(self) -> tuple[int, Architecture]:
        """What is proposed; raises ``Exhausted`` where nothing new is found."""
        before = random_state(self.rng)
        for architecture in self._drawn():
            if self.space.key(architecture) not in self.keys:
                self.tried.append((architecture, "pending"))
                self.keys[self.space.key(architecture)] = None
                if self.study is not None:
                    self._enter(architecture, "pending")
                return len(self.tried), architecture
        restore_random(self.rng, before)
        raise Exhausted(f"no architecture is found beside the {len(self.keys)} that are known")

    def tell(self, number: int, architecture: Architecture, outcome: Outcome) -> None:
        """What became of one that was asked for."""
        if not 1 <= number <= len(self.tried) or self.tried[number - 1][1] != "pending":
            return
        known: Known = "without" if isinstance(outcome, str) else outcome[0]
        self.tried[number - 1] = (architecture, known)
        self.scored += not isinstance(known, str)
        if self.study is not None:
            self._end(self.places[number - 1], known)

    def _drawn(self) -> Iterator[Architecture]:
        """What may be asked for, in turn."""
        if self.scored >= self.startup:
            proposed = self._proposed()
            yield proposed
            for _ in range(TRIES):
                yield self.space.mutate(proposed, self.rng)
        for _ in range(DRAWS):
            yield self.space.sample(self.rng)

    def _proposed(self) -> Architecture:
        """A proposal, which leaves no trace in what is proposed next: each has a sampler of its own, and counts as failed."""
        import optuna
        from optuna.exceptions import ExperimentalWarning
        from optuna.trial import TrialState

        if self.study is None:
            optuna.logging.set_verbosity(optuna.logging.WARNING)  # of each study it says that there is one
            self.study = optuna.create_study(direction="maximize")
            for architecture, known in self.tried:
                self._enter(architecture, known)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            seed, lying = self.rng.randrange(SEEDS), any(known == "pending" for _, known in self.tried)
            self.study.sampler = self._sampler(seed, lying)
        trial = self.study.ask({way: kind for ways in self.ways.values() for way, kind in ways.items()})
        self.study.tell(trial, state=TrialState.FAIL)
        return {name: one.taken([trial.params[way] for way in self.ways[name]]) for name, one in self.decisions.items()}

    def _sampler(self, seed: int, lying: bool) -> Any:
        """Optuna's, which is told what all trials have in common where every choice always matters: it would look at each of them.

        lying: whether some are pending, which then count as bad ones.
        """
        from optuna.samplers import TPESampler

        free = all(choice.always for choice in self.space.values())
        common = dict(sorted((way, kind) for ways in self.ways.values() for way, kind in ways.items() if not kind.single()))

        class Sampler(TPESampler):
            def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
                return common if free else super().infer_relative_search_space(study, trial)

        together: dict[str, Any] = {"multivariate": True, "group": not free, "constant_liar": lying}
        return Sampler(seed=seed, n_startup_trials=0, n_ei_candidates=self.candidates, **together)

    def _enter(self, architecture: Architecture, known: Known) -> None:
        """Make a trial of one that was asked for."""
        from optuna.trial import TrialState, create_trial

        params: dict[str, Any] = {}
        kinds: dict[str, Any] = {}
        for name, taken in self.space.matters(architecture).items():
            kinds |= self.ways[name]
            params |= zip(self.ways[name], self.decisions[name].decided(taken), strict=True)
        states = {"pending": TrialState.RUNNING, "without": TrialState.PRUNED}
        state, value = (states[known], None) if isinstance(known, str) else (TrialState.COMPLETE, known)
        self.study.add_trial(create_trial(params=params, distributions=kinds, state=state, value=value))
        self.places.append(len(self.study.get_trials(deepcopy=False)) - 1)

    def _end(self, place: int, known: Known) -> None:
        """End a trial by what became of it."""
        from optuna.trial import TrialState

        if isinstance(known, str):
            self.study.tell(place, state=TrialState.PRUNED)
        else:
            self.study.tell(place, known)

    def state_dict(self) -> dict[str, Any]:
        """The generator, and all that was asked for, with what became of it."""
        return {"rng": random_state(self.rng), "tried": [[plain(architecture), known] for architecture, known in self.tried]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the searcher that gave ``state``."""
        restore_random(self.rng, state["rng"])
        self._begin()
        self.tried = [(from_plain(architecture), known) for architecture, known in state["tried"]]
        self.keys = dict.fromkeys(self.space.key(architecture) for architecture, _ in self.tried)
        self.scored = sum(not isinstance(known, str) for _, known in self.tried)


def _ways(choice: Choice, sizes: Sequence[int]) -> dict[str, Any]:
    """What each decision of a choice is for Optuna, by a name."""
    from optuna.distributions import CategoricalDistribution, IntDistribution

    ordered = choice.pick is None and all(isinstance(option, int | float) for option in choice.able)
    kinds = [IntDistribution(0, size - 1) if ordered else CategoricalDistribution(range(size)) for size in sizes]
    return {f"{choice.name} {i}": kind for i, kind in enumerate(kinds)}
