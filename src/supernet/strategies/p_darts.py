"""P-DARTS: Chen, Xie, Wu, Tian, ICCV 2019, https://arxiv.org/abs/1904.12760; https://github.com/chenxin061/pdarts

Three stages on deeper networks with fewer operations, dropout behind skip-connections, and few of them in what is derived.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from supernet import relaxations
from supernet.errors import InputError, without_effect
from supernet.layers.base import Supernet
from supernet.ops import SkipDropout
from supernet.settings.quantities import Amount, Count, CountOrNone, Part, Positive, RateOrNone
from supernet.strategies.rules import capped
from supernet.strategies.staged import Build, Staged
from supernet.task import Task

STAGES = ({"cells": 5}, {"cells": 11}, {"cells": 17})


class PDARTS(Staged):
    """``dropout``: of skip-connections, at the beginning of each stage; ``cap``: how many of them a normal cell may keep.

    Dropout falls linearly while the alphas wait (10 of a stage's 25 epochs), then begins again and falls by exp(-0.2) an epoch.
    Raises ``InputError`` for a supernet without ``SkipDropout``.
    """

    needs: ClassVar[Mapping[str, Any]] = {"stages": STAGES, "skip_dropout": True}
    recipe: ClassVar[Mapping[str, Any]] = {"lr_min": 0.0}

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        *,
        build: Build | None = None,
        stages: Sequence[dict[str, Any]] = STAGES,
        keep: Sequence[Count] = (8, 5, 3),
        dropout: Sequence[Part] = (0.0, 0.4, 0.7),
        cap: CountOrNone = 2,
        warmup: Amount = 0.4,
        alpha_lr: RateOrNone = 6e-4,
        alpha_clip: Positive | None = 5.0,
        **settings: Any,
    ):
        if len(dropout) != len(stages):
            raise InputError(f"dropout must name a probability for each of the {len(stages)} stages; got {tuple(dropout)}")
        if any(dropout) and not any(isinstance(m, SkipDropout) for m in supernet.modules()):
            raise InputError("P-DARTS drops skip-connections: build the supernet with skip_dropout=True, or put ops.SkipDropout there")
        if not all(0 <= p <= 1 for p in dropout):
            raise InputError(f"dropout is of probabilities, from 0 to 1; got {tuple(dropout)}")
        if "rule" in settings and cap != 2:
            raise without_effect("cap", "the rule is another one")
        self.dropout = tuple(dropout)
        settings = {"rule": partial(capped, cap=cap, late_ties=True), **settings}
        super().__init__(
            supernet,
            task,
            relaxations.softmax,
            build=build,
            stages=stages,
            keep=keep,
            warmup=warmup,
            alpha_lr=alpha_lr,
            alpha_clip=alpha_clip,
            **settings,
        )

    @property
    def skip_dropout(self) -> float:
        """The dropout probability behind skip-connections in this epoch."""
        begins, waits = self.dropout[self.stage], self.learning.waits(self.of)
        if self.done < waits:
            return begins * max(self.of - self.done - 1, 0.0) / self.of
        return begins * math.exp(-0.2 * (self.done - waits))

    def move(self, done: float, of: int) -> None:
        super().move(done, of)
        self._set_dropout()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._set_dropout()

    def _set_dropout(self) -> None:
        for module in self.supernet.modules():
            if isinstance(module, SkipDropout):
                module.p = self.skip_dropout
