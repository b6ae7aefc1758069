"""The cell space of DARTS: Liu et al. 2019, sections 2.1 and A.1, https://arxiv.org/abs/1806.09055

A cell is a graph of nodes over the outputs of the two cells before it; every node keeps two of its inputs, with one operation
on each. The supernet (affine-free batch norms, one behind every pooling) and the evaluation network (affine ones, none behind
pooling) are different networks on purpose, as in https://github.com/quark0/darts. PC-DARTS, P-DARTS and GDAS are settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from supernet import ops
from supernet.errors import InputError, unknown
from supernet.genotype import OPERATIONS, Genotype, present, says_cells
from supernet.layers.auxiliary_skip import AuxiliarySkip
from supernet.layers.base import Supernet
from supernet.layers.one_of import OneOf
from supernet.layers.partial import Partial
from supernet.layers.some_of import SomeOf, SumOf
from supernet.settings.quantities import Channels, Classes, Layers, Nodes, Shape
from supernet.spaces import SPACES
from supernet.spaces.cell_network import Cell, CellNetwork, FixedReductionCell, Inputs, check_sizes
from supernet.spaces.cell_plans import notation, parse, to_architecture, to_genotype
from supernet.spaces.operation_sets import Noise, Operations, operations_of
from supernet.spaces.published import published_cells
from supernet.spaces.record import Build, Plans, Space, following, headed, setting

NAME = "darts"
CITATION = "Liu, Simonyan, Yang 2019: DARTS: Differentiable Architecture Search, https://arxiv.org/abs/1806.09055"
SAID = ("classes", "channels", "cells", "shape", "stem")
STEMS: dict[str, dict[str, Any]] = {  # of the evaluation network
    "cifar": {"classes": 10, "channels": 36, "cells": 20, "shape": (3, 32, 32)},
    "imagenet": {"classes": 1000, "channels": 48, "cells": 14, "shape": (3, 224, 224)},
}

# name -> (channels, stride, affine, batch norm behind pooling) -> module
BUILD: dict[str, Callable[[int, int, bool, bool], nn.Module]] = {
    "none": lambda c, s, affine, norm: ops.Zero(s),
    "max_pool_3x3": lambda c, s, affine, norm: ops.pool(ops.MaxPool(s), c, norm),
    "avg_pool_3x3": lambda c, s, affine, norm: ops.pool(ops.AvgPool(s), c, norm),
    "skip_connect": lambda c, s, affine, norm: ops.skip_connect(c, s, affine),
    "sep_conv_3x3": lambda c, s, affine, norm: ops.sep_conv(c, 3, s, affine),
    "sep_conv_5x5": lambda c, s, affine, norm: ops.sep_conv(c, 5, s, affine),
    "dil_conv_3x3": lambda c, s, affine, norm: ops.dil_conv(c, 3, s, affine),
    "dil_conv_5x5": lambda c, s, affine, norm: ops.dil_conv(c, 5, s, affine),
    "sep_conv_7x7": lambda c, s, affine, norm: ops.sep_conv(c, 7, s, affine),
    "conv_7x1_1x7": lambda c, s, affine, norm: ops.conv_7x1_1x7(c, s, affine),
    "noise": lambda c, s, affine, norm: Noise(s),
}


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Settings of the supernet.

    ``operations``: of every edge, by edge ("normal.2<0"), or the name of one of ``operation_sets.SETS``.
    ``least_inputs``: how few inputs a node may keep, 1 or 2 (FairDARTS, 1); at most it keeps 2.
    ``partial``: operations see one of that many shares of the channels (PC-DARTS, 4 on CIFAR and 2 on ImageNet).
    ``skip_dropout``: dropout behind skip connections, whose ``p`` the strategy sets (P-DARTS).
    ``auxiliary_skip``: a skip-connection beside every edge, whose strength the strategy sets (DARTS-).
    ``fixed_reduction``: the reduction cell is GDAS' own and only the normal one is searched.
    ``affine``: of the cells' batch norms, which the papers leave to the evaluation network.
    """

    classes: Classes = 10
    channels: Channels = 16
    cells: Layers = 8
    nodes: Nodes = 4
    shape: Shape = (3, 32, 32)
    stem: str = "cifar"
    operations: Operations = OPERATIONS
    least_inputs: Literal[1, 2] = 2
    partial: Channels = 1
    skip_dropout: bool = False
    auxiliary_skip: bool = False
    fixed_reduction: bool = False
    affine: bool = False

    def check(self) -> None:
        """Raise ``InputError`` for sizes that make no space."""
        least = {"classes": 1, "channels": 2, "cells": 3, "nodes": 1, "partial": 1}
        check_sizes(self.shape, **{name: (vars(self)[name], smallest) for name, smallest in least.items()})
        if self.channels % self.partial:
            below = self.channels // self.partial * self.partial
            able = " or ".join(str(n) for n in (below, below + self.partial) if n > 1)
            reason = f"{self.channels} channels cannot be split into {self.partial} equal parts, of which operations see one"
            raise InputError(f"{reason}: take {able}")
        if self.least_inputs not in (1, 2):
            raise InputError(f"least_inputs must be 1 or 2; got {self.least_inputs}")


