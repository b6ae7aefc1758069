"""ENAS' recurrent space: Pham et al. 2018, section 2.1, https://arxiv.org/abs/1802.03268

Nine nodes, each with one earlier state (choice ``1`` to ``9``) and one activation (``1.f`` to ``9.f``); every pair of them has a matrix of
its own in each node. By https://github.com/google-research/google-research/tree/master/enas_lm, which its authors name as the right code:
the new hidden state is the mean of all nodes, the decoder has the embedding's matrix and no bias. The notation has the official numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from torch import Tensor, nn

from supernet.errors import InputError
from supernet.genotype import RecurrentGenotype, whole_numbers
from supernet.layers.base import Searchable, Supernet
from supernet.settings.quantities import Channels, Nodes, Share
from supernet.space import Architecture, Choice, Taken
from supernet.spaces import recurrent
from supernet.spaces.pictured import recurrent_graph
from supernet.spaces.record import Build, Plans, Space, headed
from supernet.spaces.recurrent_network import FixedCell, Group, LanguageModel, Plan, Recurrence, check

NAME = "enas-rnn"
CITATION = "Pham, Guan, Zoph, Le, Dean 2018: Efficient Neural Architecture Search via Parameter Sharing, https://arxiv.org/abs/1802.03268"
ACTIVATIONS = ("tanh", "relu", "sigmoid", "identity")  # in the order of the official numbers
CONSTANT = {"lr": 20.0, "lr_min": 20.0, "momentum": 0.0, "nesterov": False}
DROPPED = ("input_dropout", "cell_input_dropout", "hidden_dropout", "output_dropout")
SMALL = {"hidden": 64, "embedding_dropout": 0.0, **dict.fromkeys(DROPPED, 0.1)}  # for a training of minutes
RECIPES: dict[str, Any] = {  # of the official code; its search decays by fourth powers of weights, which is next to nothing
    "search": {"data": {"source": "shakespeare", "batch_size": 128}, "weights": {**CONSTANT, "decay": 8e-7, "clip": 0.1}},
    "retrain": {"data": {"source": "shakespeare", "batch_size": 64}, "weights": {**CONSTANT, "decay": 1.6e-6, "clip": 0.25}},
    "paper": {"epochs": 600, "data": {"batch_size": 128, "text": {"slowness": 1.0}}},
    # enas reaches a perplexity of 8.9 on the characters of Penn Treebank that validate, in 290 s of one core
    "short": {"epochs": 6, "data": {"limit": 300_000, "batch_size": 64}, "supernet": SMALL, "network": SMALL},
}


@dataclass(frozen=True, kw_only=True)
class NetworkSizes(recurrent.NetworkSizes):
    """Settings of the network, as of ``darts-rnn``, with ENAS' numbers."""

    hidden: Channels = 800
    embedding_dropout: Share = 0.125
    input_dropout: Share = 0.175
    cell_input_dropout: Share = 0.725
    hidden_dropout: Share = 0.225


@dataclass(frozen=True, kw_only=True)
class Sizes(recurrent.NetworkSizes):
    """Settings of the supernet."""

    hidden: Channels = 200
    nodes: Nodes = 9


class OwnMatrices(Recurrence):
    """A recurrence with a matrix for each node, activation and state that it reads."""

    def __init__(self, embedding: int, hidden: int, nodes: int, **dropouts: Any):
        super().__init__(embedding, hidden, nodes, range(1, nodes + 1), **dropouts)
        self.places = [(i, f, j) for i in range(1, nodes + 1) for f, j in product(ACTIVATIONS, range(i))]
        self.matrices = nn.ModuleList(nn.Linear(hidden, 2 * hidden, bias=False) for _ in self.places)

    def weights(self, source: int, group: Group) -> list[Tensor]:
        return [self.matrix(i, group.activations[0], source).weight for i in group.targets]

    def matrix(self, node: int, activation: str, source: int) -> nn.Linear:
        """The matrix that ``node`` has for an activation of a state."""
        found = self.matrices[self.places.index((node, activation, source))]
        assert isinstance(found, nn.Linear)
        return found


