"""The policy of ENAS' micro space: Pham et al. 2018, section 2.4, https://arxiv.org/abs/1802.03268

By https://github.com/melodyguan/enas/blob/master/src/cifar10/micro_controller.py: of each node first both states that it reads, then both
operations. The second cell goes on from where the first ended. Operations have a bias, which begins in favour of convolutions.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from supernet.policies.controller import Attention, Controller, Path
from supernet.space import SearchSpace

SIDES = ("x", "y")


class CellPolicy(Controller):
    """Decides cells whose nodes have the choices ``normal.2.x``, ``normal.2.y``, ``normal.2.x.op`` and ``normal.2.y.op``.

    Logits are kept within ``limit`` of 0, those of operations within ``limit / reduced``.
    """

    def __init__(self, space: SearchSpace, *, hidden: int = 64, limit: float = 1.1, reduced: float = 2.5):
        super().__init__(space, hidden=hidden)
        self.limit, self.reduced = limit, reduced
        operations = len(next(choice.options for name, choice in space.items() if name.endswith(".op")))
        self.words = nn.Parameter(torch.empty(operations, hidden))
        self.scores, self.bias = nn.Parameter(torch.empty(hidden, operations)), nn.Parameter(torch.empty(1, operations))
        self.attention = Attention(hidden)
        self.leaning = torch.tensor([[0.25, 0.25, *[-0.25] * (operations - 2)]])  # of the first cell, not learnt

    def begin(self, rng: Generator) -> None:
        super().begin(rng)
        with torch.no_grad():
            self.bias.zero_()[:, :2] = 10.0

    def decide(self, path: Path) -> None:
        self._cell(path, "normal", self.leaning.to(self.start))
        self._cell(path, "reduce", torch.zeros_like(self.bias))

    def _cell(self, path: Path, kind: str, leaning: Tensor) -> None:
        anchors: list[Tensor] = []  # what is read where a state is taken
        keys: list[Tensor] = []

        def settle(anchor: Tensor) -> None:
            anchors.append(anchor)
            keys.append(path.said @ self.attention.key)

        path.input = self.start
        for _ in range(2):
            path.step()
            settle(torch.zeros_like(self.start))
        while f"{kind}.{len(keys)}.x" in self.space:
            names = [f"{kind}.{len(keys)}.{side}" for side in SIDES]
            for name in names:
                logits = self.attention(keys, path.step()).T
                path.input = anchors[path.one(name, self.limit * logits.tanh(), as_subset=True)]
            for name in names:
                logits = self.limit / self.reduced * (path.step() @ self.scores + self.bias).tanh() + leaning
                path.input = self.words[path.one(f"{name}.op", logits)][None]
            settle(path.step())
            path.input = self.start
