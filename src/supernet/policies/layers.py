"""The policy of ENAS' macro space: Pham et al. 2018, section 2.3, https://arxiv.org/abs/1802.03268

By https://github.com/melodyguan/enas/blob/master/src/cifar10/general_controller.py: of each layer first its operation, then which layers
before it are added. What is paid for too many skip connections compares sigmoid(q) with ``skips``, as there, though they are drawn with
the probability sigmoid(2 q).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from supernet.policies.controller import Attention, Controller, Path
from supernet.space import SearchSpace


class LayerPolicy(Controller):
    """Decides layers that have the choices ``layer.0``, ``layer.1``, ... and, from the second on, ``skip.1``, ...

    Logits are kept within ``limit`` of 0. ``skips``: the share of skip connections that is aimed at.
    """

    penalised: ClassVar[bool] = True

    def __init__(self, space: SearchSpace, *, hidden: int = 64, limit: float = 1.5, skips: float = 0.4):
        super().__init__(space, hidden=hidden, whole_entropy=False)
        self.limit, self.aim = limit, torch.tensor([1 - skips, skips])
        operations = len(space["layer.0"].options)
        self.words, self.scores = nn.Parameter(torch.empty(operations, hidden)), nn.Parameter(torch.empty(hidden, operations))
        self.attention = Attention(hidden)

    def decide(self, path: Path) -> None:
        anchors: list[Tensor] = []
        keys: list[Tensor] = []
        paid: list[Tensor] = []
        while (name := f"layer.{len(anchors)}") in self.space:
            path.input = self.words[path.one(name, self.limit * (path.step() @ self.scores).tanh())][None]
            said = path.step()
            path.input = self._skips(path, anchors, keys, paid) if anchors else self.start
            anchors.append(said)
            keys.append(said @ self.attention.key)
        if paid:
            path.penalty = torch.stack(paid).mean()

    def _skips(self, path: Path, anchors: list[Tensor], keys: list[Tensor], paid: list[Tensor]) -> Tensor:
        """Decide which of the layers before are added; what the LSTM reads of that."""
        score = self.attention(keys, path.said)
        logits = self.limit * torch.cat([-score, score], 1).tanh()  # (layers, 2)
        kept = path.taken(logits)
        path.note(f"skip.{len(anchors)}", tuple(i for i, k in enumerate(kept.tolist()) if k), logits.softmax(-1)[:, 1])
        share = logits.sigmoid()
        paid.append((share * (share / self.aim.to(share)).log()).sum())
        return (kept[None].to(logits) @ torch.cat(anchors)) / (1 + kept.sum())
