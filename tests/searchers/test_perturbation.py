"""The search of SMASH's official code, https://github.com/ajbrock/SMASH (evaluate.py)."""

from __future__ import annotations

from random import Random

import pytest

from supernet.errors import InputError
from supernet.searchers import make_searcher
from supernet.searchers.perturbation import Perturbation
from supernet.space import Architecture, Choice, SearchSpace

SPACE = SearchSpace(Choice(f"bit.{i}", (0, 1)) for i in range(40))


def ones(architecture: Architecture) -> float:
    return float(sum(int(str(bit)) for bit in architecture.values()))


def differs(a: Architecture, b: Architecture) -> int:
    return sum(a[name] != b[name] for name in a)


def test_the_best_random_one_is_changed_first_and_then_the_best_so_far() -> None:
    searcher = Perturbation(SPACE, drawn=20, perturbed=15, rate=0.05)
    asked: list[Architecture] = []
    for _ in range(60):
        number, architecture, *_ = searcher.ask()
        asked.append(architecture)
        searcher.tell(number, architecture, (ones(architecture),))
    first = max(asked[:20], key=ones)
    assert all(1 <= differs(first, other) <= 8 for other in asked[20:35])
    for i in range(35, 60):
        assert 1 <= differs(max(asked[:i], key=ones), asked[i]) <= 8
    assert ones(max(asked, key=ones)) > ones(first)


def test_a_change_draws_each_choice_anew_at_the_rate() -> None:
    searcher = Perturbation(SPACE, drawn=1, rate=0.3)
    searcher.tell(1, start := SPACE.sample(Random(0)), (1.0,))
    changes = [differs(start, searcher.ask()[1]) for _ in range(200)]
    assert sum(changes) / 200 == pytest.approx(40 * 0.3 / 2, rel=0.1)  # a half of what is drawn anew is as before


@pytest.mark.parametrize(("budget", "counts"), [(None, (500, 100)), (700, (500, 100)), (70, (50, 10)), (1, (1, 0))])
def test_the_parts_are_those_of_the_official_code(budget: int | None, counts: tuple[int, int]) -> None:
    searcher = make_searcher("perturbation", SPACE, budget=budget)
    assert (searcher.drawn, searcher.perturbed) == counts  # type: ignore[attr-defined]


def test_what_is_beyond_the_bounds_does_not_count_and_what_failed_is_no_base() -> None:
    searcher = Perturbation(SPACE, drawn=2)
    for outcome in ("infeasible", "failed", "failed"):
        searcher.tell(0, searcher.ask()[1], outcome)  # type: ignore[arg-type]
    one = searcher.ask()[1]
    searcher.tell(0, one, (1.0,))
    assert differs(one, searcher.ask()[1]) <= 8
    with pytest.raises(InputError, match="drawn is at least 1"):
        Perturbation(SPACE, drawn=0)
