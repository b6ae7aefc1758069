"""A search with several estimates pending, parts of estimates, what is forgotten, and fronts."""

import json
import math
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from functools import partial
from itertools import pairwise
from random import Random
from time import process_time

import pytest

from supernet.costs.objective import Objective
from supernet.errors import InputError, RunError
from supernet.explore.executor import Call
from supernet.explore.exploration import Exploration
from supernet.explore.loop import explore
from supernet.searchers import SEARCHERS, Exhausted, make_searcher
from supernet.space import Choice, SearchSpace

SPACE = SearchSpace([Choice("a", tuple(range(10))), Choice("b", tuple(range(10)))])
SETTINGS = {
    "evolution": {"population": 5, "tournament": 3},
    "reinforce": {"hidden": 4},
    "ppo": {"hidden": 4, "samples": 10, "passes": 2},
    "tpe": {"startup": 30},
    "hurdles": {"population": 8, "between": 4},
    "renas": {"population": 5, "hidden": 4},
}
BOUNDED = Objective(limits={"params": 7})


def product(architecture):
    return {"accuracy": architecture["a"] * architecture["b"] / 81}


def some_fail(architecture):
    return {"accuracy": math.nan if architecture["b"] == 3 else architecture["a"] * architecture["b"] / 81}


def size(architecture):
    return {"params": architecture["a"]}


class Shuffled:
    """Runs up to ``workers`` estimates at a time and finishes them in an order drawn by ``seed``."""

    def __init__(self, estimate, workers, seed):
        self.estimate, self.workers, self.rng, self.most, self.ran = estimate, workers, Random(seed), 0, []

    def submit(self, architecture, fidelity):
        self.ran.append((SPACE.key(architecture), fidelity))
        return Call(lambda: self.estimate(architecture))

    def wait(self, handles):
        self.most = max(self.most, len(handles))
        return self.rng.choice(handles)


class Threads:
    """A pool of threads."""

    workers = 3

    def __init__(self, estimate):
        self.estimate, self.pool = estimate, ThreadPoolExecutor(self.workers)

    def submit(self, architecture, fidelity):
        return self.pool.submit(self.estimate, architecture)

    def wait(self, handles):
        return next(iter(wait(handles, return_when=FIRST_COMPLETED).done))


def exploration(name, budget=40, workers=4, seed=0, estimate=some_fail):
    searcher = make_searcher(name, SPACE, 1, **SETTINGS.get(name, {}))
    executor = partial(Shuffled, workers=workers, seed=seed)
    return Exploration(SPACE, searcher, estimate, budget, BOUNDED, costs=size, patience=300, executor=executor)


def finish(search, steps=-1):
    while search.stopped is None and steps:
        search.step()
        steps -= 1
    return facts(search)


def facts(search):
    return [{**trial.line(), "measured": None} for trial in search.trials]


def written(search):
    return [json.loads(json.dumps(trial.line())) for trial in search.trials]


@pytest.mark.parametrize("name", SEARCHERS)
def test_as_many_are_pending_as_the_executor_takes_and_nothing_is_tried_twice(name):
    search = exploration(name)
    lines, ran = finish(search), search.executor.ran
    assert search.executor.most == 4 and search.pending == 0 and search.stopped
    assert len(set(ran)) == len(ran) == search.evaluations
    assert search.spent == pytest.approx(sum(fidelity for _, fidelity in ran)) and search.spent < 41  # one that began is finished
    assert [line["trial"] for line in lines] == list(range(1, len(lines) + 1))
    assert {line["outcome"] for line in lines} <= {"scored", "failed", "infeasible"} and any("asked" in line for line in lines)


@pytest.mark.parametrize("name", SEARCHERS)
@pytest.mark.parametrize("steps", [7, 60, *(pytest.param(few, marks=pytest.mark.slow) for few in (1, 23))])
def test_left_with_several_pending_it_is_asked_and_told_again_in_the_same_order(name, steps):
    whole, left = exploration(name), exploration(name)
    finish(left, steps)
    again = exploration(name, estimate=lambda a: pytest.fail("a known trial is estimated again"))
    again.replay(written(left))
    assert facts(again) == facts(left) and again.evaluations == left.evaluations
    assert again.asked <= left.asked
    # Where the executor goes on as it would have, so does all else.
    again.executor.estimate = some_fail
    again.executor.rng.setstate(left.executor.rng.getstate())
    assert finish(again) == finish(left) == finish(whole)


