"""PNAS: how architectures grow, what is left neutral, and when the search ends."""

from __future__ import annotations

import pytest

from supernet.costs.objective import Objective
from supernet.errors import InputError
from supernet.explore.exploration import Exploration
from supernet.searchers import Exhausted
from supernet.searchers.pnas import Pnas, neutral
from supernet.space import Choice, SearchSpace

SPACE = SearchSpace([*(Choice(str(i), ("conv", "skip", "pool")) for i in range(6)), Choice("fixed", (1,))])


def score(architecture):
    return {"score": sum((i + 1) * (architecture[str(i)] == "conv") for i in range(6))}


def batches(searcher):
    """What it asks for, batch by batch, each told when it is whole."""
    found = []
    while True:
        asked = []
        try:
            while True:
                asked.append(searcher.ask())
        except Exhausted:
            if not asked:
                return found
        for number, architecture in reversed(asked):
            searcher.tell(number, architecture, (score(architecture)["score"],))
        found.append([architecture for _, architecture in asked])


def opened(architecture):
    return {name for name in SPACE if architecture[name] != neutral(SPACE[name])}


def test_each_step_opens_the_next_choices_and_makes_the_best_of_those_before_larger():
    first, second, third = batches(Pnas(SPACE, steps=3, beam=4))
    assert [len(batch) for batch in (first, second, third)] == [4, 4, 4]
    assert all(opened(one) <= {"0", "1"} for one in first)
    assert all(opened(one) <= {"0", "1", "2", "3"} for one in second) and all(opened(one) & {"2", "3"} for one in second)
    ends = [{name: one[name] for name in ("0", "1")} for one in second]
    assert all(end in [{name: one[name] for name in ("0", "1")} for one in first] for end in ends)


def test_what_a_small_first_step_leaves_of_the_budget_goes_to_the_last():
    exploration = Exploration(SPACE, Pnas(SPACE, budget=100), lambda one: score(one), 100, Objective(("score",)))
    while exploration.stopped is None:
        exploration.step()
    assert exploration.evaluations == 100 and exploration.leader.score == (21,)
    assert opened(exploration.trials[0].architecture) <= {"0"} and exploration.searcher.beam == 20


@pytest.mark.parametrize(
    ("choice", "taken"),
    [
        (Choice("a", ("conv", "none", "skip_connect")), "skip_connect"),
        (Choice("a", ("conv", "none", "skip_connect"), search_only=("skip_connect",)), "none"),
        (Choice("a", (3, 5, 7)), 3),
        (Choice("a", ("skip", "conv"), pick=(1, 2)), ("skip",)),
    ],
)
def test_a_choice_that_is_not_open_takes_what_does_least_or_else_its_first(choice, taken):
    assert neutral(choice) == taken


def test_more_steps_than_choices_are_refused():
    with pytest.raises(InputError, match="pnas opens 6 choices, in no more steps than these, not 7"):
        Pnas(SPACE, steps=7)


def test_what_bounds_leave_of_the_budget_is_spent_by_opening_choices_again():
    space = SearchSpace(Choice(str(i), tuple(range(6))) for i in range(6))
    objective = Objective(("score",), limits={"params": 6})  # 2 % keep it
    exploration = Exploration(
        space, Pnas(space, budget=60), lambda a: {"score": sum(map(pow, a.values(), (2, 1, 1, 2, 1, 2)))}, 60, objective,
        costs=lambda a: {"params": sum(a.values())},
    )  # fmt: skip
    while exploration.stopped is None:
        exploration.step()
    assert (exploration.stopped, exploration.evaluations) == ("budget", 60)
