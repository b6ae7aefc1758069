"""Policies: the official controllers' numbers, and that what they say of probabilities is so."""

from __future__ import annotations

import math
from random import Random

import pytest
import torch
from torch import Generator, Tensor

import oracles
from supernet.errors import InputError
from supernet.policies.anything import AnyPolicy
from supernet.policies.cells import CellPolicy
from supernet.policies.controller import Controller, drawing, likeliest
from supernet.policies.layers import LayerPolicy
from supernet.policies.recurrent import RecurrentPolicy
from supernet.space import Choice, SearchSpace
from supernet.spaces import enas_macro, enas_micro, enas_recurrent


def micro() -> SearchSpace:
    with torch.device("meta"):
        return enas_micro.supernet(cells=1, channels=2).space


def gradients(policy: Controller, log_p: Tensor) -> dict[str, float]:
    """The norm of the gradient of -log p by each parameter."""
    (-log_p).backward()
    return {name: float(p.grad.norm()) for name, p in policy.named_parameters() if p.grad is not None}


def test_the_policy_of_cells_is_the_official_controller() -> None:
    """Numbers of the official micro controller (https://github.com/melodyguan/enas), argmax in the place of draws, scattered weights."""
    policy = CellPolicy(micro())
    assert sum(p.numel() for p in policy.parameters()) == 41_733
    oracles.fill(policy)
    drawn = policy(likeliest)
    cells = ["0 0 0 1 2 0 2 1 3 0 3 1 3 0 3 1 3 0 3 1", "0 2 0 2 0 2 0 2 0 2 0 2 0 2 0 2 0 2 0 2"]
    assert enas_micro.notation(drawn.architecture) == f"enas-micro: {' | '.join(cells)}"
    assert drawn.entropy.item() == pytest.approx(58.09603, abs=1e-5) and -drawn.log_p.item() == pytest.approx(52.02973, abs=1e-5)
    official = {
        "lstm": 17.8388,
        "start": 2.42803,
        "words": 9.41115,
        "scores": 0.289188,
        "bias": 2.55967,
        "attention.key": 9.38243,
        "attention.query": 0.0918558,
        "attention.score": 1.37621,
    }
    assert gradients(policy, drawn.log_p) == pytest.approx(official, rel=1e-4)


def test_first_weights_are_small_and_lean_to_convolutions() -> None:
    policy = CellPolicy(micro())
    policy.begin(Generator().manual_seed(0))
    assert policy.bias.tolist() == [[10, 10, 0, 0, 0]]
    assert all(p.abs().max() <= 0.1 for name, p in policy.named_parameters() if name != "bias")
    counts = [sum(t == "sep_conv_3x3" for t in policy(drawing(Generator().manual_seed(i))).architecture.values()) for i in range(2)]
    assert sum(counts) / 2 > 20 / 5


def test_the_policy_of_layers_is_the_official_controller() -> None:
    """Of the official macro controller, as above; it works in single precision."""
    policy = LayerPolicy(enas_macro.supernet(channels=2).space)
    assert sum(p.numel() for p in policy.parameters()) == 41_856
    oracles.fill(policy)
    drawn = policy(likeliest)
    operations = [drawn.architecture[f"layer.{i}"] for i in range(12)]
    assert [enas_macro.OPERATIONS.index(o) for o in operations] == [3, 4, 4, 5, 3, 5, 5, 3, 5, 5, 3, 5]
    assert not any(drawn.architecture[f"skip.{i}"] for i in range(1, 12))
    assert drawn.entropy.item() == pytest.approx(20.39216, abs=1e-5) and -drawn.log_p.item() == pytest.approx(44.98219, abs=1e-5)
    assert drawn.penalty.item() == pytest.approx(0.004750954, rel=2e-5)


def test_the_policy_of_recurrent_cells_has_the_size_of_the_official_controller_and_prefers_near_states() -> None:
    """41,344 parameters, and minus a sixth of the squared distance, in enas_lm of https://github.com/google-research/google-research."""
    policy = RecurrentPolicy(SearchSpace(enas_recurrent.choices(9).values()))
    assert sum(p.numel() for p in policy.parameters()) == 41_344
    policy.begin(Generator().manual_seed(0))
    assert max(float(p.detach().abs().max()) for p in policy.parameters()) <= 0.01
    drawn = policy(drawing(Generator().manual_seed(0)))
    near = (-torch.tensor([9.0, 4.0, 1.0]) / 6).softmax(0)
    assert drawn.shares["3"] == pytest.approx(near.tolist(), abs=1e-3) and drawn.shares["3.f"] == pytest.approx([0.25] * 4, abs=1e-3)


def conditional() -> SearchSpace:
    """Subsets of any size and of a limited one, and a choice that matters in one case."""
    return SearchSpace(
        [
            Choice("a", ("p", "q", "r"), search_only=("r",)),
            Choice("b", (0, 1), pick=(0, 2)),
            Choice("c", (0, 1, 2), pick=(1, 2), when=(("a", "q"),)),
        ]
    )


def test_probabilities_of_all_architectures_sum_to_one_and_draws_follow_them() -> None:
    torch.manual_seed(0)
    space = conditional()
    policy = AnyPolicy(space, hidden=8)
    policy.begin(Generator().manual_seed(1))
    with torch.no_grad():
        policy.lstm.mul_(20)
    rng, seen, known = Generator().manual_seed(0), dict[str, int](), dict[str, float]()
    for _ in range(800):
        with torch.no_grad():
            drawn = policy(drawing(rng))
        assert space.check(drawn.architecture)
        key = space.key(drawn.architecture)
        seen[key], known[key] = seen.get(key, 0) + 1, float(drawn.log_p.exp())
    assert len(known) == space.size() == 4 + 4 * 6
    assert sum(known.values()) == pytest.approx(1, abs=1e-5)
    assert all(abs(seen[key] / 800 - p) < 4 * math.sqrt(p / 800) for key, p in known.items())


def test_a_policy_moves_to_what_is_rewarded() -> None:
    space = SearchSpace([Choice("a", ("p", "q")), Choice("b", (0, 1), pick=(0, 2))])
    target = space.check({"a": "q", "b": (1,)})
    policy, rng, baseline = AnyPolicy(space, hidden=8), Generator().manual_seed(0), 0.0
    policy.begin(rng)
    optimiser = torch.optim.Adam(policy.parameters(), 0.02)
    for _ in range(90):
        optimiser.zero_grad()
        drawn = policy(drawing(rng))
        reward = sum(drawn.architecture[name] == target[name] for name in space) / 2
        baseline += 0.1 * (reward - baseline)
        ((baseline - reward) * drawn.log_p).backward()
        optimiser.step()
    assert policy(likeliest).architecture == target


def test_too_many_subsets_are_refused() -> None:
    with pytest.raises(InputError, match="b has 184756 subsets, more than 4096"):
        AnyPolicy(SearchSpace([Choice("b", tuple(range(20)), pick=(10, 10))]))


def test_shares_are_what_a_policy_would_take_given_what_came_before() -> None:
    policy = AnyPolicy(conditional(), hidden=8)
    policy.begin(Generator().manual_seed(0))
    drawn = policy(drawing(Generator().manual_seed(Random(3).randrange(9))))
    assert sum(drawn.shares["a"]) == pytest.approx(1) and drawn.shares["a"][2] == 0
    assert all(0 < p < 1 for p in drawn.shares["b"])
