"""The search by a surrogate: what it finds and how soon, its bounds, the order of tells, and what it does where its model is no good."""

from __future__ import annotations

import json
import warnings
from random import Random
from time import process_time

import pytest

from supernet.costs.objective import Objective, hypervolume
from supernet.errors import InputError
from supernet.explore.exploration import Exploration
from supernet.explore.loop import explore
from supernet.explore.trial import front
from supernet.searchers import Exhausted, make_searcher
from supernet.searchers.surrogate import Surrogate
from supernet.searchers.worth import worth
from supernet.space import Choice, SearchSpace

SOURCES = Choice("in", (0, 1, 2, 3), pick=(1, 2), when=(("0", "a"),))
SPACE = SearchSpace([*(Choice(str(i), ("a", "b", "c", "d")) for i in range(6)), SOURCES])
SCORE = Objective(("score",))


def score(architecture):
    """The best is all a with the inputs 0 and 3; choices work together by pairs."""
    on = SPACE.matters(architecture)
    alike = sum((on[str(i)] == "a") * (i + 1) + 2 * (on[str(i)] == "a" == on[str(i - 1)]) for i in range(1, 6))
    return {"score": alike + 2 * (on["0"] == "a") + len({0, 3} & set(on.get("in", ()))), "size": sum(t != "d" for t in on.values())}


def lines(searcher, budget):
    search = Exploration(SPACE, searcher, score, budget, SCORE)
    while search.stopped is None:
        search.step()
    return search.trials


def test_finds_the_best_of_thirteen_thousand_in_sixty_trials():
    best = score({**{str(i): "a" for i in range(6)}, "in": (0, 3)})["score"]
    assert SPACE.size() == 13_312 and max(trial.score[0] for trial in lines(make_searcher("surrogate", SPACE, 0, budget=60), 60)) == best
    assert max(trial.score[0] for trial in lines(make_searcher("random", SPACE, 0), 60)) < best


def test_what_it_asks_for_depends_on_what_was_told_and_not_on_the_order():
    def next_asks(order):
        searcher = Surrogate(SPACE, 3, start=6)
        asked = [searcher.ask() for _ in range(12)]
        Random(order).shuffle(asked)
        for number, architecture in asked:
            searcher.tell(number, architecture, (score(architecture)["score"],))
        return [searcher.ask()[1] for _ in range(3)]

    assert next_asks(1) == next_asks(2) == next_asks(3)


def test_within_a_bound_the_best_is_found_and_what_is_beyond_it_is_not_scored():
    bounded = Objective(("score",), limits={"size": 3})
    best, *others = explore(SPACE, Surrogate(SPACE, 0), score, 40, bounded, costs=lambda a: {"size": score(a)["size"]})
    assert best.score == (19,) and len(others) == 39 and all(trial.costs["size"] <= 3 for trial in others)


def test_several_goals_give_a_front_that_random_search_does_not_reach():
    goals = Objective(("score",), ("size",))
    shares = {
        name: hypervolume([t.score for t in front(explore(SPACE, make_searcher(name, SPACE, 1), score, 40, goals))], (-1, -8))
        for name in ("surrogate", "random")
    }
    assert shares["surrogate"] > 1.2 * shares["random"]


def test_a_model_that_ranks_nothing_is_not_followed_and_that_is_said(capsys):
    searcher = Surrogate(SPACE, 0)
    for _ in range(40):
        number, architecture = searcher.ask()
        searcher.tell(number, architecture, (Random(SPACE.key(architecture)).random(),))
    assert not searcher.trust.followed
    assert "note: the model of surrogate ranks scores that it has not seen by a correlation of " in capsys.readouterr().err
    lines(searcher, 60)
    assert searcher.trust.followed and "it is followed again" in capsys.readouterr().err


def test_worth_is_normal_in_rank_and_of_several_goals_nothing_is_worth_more_than_what_beats_it():
    draw = Random(0)
    one = worth([(value,) for value in (3.0, 1e9, -5.0)], draw)
    assert one.tolist() == pytest.approx([0, 0.9674, -0.9674], abs=1e-4)
    for _ in range(20):
        several = worth([(0, 0), (2, 1), (1, 2), (2, 2), (2, 2)], draw)
        assert several[0] < min(several[1:3]) and max(several[1:3]) < several[3] == several[4]


@pytest.mark.parametrize("before", [5, 15, 70])
def test_the_state_of_a_long_search_goes_on_exactly(before):
    left, resumed = Surrogate(SPACE, 0), Surrogate(SPACE, 9)
    for _ in range(before):
        number, architecture = left.ask()
        left.tell(number, architecture, (score(architecture)["score"],))
    resumed.load_state_dict(json.loads(json.dumps(left.state_dict())))
    assert [left.ask() for _ in range(4)] == [resumed.ask() for _ in range(4)]


def test_a_space_that_is_known_is_exhausted():
    small = SearchSpace([Choice("a", (1, 2, 3)), Choice("b", ("x", "y"), when=(("a", 2),))])
    trials = explore(small, make_searcher("surrogate", small), lambda a: {"a": a["a"]}, 100, Objective(("a",)))
    assert len(trials) == small.size() == 4


@pytest.mark.parametrize(("budget", "start"), [(None, 10), (1000, 10), (20, 6), (2, 2)])
def test_random_ones_come_first_and_leave_most_of_a_small_budget(budget, start):
    assert Surrogate(SPACE, budget=budget).start == start


def test_impossible_settings_are_refused():
    with pytest.raises(InputError, match="start of at least 1"):
        Surrogate(SPACE, start=0)


def test_scores_that_are_all_equal_are_searched_on():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trials = explore(SPACE, Surrogate(SPACE, 0), lambda architecture: {"score": 1.0}, 14, SCORE)
    assert len({SPACE.key(trial.architecture) for trial in trials}) == 14


@pytest.mark.slow
def test_a_thousand_of_fifteen_thousand_take_less_than_twenty_seconds():
    cells = SearchSpace(Choice(str(i), ("a", "b", "c", "d", "e")) for i in range(6))
    before = process_time()
    explore(cells, Surrogate(cells, 0), lambda cell: {"score": float(sum(map(ord, cell.values())))}, 1000, SCORE)
    assert process_time() - before < 20


def test_where_nothing_is_left_it_is_as_it_was_with_several_goals_too():
    small = SearchSpace([Choice("a", (1, 2, 3)), Choice("b", ("x", "y"))])
    searcher = Surrogate(small, start=3)
    for _ in range(6):
        number, architecture = searcher.ask()
        searcher.tell(number, architecture, (architecture["a"], -architecture["a"]))
    before = searcher.state_dict()
    with pytest.raises(Exhausted):
        searcher.ask()
    assert searcher.state_dict() == before
