"""Of whom an architecture takes over: of the parent that is named, else of the nearest that was told."""

import json
from random import Random

import pytest

from supernet.costs.objective import Objective
from supernet.explore.exploration import Exploration
from supernet.searchers import make_searcher
from supernet.searchers.lineage import Followed, Lineage
from supernet.space import Choice, SearchSpace

SPACE = SearchSpace([Choice(name, tuple(range(4))) for name in "abc"] + [Choice("d", (0, 1), when=(("a", 3),))])


def arch(a, b=0, c=0, d=0):
    return {"a": a, "b": b, "c": c, "d": d}


def born(lineage, architecture, outcome=(0.5,), **asked):
    """The number of whom it takes over from; it is told at once."""
    lineage.asked(architecture, **asked)
    birth = lineage.birth(architecture)
    lineage.told(architecture, outcome)
    return birth and birth.parent


def test_the_first_takes_over_from_none_and_others_from_the_nearest_the_latest_of_several():
    lineage = Lineage(SPACE)
    assert born(lineage, arch(0)) is None
    assert born(lineage, arch(1, 1, 1)) == 1
    assert born(lineage, arch(1, 1, 2)) == 2
    assert born(lineage, arch(0, 1, 2)) == 3
    assert born(lineage, arch(2, 1, 2)) == 4  # as far from 3 as from 4


def test_a_parent_that_is_named_comes_first_as_long_as_it_lives():
    lineage = Lineage(SPACE, most=2)
    born(lineage, arch(0))
    born(lineage, arch(1, 1))
    assert born(lineage, arch(1, 1, 1), fidelity=1.0, parent=arch(0)) == 1
    assert list(lineage.living) == [1, 3]  # 2 served longest ago
    assert born(lineage, arch(1, 2), fidelity=1.0, parent=arch(1, 1)) == 3


def test_choices_that_do_not_matter_make_nothing_far_apart():
    lineage = Lineage(SPACE)
    born(lineage, arch(0, d=1))
    born(lineage, arch(0, 1))
    assert born(lineage, arch(0, 0, 1)) == 1


@pytest.mark.parametrize("outcome", ["failed", "infeasible"])
def test_what_has_no_score_hands_nothing_on(outcome):
    lineage = Lineage(SPACE)
    born(lineage, arch(0), outcome)
    assert not lineage.living and born(lineage, arch(0, 1)) is None


def test_what_is_known_or_pending_is_not_born_again():
    lineage = Lineage(SPACE)
    born(lineage, arch(0))
    lineage.asked(arch(0))
    assert lineage.birth(arch(0)) is None and lineage.count == 1
    lineage.asked(arch(1))
    lineage.asked(arch(1), 1.0, arch(0))
    assert lineage.birth(arch(1)) == (2, 1, 1.0) and lineage.count == 2
    assert born(lineage, arch(0), fidelity=0.5) == 1  # a part of an estimate goes on from its own weights


def test_no_more_live_than_may_but_whom_one_that_is_pending_takes_over_from():
    lineage, rng = Lineage(SPACE, most=3), Random(0)
    lineage.asked(arch(0))
    lineage.told(arch(0), (0.0,))
    lineage.asked(arch(0, 1))  # pending all the while
    for others in (SPACE.sample(rng) for _ in range(30)):
        born(lineage, {**others, "c": 3})
        assert len(lineage.living) <= 3 and 1 in lineage.living
    lineage.told(arch(0, 1), (0.0,))
    assert len(lineage.living) <= 3


def test_its_state_goes_on_exactly():
    left, rng = Lineage(SPACE, most=4), Random(0)
    for _ in range(10):
        born(left, SPACE.sample(rng))
    left.asked(arch(3, 3, 3, 1))
    resumed = Lineage(SPACE, most=4)
    resumed.load_state_dict(json.loads(json.dumps(left.state_dict())))
    rest = [SPACE.sample(rng) for _ in range(10)]
    for lineage in (left, resumed):
        lineage.told(arch(3, 3, 3, 1), (0.0,))
    assert [born(left, a) for a in rest] == [born(resumed, a) for a in rest] and left.living == resumed.living


@pytest.mark.parametrize("name", ["evolution", "random"])
def test_a_search_takes_up_its_lineage_by_its_trials(name):
    def search():
        lineage = Lineage(SPACE, most=5)
        searcher = Followed(make_searcher(name, SPACE, budget=20), lineage)
        parents = []

        def estimate(architecture):
            parents.append(lineage.birth(architecture))
            return {"accuracy": sum(architecture.values()) / 20}

        return lineage, parents, Exploration(SPACE, searcher, estimate, 20, Objective())

    lineage, parents, whole = search()
    while whole.stopped is None:
        whole.step()
    assert [birth.number for birth in parents] == [*range(1, len(whole.trials) + 1)] and parents[0].parent is None
    for left in (3, 7, 12):
        other, later, resumed = search()
        resumed.replay([trial.line() for trial in whole.trials[:left]])
        while resumed.stopped is None:
            resumed.step()
        assert later == parents[left:] and other.living == lineage.living


def test_evolution_names_the_parent_of_each_child():
    searcher = make_searcher("evolution", SPACE, population=4, tournament=2, crossover=0.3)
    told = []
    for i in range(30):
        number, architecture, *more = searcher.ask()
        assert (len(more) == 2 and SPACE.key(more[1]) in told) if i >= 4 else not more
        told.append(SPACE.key(architecture))
        searcher.tell(number, architecture, (float(i),))
