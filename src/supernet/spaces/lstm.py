"""A plain LSTM language model of a given number of parameters: the baseline of recurrent searches.

Hochreiter, Schmidhuber 1997, https://doi.org/10.1162/neco.1997.9.8.1735. Embedding, decoder and dropout are those of the evaluation
network of ``spaces.recurrent``, with masks on inputs and hidden states (Gal, Ghahramani 2016, https://arxiv.org/abs/1512.05287).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from supernet.errors import InputError
from supernet.spaces.recurrent_network import FOREIGN, LanguageModel, check, keep_mask, variational

State = tuple[Tensor, Tensor]


class LSTM(nn.Module):
    """One layer: (T, B, inputs), the hidden state and the cell (B, hidden) each, or None -> (T, B, hidden), both at the end."""

    def __init__(self, inputs: int, hidden: int, input_dropout: float, hidden_dropout: float):
        super().__init__()
        self.hidden, self.input_dropout, self.hidden_dropout = hidden, input_dropout, hidden_dropout
        self.by_input, self.by_hidden = nn.Linear(inputs, 4 * hidden), nn.Linear(hidden, 4 * hidden, bias=False)

    def forward(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        zeros = inputs.new_zeros(inputs.shape[1], self.hidden)
        if state is not None and (not isinstance(state, tuple) or state[0].shape != zeros.shape):
            raise InputError(FOREIGN)
        hidden, cell = state or (zeros, zeros)
        mask = keep_mask(hidden, self.hidden_dropout) if self.training and self.hidden_dropout else None
        matrix, outputs = self.by_hidden.weight.t(), []
        for x in self.by_input(variational(inputs, self.input_dropout, self.training)):
            gates = torch.addmm(x, hidden if mask is None else hidden * mask, matrix)
            enter, forget, leave = gates[:, : 3 * self.hidden].sigmoid().chunk(3, 1)
            cell = forget * cell + enter * gates[:, 3 * self.hidden :].tanh()
            hidden = leave * cell.tanh()
            outputs.append(hidden)
        return torch.stack(outputs), (hidden, cell)

    def reset_parameters(self) -> None:
        """Uniform in +-1 / sqrt(hidden), the forget gate's bias 1 (Jozefowicz et al. 2015, section 2.2)."""
        for p in self.parameters():
            nn.init.uniform_(p, -1 / math.sqrt(self.hidden), 1 / math.sqrt(self.hidden))
        nn.init.zeros_(self.by_input.bias)
        nn.init.ones_(self.by_input.bias[self.hidden : 2 * self.hidden])


def network(
    *,
    tokens: int = 10_000,
    hidden: int = 850,
    embedding_dropout: float = 0.1,
    input_dropout: float = 0.2,
    cell_input_dropout: float = 0.75,
    hidden_dropout: float = 0.25,
    output_dropout: float = 0.75,
) -> LanguageModel:
    """The language model with an LSTM, weights tied; arguments as of ``spaces.recurrent.network``."""
    check({"hidden": hidden}, {"cell_input_dropout": cell_input_dropout, "hidden_dropout": hidden_dropout})
    cell = LSTM(hidden, hidden, cell_input_dropout, hidden_dropout)
    sizes: dict[str, Any] = {"tokens": tokens, "embedding": hidden, "hidden": hidden}
    model = LanguageModel(cell, **sizes, tied=True, embedding_dropout=embedding_dropout, dropout=(input_dropout, output_dropout))
    cell.reset_parameters()
    return model


def hidden_for(params: int, tokens: int) -> int:
    """The hidden size whose network comes nearest to ``params``: within 1 % where one unit more is less than 2 % of them.

    With n units it has ``n tokens + tokens + 8 n^2 + 4 n``. Raises ``InputError`` where even one unit is too much.
    """
    root = (math.sqrt((tokens + 4) ** 2 + 32 * max(params - tokens, 0)) - tokens - 4) / 16
    best = min((math.floor(root), math.ceil(root)), key=lambda n: abs(size(n, tokens) - params))
    if best < 1:
        raise InputError(f"an LSTM language model of {tokens} tokens cannot have as few as {params} parameters")
    return best


def size(hidden: int, tokens: int) -> int:
    """The number of parameters of ``network``."""
    return tokens * (hidden + 1) + 8 * hidden * hidden + 4 * hidden


def of_equal_size(params: int, *, tokens: int, **settings: Any) -> LanguageModel:
    """The LSTM language model with as many parameters as another model, within what whole units allow."""
    return network(tokens=tokens, hidden=hidden_for(params, tokens), **settings)