def test_a_search_with_several_pending_can_be_taken_up_one_at_a_time_and_again_with_several():
    lines = written(exploration("evolution"))
    for workers in (4, 1, 3, 1):
        part = exploration("evolution", workers=workers, seed=workers)
        part.replay(lines)
        finish(part, 20)
        lines = written(part)
    assert len(lines) > 40 and len({json.dumps(line["architecture"]) for line in lines}) == len(lines)


def test_lines_told_in_another_order_are_refused():
    search = exploration("evolution")
    finish(search)
    lines = written(search)
    lines[9], lines[10] = {**lines[10], "trial": 10}, {**lines[9], "trial": 11}
    with pytest.raises(InputError, match="the history is of another search"):
        exploration("evolution").replay(lines)


def test_one_at_a_time_the_lines_do_not_say_when_they_were_told():
    search = exploration("evolution", workers=1)
    assert not any("asked" in line or "fidelity" in line or "forgotten" in line for line in finish(search))


def test_a_pool_of_threads_is_an_executor():
    made = []
    found = explore(SPACE, make_searcher("grid", SPACE), product, 100, Objective(), executor=lambda e: made.append(Threads(e)) or made[0])
    made[0].pool.shutdown()
    assert len(found) == 100 and found[0].score == (1.0,) and sorted(t.number for t in found) == list(range(1, 101))


def test_an_error_of_an_estimate_elsewhere_ends_the_search():
    def estimate(architecture):
        raise KeyError("a bug")

    made = []
    with pytest.raises(KeyError, match="a bug"):
        explore(SPACE, make_searcher("grid", SPACE), estimate, 9, Objective(), executor=lambda e: made.append(Threads(e)) or made[0])
    made[0].pool.shutdown()


def test_all_who_asked_for_what_is_pending_are_told():
    class Asking:
        def __init__(self):
            self.told = []
            self.left = iter([({"a": 1, "b": 1}), ({"a": 1, "b": 1}), ({"a": 2, "b": 1})])
            self.asked = 0

        def ask(self):
            self.asked += 1
            if (architecture := next(self.left, None)) is None:
                raise Exhausted
            return self.asked, architecture

        def tell(self, number, architecture, outcome):
            self.told.append(number)

    searcher = Asking()
    found = explore(SPACE, searcher, product, 9, Objective(), executor=partial(Shuffled, workers=3, seed=0))
    assert sorted(searcher.told) == [1, 2, 3] and len(found) == 2


# Parts of estimates.


class Growing:
    """Asks for every architecture at a half, then at whole."""

    def __init__(self):
        self.left = [(i, {"a": a, "b": 1}, share) for i, (share, a) in enumerate((s, a) for s in (0.5, 1.0) for a in range(1, 5))]

    def ask(self):
        if not self.left:
            raise Exhausted
        return self.left.pop(0)

    def tell(self, number, architecture, outcome):
        pass


def upside_down(architecture, fidelity=1.0):
    return {"accuracy": architecture["a"] if fidelity == 1 else 100 - architecture["a"]}


def test_a_part_of_an_estimate_costs_its_part_and_is_beaten_by_any_whole_one():
    search = Exploration(SPACE, Growing(), upside_down, 5, Objective())
    lines = finish(search)
    assert [line.get("fidelity", 1.0) for line in lines] == [0.5] * 4 + [1.0] * 3 and search.spent == 5.0
    assert [(t.fidelity, t.score[0]) for t in search.best()] == [(1, 3), (1, 2), (1, 1), (0.5, 99), (0.5, 98), (0.5, 97), (0.5, 96)]
    assert search.leader == search.best()[0] and search.front() == [search.leader]
    again = Exploration(SPACE, Growing(), upside_down, 5, Objective())
    again.replay(written(search)[:5])
    assert finish(again) == lines


def test_where_there_are_but_some_shares_others_cost_what_these_cost_and_a_repetition_nothing():
    search = Exploration(SPACE, Growing(), upside_down, 5, Objective(), shares=(0.1, 0.4))
    assert [line.get("fidelity", 1.0) for line in finish(search)] == [0.4] * 4 + [1.0] * 4 and search.spent == pytest.approx(5.6)
    searcher = Growing()
    searcher.left = [(i, {"a": 1, "b": 1}, share) for i, share in enumerate((0.01, 0.05, 0.1, 0.3, 0.4, 0.9))]
    search = Exploration(SPACE, searcher, upside_down, 5, Objective(), shares=(0.1, 0.4))
    assert [line["fidelity"] for line in finish(search)] == [0.1, 0.4] and search.asked == 6


