"""RENAS: what the policy of mutations can change and how probable it says that is, and that it learns which changes pay."""

from math import exp, fsum

import pytest
import torch

from supernet.policies.controller import drawing
from supernet.policies.mutator import Mutator
from supernet.searchers.renas import Renas
from supernet.space import Choice, SearchSpace

SPACE = SearchSpace(
    [
        Choice("kind", ("conv", "skip", "pool"), search_only=("pool",)),
        Choice("kernel", (3, 5, 7), when=(("kind", "conv"),)),
        Choice("inputs", ("a", "b", "c"), pick=(1, 2)),
        Choice("free", ("x", "y"), pick=(0, 2)),
        Choice("fixed", (1,)),
    ]
)
CHAIN = SearchSpace(Choice(str(i), tuple(range(4))) for i in range(6))


def begun(space, **settings):
    mutator = Mutator(space, hidden=4, **settings)
    mutator.begin(torch.Generator().manual_seed(0))
    return mutator


@pytest.mark.parametrize("kind", ["conv", "skip"])
def test_probabilities_of_all_children_add_up_to_one_and_children_differ_in_one_choice_that_matters(kind):
    mutator, parent = begun(SPACE), {"kind": kind, "kernel": 5, "inputs": ("a", "c"), "free": ("x",), "fixed": 1}
    able = [{**parent, "kind": other} for other in ("conv", "skip") if other != kind]
    able += [{**parent, "kernel": size} for size in (3, 7)] if kind == "conv" else []
    able += [{**parent, "inputs": pair} for pair in SPACE["inputs"].takes() if pair != ("a", "c")]
    able += [{**parent, "free": taken} for taken in ((), ("x", "y"))]  # one option enters or leaves
    likely = mutator.again([(parent, child) for child in able])()
    assert likely.architectures == able and fsum(likely.log_p.exp().tolist()) == pytest.approx(1)
    assert len(set(likely.entropy.tolist())) > 1  # what it can change to is another decision for each choice
    rng, drawn = torch.Generator().manual_seed(1), {}
    for _ in range(150):
        one = mutator(parent, drawing(rng))
        drawn[SPACE.key(one.architecture)] = float(one.log_p.detach())
    assert {SPACE.key(child): pytest.approx(log_p) for child, log_p in zip(able, likely.log_p.tolist(), strict=True)} == drawn


def test_where_nothing_can_change_the_child_is_the_parent():
    space = SearchSpace([Choice("a", (1,))])
    assert begun(space)({"a": 1}, drawing(torch.Generator())).architecture == {"a": 1}
    assert begun(SearchSpace())({}, drawing(torch.Generator())).architecture == {}


def test_the_policy_learns_which_mutations_pay():
    """Of every choice the change to 0 is worth more than the two others: it becomes far likelier than by chance, 1/3."""
    searcher = Renas(CHAIN, 0, population=1, samples=6, policy_lr=0.05, hidden=4)
    parent = {str(i): 1 + i % 3 for i in range(6)}
    searcher.alive = [(0.0, parent)]
    for _ in range(150):
        number, child, *_ = searcher.ask()
        searcher.known.clear()
        searcher.tell(number, child, (float(0 in child.values()),))
        searcher.alive = [(0.0, parent)]
    log_p = searcher.mutator.again([(parent, {**parent, str(i): 0}) for i in range(6)])().log_p.tolist()
    assert fsum(map(exp, log_p)) > 2 / 3


def test_a_batch_without_scores_teaches_nothing_and_known_children_are_left_to_chance():
    searcher = Renas(CHAIN, 0, population=2, samples=3)
    for score in (0.5, 0.6):
        number, architecture, *_ = searcher.ask()
        searcher.tell(number, architecture, (score,))
    before = [parameter.clone() for parameter in searcher.mutator.parameters()]
    children = []
    for _ in range(3):
        number, child, *_ = searcher.ask()
        children.append(child)
        searcher.tell(number, child, "infeasible")
    assert all(torch.equal(a, b) for a, b in zip(before, searcher.mutator.parameters(), strict=True)) and not searcher.batch
    small = SearchSpace([Choice("a", (1, 2, 3))])
    searcher = Renas(small, 0, population=1)
    number, first, *_ = searcher.ask()
    searcher.tell(number, first, (1.0,))
    assert [small.check(searcher.ask()[1]) for _ in range(8)] and len(searcher.steps) <= 3
