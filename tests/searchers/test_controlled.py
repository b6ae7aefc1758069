from functools import partial

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


def test_deciding_again_gives_the_same_architecture_and_its_probability():
    policy, made = learner(Reinforce)
    for _ in range(5):
        drawn = policy(drawing(made.rng))
        again = policy.again(drawn.architecture)
        assert again.architecture == drawn.architecture and torch.equal(again.log_p, drawn.log_p)


def test_learning_from_what_was_drawn_moves_the_policy_as_a_step_does():
    (one, stepping), (other, told) = learner(Reinforce), learner(Reinforce)
    for _ in range(3):
        drawn = [told.draw() for _ in range(5)]
        told.learn([(partial(other.again, architecture), float(len(architecture["any"]))) for architecture in drawn])
        stepping.step(lambda architecture: float(len(architecture["any"])))
    assert all(map(torch.equal, weights(one), weights(other)))


def test_one_pass_of_ppo_is_reinforce_and_a_further_one_stops_where_the_ratio_leaves_the_clip():
    (one, plain), (other, single), (third, many) = learner(Reinforce), learner(PPO, passes=1, clip=0.2), learner(PPO, passes=40, clip=0.2)
    architecture = plain.draw()
    before = one.again(architecture).log_p.detach()
    for policy, made in ((one, plain), (other, single), (third, many)):
        made.learn([(partial(policy.again, architecture), 1.0)])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(weights(one), weights(other), strict=True))
    ratio = float((third.again(architecture).log_p.detach() - before).exp())
    assert 1.2 <= ratio < 3 and float((one.again(architecture).log_p.detach() - before).exp()) < ratio


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
