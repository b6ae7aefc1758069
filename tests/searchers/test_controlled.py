import math

import pytest
import torch

from supernet.policies.anything import AnyPolicy
from supernet.policies.controller import drawing
from supernet.policies.ppo import PPO
from supernet.policies.reinforce import Reinforce
from supernet.searchers import Exhausted, make_searcher
from supernet.space import Choice, SearchSpace

SPACE = SearchSpace(
    [
        Choice("kind", ("conv", "skip", "pool")),
        Choice("kernel", (3, 5), when=(("kind", "conv"),)),
        Choice("any", ("a", "b", "c"), pick=(0, 3)),
        Choice("some", ("a", "b", "c"), pick=(1, 2)),
    ]
)
ADAM = {"policy_betas": (0.9, 0.999), "policy_eps": 1e-8, "samples": 5}


def batch(searcher):
    """What it asks for until it waits."""
    asked = []
    while True:
        try:
            asked.append(searcher.ask())
        except Exhausted:
            return asked


def weights(policy):
    return [parameter.detach().clone() for parameter in policy.parameters()]


def learner(kind, **settings):
    policy = AnyPolicy(SPACE, hidden=8)
    return policy, kind(policy, **ADAM, **settings)


def test_deciding_several_again_gives_each_its_architecture_probability_and_entropy():
    policy, made = learner(Reinforce)
    drawn = [policy(drawing(made.rng)) for _ in range(8)]
    again = policy.again([one.architecture for one in drawn])()
    assert again.architectures == [SPACE.matters(one.architecture) for one in drawn] and len({len(one) for one in again.architectures}) == 2
    assert torch.allclose(again.log_p, torch.stack([one.log_p for one in drawn]), atol=1e-6)
    assert torch.allclose(again.entropy, torch.stack([one.entropy for one in drawn]), atol=1e-6)


def test_several_are_drawn_by_the_probabilities_of_one():
    policy, made = learner(Reinforce)
    drawn = policy.several(4000, drawing(made.rng))
    shares = made.likeliest().shares["kind"]  # which nothing was decided before
    counts = [sum(one["kind"] == kind for one in drawn.architectures) / 4000 for kind in SPACE["kind"].options]
    assert counts == pytest.approx(shares, abs=0.03)


def test_learning_from_what_was_drawn_moves_the_policy_as_a_step_does():
    (one, stepping), (other, told) = learner(Reinforce), learner(Reinforce)
    for _ in range(3):
        drawn = [told.draw() for _ in range(5)]
        told.learn(other.again(drawn), [float(len(architecture["any"])) for architecture in drawn])
        stepping.step(lambda architecture: float(len(architecture["any"])))
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(weights(one), weights(other), strict=True))


def test_one_pass_of_ppo_is_reinforce_and_a_further_one_stops_where_the_ratio_leaves_the_clip():
    (one, plain), (other, single), (third, many) = learner(Reinforce), learner(PPO, passes=1, clip=0.2), learner(PPO, passes=40, clip=0.2)
    architecture = plain.draw()
    before = float(one.again([architecture])().log_p.detach())
    for policy, made in ((one, plain), (other, single), (third, many)):
        made.learn(policy.again([architecture]), [1.0])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(weights(one), weights(other), strict=True))
    now, far = (math.exp(float(policy.again([architecture])().log_p.detach()) - before) for policy in (one, third))
    assert 1.2 <= far < 3 and now < far


@pytest.mark.parametrize(
    ("name", "settings"), [("reinforce", {"samples": 6, "policy_lr": 0.03}), ("ppo", {"samples": 6, "policy_lr": 0.02, "passes": 2})]
)
def test_it_learns_to_draw_what_scores_high_and_keeps_within_bounds(name, settings):
    searcher = make_searcher(name, SPACE, 0, hidden=8, **settings)
    for _ in range(20):
        for number, architecture in batch(searcher):
            beyond = "b" in architecture["some"]
            searcher.tell(number, architecture, "infeasible" if beyond else (float(architecture["kind"] == "skip"),))
    shares = searcher.learner.likeliest().shares
    assert shares["kind"][1] > 0.5 and shares["some"][1] < 0.4


def test_the_order_of_the_tells_changes_nothing():
    one, other = (make_searcher("reinforce", SPACE, 0, hidden=4) for _ in range(2))
    for _ in range(3):
        asked, again = batch(one), batch(other)
        assert asked == again
        for number, architecture in asked:
            one.tell(number, architecture, (len(str(architecture)),))
        for number, architecture in reversed(again):
            other.tell(number, architecture, (len(str(architecture)),))