@dataclass(frozen=True, kw_only=True)
class NetworkSizes:
    """Settings of the network; those that are None follow the ``stem``.

    ``auxiliary``: a second classifier; in training mode the network then returns (logits, auxiliary logits).
    ``auxiliary_norm``: the ImageNet head has its second batch norm (P-DARTS); the CIFAR head always does.
    ``pool_norm``: affine-free batch norm behind pooling here too (GDAS, DrNAS).
    """

    classes: Classes | None = None
    channels: Channels | None = None
    cells: Layers | None = None
    shape: Shape | None = None
    stem: str = "cifar"
    auxiliary: bool = False
    auxiliary_norm: bool = False
    pool_norm: bool = False


def supernet(**settings: Any) -> Supernet:
    """The network that is searched: images ``(batch, *shape)`` -> logits (batch, classes); ``settings``: of ``Sizes``.

    Raises ``InputError`` for sizes or operations that make no space.
    """
    sizes = Sizes(**settings)
    sizes.check()

    def edge(kind: str, node: int, source: int, width: int) -> nn.Module:
        name, stride = f"{kind}.{node}<{source}", 2 if kind == "reduce" and source < 2 else 1
        named = operations_of(sizes.operations, name)
        for operation in named:
            if operation not in BUILD:
                raise unknown("operation", operation, BUILD)
        if not set(named) - {"none"}:
            raise InputError("the space needs an operation besides none")
        branches = {o: BUILD[o](width // sizes.partial, stride, sizes.affine, True) for o in named}
        if sizes.skip_dropout and "skip_connect" in branches:
            branches["skip_connect"] = nn.Sequential(branches["skip_connect"], ops.SkipDropout(0.0))
        one = OneOf(branches, name=name, search_only=tuple(o for o in named if o == "none"))
        whole = one if sizes.partial == 1 else Partial(one, width, sizes.partial, stride)
        return AuxiliarySkip(whole, ops.skip_connect(width, stride, sizes.affine)) if sizes.auxiliary_skip else whole

    def cell(kind: str, inputs: Inputs, width: int) -> nn.Module:
        if kind == "reduce" and sizes.fixed_reduction:
            return FixedReductionCell(inputs, width)
        states, pick = range(2, 2 + sizes.nodes), (sizes.least_inputs, 2)
        sums = [SomeOf([edge(kind, i, j, width) for j in range(i)], pick=pick, name=f"{kind}.{i}") for i in states]
        return Cell(inputs, width, sums, states, affine=sizes.affine)

    frame = {name: vars(sizes)[name] for name in ("classes", "channels", "cells", "shape", "stem")}
    return Supernet(CellNetwork(cell, stem_channels=3 * sizes.channels, **frame))


def network(genotype: Genotype | Mapping[str, Any] | str, **settings: Any) -> CellNetwork:
    """The evaluation network of the papers, for a genotype, an architecture or the notation of one; ``settings``: of ``NetworkSizes``.

    ``ops.set_drop_path`` sets the drop path probability, which is 0 at first.
    """
    sizes = following(NetworkSizes(**settings), STEMS)
    genotype = parse(genotype) if isinstance(genotype, str) else to_genotype(genotype)
    parts = {"normal": (genotype.normal, genotype.normal_concat), "reduce": (genotype.reduce, genotype.reduce_concat)}

    def cell(kind: str, inputs: Inputs, width: int) -> nn.Module:
        edges, concat = parts[kind]
        if edges is None:
            return FixedReductionCell(inputs, width)
        there = present(edges)
        sums = []
        for node in edges:
            kept = [(operation, j) for operation, j in node if j in there]
            built = [BUILD[o](width, 2 if kind == "reduce" and j < 2 else 1, True, sizes.pool_norm) for o, j in kept]
            sums.append(SumOf([ops.droppable(operation) for operation in built], [j for _, j in kept]))
        return Cell(inputs, width, sums, [i for i in concat if i in there], affine=True)

    def head(inputs: int, classes: int) -> nn.Module:
        return ops.AuxiliaryHead(inputs, classes, norm=sizes.stem == "cifar" or sizes.auxiliary_norm)

    frame = {name: vars(sizes)[name] for name in SAID}
    stem_channels = frame["channels"] * (1 if sizes.stem == "imagenet" else 3)
    return CellNetwork(cell, stem_channels=stem_channels, auxiliary=head if sizes.auxiliary else None, **frame)


DARTS = Space(
    NAME,
    CITATION,
    supernet=Build(f"the supernet of {NAME}", supernet, Sizes, ("classes", "channels", "cells", "nodes", "shape", "stem")),
    network=Build(f"a network of {NAME}", network, NetworkSizes, SAID, STEMS),
    parse=parse,
    notation=notation,
    recognises=lambda text: says_cells(text) and headed(text) not in {*SPACES} - {NAME},  # others may write theirs as Genotype(...) too
    plans=Plans(to_genotype, to_architecture, Genotype.ordered),
    published=published_cells(),
    serves={
        **{name: setting(name) for name in ("partial", "least_inputs", "fixed_reduction", "skip_dropout", "auxiliary_skip")},
        "without_none": lambda _: {"operations": "s5"},
        "evaluation_size": lambda _: {name: STEMS["cifar"][name] for name in ("channels", "cells")},
        "stages": lambda stages: stages[0],
    },
    opens=("nodes", "operations", "least_inputs", "fixed_reduction"),
    recipes={"short": {"supernet": {"channels": 8, "cells": 5}, "network": {"channels": 16, "cells": 8}}},
)
