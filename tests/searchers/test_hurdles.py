"""Progressive dynamic hurdles: who is estimated at more, when a hurdle is set, and that it finds more than evolution at equal cost."""

from random import Random
from statistics import fmean

import pytest

from supernet.costs.objective import Objective
from supernet.errors import InputError
from supernet.explore.exploration import Exploration
from supernet.searchers import Exhausted, make_searcher
from supernet.searchers.hurdles import Hurdles
from supernet.space import Choice, SearchSpace

SPACE = SearchSpace([Choice(str(i), tuple(range(6))) for i in range(6)])


def estimate(architecture, fidelity=1.0):
    """The sum; less of an estimate is noisier, and always less."""
    return {"accuracy": sum(architecture.values()) - 4 * (1 - fidelity) * Random(SPACE.key(architecture)).random()}


def explored(name, budget, seed=0, **settings):
    search = Exploration(SPACE, make_searcher(name, SPACE, seed, budget=budget, **settings), estimate, budget, Objective())
    while search.stopped is None:
        search.step()
    return search


def told(searcher, score):
    """Ask once and tell; the share that was asked for."""
    number, architecture, share, _ = searcher.ask()
    searcher.tell(number, architecture, (score,))
    return share


def test_a_child_goes_on_to_the_next_share_exactly_where_it_beats_the_hurdles_before():
    searcher = Hurdles(SPACE, population=4, tournament=2, between=2, factor=2)
    assert [told(searcher, score) for score in (1.0, 2.0, 3.0, 4.0)] == [0.25] * 4 and not searcher.hurdles
    assert told(searcher, 5.0) == told(searcher, 5.0) == 0.25
    (first,) = searcher.hurdles
    assert first == fmean(score for score, *_ in searcher.alive)
    assert told(searcher, first) == 0.25 and len(searcher.alive) == 4  # not more than the hurdle: it is final
    assert [told(searcher, score) for score in (first + 1, 9.0)] == [0.25, 0.5]  # its score at half of an estimate is final
    assert searcher.hurdles == [first, 9.0]  # the mean of those that were estimated at most
    assert [told(searcher, score) for score in (first + 1, 9.5, 7.0)] == [0.25, 0.5, 1.0]
    assert [told(searcher, score) for score in (first + 1, 8.5, first + 1)] == [0.25, 0.5, 0.25]
    assert searcher.hurdles == [first, 9.0]  # the last share is the whole


def test_what_failed_on_its_way_is_gone_and_strangers_do_not_enter():
    searcher = Hurdles(SPACE, population=2, between=1, factor=2, rungs=2)
    for score in (1.0, 2.0, 3.0):
        told(searcher, score)
    alive = list(searcher.alive)
    told(searcher, 10.0)
    number, architecture, share, _ = searcher.ask()
    searcher.tell(number, architecture, "failed")
    searcher.tell(999, architecture, (99.0,))
    assert share == 1 and searcher.alive == alive and not searcher.pending and not searcher.rising


@pytest.mark.parametrize("budget", [1, 5, 16, 60])
def test_a_search_spends_its_budget_and_ends_with_whole_estimates(budget):
    search = explored("hurdles", budget)
    assert budget <= search.spent + 1e-6 and search.spent < budget + 1 and search.best()[0].fidelity == 1


def test_at_equal_cost_it_finds_more_than_evolution():
    found = {name: fmean(explored(name, 60, seed).best()[0].score[0] for seed in range(5)) for name in ("hurdles", "evolution")}
    assert found["hurdles"] > found["evolution"] + 1


def test_a_small_space_is_searched_to_its_end():
    space = SearchSpace([Choice("a", (1, 2, 3))])
    searcher = Hurdles(space, population=2)
    for _ in range(3):
        told(searcher, 1.0)
    state = searcher.state_dict()
    with pytest.raises(Exhausted):
        searcher.ask()
    assert searcher.state_dict() == state


@pytest.mark.parametrize("settings", [{"factor": 1}, {"factor": 10, "rungs": 8}])
def test_shares_that_are_none_are_refused(settings):
    with pytest.raises(InputError, match="begin at a millionth or more"):
        Hurdles(SPACE, **settings)
