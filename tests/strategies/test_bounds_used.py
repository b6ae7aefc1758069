"""What is derived under a bound keeps it, gives up little for it, and uses the room that it leaves."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from supernet import InputError, OneOf, Supernet, Task
from supernet.space import Architecture, Choice, SearchSpace
from supernet.strategies.darts import DARTS
from supernet.strategies.rules import strongest, within

CHAIN = SearchSpace([Choice(f"layer{i}", ("small", "middle", "large")) for i in range(4)])
COSTS = {"small": 1.0, "middle": 2.0, "large": 4.0}


def excess(bound: float) -> Any:
    return lambda arch: sum(COSTS[arch[name]] for name in CHAIN) / bound - 1


def test_a_shallower_network_is_not_believed_in_more_for_its_fewer_choices() -> None:
    """The last layer is believed in; a nearly as good option elsewhere saves as much as its loss would."""
    layers = [Choice(f"layer{i}", ("small", "middle", "large"), when=((("depth", 2),) if i else ())) for i in range(2)]
    space = SearchSpace([Choice("depth", (1, 2)), *layers])
    belief = {"depth": [0.3, 0.7], "layer0": [0.3, 0.3, 0.4], "layer1": [0.3, 0.3, 0.4]}

    def over(arch: Architecture) -> float:
        return sum(COSTS[arch[f"layer{i}"]] for i in range(arch["depth"])) / 6 - 1  # type: ignore[arg-type, index]

    assert over(strongest(space, belief)) > 0
    found = within(space, belief, over)
    assert found["depth"] == 2 and over(found) <= 0


def test_room_is_used_as_far_as_belief_allows() -> None:
    belief = {"layer0": [0.4, 0.35, 0.25], "layer1": [0.9, 0.06, 0.04], "layer2": [0.5, 0.1, 0.4], "layer3": [0.1, 0.2, 0.7]}
    taken = {fill: within(CHAIN, belief, excess(12), strongest, fill) for fill in (1.0, 0.3, 0.0)}
    assert taken[1.0] == strongest(CHAIN, belief) == {"layer0": "small", "layer1": "small", "layer2": "small", "layer3": "large"}
    assert taken[0.3] == {"layer0": "middle", "layer1": "small", "layer2": "large", "layer3": "large"}  # 11: layer1 is sure of itself
    assert taken[0.0] == taken[0.3] | {"layer1": "middle"}


def test_a_change_that_a_later_one_made_needless_is_taken_back() -> None:
    """The first change saves most for what it gives up and is not enough; the second would have been enough by itself."""
    space = SearchSpace([Choice("a", ("cheap", "dear")), Choice("b", ("cheap", "dear"))])
    costs = {"a": {"cheap": 0.0, "dear": 2.0}, "b": {"cheap": 0.0, "dear": 5.0}}
    belief = {"a": [0.49, 0.51], "b": [0.1, 0.9]}
    found = within(space, belief, lambda arch: sum(costs[n][arch[n]] for n in space) / 4 - 1)  # type: ignore[index]
    assert found == {"a": "dear", "b": "cheap"}


@given(seed=st.integers(0, 10**6), bound=st.floats(4, 17), fill=st.sampled_from([1.0, 0.5, 0.0]))
@settings(max_examples=60, deadline=None)
def test_any_belief_and_bound(seed: int, bound: float, fill: float) -> None:
    rng = Random(seed)
    belief = {name: torch.tensor([rng.gauss(0, 1) for _ in range(3)]).softmax(-1).tolist() for name in CHAIN}
    first, found = strongest(CHAIN, belief), within(CHAIN, belief, excess(bound), strongest, fill)
    assert excess(bound)(found) <= 0
    share = {name: dict(zip(CHAIN[name].options, belief[name], strict=True)) for name in CHAIN}
    if excess(bound)(first) <= 0:
        assert all(share[n][found[n]] >= fill * share[n][first[n]] for n in CHAIN)  # type: ignore[index]
        assert excess(bound)(found) >= excess(bound)(first)
    for name in CHAIN:  # nothing that costs more and is allowed still fits
        for option in CHAIN[name].options:
            other = {**found, name: option}
            dearer = excess(bound)(found) < excess(bound)(other) <= 0
            assert not (dearer and share[name][option] >= fill * share[name][first[name]])  # type: ignore[index]


def test_how_far_it_goes_is_refused_where_there_is_no_bound() -> None:
    net = Supernet(OneOf({"one": nn.Linear(3, 2), "two": nn.Linear(3, 2)}))
    batches = [(torch.randn(4, 3), torch.randint(2, (4,)))]
    task = Task(batches, batches, loss=F.cross_entropy)
    with pytest.raises(InputError, match="fill would have no effect: it is of the room that a bound leaves, and there is none"):
        DARTS(net, task, fill=0.5)
    assert DARTS(net, task, fill=0.5, within=lambda arch: -1.0).fill == 0.5
