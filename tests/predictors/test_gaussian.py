"""The Gaussian process against a plain one, its doubts, and which points it keeps."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from supernet.predictors.encoding import rank_correlation
from supernet.predictors.gaussian import GaussianProcess, kernel, spread
from supernet.predictors.options import Options
from supernet.space import Choice, SearchSpace

SPACE = SearchSpace(Choice(str(i), ("a", "b", "c")) for i in range(6))


def data(count, seed=0):
    draw, options = Random(seed), Options(SPACE)
    architectures = [SPACE.sample(draw) for _ in range(count)]
    scores = np.array([float(sum((a[str(i)] == "a") * (5 - i) for i in range(3))) for a in architectures])
    return options, options.rows(architectures), (scores - scores.mean()) / scores.std()


def test_means_and_deviations_are_those_of_a_plain_implementation():
    options, rows, scores = data(40)
    model = GaussianProcess(options)
    model.fit(rows[:30], scores[:30])
    means, deviations = model.predict(rows[30:])
    known, new = rows[:30] * model.scale, rows[30:] * model.scale
    inverse = np.linalg.inv(kernel(known @ known.T, *model.shape) + model.noise * np.eye(30))
    across = kernel(new @ known.T, *model.shape)
    assert means == pytest.approx(across @ inverse @ scores[:30], abs=1e-8)
    assert deviations**2 == pytest.approx(scores[:30] @ inverse @ scores[:30] / 30 * (1 - (across @ inverse * across).sum(1)), abs=1e-8)


def test_ranks_what_it_has_not_seen_and_says_how_well():
    options, rows, scores = data(120)
    model = GaussianProcess(options)
    model.fit(rows[:60], scores[:60])
    assert rank_correlation(model.predict(rows[60:])[0], scores[60:]) > 0.9
    assert model.agreement > 0.9
    model.fit(rows[:60], np.random.default_rng(0).normal(size=60))
    assert abs(model.agreement) < 0.35


def test_what_is_supposed_leaves_less_to_learn_near_it_and_the_means_as_they_were():
    options, rows, scores = data(60)
    model = GaussianProcess(options)
    model.fit(rows[:20], scores[:20])
    means, deviations = model.predict(rows[40:])
    model.suppose(rows[40:])
    again, less = model.predict(rows[40:])
    assert again == pytest.approx(means, abs=1e-6) and (less < deviations).all()


def test_of_many_points_the_best_are_kept_and_others_all_along_the_ranks():
    scores = np.random.default_rng(0).permutation(1000).astype(float)
    kept = np.sort(scores[spread(scores, 100)])[::-1]
    assert len(set(kept)) == 100 and kept[:50].tolist() == list(range(999, 949, -1)) and kept[-1] < 20
    assert spread(scores[:80], 100).tolist() == list(range(80))


def test_rank_correlation_is_spearmans():
    from scipy.stats import spearmanr

    one, other = np.random.default_rng(0).integers(0, 5, (2, 30)).astype(float)
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one, other).statistic)
    assert rank_correlation(np.ones(3), other[:3]) == 0
