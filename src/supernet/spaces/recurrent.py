"""The recurrent cell space of DARTS: Liu et al. 2019, sections 2.1 and A.1.2, https://arxiv.org/abs/1806.09055

Eight nodes, each with one earlier state and one activation (tanh, relu, sigmoid, identity; ``none`` takes part in blends only).
The supernet has an affine-free batch norm behind every state, by default one for all of them as in
https://github.com/quark0/darts/tree/master/rnn; the evaluation network has none, and dropout masks of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from supernet.errors import InputError, unknown
from supernet.genotype import ACTIVATIONS, RecurrentGenotype, says_recurrent
from supernet.layers.base import Supernet
from supernet.settings.quantities import Channels, Classes, Nodes, Share
from supernet.spaces.published import published_recurrent
from supernet.spaces.record import Build, Plans, Space, setting
from supernet.spaces.recurrent_cell import SearchCell
from supernet.spaces.recurrent_network import FixedCell, LanguageModel, Recurrence, StateNorm, check, token_macs
from supernet.spaces.recurrent_plans import notation, parse, to_architecture, to_genotype

NAME = "darts-rnn"
CITATION = "Liu, Simonyan, Yang 2019: DARTS: Differentiable Architecture Search, https://arxiv.org/abs/1806.09055"
RECIPES: dict[str, Any] = {  # of the official code, where a command's settings leave it open; by command and section
    "search": {
        "data": {"source": "shakespeare", "batch_size": 256},
        "weights": {"lr": 20.0, "lr_min": 20.0, "momentum": 0.0, "nesterov": False, "decay": 5e-7, "clip": 0.25},
        "strategy": {"alpha_lr": 3e-3, "alpha_betas": [0.9, 0.999]},
    },
    "retrain": {
        "data": {"source": "shakespeare", "batch_size": 64},
        "weights": {"lr": 20.0, "lr_min": 20.0, "momentum": 0.0, "nesterov": False, "decay": 8e-7, "clip": 0.25},
    },
}
WIKITEXT: dict[str, Any] = {"tokens": 33_278, "hidden": 700, "hidden_dropout": 0.15}  # the paper's network there


@dataclass(frozen=True, kw_only=True)
class NetworkSizes:
    """Settings of the network. ``embedding``: its size; None: ``hidden``. ``tied``: the decoder has the embedding's matrix.

    Dropouts: of whole words, of the embedded inputs, of the cell's inputs, of its states, of its outputs.
    """

    tokens: Classes = 10_000
    hidden: Channels = 850
    embedding: Channels | None = None
    tied: bool = True
    embedding_dropout: Share = 0.1
    input_dropout: Share = 0.2
    cell_input_dropout: Share = 0.75
    hidden_dropout: Share = 0.25
    output_dropout: Share = 0.75

    @property
    def inputs(self) -> int:
        """The size of an embedded word."""
        return self.hidden if self.embedding is None else self.embedding

    def model(self, cell: nn.Module, bias: bool = True) -> LanguageModel:
        """Embedding and decoder around a cell; ``bias``: of the decoder."""
        sizes: dict[str, Any] = {"tokens": self.tokens, "embedding": self.inputs, "hidden": self.hidden, "tied": self.tied}
        dropout = (self.input_dropout, self.output_dropout)
        return LanguageModel(cell, **sizes, embedding_dropout=self.embedding_dropout, dropout=dropout, bias=bias)

    def recurrence(self, nodes: int, concat: Sequence[int], norms: Sequence[nn.Module] = ()) -> Recurrence:
        """What a cell of ``nodes`` nodes computes with; ``concat``: those whose mean is the new hidden state."""
        masks = {"input_dropout": self.cell_input_dropout, "hidden_dropout": self.hidden_dropout}
        return Recurrence(self.inputs, self.hidden, nodes, concat, norms=norms, **masks)


@dataclass(frozen=True, kw_only=True)
class Sizes(NetworkSizes):
    """Settings of the supernet. ``shared_norm``: one batch norm for all states of the cell, as in the official code, or one a state.

    ``batch_statistics``: norms see their own batch in evaluation too, as architectures that are drawn one by one need (one-shot
    training); the official code takes the running averages.
    """

    hidden: Channels = 300
    nodes: Nodes = 8
    activations: Sequence[str] = ACTIVATIONS
    shared_norm: bool = True
    batch_statistics: bool = False
    embedding_dropout: Share = 0.0


def supernet(**settings: Any) -> Supernet:
    """The language model that is searched: tokens (T, B), hidden state (B, hidden) or None -> ``Reading``; ``settings``: of ``Sizes``.

    Raises ``InputError`` for sizes or activations that make no space.
    """
    sizes = Sizes(**settings)
    for activation in sizes.activations:
        if activation not in ACTIVATIONS:
            raise unknown("activation", activation, ACTIVATIONS)
    if not set(sizes.activations) - {"none"}:
        raise InputError("the space needs an activation besides none")
    check({"hidden": sizes.hidden, "nodes": sizes.nodes}, {})
    norms = [StateNorm(sizes.hidden, sizes.batch_statistics) for _ in range(1 if sizes.shared_norm else sizes.nodes + 1)]
    recurrence = sizes.recurrence(sizes.nodes, range(1, sizes.nodes + 1), norms)
    return Supernet(sizes.model(SearchCell(recurrence, sizes.activations)))


def network(genotype: RecurrentGenotype | Mapping[str, Any] | str, **settings: Any) -> LanguageModel:
    """The evaluation network of the paper, for a genotype, an architecture or the notation of one; ``settings``: of ``NetworkSizes``."""
    sizes, genotype = NetworkSizes(**settings), parse(genotype) if isinstance(genotype, str) else to_genotype(genotype)
    return sizes.model(FixedCell(sizes.recurrence(len(genotype.recurrent), genotype.concat), genotype))


def macs(model: nn.Module, settings: Mapping[str, Any]) -> int:
    """The multiply-accumulates of a network for one token."""
    return token_macs(model)


DARTS_RNN = Space(
    NAME,
    CITATION,
    tasks=("language",),
    supernet=Build(f"the supernet of {NAME}", supernet, Sizes, ("tokens", "hidden", "nodes")),
    network=Build(f"a network of {NAME}", network, NetworkSizes, ("tokens", "hidden")),
    parse=parse,
    notation=notation,
    recognises=says_recurrent,
    plans=Plans(to_genotype, to_architecture, RecurrentGenotype.ordered),
    published=published_recurrent(),
    recipes=RECIPES,
    serves={"batch_statistics": setting("batch_statistics")},
    macs=macs,
)
