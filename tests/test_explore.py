import json
import math
from itertools import pairwise
from random import Random
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supernet.costs.objective import Objective
from supernet.errors import InputError, RunError
from supernet.explore.exploration import Exploration
from supernet.explore.loop import explore
from supernet.run import Run
from supernet.searchers import make_searcher
from supernet.space import Choice, SearchSpace
from supernet.trying import try_architectures

SPACE = SearchSpace([Choice("a", tuple(range(10))), Choice("b", tuple(range(10)))])
ACCURACY = Objective()


def product(architecture):
    return {"accuracy": architecture["a"] * architecture["b"] / 81}


def size(architecture):
    return {"params": 100 * architecture["a"] + 10}


class Asking:
    """A searcher that asks for what it is given and keeps what it is told."""

    def __init__(self, architectures):
        self.left, self.told = list(architectures), []

    def ask(self):
        return len(self.left), self.left.pop(0) if len(self.left) > 1 else self.left[0]

    def tell(self, number, architecture, outcome):
        self.told.append(outcome)


def places(*pairs):
    return [{"a": a, "b": b} for a, b in pairs]


def test_trials_come_best_first_and_equal_ones_in_the_order_tried():
    trials = explore(SPACE, Asking(places((1, 2), (9, 9), (2, 1), (3, 3))), product, 4, ACCURACY)
    assert [t.number for t in trials] == [2, 4, 1, 3]
    assert trials[0].scores == {"accuracy": 1.0} and trials[0].score == (1.0,)


def test_repeats_are_answered_from_memory_and_cost_nothing():
    asked, calls = places((1, 2), (1, 2), (3, 3), (1, 2), (4, 4)), []
    searcher = Asking(asked)
    trials = explore(SPACE, searcher, lambda a: calls.append(a) or product(a), 3, ACCURACY)
    assert calls == places((1, 2), (3, 3), (4, 4)) and len(trials) == 3
    assert searcher.told == [tuple(product(a).values()) for a in asked]


def test_architectures_that_differ_in_what_decides_nothing_are_one():
    space = SearchSpace([Choice("op", ("skip", "conv")), Choice("kernel", (3, 5), when=(("op", "conv"),))])
    asked = [{"op": "skip", "kernel": 3}, {"op": "skip", "kernel": 5}, {"op": "conv", "kernel": 3}]
    calls = []
    explore(space, Asking(asked), lambda a: calls.append(a) or {"accuracy": 1.0}, 2, ACCURACY)
    assert calls == [asked[0], asked[2]]


def test_infeasible_ones_are_told_so_and_never_estimated():
    searcher, lines, calls = Asking(places((9, 1), (2, 1), (5, 1), (1, 1))), [], []
    objective = Objective(limits={"params": 300})
    trials = explore(
        SPACE, searcher, lambda a: calls.append(a) or product(a), 2, objective, costs=size, record=lambda t: lines.append(t.line())
    )
    assert calls == places((2, 1), (1, 1)) and len(trials) == 2
    assert searcher.told == ["infeasible", (2 / 81,), "infeasible", (1 / 81,)]
    assert [line["outcome"] for line in lines] == ["infeasible", "scored", "infeasible", "scored"]
    assert lines[0]["scores"] is None and lines[0]["costs"] == {"params": 910} and list(lines[0]["measured"]) == ["seconds"]
    assert lines[1] == {
        "trial": 2,
        "architecture": {"a": 2, "b": 1},
        "scores": {"accuracy": 2 / 81},
        "outcome": "scored",
        "costs": {"params": 210},
        "measured": lines[1]["measured"],
    }


def test_limits_on_what_the_estimate_gives_are_kept_too():
    searcher = Asking(places((9, 9), (1, 1)))
    objective = Objective(limits={"latency": 3})
    trials = explore(SPACE, searcher, lambda a: {**product(a), "latency": a["b"]}, 2, objective)
    assert searcher.told == ["infeasible", (1 / 81,)] and [t.number for t in trials] == [2]


def test_an_objective_can_weigh_costs_and_scores():
    searcher = Asking(places((1, 9), (3, 3)))
    trials = explore(SPACE, searcher, product, 2, Objective(("accuracy",), ("params",)), costs=size)
    assert searcher.told == [(9 / 81, -110.0), (9 / 81, -310.0)] and trials[0].number == 1


def test_failures_are_told_counted_and_do_not_stop_the_search():
    def estimate(architecture):
        if architecture["a"] == 1:
            raise FloatingPointError("loss is not finite")
        return {"accuracy": math.nan if architecture["a"] == 2 else 0.5}

    searcher = Asking(places((1, 1), (2, 1), (1, 1), (3, 1), (4, 1)))
    trials = explore(SPACE, searcher, estimate, 3, ACCURACY)
    assert searcher.told == ["failed", "failed", "failed", (0.5,)] and len(trials) == 1


