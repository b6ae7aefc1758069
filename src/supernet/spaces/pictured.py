"""What a drawing shows of an architecture: directed acyclic graphs, which a space makes of its choices."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from supernet.genotype import RecurrentGenotype


@dataclass(frozen=True)
class Graph:
    """``edges`` are (source, target, operation); without an operation an edge is bare.

    ``first`` and ``last`` nodes stand at the left and right end. ``absent`` ones are left out of the network, with their edges.
    """

    nodes: Sequence[str]
    edges: Sequence[tuple[str, str, str]]
    first: Collection[str]
    last: Collection[str] = ()
    absent: Collection[str] = ()


def connected(edges: Sequence[tuple[str, str, str]]) -> Graph:
    """The graph of ``edges``, its nodes in the order in which they are named; those that nothing enters stand at the left."""
    nodes = list(dict.fromkeys(node for source, target, _ in edges for node in (source, target)))
    return Graph(nodes, edges, [node for node in nodes if all(node != target for _, target, _ in edges)])


def edge_by_edge(choices: Mapping[str, Any]) -> Graph:
    """The cell of choices "2<0" and on, node < input, each of which takes an operation."""
    edges = [(source, node, str(taken)) for name, taken in choices.items() for node, source in [name.split("<")]]
    return connected(sorted(edges, key=lambda edge: (int(edge[0]), int(edge[1]))))


def recurrent_graph(genotype: RecurrentGenotype) -> Graph:
    """A recurrent cell from the input and the old hidden state to the new one."""
    inputs, output = ("x_{t}", "h_{t-1}"), "h_{t}"
    edges = [(name, "0", "") for name in inputs]
    edges += [(str(source), str(i), activation) for i, (activation, source) in enumerate(genotype.recurrent, start=1)]
    edges += [(str(s), output, "") for s in genotype.concat]
    nodes = [*inputs, *map(str, range(len(genotype.recurrent) + 1)), output]
    return Graph(nodes, edges, inputs, (output,))
