from random import Random
from statistics import fmean

import pytest

from supernet.costs.objective import Objective
from supernet.errors import InputError
from supernet.explore.loop import explore
from supernet.searchers import Exhausted, make_searcher
from supernet.searchers.large_scale import LargeScale
from supernet.space import Choice, SearchSpace

SPACE = SearchSpace([Choice(str(i), tuple(range(6))) for i in range(5)])


def worth(architecture):
    return Random(SPACE.key(architecture)).random()


def filled(size, **settings):
    searcher = LargeScale(SPACE, 0, population=size, **settings)
    for _ in range(size):
        number, architecture = searcher.ask()
        searcher.tell(number, architecture, (worth(architecture),))
    return searcher


def test_the_worse_of_two_dies_and_the_better_has_a_child_of_one_mutation():
    searcher = filled(6)
    for _ in range(20):
        before = list(searcher.alive)
        number, child, *_ = searcher.ask()
        (dead,) = [member for member in before if member not in searcher.alive]
        parents = [m for m in before if sum(m[1][name] != child[name] for name in SPACE) == 1]
        assert any(parent[0] > dead[0] for parent in parents)
        searcher.tell(number, child, (worth(child),))
        assert len(searcher.alive) == 6


@pytest.mark.parametrize("bad", ["infeasible", "failed", "repeated"])
def test_the_loser_comes_back_where_the_child_does_not_enter(bad):
    searcher = filled(4, mutate=lambda architecture, rng: dict(architecture))
    before = sorted(score for score, _ in searcher.alive)
    number, child, *_ = searcher.ask()
    searcher.tell(number, child, (worth(child),) if bad == "repeated" else bad)
    assert sorted(score for score, _ in searcher.alive) == before


def test_it_waits_where_all_but_one_have_died_for_children_that_are_not_told():
    searcher = filled(4)
    children = [searcher.ask() for _ in range(3)]
    with pytest.raises(Exhausted, match="fewer than two are alive"):
        searcher.ask()
    searcher.tell(*children[1][:2], (0.5,))
    assert SPACE.check(searcher.ask()[1])


def test_a_population_that_has_no_pairs_is_refused():
    with pytest.raises(InputError, match="a population of at least 2, not 1"):
        LargeScale(SPACE, population=1)


@pytest.mark.parametrize(("budget", "population"), [(None, 1000), (20, 4), (300, 30), (50_000, 1000)])
def test_the_population_is_the_papers_but_no_more_than_a_tenth_of_the_budget(budget, population):
    assert make_searcher("large-scale", SPACE, budget=budget).population == population


def test_it_beats_random_search_where_good_architectures_are_close_to_each_other():
    def found(name):
        def estimate(architecture):
            return {"accuracy": -sum((taken - 3) ** 2 for taken in architecture.values())}

        runs = (explore(SPACE, make_searcher(name, SPACE, seed, budget=100), estimate, 100, Objective()) for seed in range(10))
        return fmean(best.score[0] for best, *_ in runs)

    assert found("large-scale") > found("random") + 0.5


NUMBERS = SearchSpace([Choice("width", (8, 32, 16)), Choice("kernel", (3, 5, 7)), Choice("op", ("a", "b", "c"))])


def test_numbers_begin_with_the_smallest_and_change_a_step_at_a_time():
    searcher = LargeScale(NUMBERS, 1, population=5)
    order = {"width": [8, 16, 32], "kernel": [3, 5, 7]}
    first = [searcher.ask() for _ in range(5)]
    assert len({NUMBERS.key(architecture) for _, architecture in first}) == 5
    assert (first[0][1]["width"], first[0][1]["kernel"]) == (8, 3)
    for number, architecture in first:
        searcher.tell(number, architecture, (Random(number).random(),))
    for i in range(60):
        number, child, share, parent = searcher.ask()
        changed = [name for name in NUMBERS if child[name] != parent[name]]
        assert share == 1 and len(changed) == 1
        steps = [abs(order[n].index(child[n]) - order[n].index(parent[n])) for n in changed if n in order]
        assert steps in ([], [1])
        searcher.tell(number, child, (child["width"] + child["kernel"] + i / 100,))
    assert max(searcher.alive)[1]["width"] == 32 and max(searcher.alive)[1]["kernel"] == 7


def test_without_growing_the_first_are_random_and_a_mutation_draws_any_other_option():
    searcher, plain = LargeScale(NUMBERS, 1, population=5, grow=False), Random(1)
    assert [searcher.ask()[1] for _ in range(5)] == [NUMBERS.sample(plain) for _ in range(5)]


def test_a_space_without_numbers_begins_at_random_and_is_not_walked_for_ever():
    space = SearchSpace([Choice("op", ("a", "b"))])
    searcher = LargeScale(space, 0, population=4)
    assert {searcher.ask()[1]["op"] for _ in range(4)} == {"a", "b"}