def test_any_other_error_ends_the_search():
    def estimate(architecture):
        raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        explore(SPACE, make_searcher("random", SPACE), estimate, 3, ACCURACY)


def test_limits_that_nothing_meets_end_with_what_the_smallest_had():
    grid = make_searcher("grid", SPACE)
    with pytest.raises(RunError, match=r"^no architecture of 100 tried met params <= 5; the smallest had params 10$"):
        explore(SPACE, grid, product, 3, Objective(limits={"params": 5}), costs=size)
    with pytest.raises(RunError, match="no architecture of 7 tried"):
        explore(SPACE, make_searcher("grid", SPACE), product, 3, Objective(limits={"params": 5}), costs=size, patience=7)


def test_a_search_in_which_every_estimate_fails_says_so():
    with pytest.raises(RunError, match="all 4 architectures tried failed"):
        explore(SPACE, make_searcher("random", SPACE), lambda a: {"accuracy": math.inf}, 4, ACCURACY)


def test_an_objective_that_the_estimate_does_not_give_is_refused_at_once():
    with pytest.raises(InputError, match="needs the metric 'accuracy'; there are: loss"):
        explore(SPACE, make_searcher("random", SPACE), lambda a: {"loss": 1.0}, 4, ACCURACY)


@pytest.mark.parametrize(("searcher", "budget", "reason"), [("grid", 5, "budget"), ("grid", 999, "exhausted"), ("random", 999, "patience")])
def test_says_why_it_stopped(searcher, budget, reason):
    exploration = Exploration(SPACE, make_searcher(searcher, SPACE), product, budget, ACCURACY, patience=500)
    while exploration.stopped is None:
        exploration.step()
    assert exploration.stopped == reason and exploration.evaluations == len(exploration.trials) == min(budget, 100)


def test_a_budget_below_one_is_refused():
    with pytest.raises(InputError, match="at least 1"):
        explore(SPACE, make_searcher("grid", SPACE), product, 0, ACCURACY)


def test_evolution_and_local_search_beat_random_search_on_a_smooth_problem():
    space = SearchSpace([Choice(str(i), tuple(range(6))) for i in range(8)])

    def best(name, **options):
        searchers = [make_searcher(name, space, seed, **options) for seed in range(5)]
        return sum(explore(space, s, lambda a: {"accuracy": sum(a.values())}, 150, ACCURACY)[0].score[0] for s in searchers) / 5

    assert best("evolution", population=20, tournament=5) > best("random") + 2
    assert best("local") > best("random") + 2


@pytest.mark.parametrize(
    "changed",
    [
        lambda lines: make_searcher("evolution", SPACE, 1, population=4),
        lambda lines: make_searcher("random", SPACE),
        lambda lines: lines.pop(3) and None,
        lambda lines: lines[2].update(trial=9),
        lambda lines: lines[7]["architecture"].update(a=(lines[7]["architecture"]["a"] + 1) % 10),
    ],
)
def test_lines_of_another_search_are_refused(changed):
    lines = []
    explore(SPACE, make_searcher("evolution", SPACE, population=4), product, 30, ACCURACY, record=lambda t: lines.append(t.line()))
    searcher = changed(lines) or make_searcher("evolution", SPACE, population=4)
    with pytest.raises(InputError, match="the history is of another search: trial"):
        explore(SPACE, searcher, product, 30, ACCURACY, past=lines)


def test_more_lines_than_the_budget_are_refused():
    lines = []
    explore(SPACE, make_searcher("grid", SPACE), product, 30, ACCURACY, record=lambda t: lines.append(t.line()))
    with pytest.raises(InputError, match="this one ends \\(budget\\) after 20 trials"):
        explore(SPACE, make_searcher("grid", SPACE), product, 20, ACCURACY, past=lines)


def test_a_trial_costs_the_same_however_many_there_were_before(tmp_path):
    space, spent = SearchSpace([Choice(str(i), tuple(range(6))) for i in range(8)]), []

    def estimate(architecture):
        spent.append(process_time())
        return {"accuracy": float(sum(architecture.values()))}

    with Run(tmp_path / "run", {}) as run:
        try_architectures(space, make_searcher("random", space), estimate, 6000, ACCURACY, run)
    early, late = (min(b - a for a, b in pairwise(spent[start : start + 1001 : 250])) for start in (0, 4999))
    assert late < 2 * early
    assert len(run.history()) == 6000


