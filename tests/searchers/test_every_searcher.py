"""What every searcher promises, whatever it does with what it is told."""

import json
import re
from itertools import islice
from random import Random

import pytest
from pytest import param

from supernet.errors import InputError
from supernet.searchers import SEARCHERS, Exhausted, make_searcher, searcher_class
from supernet.space import Choice, SearchSpace

SPACE = SearchSpace(
    [
        Choice("kind", ("conv", "skip", "pool")),
        Choice("kernel", (3, 5, 7), when=(("kind", "conv"), ("kind", "pool"))),
        Choice("inputs", ("a", "b", "c"), pick=(1, 2)),
        Choice("width", (0.5, 1.0), when=(("kernel", 5),)),
    ]
)
SETTINGS = {
    "evolution": {"population": 5, "tournament": 3, "crossover": 0.3},
    "genetic": {"population": 12, "parents": 4},
    "large-scale": {"population": 12},
    "perturbation": {"drawn": 6, "perturbed": 5, "rate": 0.3},
    "nsga2": {"population": 5},
    "pnas": {"steps": 2},
    "factorised": {"samples": 12},
    "reinforce": {"samples": 12, "hidden": 4},
    "ppo": {"samples": 12, "hidden": 4, "passes": 2},
    "tpe": {"startup": 20},
    "hurdles": {"population": 6, "between": 3},
    "renas": {"population": 5, "hidden": 4, "samples": 4},
}
ANSWERS = {  # on what of the answers it depends what a searcher asks for
    **dict.fromkeys(("random", "grid"), "nothing"),
    **dict.fromkeys(("reinforce", "ppo", "factorised", "successive-halving", "hyperband", "bananas", "pnas"), "whole batches"),
    "surrogate": "what was told before",
    **dict.fromkeys(("evolution", "renas", "hurdles", "genetic", "large-scale", "local", "perturbation", "nsga2", "tpe"), "their order"),
}


BREED = {"evolution", "genetic", "large-scale", "local", "perturbation", "nsga2", "hurdles", "renas"}  # which name whose child they ask for


def make(name, seed=0):
    return make_searcher(name, SPACE, seed, **SETTINGS.get(name, {}))


def outcome(architecture):
    """A number that looks random, sometimes bad news; always the same for the same architecture."""
    draw = Random(SPACE.key(architecture))
    return draw.choice(["infeasible", "failed", *[(draw.random(), draw.random())] * 6])


def turns(searcher, n):
    """The architectures that were asked for in ``n`` turns of ask and tell."""
    asked = []
    for _ in range(n):
        try:
            number, architecture, *_ = searcher.ask()
        except Exhausted:
            break
        asked.append(architecture)
        searcher.tell(number, architecture, outcome(architecture))
    return asked


@pytest.fixture(params=SEARCHERS)
def name(request):
    return request.param


def test_asks_only_for_architectures_of_the_space(name):
    for architecture in turns(make(name), 60):
        assert SPACE.check(architecture) == architecture


def test_same_seed_asks_the_same_and_another_seed_something_else(name):
    assert turns(make(name, 3), 30) == turns(make(name, 3), 30)
    assert name == "grid" or turns(make(name, 3), 30) != turns(make(name, 4), 30)


@pytest.mark.parametrize("before", [1, 17, *(param(turn, marks=pytest.mark.slow) for turn in (0, 4, 9, 22))])
def test_state_that_went_through_json_goes_on_exactly(name, before):
    whole, left = make(name), make(name)
    expected = turns(whole, 40)[before:]
    turns(left, before)
    state = json.loads(json.dumps(left.state_dict()))
    assert state == left.state_dict()  # which has no tuples, then
    turns(left, 5)  # the state is a copy: what happens afterwards does not change it
    resumed = make(name, seed=99)
    resumed.load_state_dict(state)
    assert turns(resumed, 40 - before) == expected


@pytest.mark.parametrize("before", [3, 21, *(param(turn, marks=pytest.mark.slow) for turn in (0, 11))])
def test_state_between_ask_and_tell_goes_on_exactly(name, before):
    whole, left = make(name), make(name)
    expected = turns(whole, 35)[before + 1 :]
    turns(left, before)
    number, architecture, *_ = left.ask()
    resumed = make(name, seed=99)
    resumed.load_state_dict(json.loads(json.dumps(left.state_dict())))
    resumed.tell(number, architecture, outcome(architecture))
    assert turns(resumed, 34 - before) == expected


def test_numbers_of_asks_differ(name):
    numbers = [number for number, *_ in pending_of(make(name), 10)]
    assert len(set(numbers)) == len(numbers) > 1


def test_takes_tells_late_out_of_order_and_of_strangers(name):
    searcher = make(name)
    asked = pending_of(searcher, 12)
    for number, architecture, *_ in reversed(asked[2:]):
        searcher.tell(number, architecture, outcome(architecture))
    for architecture in islice(SPACE.enumerate(), 5):
        searcher.tell(1000, architecture, (0.5, 0.5))
    for _, architecture, *_ in pending_of(searcher, 12):
        assert SPACE.check(architecture)


