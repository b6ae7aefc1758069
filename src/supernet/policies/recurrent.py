"""The policy of ENAS' recurrent space: Pham et al. 2018, section 2.1, https://arxiv.org/abs/1802.03268

By https://github.com/google-research/google-research/blob/master/enas_lm/src/controller.py: of each node first the state that it reads,
which is the less probable the farther back it lies, then its activation, scored by the words that stand for activations.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from supernet.policies.controller import Attention, Controller, Path
from supernet.space import SearchSpace


class RecurrentPolicy(Controller):
    """Decides nodes that have the choices ``1`` and ``1.f``, ``2`` and ``2.f``, ...

    Logits are divided by ``temperature`` and then kept within ``limit`` of 0.
    """

    def __init__(self, space: SearchSpace, *, hidden: int = 64, temperature: float = 5.0, limit: float = 2.25):
        super().__init__(space, hidden=hidden, spread=0.01, whole_entropy=False)
        self.temperature, self.limit = temperature, limit
        self.words, self.attention = nn.Parameter(torch.empty(len(space["1.f"].options), hidden)), Attention(hidden)

    def decide(self, path: Path) -> None:
        said = [torch.zeros_like(self.start)]  # what the LSTM said at each state; of state 0 nothing
        keys = [torch.zeros_like(self.start)]
        while (name := str(len(said))) in self.space:
            now = path.step()
            back = len(said) - torch.arange(len(said)).to(now)
            source = path.one(name, self._squashed(self.attention(keys, now).T) - back**2 / 6, as_subset=True)
            path.input = said[source] / (0.1 + len(said) - source)
            said.append(now)
            keys.append(now @ self.attention.key)
            path.input = self.words[path.one(f"{name}.f", self._squashed(path.step() @ self.words.T))][None]

    def _squashed(self, logits: Tensor) -> Tensor:
        return self.limit * (logits / self.temperature).tanh()
