"""The recurrent cell space of DARTS: Liu et al. 2019, sections 2.1 and A.1.2, https://arxiv.org/abs/1806.09055

Eight nodes, each with one earlier state and one activation (tanh, relu, sigmoid, identity; ``none`` takes part in blends only).
The supernet has an affine-free batch norm behind every state, by default one for all of them as in
https://github.com/quark0/darts/tree/master/rnn; the evaluation network has none, and dropout masks of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from supernet.errors import InputError, unknown
from supernet.genotype import ACTIVATIONS, RecurrentGenotype, says_recurrent
from supernet.layers.base import Searchable, Supernet, When
from supernet.mixture import Mix
from supernet.quantities import Channels, Classes, Nodes, Share
from supernet.space import Architecture, Option, Taken
from supernet.spaces.published import published_recurrent
from supernet.spaces.record import Build, Plans, Space, setting
from supernet.spaces.recurrent_network import FixedCell, Group, LanguageModel, Plan, Recurrence, StateNorm, check, token_macs

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


class Edge(Searchable):
    """The activation of an edge; the cell computes it."""

    def __init__(self, name: str, activations: Sequence[str]):
        super().__init__(tuple(activations), name, search_only=tuple(a for a in activations if a == "none"))

    def restrict(self, options: Sequence[Option]) -> None:
        assert self.choice
        self.choice = self.choice.narrow(options)


class Node(Searchable):
    """Which earlier state node ``i`` reads."""

    def __init__(self, i: int, activations: Sequence[str]):
        super().__init__(tuple(range(i)), str(i), pick=(1, 1))
        self.edges = nn.ModuleList(Edge(f"{i}<{j}", activations) for j in range(i))

    def under(self) -> list[tuple[nn.Module, When]]:
        assert self.choice
        return [(edge, ((self.choice.name, j),)) for j, edge in enumerate(self.edges)]


class SearchCell(Searchable):
    """The cell with all its choices open: every node is a blend of all activations of all earlier states."""

    def __init__(self, recurrence: Recurrence, activations: Sequence[str]):
        names = [name for i in range(1, recurrence.nodes + 1) for name in (str(i), *(f"{i}<{j}" for j in range(i)))]
        super().__init__((), follows=tuple(names))
        self.recurrence = recurrence
        self.nodes = nn.ModuleList(Node(i, activations) for i in range(1, recurrence.nodes + 1))

    def forward(self, inputs: Tensor, hidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
        states: tuple[Tensor, Tensor] = self.recurrence(inputs, hidden, self.plan(inputs))
        return states

    def plan(self, like: Tensor) -> Plan:
        """What runs under the present blend: edges that leave one state and run the same activations go together."""
        found: list[dict[tuple[str, ...], list[tuple[int, Tensor | None]]]] = [{} for _ in self.nodes]
        for i, node in enumerate(self.nodes, start=1):
            assert isinstance(node, Node)
            _, inputs = node.own()
            for j in inputs.runs:
                edge = node.edges[j]
                assert isinstance(edge, Edge)
                choice, mix = edge.own()
                runs = [k for k in mix.runs if choice.options[k] != "none"]
                if runs:
                    key = tuple(str(choice.options[k]) for k in runs)
                    found[j].setdefault(key, []).append((i, _weights(inputs, j, mix, runs)))
        return [[_group(activations, edges, like) for activations, edges in groups.items()] for groups in found]

    def derive(self, taken: Taken | None, *others: Taken | None) -> nn.Module:
        return FixedCell(self.recurrence, to_genotype({n: t for n, t in zip(self.follows, others, strict=True) if t is not None}))


def _weights(inputs: Mix, j: int, mix: Mix, runs: list[int]) -> Tensor | None:
    """The weights of the activations ``runs`` of one edge, times that of the edge: (activations,); None: all one."""
    if mix.weights is None:
        return None if inputs.weights is None else inputs.weights[j].expand(len(runs))
    weights = mix.weights[runs]
    return weights if inputs.weights is None else inputs.weights[j] * weights


def _group(activations: tuple[str, ...], edges: list[tuple[int, Tensor | None]], like: Tensor) -> Group:
    targets = tuple(i for i, _ in edges)
    if len(activations) == 1 and all(w is None for _, w in edges):
        return Group(targets, activations, None)
    ones = torch.ones(len(activations), dtype=like.dtype, device=like.device)
    return Group(targets, activations, torch.stack([ones if w is None else w for _, w in edges]))


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

    def model(self, cell: nn.Module) -> LanguageModel:
        """Embedding and decoder around a cell."""
        sizes: dict[str, Any] = {"tokens": self.tokens, "embedding": self.inputs, "hidden": self.hidden, "tied": self.tied}
        dropout = (self.input_dropout, self.output_dropout)
        return LanguageModel(cell, **sizes, embedding_dropout=self.embedding_dropout, dropout=dropout)

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


def parse(text: str) -> RecurrentGenotype:
    """Read the notation of DARTS."""
    return RecurrentGenotype.parse(text)


def notation(architecture: RecurrentGenotype | Mapping[str, Any]) -> str:
    """The notation of DARTS."""
    return str(to_genotype(architecture))


def to_genotype(architecture: RecurrentGenotype | Mapping[str, Any]) -> RecurrentGenotype:
    """What an architecture of the supernet is in the paper's terms; a genotype is one already."""
    if isinstance(architecture, RecurrentGenotype):
        return architecture
    nodes = sum("<" not in name for name in architecture)
    edges = []
    for i in range(1, nodes + 1):
        if str(i) not in architecture:
            raise InputError(f"the architecture does not decide {i}")
        (source,) = architecture[str(i)]
        if (name := f"{i}<{source}") not in architecture:
            raise InputError(f"the architecture does not decide {name}")
        edges.append((str(architecture[name]), int(source)))
    return RecurrentGenotype(tuple(edges), tuple(range(1, nodes + 1)))


def to_architecture(genotype: RecurrentGenotype) -> Architecture:
    """The choices of the supernet that give ``genotype``; raises ``InputError`` where it leaves nodes out of the mean."""
    if sorted(genotype.concat) != list(range(1, len(genotype.recurrent) + 1)):
        raise InputError("the recurrent cell does not average all of its nodes, which the search space always does")
    architecture: Architecture = {}
    for i, (activation, source) in enumerate(genotype.recurrent, start=1):
        architecture |= {str(i): (source,), f"{i}<{source}": activation}
    return architecture


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
