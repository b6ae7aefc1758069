"""Whether a model is to be followed: it has to rank what it has not seen."""

from __future__ import annotations

import sys

from supernet.predictors import TRUSTED

FROM = 20  # scores, with which a model is judged; with fewer it is followed


def follow(who: str, followed: bool, agreement: float, scores: int) -> bool:
    """Whether a model of so many scores is followed, by its ``agreement``; a line on standard error where that is no longer as before."""
    now = scores < FROM or agreement >= TRUSTED
    if now != followed:
        then = "it is followed again" if now else "until it does better, it is not followed"
        print(f"note: the model of {who} ranks scores that it has not seen by a correlation of {agreement:.2f}: {then}", file=sys.stderr)
    return now
