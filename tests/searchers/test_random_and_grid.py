from collections import Counter

import pytest

from supernet.searchers import Exhausted
from supernet.searchers.grid import Grid
from supernet.searchers.random_search import RandomSearch
from supernet.space import Choice, SearchSpace

SPACE = SearchSpace([Choice("op", ("conv", "skip")), Choice("kernel", (3, 5), when=(("op", "conv"),))])


def test_random_search_draws_every_option_about_equally_often():
    searcher = RandomSearch(SPACE, seed=1)
    counts = Counter(searcher.ask()[1]["kernel"] for _ in range(2000))
    assert 900 < counts[3] < 1100


def test_random_search_draws_by_the_operator_that_is_passed():
    searcher = RandomSearch(SPACE, sample=lambda rng: {"op": "skip", "kernel": 3})
    assert [searcher.ask()[1]["op"] for _ in range(5)] == ["skip"] * 5


def test_grid_asks_for_every_architecture_once_in_order_then_is_exhausted():
    grid = Grid(SPACE)
    asked = [grid.ask()[1] for _ in range(SPACE.size())]
    assert asked == [{"op": "conv", "kernel": 3}, {"op": "conv", "kernel": 5}, {"op": "skip", "kernel": 3}]
    with pytest.raises(Exhausted):
        grid.ask()
    resumed = Grid(SPACE)
    resumed.load_state_dict(grid.state_dict())
    with pytest.raises(Exhausted):
        resumed.ask()
