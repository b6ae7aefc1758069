"""Which blocks DenseNAS' search space has and which may follow which.

Fang et al. 2020, section 3, https://arxiv.org/abs/1906.09607; numbers by https://github.com/JaminFong/DenseNAS
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from supernet.errors import InputError, unknown
from supernet.spaces.chain_network import STEMS

START, END = "start", "end"  # the first block, which nothing leads to, and what follows the last ones
MBCONVS = {"k3e3": (3, 3), "k3e6": (3, 6), "k5e3": (5, 3), "k5e6": (5, 6), "k7e3": (7, 3), "k7e6": (7, 6)}  # kernel, expansion
BASIC, SKIP = "basic", "skip"  # ResNet's block; nothing


class Block(NamedTuple):
    """One block: its width, which names it, the side of its map on 224x224 pixels, its stage, and how many layers it stacks at most."""

    width: int
    size: int
    stage: int
    depth: int


@dataclass(frozen=True)
class Plan:
    """The blocks in order and what they are made of.

    ``heads``: options of a block's first layer. ``ahead``: how many later blocks may follow one. ``last``: features after the last
    block. ``norm``: of all batch norms.
    """

    blocks: tuple[Block, ...]
    heads: tuple[str, ...]
    ahead: int
    last: int
    norm: Mapping[str, Any]

    def after(self, i: int) -> list[int]:
        """The blocks that may follow block ``i``, by their places in the row; the number of blocks stands for the end.

        They have the same or half the size and are of the same or the next stage; the end is of a stage of its own.
        """
        here, rest = self.blocks[i], [*self.blocks, Block(0, self.blocks[-1].size, self.blocks[-1].stage + 1, 0)]
        near = range(i + 1, min(i + self.ahead, len(self.blocks)) + 1)
        return [j for j in near if here.size in (rest[j].size, 2 * rest[j].size) and rest[j].stage <= here.stage + 1]

    def name(self, i: int) -> int | str:
        """What routes call block ``i``."""
        return START if i == 0 else END if i == len(self.blocks) else self.blocks[i].width


def _blocks(*stages: tuple[int, int, Sequence[int]]) -> tuple[Block, ...]:
    """From side, depth and widths of each stage."""
    return tuple(Block(width, size, i, depth) for i, (size, depth, widths) in enumerate(stages) for width in widths)


PAPER = {
    "mobilenetv2": Plan(
        _blocks(
            (112, 0, (16,)),
            (56, 3, (24,)),
            (28, 3, (32, 40, 48)),
            (14, 3, (56, 64, 72)),
            (14, 3, (96, 112, 128)),
            (7, 3, (160, 176, 192)),
            (7, 0, (320, 352, 384)),
        ),
        tuple(MBCONVS),
        ahead=4,
        last=1984,
        norm={"eps": 1e-3},
    ),
    "resnet": Plan(
        _blocks(
            (112, 0, (32,)),
            (56, 0, (48, 56, 64)),
            (28, 5, (72, 96, 112)),
            (14, 15, (128, 144, 160, 176)),
            (14, 5, (192, 208, 224)),
            (7, 5, (240, 256, 272, 288)),
            (7, 1, (480, 496, 512)),
        ),
        (BASIC,),
        ahead=10,
        last=512,
        norm={},
    ),
}


def plan(
    base: str,
    stem: str,
    widths: Sequence[int] | None,
    sizes: Sequence[int] | None,
    stages: Sequence[int] | None,
    depths: Sequence[int] | None,
    ahead: int | None,
    last: int | None,
) -> Plan:
    """The paper's plan of ``base`` with other blocks: what is None is the paper's, for the widths that are given.

    ``stem`` "cifar": maps above the second size are of the second size, as neither the stem nor the first of its strides halve.
    Raises ``InputError`` where the settings do not agree or a block cannot be reached or left.
    """
    if base not in PAPER:
        raise unknown("base", base, PAPER)
    if stem not in STEMS:
        raise InputError(f"stem must be one of {', '.join(STEMS)}; got {stem!r}")
    paper = PAPER[base]
    most = paper.blocks[0].size // (2 if stem == "cifar" else 1)
    known = {b.width: b._replace(size=min(b.size, most)) for b in paper.blocks}
    chosen = list(known) if widths is None else list(widths)
    if len(chosen) < 2 or min(chosen) < 1 or len(set(chosen)) < len(chosen):
        raise InputError(f"widths name the blocks: at least two different numbers above 0; got {tuple(chosen)}")
    blocks = [known.get(width, Block(width, 0, 0, 0)) for width in chosen]
    for field, given in {"size": sizes, "stage": stages, "depth": depths}.items():
        if given is None and (strange := [width for width in chosen if width not in known]):
            raise InputError(f"{base} has no block of width {strange[0]}: with widths of your own, give sizes, stages and depths too")
        if given is not None:
            if len(given) != len(blocks) or min(given) < (1 if field == "size" else 0):
                raise InputError(f"{field}s has a number for each of the {len(blocks)} widths; got {tuple(given)}")
            blocks = [block._replace(**{field: value}) for block, value in zip(blocks, given, strict=True)]
    for name, number in {"ahead": ahead, "last": last}.items():
        if number is not None and number < 1:
            raise InputError(f"{name} must be at least 1; got {number}")
    made = replace(paper, blocks=tuple(blocks), ahead=ahead or paper.ahead, last=last or paper.last)
    _check(made)
    return made


def _check(made: Plan) -> None:
    reached = {0}
    for i, block in enumerate(made.blocks):
        following = made.after(i)
        if i not in reached or not following:
            way = "leads to" if i not in reached else "follows"
            raise InputError(
                f"nothing {way} the block of width {block.width}: a block is followed by up to ahead={made.ahead} later ones of the same "
                "or half its size, of the same or the next stage"
            )
        reached |= set(following)
