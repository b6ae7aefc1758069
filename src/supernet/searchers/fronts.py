"""Which of several come first where goals disagree: those that none beats in all goals, of these those with the most room around them.

Non-dominated sorting and crowding distance: Deb et al. 2002 (NSGA-II), section III, https://doi.org/10.1109/4235.996017
"""

from __future__ import annotations

import numpy as np

from supernet.predictors.encoding import Array


def by_front(goals: Array, most: int) -> list[int]:
    """The places of the best of n, the best first, all goals to be raised: (goals, n) -> ``most`` places, or n where that is less."""
    if len(goals) == 1:
        return [int(place) for place in np.argsort(-goals[0], kind="stable")[:most]]
    left, found = list(range(goals.shape[1])), list[int]()
    while left and len(found) < most:
        here = goals[:, left]
        beats = (here[:, :, None] >= here[:, None]).all(0) & (here[:, :, None] > here[:, None]).any(0)
        beaten = np.asarray(beats.any(0)).tolist()
        front = [place for place, lost in zip(left, beaten, strict=True) if not lost]
        found += [front[i] for i in np.argsort(-room(goals[:, front]), kind="stable")]
        left = [place for place, lost in zip(left, beaten, strict=True) if lost]
    return found[:most]


def room(front: Array) -> Array:
    """How far apart the neighbours of each are, as shares of each goal's range, added up; without end at the ends: (goals, n) -> (n,)."""
    found = np.zeros(front.shape[1])
    for goal in front:
        order = np.argsort(goal, kind="stable")
        apart = np.full(len(order), np.inf)
        apart[1:-1] = (goal[order[2:]] - goal[order[:-2]]) / ((goal[order[-1]] - goal[order[0]]) or 1.0)
        found[order] += apart
    return found
