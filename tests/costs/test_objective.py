import math
from itertools import product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supernet.costs.objective import Objective, covered, dominates, hypervolume, pareto_front
from supernet.errors import InputError


def test_score_is_to_be_maximised_with_the_first_metric_in_front():
    objective = Objective(maximise=("accuracy",), minimise=("params", "macs"))
    assert objective.score({"params": 5, "accuracy": 0.9, "macs": 7.0}) == (0.9, -5.0, -7.0)
    assert Objective(maximise=(), minimise=("perplexity",)).score({"perplexity": 60.0}) == (-60.0,)


def test_limits_are_upper_bounds_that_may_be_met_exactly():
    objective = Objective(limits={"params": 1e6, "macs": 2e7})
    assert objective.feasible({"params": 1e6, "macs": 3})
    assert not objective.feasible({"params": 1e6 + 1, "macs": 3})
    assert objective.violated({"params": 1_200_000, "macs": 3e7}) == "params 1,200,000 > 1,000,000"
    assert objective.violated({"params": 3, "macs": 2.5e7}) == "macs 25,000,000 > 20,000,000"


def test_limits_are_judged_on_what_is_known_and_a_nan_breaks_them():
    objective = Objective(limits={"latency": 12.0})
    assert objective.feasible({"params": 3})
    assert not objective.feasible({"latency": math.nan})


def test_so_much_of_one_limit_is_to_be_used():
    objective = Objective(limits={"macs": 100, "params": 10}, least=0.9)
    assert objective.feasible({"macs": 95, "params": 1}) and objective.feasible({"macs": 1, "params": 9})
    assert objective.violated({"macs": 80, "params": 1}) == "macs 80 < 90% of 100"
    assert objective.violated({"macs": 101, "params": 10}) == "macs 101 > 100"
    assert objective.feasible({"accuracy": 0.5}) and Objective(limits={"macs": 100}).feasible({"macs": 0})
    assert "of which 90% are to be used" in objective.unmet([{"macs": 80, "params": 1}])


def test_a_metric_that_is_missing_is_named():
    with pytest.raises(InputError, match="needs the metric 'accuracy'; there are: loss"):
        Objective().score({"loss": 1.0})
    with pytest.raises(InputError, match="needs the metric 'latency'"):
        Objective(limits={"latency": 12.0}).score({"accuracy": 1.0})
    with pytest.raises(InputError, match="to maximise or to minimise"):
        Objective(maximise=())


def test_the_message_for_limits_that_nothing_meets_says_what_was_close():
    tried = [{"params": 1500, "latency": 3.5}, {"params": 1200, "latency": 4.0}]
    message = Objective(limits={"params": 1000, "latency": 2.25}).unmet(tried)
    assert message == "no architecture of 2 tried met params <= 1,000 and latency <= 2.25; the smallest had params 1,200, latency 3.5"


def test_pareto_front_of_a_known_set():
    points = [(0.9, -5.0), (0.8, -4.0), (0.8, -6.0), (0.95, -9.0), (0.9, -5.0), (math.nan, 0.0)]
    assert pareto_front(points) == [0, 1, 3, 4]
    assert pareto_front([]) == []


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), max_size=30))
def test_pareto_front_is_what_nothing_dominates(points):
    assert pareto_front(points) == [i for i, p in enumerate(points) if not any(dominates(q, p) for q in points)]


def test_domination_is_a_strict_order():
    points = list(product(range(3), repeat=2))
    for a, b in product(points, repeat=2):
        assert not (dominates(a, b) and dominates(b, a))
    with pytest.raises(ValueError):
        dominates((1, 2), (1, 2, 3))


def test_hypervolume_is_the_volume_of_the_union_of_boxes():
    assert hypervolume([(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)], (0.0, 0.0)) == 6.0
    assert hypervolume([(1.0, 1.0), (1.0, 1.0), (0.5, 0.5), (-1.0, 9.0)], (0.0, 0.0)) == 1.0
    assert hypervolume([], (0.0,)) == 0.0 and hypervolume([(2.0,), (3.0,)], (1.0,)) == 2.0
    draw = Random(0)
    points = [tuple(draw.randrange(1, 8) for _ in range(3)) for _ in range(12)]
    cube = product(range(8), repeat=3)
    cells = sum(any(all(x > c for x, c in zip(p, cell, strict=True)) for p in points) for cell in cube)
    assert hypervolume(points, (0, 0, 0)) == cells


def test_what_the_front_covers_is_a_share_of_what_is_between_the_worst_and_the_best():
    assert covered([(0.0, 0.0), (10.0, 0.1)]) == 1.0
    assert covered([(0.0, 0.0), (5.0, 1.0), (10.0, 0.5)]) == pytest.approx(0.75)
    assert covered([(1.0, 2.0), (1.0, 3.0)]) is None and covered([]) is None
