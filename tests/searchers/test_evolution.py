import pytest

from supernet.costs.objective import Objective
from supernet.errors import InputError
from supernet.explore.exploration import Exploration
from supernet.searchers.evolution import Evolution
from supernet.space import Choice, SearchSpace

LETTERS = SearchSpace([Choice("a", tuple(range(100)))])


def toy(seed, cycles, population, tournament):
    """The toy problem of the paper's authors: 100 bits, accuracy = share of ones + N(0, 0.01), a mutation flips one bit."""
    searcher = Evolution(
        SearchSpace(),
        seed,
        population=population,
        tournament=tournament,
        sample=lambda rng: {"bits": rng.randint(0, 2**100 - 1)},
        mutate=lambda architecture, rng: {"bits": architecture["bits"] ^ (1 << rng.randint(0, 99))},
    )
    history = []
    for _ in range(cycles):
        number, architecture, *_ = searcher.ask()
        noisy = architecture["bits"].bit_count() / 100 + searcher.rng.gauss(0, 0.01)
        accuracy = min(max(noisy, 0.0), 1.0)
        searcher.tell(number, architecture, (accuracy,))
        history.append((accuracy, architecture["bits"]))
    return history


@pytest.mark.parametrize(
    ("setting", "best", "total", "last", "last_bits"),
    [
        ((0, 200, 20, 5), 0.7976334042, 133.00373656, 0.7976334042, 0xB3BEDEFF5BFBDF7BF7BFEDB57),
        ((1, 1000, 100, 10), 0.9094427918, 734.49073974, 0.8894115688, 0xE2FBFFDBFBFFFFFFFFF9DFFFE),
    ],
)
def test_toy_problem_of_the_paper_is_reproduced_to_the_last_bit(setting, best, total, last, last_bits):
    history = toy(*setting)
    assert max(history)[0] == pytest.approx(best, abs=1e-10)
    assert sum(accuracy for accuracy, _ in history) == pytest.approx(total, abs=1e-8)
    assert history[-1] == (pytest.approx(last, abs=1e-10), last_bits)


@pytest.mark.parametrize(("ageing", "left"), [(True, [0.5, 0.1, 0.7]), (False, [0.9, 0.5, 0.7])])
def test_the_oldest_leaves_with_ageing_and_the_worst_without(ageing, left):
    searcher = Evolution(LETTERS, population=3, ageing=ageing)
    for i, score in enumerate((0.9, 0.5, 0.1, 0.7)):
        searcher.tell(i, {"a": i}, (score,))
    assert [score for score, _ in searcher.alive] == left


def test_what_is_infeasible_or_failed_never_enters_the_population():
    searcher = Evolution(LETTERS, population=2)
    searcher.tell(1, {"a": 1}, "infeasible")
    searcher.tell(2, {"a": 2}, "failed")
    searcher.tell(3, {"a": 3}, (0.0,))
    assert searcher.alive == [(0.0, {"a": 3})]


def test_an_old_score_told_again_does_not_enter_twice_and_a_new_one_does():
    searcher = Evolution(LETTERS, population=9)
    for score in (0.5, 0.5, 0.6):
        searcher.tell(1, {"a": 1}, (score,))
    assert searcher.alive == [(0.5, {"a": 1}), (0.6, {"a": 1})]


def test_a_budget_far_beyond_the_population_is_used_up_on_a_small_space():
    space = SearchSpace([Choice(str(i), tuple(range(4))) for i in range(5)])
    exploration = Exploration(space, Evolution(space), lambda a: {"accuracy": sum(a.values())}, 600, Objective())
    while exploration.stopped is None:
        exploration.step()
    assert exploration.evaluations == 600


@pytest.mark.parametrize(("budget", "sizes"), [(None, (100, 25)), (300, (100, 25)), (60, (20, 5)), (3, (2, 5))])
def test_sizes_are_the_papers_unless_the_budget_is_too_small_for_them(budget, sizes):
    searcher = Evolution(LETTERS, budget=budget)
    assert (searcher.population, searcher.tournament) == sizes


def test_the_parent_is_the_first_drawn_of_equal_rivals_and_only_the_first_objective_counts():
    parents = []
    searcher = Evolution(
        LETTERS, population=3, tournament=50, mutate=lambda architecture, rng: parents.append(architecture["a"]) or architecture
    )
    for i, score in enumerate([(0.5, 9.0), (0.8, 0.0), (0.8, 5.0)]):
        searcher.tell(i, {"a": i}, score)
    for _ in range(40):
        searcher.ask()
    assert set(parents) == {1, 2}


def test_children_differ_from_a_living_parent_in_one_choice():
    space = SearchSpace([Choice(str(i), tuple(range(5))) for i in range(6)])
    searcher = Evolution(space, population=8, tournament=2)
    for i in range(60):
        number, child, *_ = searcher.ask()
        if i >= 8:
            assert 1 in {sum(child[name] != parent[name] for name in space) for _, parent in searcher.alive}
        searcher.tell(number, child, (sum(child.values()),))


def test_crossover_takes_every_choice_from_a_living_parent():
    space = SearchSpace([Choice(str(i), tuple(range(50))) for i in range(4)])
    searcher = Evolution(space, population=4, tournament=1, crossover=1.0)
    for i in range(30):
        number, child, *_ = searcher.ask()
        if i >= 4:
            assert all(child[name] in {parent[name] for _, parent in searcher.alive} for name in space)
        searcher.tell(number, child, (0.0,))


def test_impossible_settings_are_refused():
    with pytest.raises(InputError, match="at least 1"):
        Evolution(LETTERS, population=0)
    with pytest.raises(InputError, match="probability"):
        Evolution(LETTERS, crossover=2)
