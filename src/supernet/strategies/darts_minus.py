"""DARTS-: Chu et al., ICLR 2021, https://arxiv.org/abs/2009.01027; https://github.com/Meituan-AutoML/DARTS-

A skip-connection that has no alpha stands beside every edge, so that the one that has is judged as an operation alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from supernet import relaxations
from supernet.data.streams import Data
from supernet.errors import InputError
from supernet.layers.auxiliary_skip import AuxiliarySkip
from supernet.layers.base import Supernet
from supernet.settings.quantities import Amount
from supernet.strategies.gradient import Gradient
from supernet.task import Task


class DARTSMinus(Gradient):
    """Softmax blends beside auxiliary skip-connections, whose strength falls linearly from ``strength`` to 0.

    Raises ``InputError`` for a supernet without them.
    """

    needs: ClassVar[Mapping[str, Any]] = {"auxiliary_skip": True}

    def __init__(self, supernet: Supernet, task: Task, *, strength: Amount = 1.0, **settings: Any):
        self.skips = [m for m in supernet.modules() if isinstance(m, AuxiliarySkip)]
        if not self.skips:
            raise InputError(
                "DARTS- needs auxiliary skip-connections: build the supernet of a space with auxiliary_skip=True, "
                "or wrap the OneOf layers of a module of your own in supernet.layers.auxiliary_skip.AuxiliarySkip"
            )
        self.strength = strength
        super().__init__(supernet, task, relaxations.softmax, **settings)
        self._set(strength)

    def move(self, done: float, of: int) -> None:
        super().move(done, of)
        self._set(self.strength * (of - done) / of)

    def finish(self, data: Data) -> None:
        """Leave the supernet as the derived network is: without auxiliary skips, also where the search ended early."""
        self._set(0.0)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._set(self.strength * (self.of - self.done) / self.of)

    def _set(self, strength: float) -> None:
        for skip in self.skips:
            skip.strength = strength