@pytest.mark.parametrize("budget", [30, 900])
def test_halving_spends_its_budget_where_most_of_its_rungs_cost_nothing(budget):
    space = SearchSpace([Choice(str(i), tuple(range(9))) for i in range(8)])
    searcher = make_searcher("successive-halving", space, budget=budget)
    search = Exploration(space, searcher, lambda a, _=1.0: {"accuracy": sum(a.values())}, budget, Objective(), patience=50, shares=(0.06,))
    finish(search)
    assert search.stopped == "budget" and {trial.fidelity for trial in search.trials} == {0.06, 1.0}


def test_a_function_of_the_architecture_alone_is_refused_where_parts_are_asked_for():
    calls = []
    with pytest.raises(InputError, match=r"asks for 0.5 of an estimate, and the estimate is a function of the architecture alone"):
        explore(SPACE, Growing(), lambda a: calls.append(a) or product(a), 5, Objective())
    assert not calls


def test_a_share_that_is_none_is_refused():
    searcher = Growing()
    searcher.left = [(0, {"a": 1, "b": 1}, 1.5)]
    with pytest.raises(InputError, match=r"above 0 and at most 1, not 1\.5"):
        explore(SPACE, searcher, upside_down, 5, Objective())


# What is forgotten.


def moving(weights):
    return lambda architecture: {"accuracy": (architecture["a"] + weights[0]) % 10}


class Cycling:
    """The same three, again and again."""

    def __init__(self):
        self.asked = 0

    def ask(self):
        self.asked += 1
        return self.asked, {"a": self.asked % 3, "b": 1}

    def tell(self, number, architecture, outcome):
        pass


def test_what_is_forgotten_is_estimated_again_and_no_longer_the_best():
    search = Exploration(SPACE, Cycling(), moving(weights := [0]), 50, Objective())
    for _ in range(9):
        search.step()
    assert [t.score[0] for t in search.trials] == [1, 2, 0] and search.leader.score == (2,)
    search.forget()
    weights[0] = 8
    assert search.leader is None and search.best() == search.front() == []
    for _ in range(9):
        search.step()
    assert [t.score[0] for t in search.trials] == [1, 2, 0, 9, 0, 8] and search.best()[0].score == (9,) == search.front()[0].score
    assert search.trials[3].forgotten == (9,) and search.evaluations == 6


def test_a_search_that_forgot_is_taken_up_by_its_lines():
    search = Exploration(SPACE, Cycling(), moving([0]), 50, Objective())
    for steps in (5, 7, 8):
        finish(search, steps)
        search.forget()
    finish(search, 4)
    again = Exploration(SPACE, Cycling(), moving([0]), 50, Objective())
    again.replay(written(search))
    assert facts(again) == facts(search) and again.asked <= search.asked and again.leader == search.leader
    assert finish(again, 30 - again.asked) == finish(search, 30 - search.asked)


def test_nothing_is_forgotten_while_estimates_are_running():
    search = exploration("random")
    search.step()
    with pytest.raises(InputError, match="1 estimates are running"):
        search.forget()


# Fronts, and what it takes.


def test_the_front_is_what_no_other_beats_in_all_goals():
    objective = Objective(("accuracy",), ("params",))
    search = Exploration(SPACE, make_searcher("grid", SPACE), lambda a: {"accuracy": a["b"] + a["a"] // 5}, 200, objective, costs=size)
    finish(search)
    points = [(trial.architecture["a"], trial.architecture["b"]) for trial in search.front()]
    assert points == [(0, 9), (5, 9)]


def test_where_all_fail_with_several_pending_it_says_so():
    with pytest.raises(RunError, match="all 5 architectures tried failed"):
        executor = partial(Shuffled, workers=2, seed=0)
        explore(SPACE, make_searcher("grid", SPACE), lambda a: {"accuracy": math.nan}, 5, Objective(), executor=executor)


def test_a_step_takes_as_long_after_many_trials_as_at_the_start():
    space = SearchSpace([Choice(str(i), tuple(range(8))) for i in range(8)])
    executor = partial(Shuffled, workers=8, seed=0)
    search = Exploration(
        space, make_searcher("random", space), lambda a: {"accuracy": float(sum(a.values()))}, 15_000, Objective(), executor=executor
    )
    times = [process_time()]
    for thousand in range(1, 16):
        while len(search.trials) < 1000 * thousand:
            search.step()
        times.append(process_time())
    spans = [b - a for a, b in pairwise(times)]
    assert min(spans[-3:]) < 2 * min(spans[:3])
