"""Genotypes: cells as data, in the notation of DARTS (Liu et al. 2019), https://github.com/quark0/darts/blob/master/cnn/genotypes.py

State 0 of a cell is the output of the cell before the previous one, state 1 that of the previous one, nodes follow from 2.
A genotype says more than a search architecture can: nodes with any number of edges, the same edge twice, a fixed reduction cell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from supernet.errors import InputError, unknown
from supernet.genotype_text import EXAMPLE, LARGEST, fields_of, is_state, literal, nodes, states

OPERATIONS = (  # those that DARTS searches, in its order, on which ties depend
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
ALL_OPERATIONS = (*OPERATIONS, "sep_conv_7x7", "conv_7x1_1x7")  # with those that only published cells use
FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")
ACTIVATIONS = ("none", "tanh", "relu", "sigmoid", "identity")  # of recurrent cells, in the order of DARTS; none is never taken
RECURRENT_FIELDS = ("recurrent", "concat")
DIGITS = re.compile(r"\s*[\[(]?\s*(?:[0-9]+|[0-9](?:[\s,]+[0-9])+)[\s,]*[\])]?\s*")

Edge = tuple[str, int]  # operation, index of the state it reads
Cell = tuple[tuple[Edge, ...], ...]  # the edges of each node


@dataclass(frozen=True)
class Genotype:
    """A normal and a reduction cell: the edges of every node, and the states that are concatenated.

    ``reduce`` None stands for the fixed reduction cell of GDAS (Dong, Yang 2019, section 3.3, https://arxiv.org/abs/1910.04465).
    Raises ``InputError`` for unknown operations, edges that do not come from an earlier state, and empty concatenations.
    """

    normal: Cell
    normal_concat: tuple[int, ...]
    reduce: Cell | None
    reduce_concat: tuple[int, ...]

    def __post_init__(self) -> None:
        _check("normal", self.normal, self.normal_concat)
        if self.reduce is not None:
            _check("reduce", self.reduce, self.reduce_concat)
            if early := [i for i in self.reduce_concat if i < 2]:
                raise InputError(f"reduce_concat lists state {early[0]}, an input: it is twice as large as the nodes")

    def ordered(self) -> Genotype:
        """The same cells with the edges of each node and the concatenated states in order: equal for genotypes that say the same."""
        normal, reduce = (None if cell is None else tuple(_in_order(node) for node in cell) for cell in (self.normal, self.reduce))
        assert normal is not None
        return Genotype(normal, tuple(sorted(self.normal_concat)), reduce, tuple(sorted(self.reduce_concat)))

    def __str__(self) -> str:
        cells = (
            f"normal={_edges_text(self.normal)}, normal_concat={list(self.normal_concat)}",
            f"reduce={_edges_text(self.reduce)}, reduce_concat={list(self.reduce_concat)}",
        )
        return f"Genotype({', '.join(cells)})"

    @classmethod
    def parse(cls, text: str) -> Genotype:
        """Read ``Genotype(normal=[(operation, input), ...], normal_concat=[...], reduce=[...], reduce_concat=[...])``.

        Pairs belong two by two to the nodes in order; (operation, node, input) triples, as in FairDARTS, name their node; a list of
        lists has the edges of each node. ``range(2, 6)``, a weight as an edge's last entry, a dict of the fields in the place of
        ``Genotype``, and a line of a log around it are understood. Nothing is evaluated. Raises ``InputError``.
        """
        fields = fields_of(text, FIELDS, EXAMPLE)
        cells: dict[str, Cell | None] = {}
        concats: dict[str, tuple[int, ...]] = {}
        for name in ("normal", "reduce"):
            concats[name] = states(f"{name}_concat", fields[f"{name}_concat"])
            edges = literal(name, fields[name])
            cells[name] = None if name == "reduce" and edges is None else nodes(name, edges, concats[name])
        normal = cells["normal"]
        assert normal is not None
        return cls(normal, concats["normal"], cells["reduce"], concats["reduce"])


@dataclass(frozen=True)
class RecurrentGenotype:
    """A recurrent cell: node i, from 1, applies an activation to one earlier state; state 0 mixes the input with the old hidden state.

    ``recurrent``: (activation, state) of each node. ``concat``: the states whose mean is the new hidden state.
    Notation of https://github.com/quark0/darts/blob/master/rnn/genotypes.py. Raises ``InputError`` for what is no such cell.
    """

    recurrent: tuple[Edge, ...]
    concat: tuple[int, ...]

    def __post_init__(self) -> None:
        for i, (activation, source) in enumerate(self.recurrent, start=1):
            if activation not in ACTIVATIONS[1:]:
                raise unknown("activation", activation, ACTIVATIONS[1:])
            if not 0 <= source < i:
                raise InputError(f"recurrent node {i} reads state {source}, which does not come before it; it can read 0 to {i - 1}")
        if wrong := [i for i in self.concat if not 1 <= i <= len(self.recurrent)]:
            raise InputError(f"concat lists state {wrong[0]}; the nodes of this recurrent cell are 1 to {len(self.recurrent)}")
        if not self.concat or len(set(self.concat)) < len(self.concat):
            raise InputError(f"concat must list at least one node, each once; got {list(self.concat)}")

    def ordered(self) -> RecurrentGenotype:
        """The same cell with the averaged states in order."""
        return RecurrentGenotype(self.recurrent, tuple(sorted(self.concat)))

    def __str__(self) -> str:
        return f"Genotype(recurrent={list(self.recurrent)}, concat={list(self.concat)})"

    @classmethod
    def parse(cls, text: str) -> RecurrentGenotype:
        """Read ``Genotype(recurrent=[(activation, state), ...], concat=[...])``, also with ``range(1, 9)``; nothing is evaluated."""
        fields = fields_of(text, RECURRENT_FIELDS, "Genotype(recurrent=[('tanh', 0), ('relu', 1), ...], concat=[1, 2, ...])")
        edges = literal("recurrent", fields["recurrent"])
        if not isinstance(edges, list | tuple):
            raise InputError("recurrent must be a list of edges such as ('tanh', 0)")
        for edge in edges:
            if not isinstance(edge, list | tuple) or len(edge) != 2 or not isinstance(edge[0], str) or not is_state(edge[1]):
                raise InputError(f"edge {edge!r} of recurrent is not an activation's name with a state number from 0 to {LARGEST}")
        return cls(tuple((activation, source) for activation, source in edges), states("concat", fields["concat"]))


def says_cells(text: str) -> bool:
    """Whether a text holds the notation of cells, or what was meant to be: a call of Genotype or a dict, not of a recurrent cell."""
    return _says_genotype(text) and not says_recurrent(text)


def says_recurrent(text: str) -> bool:
    """Whether a text holds the notation of a recurrent cell."""
    return _says_genotype(text) and re.search(r"\brecurrent\W?\s*[=:]", text) is not None


def _says_genotype(text: str) -> bool:
    return "Genotype(" in text or text.lstrip().startswith("{")


def whole_numbers(text: str) -> list[int] | None:
    """The numbers of a text that is nothing but single digits, together or listed: ``312043``, ``[3, 1, 2, 0, 4, 3]``; else None."""
    return [int(digit) for digit in re.findall("[0-9]", text)] if DIGITS.fullmatch(text) else None


def present(cell: Cell) -> tuple[int, ...]:
    """The states of a cell that exist: a node to which no edge leads is left out, and so is what it alone would feed.

    Chu et al. 2020 (FairDARTS), https://github.com/xiaomi-automl/FairDARTS, keeps between none and two edges a node.
    """
    there = [0, 1]
    for i, edges in enumerate(cell, start=2):
        if any(source in there for _, source in edges):
            there.append(i)
    return tuple(there)


def _check(name: str, cell: Cell, concat: tuple[int, ...]) -> None:
    for i, edges in enumerate(cell, start=2):
        for operation, source in edges:
            if operation not in ALL_OPERATIONS:
                raise unknown("operation", operation, ALL_OPERATIONS)
            if not 0 <= source < i:
                raise InputError(f"node {i} of {name} reads state {source}, which does not come before it; it can read 0 to {i - 1}")
    if wrong := [i for i in concat if not 0 <= i < len(cell) + 2]:
        raise InputError(f"{name}_concat lists state {wrong[0]}; {name} has states 0 to {len(cell) + 1}")
    if len(set(concat)) < len(concat):
        raise InputError(f"{name}_concat lists a state twice: {list(concat)}")
    if not set(concat) & set(present(cell)):
        raise InputError(f"{name}_concat keeps nothing: no state that it lists has an edge")
    if cell and not cell[-1] and len(cell) + 1 not in concat:
        raise InputError(f"node {len(cell) + 1} of {name} has no edges and is not in {name}_concat: leave it out")


def _in_order(node: tuple[Edge, ...]) -> tuple[Edge, ...]:
    return tuple(sorted(node, key=lambda edge: (edge[1], edge[0])))


def _edges_text(cell: Cell | None) -> str:
    if cell is None or all(len(edges) == 2 for edges in cell):
        return str(None if cell is None else [edge for edges in cell for edge in edges])
    return str([(operation, i, source) for i, edges in enumerate(cell, start=2) for operation, source in edges])
