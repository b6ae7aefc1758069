"""NSGA-II on a problem whose front is known, its sorting against a plain one, its bounds, and what it says without pymoo."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from supernet.costs.objective import Objective, pareto_front
from supernet.errors import InputError
from supernet.explore.exploration import Exploration
from supernet.explore.loop import explore
from supernet.explore.trial import front
from supernet.searchers import make_searcher, nsga2
from supernet.searchers.nsga2 import ENDS, Nsga2, best_of
from supernet.space import Choice, SearchSpace

BITS = 10
SPACE = SearchSpace(Choice(str(i), (0, 1)) for i in range(BITS))
GOALS = Objective(maximise=("ones", "zeros"))


def leading_and_trailing(architecture):
    """Leading ones and trailing zeros: the front is ones, then zeros, BITS + 1 of 1,024 (Laumanns et al. 2004)."""
    bits = "".join(str(architecture[str(i)]) for i in range(BITS))
    return {"ones": BITS - len(bits.lstrip("1")), "zeros": BITS - len(bits.rstrip("0"))}


def found(name, seed, **settings):
    """The points of the front that a search of 350 evaluations finds."""
    searcher = make_searcher(name, SPACE, seed, **settings)
    trials = explore(SPACE, searcher, leading_and_trailing, 350, GOALS)
    return {trial.score for trial in front(trials)}


def test_finds_the_whole_front_where_random_search_finds_little_of_it():
    whole = {(float(i), float(BITS - i)) for i in range(BITS + 1)}
    for seed in range(3):
        assert found("nsga2", seed, population=16) == whole
        assert len(found("random", seed) & whole) < 7


def test_ranks_are_the_fronts_that_peeling_gives_and_the_ends_of_each_come_first():
    draw = Random(0)
    scores = [(draw.randrange(9) / 8, draw.randrange(9) / 8, draw.randrange(9) / 8) for _ in range(60)]
    ranks = {}
    while len(ranks) < len(scores):
        left = [i for i in range(len(scores)) if i not in ranks]
        ranks |= {left[i]: max(ranks.values(), default=-1) + 1 for i in pareto_front([scores[i] for i in left])}
    best = best_of(scores, len(scores))
    assert {i: rank for i, (rank, _) in best} == ranks
    assert [place for _, place in best] == sorted((place for _, place in best), key=lambda place: (place[0], -place[1]))
    assert best_of(scores, 25) == best[:25]


def test_room_is_the_crowding_distance_of_the_paper():
    scores = [(0.0, 1.0), (0.1, 0.8), (0.5, 0.5), (1.0, 0.0)]
    rooms = {i: room for i, (_, room) in best_of(scores, 4)}
    assert rooms[0] == rooms[3] == ENDS
    assert rooms[1] == pytest.approx((0.5 + 0.5) / 2)  # pymoo takes the mean over the goals where the paper takes the sum
    assert rooms[2] == pytest.approx((0.9 + 0.8) / 2)


def test_asks_for_nothing_twice_and_scores_nothing_beyond_the_bounds():
    asked, tried = Counter(), []

    class Watched(Nsga2):
        def ask(self):
            number, architecture, *more = super().ask()
            asked[SPACE.key(architecture)] += 1
            return number, architecture, *more

    def estimate(architecture):
        tried.append(sum(architecture.values()))
        return leading_and_trailing(architecture)

    bounded = Objective(maximise=("ones", "zeros"), limits={"taken": 6})
    trials = explore(SPACE, Watched(SPACE, 0, population=16), estimate, 150, bounded, costs=lambda a: {"taken": sum(a.values())})
    assert max(asked.values()) == 1 and max(tried) <= 6 and len(tried) == 150
    assert {trial.score for trial in front(trials)} == {(float(i), float(BITS - i)) for i in range(7)}


def test_a_search_that_was_left_anywhere_goes_on_with_the_same_trials():
    def lines(past, budget):
        going = Exploration(SPACE, Nsga2(SPACE, 1, population=8), leading_and_trailing, budget, GOALS)
        going.replay(past)
        while going.stopped is None:
            going.step()
        return [{**trial.line(), "measured": {"seconds": 0.0}} for trial in going.trials]

    whole = lines([], 40)
    for left in (1, 7, 8, 9, 24, 33):
        assert lines(whole[:left], 40) == whole


def test_a_space_that_is_known_is_exhausted():
    small = SearchSpace([Choice("a", (1, 2, 3)), Choice("b", ("x", "y"), when=(("a", 2),))])
    trials = explore(small, make_searcher("nsga2", small, population=2), lambda a: {"a": a["a"]}, 100, Objective(maximise=("a",)))
    assert len(trials) == small.size() == 4


def test_says_what_to_install_and_which_settings_are_wrong(monkeypatch):
    with pytest.raises(InputError, match="population of at least 2, not 1"):
        Nsga2(SPACE, population=1)
    with pytest.raises(InputError, match="probabilities from 0 to 1"):
        Nsga2(SPACE, crossover=1.5)
    monkeypatch.setattr(nsga2, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"nsga2 needs pymoo; install it with: pip install 'supernet\[search\]'"):
        make_searcher("nsga2", SPACE)