class OpenCell(Searchable):
    """The cell with all its choices open: in a blend each pair of state and activation counts by the product of their weights."""

    def __init__(self, recurrence: OwnMatrices):
        super().__init__((), follows=tuple(choices(recurrence.nodes)))
        self.recurrence = recurrence

    def forward(self, inputs: Tensor, hidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
        states: tuple[Tensor, Tensor] = self.recurrence(inputs, hidden, self.plan(inputs))
        return states

    def plan(self, like: Tensor) -> Plan:
        """What runs under the present blend: an edge for each pair of state and activation."""
        mixes = dict(zip(self.follows, self.others, strict=True))
        found: list[list[Group]] = [[] for _ in range(self.recurrence.nodes)]
        for i in range(1, self.recurrence.nodes + 1):
            reads, functions = mixes[str(i)], mixes[f"{i}.f"]
            for j, k in product(reads.runs, functions.runs):
                weight = like.new_ones(())
                for mix, at in ((reads, j), (functions, k)):
                    weight = weight if mix.weights is None else weight * mix.weights[at]
                alone = reads.weights is None and functions.weights is None
                found[j].append(Group((i,), (ACTIVATIONS[k],), None if alone else weight.view(1, 1)))
        return found

    def derive(self, taken: Taken | None, *others: Taken | None) -> nn.Module:
        genotype = to_genotype({name: t for name, t in zip(self.follows, others, strict=True) if t is not None})
        old = self.recurrence
        dropouts: Any = {"input_dropout": old.input_dropout, "hidden_dropout": old.hidden_dropout}
        kept = Recurrence(old.embedding, old.hidden, old.nodes, old.concat, **dropouts)
        kept.first = old.first
        kept.matrices = nn.ModuleList(old.matrix(i, f, j) for i, (f, j) in enumerate(genotype.recurrent, start=1))
        return FixedCell(kept, genotype)


def choices(nodes: int) -> dict[str, Choice]:
    """What each node reads, and its activation."""
    found: dict[str, Choice] = {}
    for i in range(1, nodes + 1):
        found[str(i)] = Choice(str(i), tuple(range(i)), pick=(1, 1))
        found[f"{i}.f"] = Choice(f"{i}.f", ACTIVATIONS)
    return found


def supernet(**settings: Any) -> Supernet:
    """The language model that is searched: tokens (T, B), hidden state (B, hidden) or None -> ``Reading``; ``settings``: of ``Sizes``."""
    sizes = Sizes(**settings)
    check({"hidden": sizes.hidden, "nodes": sizes.nodes}, {})
    dropouts = {"input_dropout": sizes.cell_input_dropout, "hidden_dropout": sizes.hidden_dropout}
    cell = OpenCell(OwnMatrices(sizes.inputs, sizes.hidden, sizes.nodes, **dropouts))
    return Supernet(sizes.model(cell, bias=False), *choices(sizes.nodes).values())


def network(architecture: RecurrentGenotype | Mapping[str, Any] | str, **settings: Any) -> LanguageModel:
    """The evaluation network of an architecture or its notation; ``settings``: of ``NetworkSizes``."""
    sizes, genotype = NetworkSizes(**settings), to_genotype(parse(architecture) if isinstance(architecture, str) else architecture)
    return sizes.model(FixedCell(sizes.recurrence(len(genotype.recurrent), genotype.concat), genotype), bias=False)


def to_genotype(architecture: RecurrentGenotype | Mapping[str, Any]) -> RecurrentGenotype:
    """The cell of an architecture; a genotype is one already."""
    if isinstance(architecture, RecurrentGenotype):
        return architecture
    nodes = sum(not name.endswith(".f") for name in architecture)
    if missing := [name for name in choices(nodes) if name not in architecture]:
        raise InputError(f"the architecture does not decide {missing[0]}")
    edges = tuple((str(architecture[f"{i}.f"]), int(architecture[str(i)][0])) for i in range(1, nodes + 1))
    return RecurrentGenotype(edges, tuple(range(1, nodes + 1)))


def to_architecture(genotype: RecurrentGenotype) -> Architecture:
    """The choices of the supernet that give ``genotype``."""
    found: Architecture = {}
    for i, (activation, source) in enumerate(genotype.recurrent, start=1):
        found |= {str(i): (source,), f"{i}.f": activation}
    return found


def parse(text: str) -> RecurrentGenotype:
    """Read ``enas-rnn: 0 0 1 1 ...``, of each node the state that it reads and its activation; raises ``InputError``."""
    numbers = whole_numbers(text.partition(":")[2]) or []
    if not numbers or len(numbers) % 2 or max(numbers[1::2]) >= len(ACTIVATIONS):
        says = "expected of each node a state and an activation, 0 to 3, by number"
        raise InputError(f"not a cell of {NAME}: {text.strip()[:80]!r}; {says}: {NAME}: 0 0 1 1")
    edges = tuple((ACTIVATIONS[k], j) for j, k in zip(numbers[::2], numbers[1::2], strict=True))
    return RecurrentGenotype(edges, tuple(range(1, len(edges) + 1)))


def notation(architecture: RecurrentGenotype | Mapping[str, Any]) -> str:
    """The official numbers."""
    return f"{NAME}: {' '.join(f'{j} {ACTIVATIONS.index(f)}' for f, j in to_genotype(architecture).recurrent)}"


ENAS_RNN = Space(
    NAME,
    CITATION,
    tasks=("language",),
    supernet=Build(f"the supernet of {NAME}", supernet, Sizes, ("tokens", "hidden", "nodes")),
    network=Build(f"a network of {NAME}", network, NetworkSizes, ("tokens", "hidden")),
    parse=parse,
    notation=notation,
    recognises=lambda text: headed(text) == NAME,
    plans=Plans(to_genotype, to_architecture),
    pictured=lambda architecture: {"Recurrent cell": recurrent_graph(to_genotype(architecture))},
    recipes=RECIPES,
    macs=recurrent.macs,
)
