"""Genotypes as people paste them: text of Python, read without running any of it, see ``supernet.genotype``."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any

from supernet.errors import InputError, unknown

EXAMPLE = "Genotype(normal=[('sep_conv_3x3', 0), ('skip_connect', 1), ...], normal_concat=[2, ...], reduce=[...], reduce_concat=[...])"
EMPTY = ("connectN", "connects")  # further fields that programs print without a value
CALL, NUMBER = re.compile(r"(?<!\w)Genotype\s*\("), re.compile(r"(int|uint|float)\d+")
TOKEN = re.compile(r"""'[^'\n]*'|"[^"\n]*"|[()\[\]]""")
LARGEST = 99  # no cell has more states; keeps a mistyped index from asking for all the memory

Nodes = tuple[tuple[tuple[str, int], ...], ...]  # the edges of each node: operation, state that it reads


def fields_of(text: str, names: Sequence[str], example: str) -> dict[str, ast.expr]:
    """The fields of the notation as syntax trees; raises ``InputError`` unless they are ``names``."""
    alone = _alone(text)
    try:
        said = ast.parse(alone, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"not a genotype: {getattr(error, 'msg', None) or 'it cannot be read'}; expected {example}") from None
    if isinstance(said, ast.Call) and not said.args:
        fields = {str(k.arg): k.value for k in said.keywords}
    elif isinstance(said, ast.Dict):
        fields = {str(k.value): v for k, v in zip(said.keys, said.values, strict=True) if isinstance(k, ast.Constant)}
    else:
        raise InputError(f"not a genotype; expected {example}")
    for name, tree in list(fields.items()):
        if name in EMPTY and isinstance(tree, ast.Constant) and tree.value is None:
            del fields[name]
        elif name not in names:
            raise unknown("field of Genotype", name, names)
    if missing := [name for name in names if name not in fields]:
        raise InputError(f"the genotype lacks {', '.join(missing)}")
    return fields


def _alone(text: str) -> str:
    """The one ``Genotype(...)`` of a text without what a log or a program has around it, or the text itself where it is a dict.

    Raises ``InputError`` where there is none, or where there are several that differ.
    """
    found = dict[str, int]()  # text of a genotype: the last line on which it begins
    place = 0
    while start := CALL.search(text, place):
        depth, place = 0, len(text)
        for token in TOKEN.finditer(text, start.start()):
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token[0], 0)
            if not depth and token[0] == ")":
                place = token.end()
                break
        found[" ".join(text[start.start() : place].split())] = 1 + text.count("\n", 0, start.start())
    if len(found) > 1:
        raise InputError(f"the text holds {len(found)} genotypes that differ: give one of them; the last is in line {max(found.values())}")
    if not found and not text.lstrip().startswith("{"):
        raise InputError(f"not a genotype; expected {EXAMPLE}")
    return next(iter(found), text.strip())


class _Plain(ast.NodeTransformer):
    """A number of numpy, which prints itself as ``np.int64(0)``, as the number alone."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
        alone = len(node.args) == 1 and not node.keywords and isinstance(node.args[0], ast.Constant)
        return node.args[0] if alone and NUMBER.fullmatch(name) else node


def literal(name: str, tree: ast.expr) -> Any:
    """The value of a field that is written out; raises ``InputError`` for anything else."""
    try:
        return ast.literal_eval(_Plain().visit(tree))
    except (ValueError, TypeError, RecursionError, MemoryError):
        raise InputError(f"{name} of the genotype is neither a list nor a number nor a string written out") from None


def states(name: str, tree: ast.expr) -> tuple[int, ...]:
    """The states that a field lists, or a range of them; raises ``InputError``."""
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "range":
        bounds = [literal(name, a) for a in tree.args]
        if not 1 <= len(bounds) <= 3 or tree.keywords or not all(map(is_state, bounds)) or bounds[2:] == [0]:
            raise InputError(f"{name} is not a range of states; expected for example range(2, 6)")
        return tuple(range(*bounds))
    listed = literal(name, tree)
    if not isinstance(listed, list | tuple) or not all(map(is_state, listed)):
        raise InputError(f"{name} must list states by number, for example [2, 3, 4, 5]")
    return tuple(listed)


def is_state(value: object) -> bool:
    """Whether a value numbers a state."""
    return type(value) is int and 0 <= value <= LARGEST


def _unweighted(edge: Sequence[Any]) -> tuple[Any, ...]:
    """An edge without the weight that it was chosen by, which some programs print with it."""
    return tuple(edge[:2] if len(edge) == 3 and isinstance(edge[2], float) else edge)


def nodes(name: str, edges: object, concat: Sequence[int]) -> Nodes:
    """The edges of each node, from pairs (two a node, in order), from triples that name their node, or from a list for each node.

    Raises ``InputError``.
    """
    if isinstance(edges, list | tuple) and any(isinstance(e, list | tuple) and e and isinstance(e[0], list | tuple) for e in edges):
        if not all(isinstance(node, list | tuple) and all(isinstance(e, list | tuple) for e in node) for node in edges):
            raise InputError(f"{name} mixes edges with lists of edges: write one list, or a list for each node")
        named = [(e[0], i, *e[1:]) for i, node in enumerate(edges, start=2) for e in map(_unweighted, node) if e]
        if wrong := next((e for e in named if len(e) != 3), None):
            raise InputError(f"edge {(wrong[0], *wrong[2:])!r} of node {wrong[1]} of {name} must be (operation, input)")
        cell = nodes(name, named, concat)
        return cell + ((),) * (len(edges) - len(cell))
    if not isinstance(edges, list | tuple) or not all(isinstance(e, list | tuple) and e for e in edges):
        raise InputError(f"{name} must be a list of edges such as ('sep_conv_3x3', 0)")
    edges = [_unweighted(e) for e in edges]
    sizes = {len(e) for e in edges}
    if len(sizes) > 1 or not sizes <= {2, 3}:
        raise InputError(f"the edges of {name} must all be (operation, input) or all be (operation, node, input)")
    for edge in edges:
        if not isinstance(edge[0], str) or not all(map(is_state, edge[1:])):
            raise InputError(f"edge {edge!r} of {name} is not an operation's name with state numbers from 0 to {LARGEST}")
    if sizes != {3}:
        if len(edges) % 2:
            raise InputError(
                f"{name} has {len(edges)} edges: pairs (operation, input) come two a node; else write (operation, node, input)"
            )
        return tuple(((a[0], a[1]), (b[0], b[1])) for a, b in zip(edges[::2], edges[1::2], strict=True))
    if early := [e for e in edges if e[1] < 2]:
        raise InputError(f"edge {early[0]!r} of {name} leads to an input; nodes are numbered from 2")
    last = max([*(node for _, node, _ in edges), *concat])
    return tuple(tuple((o, source) for o, node, source in edges if node == i) for i in range(2, last + 1))
