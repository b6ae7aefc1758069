from __future__ import annotations

from collections import Counter
from itertools import permutations

import pytest
import torch
from torch import Generator, Tensor

from supernet.relaxations import Relaxation, all_paths, among, draw, gumbel, hard_gumbel, soft_pair, two_paths

LOGITS = torch.tensor([0.5, -0.7, 0.9, 0.0])
GATED = (two_paths, all_paths)


def generator() -> Generator:
    return Generator().manual_seed(1)


def test_options_are_drawn_by_their_probability() -> None:
    rng = generator()
    counts = Counter(draw(LOGITS, rng).runs for _ in range(8000))
    assert [counts[i,] / 8000 for i in range(4)] == pytest.approx(LOGITS.softmax(0).tolist(), abs=0.02)


@pytest.mark.parametrize("relax", [soft_pair, two_paths])
def test_pairs_are_drawn_one_after_the_other_without_return(relax: Relaxation) -> None:
    p, rng, expected = LOGITS.softmax(0).tolist(), generator(), Counter[tuple[int, ...]]()
    for i, j in permutations(range(4), 2):
        expected[min(i, j), max(i, j)] += p[i] * p[j] / (1 - p[i])  # type: ignore[assignment]
    counts = Counter(relax(LOGITS, rng).runs for _ in range(8000))
    assert {pair: n / 8000 for pair, n in sorted(counts.items())} == pytest.approx(dict(sorted(expected.items())), abs=0.02)


@pytest.mark.parametrize("relax", GATED)
def test_one_gate_is_open_by_the_probability_of_its_option_among_those_that_run(relax: Relaxation) -> None:
    rng, open_by_runs = generator(), Counter[tuple[tuple[int, ...], int]]()
    for _ in range(8000):
        weights, runs, idle = relax(LOGITS, rng)
        assert weights is not None
        (on,) = set(runs) - set(idle)
        assert weights.tolist() == [float(i == on) for i in range(4)]  # to the last bit
        open_by_runs[runs, on] += 1
    runs, n = Counter({r: sum(c for (s, _), c in open_by_runs.items() if s == r) for r, _ in open_by_runs}).most_common(1)[0]
    shares = [open_by_runs[runs, i] / n for i in range(4)]
    assert shares == pytest.approx(among(LOGITS, runs).tolist(), abs=0.04)


@pytest.mark.parametrize("relax", [*GATED, soft_pair])
def test_gradients_are_those_of_the_softmax_over_what_runs(relax: Relaxation) -> None:
    logits, slope = LOGITS.clone().requires_grad_(), torch.tensor([0.3, -0.1, 0.2, 0.5])
    weights, runs, _ = relax(logits, generator())
    assert weights is not None
    (found,) = torch.autograd.grad(weights @ slope, logits)
    p = torch.zeros(4)
    p[list(runs)] = LOGITS[list(runs)].softmax(0)
    assert torch.allclose(found, p * (slope - p @ slope), atol=1e-6)


def test_a_pair_is_weighed_by_the_softmax_over_the_two() -> None:
    weights, runs, idle = soft_pair(LOGITS, generator())
    assert weights is not None and weights.sum() == pytest.approx(1.0) and idle == ()
    assert weights[list(runs)].tolist() == pytest.approx(LOGITS[list(runs)].softmax(0).tolist())


@pytest.mark.parametrize("relax", [draw, soft_pair, two_paths, all_paths])
def test_draws_come_from_the_generator_alone(relax: Relaxation) -> None:
    def rows(rng: Generator) -> list[tuple[object, ...]]:
        return [(m.runs, m.idle, None if m.weights is None else m.weights.tolist()) for m in (relax(LOGITS, rng) for _ in range(20))]

    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = rows(generator())
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert rows(generator()) == first


@pytest.mark.parametrize("relax", [draw, soft_pair, two_paths, all_paths])
@pytest.mark.parametrize("logits", [torch.zeros(1), torch.tensor([0.0, -500.0, -600.0])])
def test_a_single_option_and_one_that_has_all_the_probability_can_be_drawn(relax: Relaxation, logits: Tensor) -> None:
    mix = relax(logits, generator())
    assert 0 in mix.runs and (mix.weights is None or mix.weights.tolist() == [1.0] + [0.0] * (len(logits) - 1))


@pytest.mark.parametrize("temperature", [10.0, 1.0, 0.1])
def test_the_weight_of_a_hard_gumbel_draw_is_exactly_one_and_its_gradient_that_of_the_soft_draw(temperature: float) -> None:
    rng, slope = generator(), torch.tensor([0.3, -0.1, 0.2, 0.5])
    for _ in range(300):
        logits, soft_logits, state = LOGITS.clone().requires_grad_(), LOGITS.clone().requires_grad_(), rng.get_state()
        weights, runs, _ = hard_gumbel(logits, rng, temperature)
        assert weights is not None and weights.tolist() == [float(i in runs) for i in range(4)]  # to the last bit
        soft = gumbel(soft_logits, generator().set_state(state), temperature).weights
        assert soft is not None and runs == (int(soft.argmax()),)
        assert torch.equal(*(torch.autograd.grad(w @ slope, x)[0] for w, x in ((weights, logits), (soft, soft_logits))))
