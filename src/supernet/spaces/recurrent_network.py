"""The recurrent cell of DARTS and its language model: Liu et al. 2019, sections 2.1 and A.1.2, https://arxiv.org/abs/1806.09055

Every node passes one earlier state through a highway gate: ``s + sigmoid(c) (f(h) - s)``, [c, h] = W_i s. The matrix belongs to
the node, so all its edges share it. Numbers follow https://github.com/quark0/darts/tree/master/rnn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.errors import InputError
from supernet.genotype import RecurrentGenotype

FOREIGN = "the hidden state is not one of this network: a task carries that of the network it trains, so give each network a new task"
INITIAL = 0.04  # every weight begins uniform in [-INITIAL, INITIAL]
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "identity": lambda h: h,
}


class Group(NamedTuple):
    """Edges from one state that apply the same activations, so that they are computed together."""

    targets: tuple[int, ...]  # nodes, from 1
    activations: tuple[str, ...]
    weights: Tensor | None  # (targets, activations); None: one activation, at weight one


Plan = Sequence[Sequence[Group]]  # of each state, the groups of edges that leave it


class StateNorm(nn.BatchNorm1d):
    """Affine-free batch norm of states; with ``by_batch`` their own batch's statistics are used in evaluation too.

    The average over states, steps and architectures fits none of them: without saturating activations, a state that it leaves
    too large grows from step to step. By batch is stable, but depends on the batch, which needs more than one strand.
    """

    def __init__(self, hidden: int, by_batch: bool):
        super().__init__(hidden, affine=False)
        self.by_batch = by_batch

    def forward(self, x: Tensor) -> Tensor:
        if self.by_batch and not self.training:
            return F.batch_norm(x, None, None, training=True, eps=self.eps)
        return super().forward(x)


class Recurrence(nn.Module):
    """What any cell of the space computes, given the plan of its edges: (T, B, embedding), (B, hidden) -> (T, B, hidden), (B, hidden).

    ``norms``: the norms behind the states: none; one, shared by all states; or ``nodes`` + 1.
    ``input_dropout``, ``hidden_dropout``: variational: one mask of the inputs and one of the states for all steps of a sequence.
    ``concat``: the nodes whose mean is the new hidden state.
    """

    def __init__(
        self,
        embedding: int,
        hidden: int,
        nodes: int,
        concat: Sequence[int],
        *,
        norms: Sequence[nn.Module] = (),
        input_dropout: float = 0.0,
        hidden_dropout: float = 0.0,
    ):
        super().__init__()
        dropouts = {"cell_input_dropout": input_dropout, "hidden_dropout": hidden_dropout}
        check({"hidden": hidden, "embedding": embedding, "nodes": nodes}, dropouts)
        self.embedding, self.hidden, self.nodes, self.concat = embedding, hidden, nodes, tuple(concat)
        self.input_dropout, self.hidden_dropout = input_dropout, hidden_dropout
        self.first = nn.Linear(embedding + hidden, 2 * hidden, bias=False)
        self.matrices = nn.ModuleList(nn.Linear(hidden, 2 * hidden, bias=False) for _ in range(nodes))
        self.norms = nn.ModuleList(norms)

    def forward(self, inputs: Tensor, hidden: Tensor | None, plan: Plan) -> tuple[Tensor, Tensor]:
        shape = (inputs.shape[1], self.hidden)
        if hidden is None:
            hidden = inputs.new_zeros(shape)
        elif not isinstance(hidden, Tensor) or hidden.shape != shape:
            raise InputError(FOREIGN)
        inputs = variational(inputs, self.input_dropout, self.training)
        mask = keep_mask(hidden, self.hidden_dropout) if self.training and self.hidden_dropout else None
        by_input, by_hidden = torch.split(self.first.weight, [self.embedding, self.hidden], 1)
        edges = [[(group, torch.cat(self.weights(source, group))) for group in groups] for source, groups in enumerate(plan)]
        outputs = []
        for x in F.linear(inputs, by_input):  # (B, 2 hidden): what does not wait for the hidden state is done for all steps at once
            masked = hidden if mask is None else hidden * mask
            gate, candidate = torch.addmm(x, masked, by_hidden.t()).chunk(2, 1)
            state = self._norm(0, torch.lerp(hidden, candidate.tanh(), gate.sigmoid()))
            hidden = self._nodes(state, mask, edges)
            outputs.append(hidden)
        return torch.stack(outputs), hidden

    def weights(self, source: int, group: Group) -> list[Tensor]:
        """The matrices of edges that leave ``source`` together: (2 hidden, hidden) each."""
        return [self.matrices[i - 1].weight for i in group.targets]  # type: ignore[misc]

    def _nodes(self, state: Tensor, mask: Tensor | None, edges: Sequence[Sequence[tuple[Group, Tensor]]]) -> Tensor:
        """The new hidden state from state 0: each state is sent on to all the nodes that read it, as soon as it is known."""
        sums: dict[int, Tensor] = {}
        states = []
        for j in range(self.nodes):
            masked = state if mask is None else state * mask
            for group, matrix in edges[j]:
                gate, candidate = F.linear(masked, matrix).view(state.shape[0], len(group.targets), 2, self.hidden).unbind(2)
                sent = gated(state[:, None], gate.sigmoid(), candidate, group)  # (B, targets, hidden)
                for i, term in zip(group.targets, sent.unbind(1), strict=True):
                    sums[i] = sums[i] + term if i in sums else term
            state = self._norm(j + 1, sums[j + 1] if j + 1 in sums else torch.zeros_like(state))
            states.append(state)
        return torch.stack([states[i - 1] for i in self.concat]).mean(0)

    def _norm(self, i: int, state: Tensor) -> Tensor:
        return self.norms[i % len(self.norms)](state) if self.norms else state


def gated(state: Tensor, gate: Tensor, candidate: Tensor, group: Group) -> Tensor:
    """The sum over activations f of ``weight (state + gate (f(candidate) - state))``: (B, 1, H), (B, n, H) twice -> (B, n, H)."""
    if group.weights is None:
        return torch.lerp(state.expand_as(gate), FUNCTIONS[group.activations[0]](candidate), gate)
    mixed = sum(w[:, None] * FUNCTIONS[f](candidate) for f, w in zip(group.activations, group.weights.unbind(1), strict=True))
    return torch.lerp(group.weights.sum(1)[:, None] * state, mixed, gate)  # type: ignore[arg-type]


class FixedCell(nn.Module):
    """The cell of a genotype."""

    def __init__(self, recurrence: Recurrence, genotype: RecurrentGenotype):
        super().__init__()
        self.recurrence = recurrence
        self.plan = plan_of(genotype)

    def forward(self, inputs: Tensor, hidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
        states: tuple[Tensor, Tensor] = self.recurrence(inputs, hidden, self.plan)
        return states


def plan_of(genotype: RecurrentGenotype) -> Plan:
    """The edges of a genotype by the state that they leave and by activation."""
    groups: list[dict[str, list[int]]] = [{} for _ in genotype.recurrent]
    for i, (activation, source) in enumerate(genotype.recurrent, start=1):
        groups[source].setdefault(activation, []).append(i)
    return [[Group(tuple(targets), (activation,), None) for activation, targets in found.items()] for found in groups]


class Reading(NamedTuple):
    """What a language model makes of tokens (T, B)."""

    logits: Tensor  # (T, B, vocabulary), of the token after each
    hidden: Any  # where the next tokens go on
    outputs: Tensor  # (T, B, hidden), of the cell
    dropped: Tensor  # the same after output dropout


class LanguageModel(nn.Module):
    """Embedding, recurrent cell, decoder: tokens (T, B), hidden state of the cell or None -> ``Reading``. It keeps no state of its own.

    ``tied``: the decoder has the embedding's matrix (Inan et al. 2017, https://arxiv.org/abs/1611.01462). ``bias``: of the decoder.
    ``embedding_dropout``: of whole words. ``dropout``: of the embedded inputs and of the outputs, one mask for all steps
    (Gal, Ghahramani 2016, https://arxiv.org/abs/1512.05287).
    """

    def __init__(
        self,
        cell: nn.Module,
        *,
        tokens: int,
        embedding: int,
        hidden: int,
        tied: bool,
        embedding_dropout: float,
        dropout: tuple[float, float],
        bias: bool = True,
    ):
        super().__init__()
        dropouts = {"embedding_dropout": embedding_dropout, "input_dropout": dropout[0], "output_dropout": dropout[1]}
        check({"tokens": tokens, "embedding": embedding, "hidden": hidden}, dropouts)
        if tied and embedding != hidden:
            raise InputError(f"tied weights need an embedding of the size of the hidden state: {embedding} and {hidden} differ")
        self.encoder, self.cell, self.decoder = nn.Embedding(tokens, embedding), cell, nn.Linear(hidden, tokens, bias)
        self.embedding_dropout, self.dropout = embedding_dropout, dropout
        for p in self.parameters():
            nn.init.uniform_(p, -INITIAL, INITIAL)
        if bias:
            nn.init.zeros_(self.decoder.bias)
        if tied:
            self.decoder.weight = self.encoder.weight

    def forward(self, tokens: Tensor, hidden: Any = None) -> Reading:
        words = self.encoder.weight
        if self.training and self.embedding_dropout:
            words = words * keep_mask(words[:, :1], self.embedding_dropout)
        inputs = variational(F.embedding(tokens, words), self.dropout[0], self.training)
        outputs, hidden = self.cell(inputs, hidden)
        dropped = variational(outputs, self.dropout[1], self.training)
        return Reading(self.decoder(dropped), hidden, outputs, dropped)


def check(sizes: Mapping[str, int], dropouts: Mapping[str, float]) -> None:
    """Raise ``InputError`` for a size below 1 or a dropout that is no probability below 1."""
    for name, size in sizes.items():
        if size < 1:
            raise InputError(f"{name} must be at least 1; got {size}")
    for name, p in dropouts.items():
        if not 0 <= p < 1:
            raise InputError(f"{name} must be at least 0 and below 1; got {p}")


def keep_mask(like: Tensor, p: float) -> Tensor:
    """Zero with probability ``p``, else 1 / (1 - p), in the shape of ``like``."""
    return torch.empty_like(like, requires_grad=False).bernoulli_(1 - p).div_(1 - p)


def variational(x: Tensor, p: float, training: bool) -> Tensor:
    """Dropout with one mask for all steps of (T, B, features)."""
    return x * keep_mask(x[0], p) if training and p else x


def token_macs(model: nn.Module) -> int:
    """The multiply-accumulates of a language model for one token: every matrix once, the embedding being looked up."""
    return sum(m.weight.numel() for m in model.modules() if isinstance(m, nn.Linear))
