"""Whether a model is to be followed: it has to rank what it has not seen."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from supernet.predictors import TRUSTED

FROM = 20  # scores, with which a model is judged; with fewer it is followed
MODEL = "model"  # where a searcher's state says how its model did


class Trust:
    """Of the model of ``who``: how often it was ``judged``, and how often ``doubted``; ``agreement``: when it was judged last."""

    def __init__(self, who: str) -> None:
        self.who, self.followed, self.judged, self.doubted, self.agreement = who, True, 0, 0, 0.0

    def follow(self, agreement: float, scores: int) -> bool:
        """Whether a model of so many scores is followed; a line on standard error where that is no longer as before."""
        if scores < FROM:
            return True
        now = agreement >= TRUSTED
        if now != self.followed:
            then = "it is followed again" if now else "until it does better, it is not followed"
            what = f"the model of {self.who} ranks scores that it has not seen by a correlation of {agreement:.2f}"
            print(f"note: {what}: {then}", file=sys.stderr)
        self.followed, self.judged, self.doubted, self.agreement = now, self.judged + 1, self.doubted + (not now), agreement
        return now

    def state_dict(self) -> dict[str, Any]:
        """All of it."""
        facts = {"of": self.who, "judged": self.judged, "doubted": self.doubted, "agreement": self.agreement}
        return {MODEL: {**facts, "followed": self.followed}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on as the one that gave ``state``."""
        known = state[MODEL]
        self.followed, self.judged, self.doubted, self.agreement = (known[k] for k in ("followed", "judged", "doubted", "agreement"))


def models(state: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """How the models did, by the state of a searcher and of those within it; those that were never judged are left out."""
    for name, value in state.items():
        if isinstance(value, Mapping):
            if name == MODEL and value.get("judged"):
                yield value
            yield from models(value)
