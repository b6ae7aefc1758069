"""When the training of one architecture ends: with its last step, or where its learning curve falls behind those of others.

Golovin et al. 2017 (Google Vizier), section 3.2.2, the median stopping rule, https://doi.org/10.1145/3097983.3098043. It compares curves of
one schedule with each other and extrapolates none (as Domhan et al. 2015 do, https://www.ijcai.org/Proceedings/15/Papers/487.pdf), since a
learning rate that falls to zero lifts the end of a curve above what its beginning promises.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

from supernet.estimators.kept import append, kept_lines
from supernet.explore.executor import TRAINED
from supernet.files.lines import Lines
from supernet.files.records import KeptCurve
from supernet.metrics import Score
from supernet.searchers.state import plain
from supernet.space import Architecture

Training = Callable[..., Any]  # takes ``evaluate`` and ``enough`` as ``fit`` does
Stop = Callable[[Architecture, float, Training, Callable[[], dict[str, float]]], dict[str, float]]
FEWEST = 5  # curves whose median means something


def to_the_end(architecture: Architecture, fidelity: float, run: Training, evaluate: Callable[[], dict[str, float]]) -> dict[str, float]:
    """``run`` a training to its end; what it then scores."""
    run()
    return evaluate()


class MedianStop:
    """Ends a training after an epoch where the best that it has scored is below the median of what others had scored on average until then.

    ``judged``: the metric that is compared, after every epoch. The others are those trained before with this object, or kept in the file
    ``path``, which came as far, whether they were ended themselves or not; below 5 of them no training ends. What a training that was
    ended scores is what it had reached, with "trained", the share of it that was done.
    A training that is made again, since a process was killed, is compared with those before it alone, and ends as it did.
    Raises ``InputError`` where the file holds something else, ``RunError`` where it cannot be written.
    """

    def __init__(self, judged: Score, path: Path | None = None):
        self.judged, self.kept, self.lines = judged, Lines(path) if path else None, kept_lines(path, KeptCurve)

    def __call__(
        self, architecture: Architecture, fidelity: float, run: Training, evaluate: Callable[[], dict[str, float]]
    ) -> dict[str, float]:
        own: dict[str, Any] = json.loads(json.dumps({"architecture": plain(architecture), "fidelity": fidelity}))
        place = next((i for i, line in enumerate(self.lines) if own.items() <= line.items()), len(self.lines))
        others = [line["curve"] for line in self.lines[:place]]
        curve: list[float] = []
        reached: dict[str, float] = {}

        def after_epoch() -> dict[str, Any]:
            reached.update(evaluate())
            curve.append(self.judged.worth(reached[self.judged.name]))
            if not math.isfinite(curve[-1]):
                raise FloatingPointError(f"the {self.judged.name} of epoch {len(curve)} is not a finite number")
            return {"validation": dict(reached)}

        def enough(share: float) -> bool:
            if share < 1 and behind(curve, others):
                reached[TRAINED] = share
            return TRAINED in reached

        run(evaluate=after_epoch, enough=enough)
        if place == len(self.lines):
            self.lines.append({**own, "curve": curve})
            if self.kept:
                append(self.kept, self.lines[-1])
        return reached


def behind(curve: Sequence[float], others: Sequence[Sequence[float]]) -> bool:
    """Whether the best of a curve is below the median of the means of other curves over as many epochs, of those that came as far."""
    means = [fmean(other[: len(curve)]) for other in others if len(other) >= len(curve)]
    return len(means) >= FEWEST and max(curve) < median(means)
