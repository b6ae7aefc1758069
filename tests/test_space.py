from __future__ import annotations

import json
from itertools import islice
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supernet.errors import InputError
from supernet.space import Choice, SearchSpace


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    """Small spaces: one-of and subset choices, some under one or several options of earlier ones."""
    choices: list[Choice] = []
    for i in range(draw(st.integers(1, 4))):
        options = tuple(f"o{k}" for k in range(draw(st.integers(1, 3))))
        pick = None
        if draw(st.booleans()):
            high = draw(st.integers(1, len(options)))
            pick = (draw(st.integers(0, high)), high)
        earlier = [(c.name, o) for c in choices for o in c.options]
        when = tuple(draw(st.lists(st.sampled_from(earlier), max_size=2, unique=True))) if earlier else ()
        only = options[:1] if pick is None and len(options) > 1 and draw(st.booleans()) else ()
        choices.append(Choice(f"c{i}", options, pick, when, only))
    return SearchSpace(choices)


@given(spaces())
@settings(max_examples=150, deadline=None)
def test_enumerate_gives_every_key_once_and_size_counts_them(space: SearchSpace) -> None:
    keys = [space.key(arch) for arch in space.enumerate()]
    assert len(set(keys)) == len(keys) == space.size()


@given(spaces(), st.integers(0, 5))
@settings(max_examples=150, deadline=None)
def test_samples_and_their_changes_are_legal_and_survive_json(space: SearchSpace, seed: int) -> None:
    rng = Random(seed)
    arch = space.sample(rng)
    for other in (
        arch,
        space.mutate(arch, rng),
        space.mutate(arch, rng, 0.5),
        space.cross(arch, space.sample(rng), rng),
        *space.neighbours(arch),
    ):
        back = space.check(json.loads(json.dumps(other)))
        assert space.key(back) == space.key(other)


@given(spaces(), st.integers(0, 5))
@settings(max_examples=100, deadline=None)
def test_choices_that_do_not_matter_do_not_change_key_or_code(space: SearchSpace, seed: int) -> None:
    rng = Random(seed)
    arch = space.sample(rng)
    other = {n: arch[n] if n in space.matters(arch) else c.draw(rng) for n, c in space.items()}
    assert space.key(arch) == space.key(other)
    assert space.encode(arch) == space.encode(other)
    assert len(space.encode(arch)) == sum(len(c.options) for c in space.values())


@given(spaces(), st.integers(0, 5))
@settings(max_examples=100, deadline=None)
def test_neighbours_differ_in_one_choice_that_matters(space: SearchSpace, seed: int) -> None:
    arch = space.sample(Random(seed))
    for other in space.neighbours(arch):
        assert sum(arch[n] != other[n] for n in space) == 1
        assert space.key(other) != space.key(arch)


def test_mutation_changes_exactly_one_choice_that_matters() -> None:
    space = SearchSpace([Choice("a", ("x", "y")), Choice("b", (1, 2, 3), when=(("a", "y"),))])
    for seed in range(20):
        arch = {"a": "x", "b": 1}
        assert space.mutate(arch, Random(seed)) == {"a": "y", "b": 1}


def test_a_choice_reached_through_any_of_several_options_matters() -> None:
    space = SearchSpace([Choice("block", (1, 2, 3), when=(("depth", 2), ("depth", 3))), Choice("depth", (1, 2, 3))])
    assert list(space) == ["depth", "block"]
    assert space.matters({"depth": 1, "block": 1}) == {"depth": 1}
    assert space.matters({"depth": 3, "block": 1}) == {"depth": 3, "block": 1}
    assert space.size() == 1 + 3 + 3


def test_search_only_options_are_never_taken() -> None:
    space = SearchSpace([Choice("edge", ("none", "conv", "pool"), search_only=("none",))])
    assert space.size() == 2
    assert {space.sample(Random(s))["edge"] for s in range(30)} == {"conv", "pool"}
    with pytest.raises(InputError, match="cannot take 'none'"):
        space.check({"edge": "none"})
    narrowed = space.narrow({"edge": ("none", "pool")})["edge"]
    assert narrowed.options == ("none", "pool") and narrowed.able == ("pool",)


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        ({"a": "x", "z": 1}, "no choice 'z'"),
        ({"a": "q"}, "'a' cannot take 'q'"),
        ({"a": "y", "s": ["u"]}, "not decided: b"),
        ({"a": "x", "s": ["v", "u"]}, "'s' cannot take"),
        ({"a": "x", "s": []}, "'s' cannot take"),
    ],
)
def test_bad_architectures_are_refused_in_one_line(arch: dict[str, object], message: str) -> None:
    space = SearchSpace([Choice("a", ("x", "y")), Choice("b", (1, 2), when=(("a", "y"),)), Choice("s", ("u", "v"), pick=(1, 2))])
    with pytest.raises(InputError, match=message) as caught:
        space.check(arch)
    assert "\n" not in str(caught.value)


def test_choices_of_one_name_must_agree_and_not_depend_in_a_circle() -> None:
    with pytest.raises(InputError, match="share the name 'a'"):
        SearchSpace([Choice("a", (1,)), Choice("a", (1, 2))])
    with pytest.raises(InputError, match="circle"):
        SearchSpace([Choice("a", (1,), when=(("b", 1),)), Choice("b", (1,), when=(("a", 1),))])


def test_size_of_a_large_space_is_counted_without_enumerating() -> None:
    choices = [Choice("depth", tuple(range(1, 21)))]
    choices += [Choice(f"k{i}", (3, 5, 7), when=tuple(("depth", d) for d in range(i + 1, 21))) for i in range(20)]
    assert SearchSpace(choices).size() == sum(3**d for d in range(1, 21))


def test_a_space_of_a_thousand_choices_that_wait_for_each_other_is_ordered_enumerated_and_read() -> None:
    names = [f"c{i}" for i in range(1000)]
    choices = [Choice(n, ("a", "b"), when=((before, "b"),) if before else ()) for n, before in zip(names, ["", *names], strict=False)]
    space = SearchSpace(reversed(choices))
    assert list(space) == names and space.size() == 1001
    first, second = islice(space.enumerate(), 2)
    assert set(first.values()) == {"a"} and space.matters(second) == {"c0": "b", "c1": "a"}
    assert len(space.matters(space.check(dict.fromkeys(names, "b")))) == 1000
