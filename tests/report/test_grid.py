from random import Random

import numpy as np
from sklearn.isotonic import IsotonicRegression

from supernet.report.grid import Grid, spaced, untangle


def test_spaced_is_isotonic_regression_after_the_gaps_are_taken_out():
    rng = Random(0)
    for n in range(1, 12):
        wanted, weights = [rng.uniform(-50, 50) for _ in range(n)], [rng.uniform(0.1, 5) for _ in range(n)]
        gaps = [rng.uniform(1, 20) for _ in range(n - 1)]
        shifts = np.concatenate([[0.0], np.cumsum(gaps)])
        plain = IsotonicRegression().fit_transform(np.arange(n), np.array(wanted) - shifts, sample_weight=weights) + shifts
        assert np.allclose(spaced(wanted, weights, gaps), plain, atol=1e-6)


def test_untangle_counts_the_crossings_it_leaves():
    grid = Grid([[], []])
    left, right = ([grid.add(c, "node", 10, 10) for _ in range(3)] for c in (0, 1))
    for a in left:
        for b in right:
            grid.join(a, b)
    assert untangle(grid, [list(c) for c in grid.columns])[0] == 9  # the complete graph K3,3 in two columns
    matching = Grid([[], []])
    left, right = ([matching.add(c, "node", 10, 10) for _ in range(5)] for c in (0, 1))
    for a, b in zip(left, reversed(right), strict=True):
        matching.join(a, b)
    crossings, order = untangle(matching, [list(c) for c in matching.columns])
    assert crossings == 0
    assert [matching.right(a)[0] for a in order[0]] == order[1]