def test_what_it_asks_for_is_an_architecture_a_share_of_an_estimate_and_a_parent_that_was_told(name):
    searcher, told, named = make(name), [], []
    for _ in range(40):
        number, architecture, *more = searcher.ask()
        share, parents = more[:1], [parent for parent in more[1:] if parent is not None]
        assert not share or 0 < share[0] <= 1
        assert not parents or (len(parents) == 1 and parents[0] in told and not isinstance(outcome(parents[0]), str))
        named += parents
        told.append(architecture)
        searcher.tell(number, architecture, outcome(architecture))
    assert bool(named) == (name in BREED)


def test_where_it_has_nothing_to_ask_for_it_is_as_it_was(name):
    searcher = make(name)
    pending = pending_of(searcher, 300)
    before = searcher.state_dict()
    if len(pending) < 300:
        with pytest.raises(Exhausted):
            searcher.ask()
    assert searcher.state_dict() == before or len(pending) == 300


def told_late(searcher, rounds, at_once, order):
    """The architectures that were asked for in rounds of several asks and then their tells, in a drawn order."""
    draw, asked, pending = Random(order), [], []
    for _ in range(rounds):
        new = pending_of(searcher, at_once - len(pending))
        asked += [architecture for _, architecture, *_ in new]
        pending += new
        draw.shuffle(pending)
        for number, architecture, *_ in pending[len(pending) // 3 :]:
            searcher.tell(number, architecture, outcome(architecture))
        pending = pending[: len(pending) // 3]
    return asked


def pending_of(searcher, n):
    """What it asks for in up to ``n`` asks."""
    asked = []
    for _ in range(n):
        try:
            asked.append(searcher.ask())
        except Exhausted:
            break
    return asked


def test_several_may_be_asked_for_before_the_first_is_told(name):
    for architecture in told_late(make(name), 12, at_once=6, order=0):
        assert SPACE.check(architecture) == architecture
    assert told_late(make(name), 12, 6, order=1) == told_late(make(name), 12, 6, order=1)


@pytest.mark.parametrize("rounds", [1, 4])
def test_state_with_several_pending_goes_on_exactly(name, rounds):
    left = make(name)
    told_late(left, rounds, at_once=6, order=2)
    pending = pending_of(left, 5)
    resumed = make(name, seed=99)
    resumed.load_state_dict(json.loads(json.dumps(left.state_dict())))
    for searcher in (left, resumed):
        for number, architecture, *_ in reversed(pending):
            searcher.tell(number, architecture, outcome(architecture))
    assert turns(left, 20) == turns(resumed, 20)


def test_of_every_searcher_it_is_said_what_of_the_answers_it_depends_on():
    assert ANSWERS.keys() == SEARCHERS.keys()
    for name, depends in ANSWERS.items():
        said = re.sub(r"\s+", " ", " ".join(cls.__doc__ or "" for cls in searcher_class(name).__mro__))
        assert depends == "nothing" or "order of the tells" in said, name


@pytest.mark.parametrize("name", [name for name, depends in ANSWERS.items() if depends in ("nothing", "whole batches")])
def test_these_ask_the_same_whenever_and_in_whatever_order_they_are_told(name):
    one, other = (told_late(make(name), 12, 6, order=order) for order in (1, 5))
    both = min(len(one), len(other))
    assert one[:both] == other[:both] and both > 15


@pytest.mark.parametrize("name", [name for name, depends in ANSWERS.items() if depends != "their order"])
def test_these_ask_the_same_in_whatever_order_they_are_told_the_same(name):
    def asked(order):
        searcher, found = make(name), []
        for _ in range(4):
            pending = pending_of(searcher, 6)
            found += [architecture for _, architecture, *_ in pending]
            for number, architecture, *_ in Random(order).sample(pending, len(pending)):
                searcher.tell(number, architecture, outcome(architecture))
        return found

    assert asked(1) == asked(5)


def test_survives_nothing_but_bad_news(name):
    searcher = make(name)
    for bad in ("infeasible", "failed") * 10:
        number, architecture, *_ = searcher.ask()
        searcher.tell(number, architecture, bad)
    assert SPACE.check(searcher.ask()[1])


def test_every_name_resolves_to_a_documented_class(name):
    assert searcher_class(name).__doc__


def test_unknown_names_and_settings_suggest_the_nearest():
    with pytest.raises(InputError, match="did you mean 'evolution'"):
        make_searcher("evolutoin", SPACE)
    with pytest.raises(InputError, match=r"unknown setting of evolution 'populaton'; did you mean 'population'"):
        make_searcher("evolution", SPACE, populaton=3)
    with pytest.raises(InputError, match="grid has no settings"):
        make_searcher("grid", SPACE, population=3)
