from math import log
from random import Random

import pytest

from supernet.errors import InputError
from supernet.searchers import Exhausted
from supernet.searchers.decisions import Decisions
from supernet.searchers.factorised import Factorised, shares
from supernet.space import Choice, SearchSpace

CHOICES = [
    Choice("kind", ("conv", "skip", "pool")),
    Choice("kernel", (3, 5), when=(("kind", "conv"),)),
    Choice("any", ("a", "b", "c"), pick=(0, 3)),
    Choice("some", ("a", "b", "c"), pick=(1, 2)),
]
SPACE = SearchSpace(CHOICES)


def told(searcher, worth, order=None):
    """A batch that is asked for whole and told in an order."""
    batch = []
    while True:
        try:
            batch.append(searcher.ask())
        except Exhausted:
            break
    for number, architecture in batch if order is None else Random(order).sample(batch, len(batch)):
        searcher.tell(number, architecture, worth(architecture))
    return [architecture for _, architecture in batch]


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.name)
def test_decisions_and_what_is_taken_are_each_others_inverse(choice):
    one = Decisions(choice)
    for taken in choice.takes():
        assert one.taken(one.decided(taken)) == taken
    assert [len(one.sizes), one.sizes[0]] == {"any": [3, 2], "some": [1, 6]}.get(choice.name, [1, choice.count()])


def test_a_batch_moves_logits_by_the_gradient_of_log_probabilities_times_ranks():
    searcher = Factorised(SPACE, 0, samples=4, policy_lr=0.5)
    searcher.logits["kind"] = [[0.3, -0.2, 0.1]]
    scores = {"conv": 1.0, "skip": 5.0, "pool": 2.0}
    before = list(searcher.logits["kind"][0])
    batch = [architecture["kind"] for architecture in told(searcher, lambda a: (scores[a["kind"]],))]
    worths = {kind: sum((scores[o] < scores[kind]) + (scores[o] <= scores[kind]) for o in batch) / 4 - 1 for kind in batch}

    def gained(logits):
        return sum(worths[kind] * log(shares(logits)[CHOICES[0].options.index(kind)]) for kind in batch) / 4

    small = 1e-6
    for option in range(3):
        further = [logit + small * (i == option) for i, logit in enumerate(before)]
        gradient = (gained(further) - gained(before)) / small
        assert searcher.logits["kind"][0][option] - before[option] == pytest.approx(0.5 * gradient, abs=1e-5)


def test_what_does_not_matter_learns_nothing():
    searcher = Factorised(SPACE, 0, samples=10)
    searcher.logits["kind"] = [[-1e3, 0.0, 0.0]]  # never a conv
    told(searcher, lambda a: (float(a["kernel"]),))
    assert searcher.logits["kernel"] == [[0.0, 0.0]] and searcher.logits["any"] != [[0.0, 0.0]] * 3


def test_what_is_beyond_the_bounds_becomes_improbable_though_nothing_else_is_known():
    searcher = Factorised(SPACE, 0)
    for _ in range(30):
        told(searcher, lambda a: "infeasible" if a["kind"] == "pool" else (1.0,))
    assert shares(searcher.logits["kind"][0])[2] < 0.02


def test_scores_of_any_unit_teach_the_same():
    one, other = Factorised(SPACE, 3), Factorised(SPACE, 3)
    for _ in range(5):
        assert told(one, lambda a: (len(str(a)) / 100,)) == told(other, lambda a: (len(str(a)) * 1000.0 - 7,))


def test_the_order_of_the_tells_changes_nothing():
    one, other = Factorised(SPACE, 3), Factorised(SPACE, 3)
    for turn in range(5):
        assert told(one, lambda a: (len(str(a)),), order=turn) == told(other, lambda a: (len(str(a)),), order=turn + 9)


def test_too_many_subsets_to_tell_apart_are_refused_and_all_of_them_are_not():
    options = tuple(range(20))
    with pytest.raises(InputError, match="wide has 184756 subsets, more than 4096"):
        Factorised(SearchSpace([Choice("wide", options, pick=(10, 10))]))
    assert Factorised(SearchSpace([Choice("wide", options, pick=(0, 20))])).ask()