# Random spaces: some choices conditional, some picking subsets.


@st.composite
def spaces(draw):
    choices = []
    for i in range(draw(st.integers(1, 4))):
        options = tuple(range(draw(st.integers(1, 3))))
        low = draw(st.integers(0, len(options)))
        pick = draw(st.sampled_from([None, (low, len(options))]))
        pairs = [(c.name, o) for c in choices for o in c.options]
        when = draw(st.lists(st.sampled_from(pairs), max_size=2, unique=True)) if pairs else []
        choices.append(Choice(f"c{i}", options, pick, tuple(when)))
    return SearchSpace(choices)


class Problem:
    """Any outcome for any architecture, always the same; counts the estimates."""

    def __init__(self, space, interrupt_at=None):
        self.space, self.estimated, self.interrupt_at = space, [], interrupt_at

    def costs(self, architecture):
        return {"params": Random("costs" + self.space.key(architecture)).randrange(10)}

    def estimate(self, architecture):
        self.estimated.append(self.space.key(architecture))
        if len(self.estimated) == self.interrupt_at:
            raise KeyboardInterrupt
        draw = Random(self.space.key(architecture))
        if draw.random() < 0.1:
            raise FloatingPointError
        return {"accuracy": draw.choice([math.nan, *[draw.random()] * 9])}


def exploration(space, name, seed, budget, problem):
    options = {"population": 4, "tournament": 2} if name == "evolution" else {}
    searcher = make_searcher(name, space, seed, **options)
    return Exploration(space, searcher, problem.estimate, budget, Objective(limits={"params": 7}), costs=problem.costs, patience=40)


def finish(exploration):
    while exploration.stopped is None:
        exploration.step()
    return [{**trial.line(), "measured": None, "score": trial.score} for trial in exploration.trials]


any_search = given(
    spaces(), st.sampled_from(["random", "grid", "evolution", "local"]), st.integers(0, 9), st.integers(1, 20), st.integers(0, 30)
)


@settings(deadline=None, max_examples=80)
@any_search
def test_never_more_than_the_budget_and_nothing_twice(space, name, seed, budget, _):
    problem = Problem(space)
    search = exploration(space, name, seed, budget, problem)
    lines = finish(search)
    keys = [space.key(trial.architecture) for trial in search.trials]
    assert len(set(keys)) == len(keys) <= space.size()
    assert len(set(problem.estimated)) == len(problem.estimated) == search.evaluations <= budget
    assert problem.estimated == [key for key, line in zip(keys, lines, strict=True) if line["costs"]["params"] <= 7]
    assert [line["trial"] for line in lines] == list(range(1, len(lines) + 1))
    if name == "grid":
        assert search.evaluations == budget or len(keys) == space.size() or search.stopped == "patience"


@settings(deadline=None, max_examples=80)
@any_search
def test_left_at_any_step_and_resumed_it_makes_the_same_trials(space, name, seed, budget, steps):
    expected = finish(exploration(space, name, seed, budget, Problem(space)))
    first = exploration(space, name, seed, budget, Problem(space))
    for _ in range(steps):
        if first.stopped is None:
            first.step()
    lines, again = written(first), Problem(space)
    second = exploration(space, name, seed, budget, again)
    second.replay(lines)
    assert again.estimated == []
    assert finish(second) == expected


@settings(deadline=None, max_examples=40)
@any_search
def test_interrupted_within_an_estimate_and_resumed_it_makes_the_same_trials(space, name, seed, budget, when):
    expected = finish(exploration(space, name, seed, budget, Problem(space)))
    first = exploration(space, name, seed, budget, Problem(space, interrupt_at=when))
    try:
        finish(first)
    except KeyboardInterrupt:
        assert len(first.trials) < len(expected)
    second = exploration(space, name, seed, budget, Problem(space))
    second.replay(written(first))
    assert finish(second) == expected


def written(exploration):
    """The lines of the trials, as a file gives them back."""
    return [json.loads(json.dumps(trial.line())) for trial in exploration.trials]


def test_the_loop_goes_on_from_the_lines_of_its_trials():
    lines, whole = [], []
    expected = explore(SPACE, make_searcher("local", SPACE), product, 30, ACCURACY, record=lambda t: lines.append(t.line()))
    found = explore(SPACE, make_searcher("local", SPACE), product, 30, ACCURACY, past=lines[:12], record=whole.append)
    assert [t.number for t in whole] == list(range(13, 31))
    assert [(t.number, t.architecture, t.score) for t in found] == [(t.number, t.architecture, t.score) for t in expected]
