"""BANANAS: batches, what they wait for, what makes room in them, and that it finds more than chance does."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from supernet.costs.objective import Objective, hypervolume
from supernet.errors import InputError
from supernet.explore.loop import explore
from supernet.explore.trial import front
from supernet.predictors.options import Options
from supernet.predictors.paths import Paths
from supernet.searchers import Exhausted, make_searcher
from supernet.searchers.bananas import Bananas
from supernet.searchers.fronts import by_front, room
from supernet.searchers.nsga2 import best_of
from supernet.searchers.worth import diverse
from supernet.space import Choice, SearchSpace

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
CELL = SearchSpace(Choice(name, OPERATIONS) for name in ("1<0", "2<0", "2<1", "3<0", "3<1", "3<2"))
CHAIN = SearchSpace(Choice(str(i), ("a", "b", "c")) for i in range(8))


def score(cell):
    return {
        "score": sum(int(name[0]) * (op == "nor_conv_3x3") for name, op in cell.items()),
        "size": sum(op != "none" for op in cell.values()),
    }


def asks(searcher):
    found = []
    try:
        while len(found) < 100:
            found.append(searcher.ask())
    except Exhausted:
        return found


def test_batches_of_the_size_that_was_set_wait_until_all_of_them_are_told_in_any_order():
    following = []
    for order in (1, -1):
        searcher = Bananas(CELL, 2, start=6, batch=4)
        for size in (6, 4, 4):
            asked = asks(searcher)
            assert len(asked) == size == len({CELL.key(cell) for _, cell in asked})
            for number, cell in asked[::order]:
                searcher.tell(number, cell, (score(cell)["score"],))
        following.append(asks(searcher))
    assert following[0] == following[1]


def test_what_is_beyond_the_bounds_makes_room_for_the_next_and_what_failed_does_not():
    searcher = Bananas(CELL, start=3, batch=3)
    (one, first), (two, second), _ = asks(searcher)
    searcher.tell(one, first, "infeasible")
    searcher.tell(two, second, "failed")
    assert len(asks(searcher)) == 1


def test_finds_better_cells_and_fronts_than_random_search():
    best = {
        name: explore(CELL, make_searcher(name, CELL, 0), score, 60, Objective(("score",)))[0].score[0] for name in ("bananas", "random")
    }
    assert best["bananas"] > best["random"]
    goals = Objective(("score",), ("size",))
    shares = {
        name: hypervolume([t.score for t in front(explore(CELL, make_searcher(name, CELL, 0), score, 60, goals))], (-1, -7))
        for name in ("bananas", "random")
    }
    assert shares["bananas"] > shares["random"]


def test_what_comes_first_of_several_goals_is_what_nsga2_takes_for_parents():
    points = np.random.default_rng(0).permutation(60).reshape(2, 30).astype(float)  # no two alike in a goal
    ranks = [rank for _, (rank, _) in best_of([tuple(point) for point in points.T], 30)]
    order = [place for place, _ in best_of([tuple(point) for point in points.T], 30)]
    found = by_front(points, 40)
    for rank in set(ranks):
        here = [i for i in range(30) if ranks[i] == rank]
        assert {found[i] for i in here} == {order[i] for i in here}
    first = [i for i in range(30) if ranks[i] == 0]
    inner = [place for place in (found[i] for i in first) if np.isfinite(room(points[:, [found[i] for i in first]])[found.index(place)])]
    assert inner == [order[i] for i in first if order[i] in inner]


def test_a_ranking_by_weights_of_their_own_begins_with_both_ends_of_a_front():
    shares = np.stack([np.linspace(0, 1, 50), np.linspace(1, 0, 50)])
    found = diverse(shares, Random(0))
    assert sorted(found) == list(range(50)) and min(found[:10]) < 12 and max(found[:10]) > 37


def test_cells_are_encoded_by_paths_and_all_else_by_options():
    assert type(Bananas(CELL).encoding) is Paths and Bananas(CELL, paths=30).encoding.width == 30
    assert type(Bananas(CHAIN).encoding) is type(Bananas(CELL, predictor="graph").encoding) is Options
    with pytest.raises(InputError, match="leave paths out"):
        Bananas(CHAIN, paths=30)
    with pytest.raises(InputError, match="unknown predictor 'forest'"):
        Bananas(CHAIN, predictor="forest")


@pytest.mark.parametrize(("budget", "size"), [(None, 10), (40, 10), (20, 5), (3, 2)])
def test_sizes_are_the_papers_unless_the_budget_is_too_small_for_them(budget, size):
    searcher = Bananas(CELL, budget=budget)
    assert searcher.start == searcher.size == size
