from random import Random

import pytest

from supernet.costs.objective import Objective
from supernet.errors import InputError
from supernet.explore.exploration import Exploration
from supernet.searchers import Exhausted, make_searcher
from supernet.searchers.hyperband import Hyperband
from supernet.space import Choice, SearchSpace

SPACE = SearchSpace([Choice(str(i), tuple(range(8))) for i in range(5)])


def worth(architecture):
    return Random(SPACE.key(architecture)).random()


def rung(searcher):
    """What it asks for until it waits, told in reverse: how many, and their share of an estimate as one of so many."""
    asked = []
    while True:
        try:
            asked.append(searcher.ask())
        except Exhausted:
            break
    for number, architecture, _ in reversed(asked):
        searcher.tell(number, architecture, (worth(architecture),))
    (share,) = {share for *_, share in asked}
    return len(asked), round(1 / share)


def test_brackets_are_those_of_the_papers_algorithm_1():
    searcher = Hyperband(SPACE, rungs=5)
    brackets = [
        [(81, 81), (27, 27), (9, 9), (3, 3), (1, 1)],
        [(34, 27), (11, 9), (3, 3), (1, 1)],
        [(15, 9), (5, 3), (1, 1)],
        [(8, 3), (2, 1)],
        [(5, 1)],
    ]
    for bracket in [*brackets, brackets[0]]:
        assert [rung(searcher) for _ in bracket] == bracket


@pytest.mark.parametrize(("budget", "rungs"), [(None, 4), (1, 1), (3, 1), (4, 2), (10, 3), (300, 4)])
def test_small_budgets_have_fewer_brackets(budget, rungs):
    assert make_searcher("hyperband", SPACE, budget=budget).brackets == rungs


@pytest.mark.parametrize("budget", [1, 5, 16, 40])
def test_a_search_spends_its_budget_and_ends_with_whole_estimates(budget):
    searcher = make_searcher("hyperband", SPACE, 0, budget=budget)
    search = Exploration(SPACE, searcher, lambda a, fidelity=1.0: {"accuracy": worth(a)}, budget, Objective())
    while search.stopped is None:
        search.step()
    assert budget <= search.spent + 1e-6 and search.spent < budget + 1 and search.best()[0].fidelity == 1


def test_rungs_that_begin_at_next_to_nothing_are_refused():
    with pytest.raises(InputError, match="20 rungs begin at less than a millionth of an estimate"):
        Hyperband(SPACE, rungs=20)
