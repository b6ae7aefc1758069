"""An LSTM that decides choice by choice: Pham et al. 2018 (ENAS), section 2, https://arxiv.org/abs/1802.03268

Sizes, first weights and the order of decisions are those of https://github.com/melodyguan/enas and
https://github.com/google-research/google-research/tree/master/enas_lm; a space of one's own is decided by ``policies.anything``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import torch
from torch import Generator, Tensor, nn

from supernet.space import Architecture, SearchSpace, Taken

Chooser = Callable[[Tensor], Tensor]  # logits (n, options) -> what is taken of each row: (n,)


def drawing(rng: Generator) -> Chooser:
    """Draw by probability."""
    return lambda logits: torch.multinomial(logits.softmax(-1), 1, generator=rng)[:, 0]


def likeliest(logits: Tensor) -> Tensor:
    """Take the most probable; of equals the first."""
    return logits.argmax(-1)


class Drawn(NamedTuple):
    """What a policy decided. ``shares``: by choice, the probability of each option, given what was decided before it."""

    architecture: Architecture
    log_p: Tensor  # (), of the architecture
    entropy: Tensor  # (), without a gradient
    penalty: Tensor  # (), what the policy pays for habits that it is to leave
    shares: dict[str, list[float]]


class Attention(nn.Module):
    """Scores earlier states by what the LSTM said at each, which is their key, and says now: keys (n, hidden), (1, hidden) -> (n, 1)."""

    def __init__(self, hidden: int):
        super().__init__()
        self.key, self.query = nn.Parameter(torch.empty(hidden, hidden)), nn.Parameter(torch.empty(hidden, hidden))
        self.score = nn.Parameter(torch.empty(hidden, 1))

    def forward(self, keys: list[Tensor], said: Tensor) -> Tensor:
        return torch.tanh(torch.cat(keys) + said @ self.query) @ self.score


class Policy(nn.Module):
    """What decides by probabilities and learns by rewards. ``spread``: first weights are uniform up to that.

    ``penalised``: whether there are habits that it pays for.
    """

    penalised: ClassVar[bool] = False

    def __init__(self, space: SearchSpace, *, hidden: int = 64, spread: float = 0.1):
        super().__init__()
        self.space, self.hidden, self.spread = space, hidden, spread

    def begin(self, rng: Generator) -> None:
        """Draw the first weights."""
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-self.spread, self.spread, generator=rng)


class Controller(Policy, ABC):
    """The LSTM, which each policy has ``decide`` a path through a space with; calling it gives a ``Drawn``.

    ``whole_entropy``: of every decision, all of its options count, else what was taken alone, as in some of the official code.
    """

    def __init__(self, space: SearchSpace, *, hidden: int = 64, spread: float = 0.1, whole_entropy: bool = True):
        super().__init__(space, hidden=hidden, spread=spread)
        self.whole_entropy = whole_entropy
        self.lstm, self.start = nn.Parameter(torch.empty(2 * hidden, 4 * hidden)), nn.Parameter(torch.empty(1, hidden))

    @abstractmethod
    def decide(self, path: Path) -> None:
        """Decide every choice of the space that matters."""

    def forward(self, choose: Chooser) -> Drawn:
        path = Path(self, choose)
        self.decide(path)
        return Drawn(self.space.check(path.architecture), path.log_p, path.entropy.detach(), path.penalty, path.shares)


def read(lstm: Tensor, new: Tensor, said: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Have an LSTM of weights (2 hidden, 4 hidden) read what is new; what it says and keeps: (n, hidden) each, as all that it has."""
    into, forget, out, candidate = (torch.cat([new, said], 1) @ lstm).chunk(4, 1)
    cell = into.sigmoid() * candidate.tanh() + forget.sigmoid() * cell
    return out.sigmoid() * cell.tanh(), cell


class Path:
    """An architecture while it is decided: what is taken so far, and where the LSTM stands."""

    def __init__(self, policy: Controller, choose: Chooser):
        self.policy, self.choose = policy, choose
        self.input: Tensor = policy.start  # (1, hidden): what the LSTM reads next
        self.said = self.cell = torch.zeros_like(policy.start)
        self.log_p, self.entropy, self.penalty = (policy.start.new_zeros(()) for _ in range(3))
        self.architecture: Architecture = {}
        self.shares: dict[str, list[float]] = {}

    def step(self) -> Tensor:
        """Have the LSTM read its input; what it says: (1, hidden)."""
        self.said, self.cell = read(self.policy.lstm, self.input, self.said, self.cell)
        return self.said

    def taken(self, logits: Tensor) -> Tensor:
        """What is taken of each row of ``logits`` (n, options): (n,); its probability and the entropy are noted."""
        chosen = self.choose(logits.detach())
        each = logits.log_softmax(-1)
        own = each.gather(1, chosen[:, None])
        held = each if self.policy.whole_entropy else own
        self.log_p, self.entropy = self.log_p + own.sum(), self.entropy - (held * held.exp()).sum()
        return chosen

    def one(self, name: str, logits: Tensor, as_subset: bool = False) -> int:
        """Decide a choice that takes one option, by ``logits`` (1, options); its index. ``as_subset``: it is written as a subset of one."""
        index = int(self.taken(logits))
        option = self.policy.space[name].options[index]
        self.note(name, (option,) if as_subset else option, logits.softmax(-1)[0])
        return index

    def note(self, name: str, taken: Taken, shares: Tensor) -> None:
        """Write down what a choice takes."""
        self.architecture[name], self.shares[name] = taken, shares.tolist()
