"""The recurrent cell of DARTS with all its choices open: Liu et al. 2019, sections 2.1 and A.1.2, https://arxiv.org/abs/1806.09055"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from supernet.layers.base import Searchable, When
from supernet.mixture import Mix
from supernet.space import Option, Taken
from supernet.spaces.recurrent_network import FixedCell, Group, Plan, Recurrence
from supernet.spaces.recurrent_plans import to_genotype


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
