"""NASNet's cells: Zoph et al. 2018, section 3, https://arxiv.org/abs/1707.07012; Liu et al. 2018 (PNAS), https://arxiv.org/abs/1712.00559

Two cells of five nodes, each of which adds up two operations on earlier states, which may be the same; the eight operations are those of
PNAS. What is searched is wired as in ENAS (``spaces.enas_cell``); the evaluation network is the authors', see ``spaces.nasnet_network``.
Published cells may put out states that nodes read too: they are genotypes, of which those that put out what nothing reads can be chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from supernet.errors import InputError
from supernet.genotype import Genotype
from supernet.layers.base import Supernet
from supernet.settings.quantities import Channels, Classes, Layers, Part, Shape
from supernet.space import Architecture
from supernet.spaces.enas_cell import SIDES, unread
from supernet.spaces.enas_micro import Sizes, open_network
from supernet.spaces.nasnet_network import Cell, NASNet, State
from supernet.spaces.record import Build, Plans, Published, Space, following, headed

NAME = "nasnet"
CITATION = "Zoph, Vasudevan, Shlens, Le 2018: Learning Transferable Architectures for Scalable Image Recognition, https://arxiv.org/abs/1707.07012"
PNAS = "Liu et al. 2018: Progressive Neural Architecture Search, https://arxiv.org/abs/1712.00559"
SLIM = "https://github.com/tensorflow/models/tree/master/research/slim/nets/nasnet"
OPERATIONS = (
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
    "conv_7x1_1x7",
    "avg_pool_3x3",
    "max_pool_3x3",
    "dil_conv_3x3",
)
SAID = ("classes", "channels", "cells", "shape", "stem")
STEMS: dict[str, dict[str, Any]] = {  # of the network: 6 @ 768, and 4 @ 1056 for mobile devices
    "cifar": {"classes": 10, "channels": 32, "cells": 18, "shape": (3, 32, 32), "stem_channels": 96},
    "imagenet": {"classes": 1000, "channels": 44, "cells": 12, "shape": (3, 224, 224), "stem_channels": 32},
}
PNASNET = (
    "[('sep_conv_5x5', 0), ('max_pool_3x3', 0), ('sep_conv_7x7', 1), ('max_pool_3x3', 1), ('sep_conv_5x5', 1), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 4), ('max_pool_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 1)]"
)
PUBLISHED = {
    "nasnet-a-mobile": Published(
        f"{NAME}: Genotype(normal=[('sep_conv_5x5', 1), ('sep_conv_3x3', 0), ('sep_conv_5x5', 0), ('sep_conv_3x3', 0), "
        "('avg_pool_3x3', 1), ('skip_connect', 0), ('avg_pool_3x3', 0), ('avg_pool_3x3', 0), ('sep_conv_3x3', 1), ('skip_connect', 1)], "
        "normal_concat=[0, 2, 3, 4, 5, 6], reduce=[('sep_conv_5x5', 1), ('sep_conv_7x7', 0), ('max_pool_3x3', 1), ('sep_conv_7x7', 0), "
        "('avg_pool_3x3', 1), ('sep_conv_5x5', 0), ('skip_connect', 3), ('avg_pool_3x3', 2), ('sep_conv_3x3', 2), ('max_pool_3x3', 1)], "
        "reduce_concat=[3, 4, 5, 6])",
        CITATION,
        {"stem": "imagenet"},
        SLIM,
        "mobile_imagenet_config of nasnet.py",
    ),
    "pnasnet-5-mobile": Published(
        f"{NAME}: Genotype(normal={PNASNET}, normal_concat=[2, 3, 4, 5, 6], reduce={PNASNET}, reduce_concat=[2, 3, 4, 5, 6])",
        PNAS,
        {"stem": "imagenet", "channels": 54, "cells": 9, "reductions": "within"},
        SLIM,
        "mobile_imagenet_config of pnasnet.py",
    ),
}


@dataclass(frozen=True, kw_only=True)
class NetworkSizes:
    """Settings of the network; those that are None follow the ``stem``.

    ``cells``: normal ones. ``reductions``: before two of them ("between", NASNet), or two of them themselves ("within", PNASNet).
    ``auxiliary``: a second classifier; in training mode the network then returns (logits, auxiliary logits).
    """

    classes: Classes | None = None
    channels: Channels | None = None
    cells: Layers | None = None
    shape: Shape | None = None
    stem: str = "cifar"
    stem_channels: Channels | None = None
    reductions: Literal["between", "within"] = "between"
    dropout: Part = 0.5
    auxiliary: bool = False


def supernet(**settings: Any) -> Supernet:
    """The network that is searched: images ``(batch, *shape)`` -> logits (batch, classes); ``settings``: of ``Sizes``."""
    return open_network(Sizes(**settings), OPERATIONS)


def network(genotype: Genotype | Mapping[str, Any] | str, **settings: Any) -> NASNet:
    """The evaluation network of a genotype, an architecture or its notation; ``settings``: of ``NetworkSizes``."""
    sizes = following(NetworkSizes(**settings), STEMS)
    cells = parse(genotype) if isinstance(genotype, str) else to_genotype(genotype)
    assert cells.reduce is not None
    parts = {"normal": (cells.normal, cells.normal_concat), "reduce": (cells.reduce, cells.reduce_concat)}

    def cell(kind: str, first: State | None, second: State, channels: int, depth: float) -> Cell:
        return Cell(*parts[kind], first, second, channels, 2 if kind == "reduce" else 1, depth)

    frame: dict[str, Any] = {name: vars(sizes)[name] for name in (*SAID, "stem_channels", "dropout", "auxiliary")}
    return NASNet(cell, **frame, within=sizes.reductions == "within")


def parse(text: str) -> Genotype:
    """Read ``nasnet: Genotype(...)``, the notation of DARTS with two edges a node; raises ``InputError``."""
    return checked(Genotype.parse(text.partition(":")[2] if headed(text) == NAME else text))


def checked(genotype: Genotype) -> Genotype:
    """A genotype that has both cells and two edges a node, of the operations of this space; raises ``InputError`` for another."""
    if genotype.reduce is None:
        raise InputError(f"{NAME} has no fixed reduction cell: give reduce its edges")
    for kind, cell in (("normal", genotype.normal), ("reduce", genotype.reduce)):
        for i, node in enumerate(cell, start=2):
            if len(node) != 2 or any(o not in OPERATIONS for o, _ in node):
                raise InputError(f"node {i} of {kind} is {list(node)}: a node of {NAME} has two edges, of {', '.join(OPERATIONS)}")
    return genotype


def to_genotype(architecture: Genotype | Mapping[str, Any]) -> Genotype:
    """What an architecture of the supernet is in the papers' terms; a genotype is one already."""
    if isinstance(architecture, Genotype):
        return architecture
    nodes = sum(name.startswith("normal.") and name.endswith(".x") for name in architecture)
    cells = {}
    for kind in ("normal", "reduce"):
        names = [[f"{kind}.{i}.{side}" for side in SIDES] for i in range(2, 2 + nodes)]
        if missing := [name for pair in names for name in pair if name not in architecture or f"{name}.op" not in architecture]:
            raise InputError(f"the architecture does not decide {missing[0]}")
        edges = tuple(tuple((str(architecture[f"{name}.op"]), int(architecture[name][0])) for name in pair) for pair in names)
        cells[kind] = edges, tuple(unread(2 + nodes, [(source,) for node in edges for _, source in node]))
    return checked(Genotype(*cells["normal"], cells["reduce"][0], tuple(i for i in cells["reduce"][1] if i > 1)))


def to_architecture(genotype: Genotype) -> Architecture:
    """The choices of the supernet that give ``genotype``; raises ``InputError`` where there are none."""
    assert genotype.reduce is not None
    architecture: Architecture = {}
    for kind, cell in (("normal", genotype.normal), ("reduce", genotype.reduce)):
        for i, node in enumerate(cell, start=2):
            for side, (taken, source) in zip(SIDES, node, strict=True):
                architecture |= {f"{kind}.{i}.{side}": (source,), f"{kind}.{i}.{side}.op": taken}
    own = to_genotype(architecture)
    if (set(own.normal_concat), set(own.reduce_concat)) != (set(genotype.normal_concat), set(genotype.reduce_concat)):
        raise InputError("a cell puts out other states than those that no node reads, which the search space always does")
    return architecture


def notation(architecture: Genotype | Mapping[str, Any]) -> str:
    """The notation of DARTS behind the name of the space."""
    return f"{NAME}: {to_genotype(architecture)}"


NASNET = Space(
    NAME,
    CITATION,
    supernet=Build(f"the supernet of {NAME}", supernet, Sizes, ("classes", "channels", "cells", "nodes", "shape")),
    network=Build(f"a network of {NAME}", network, NetworkSizes, SAID, STEMS),
    parse=parse,
    notation=notation,
    recognises=lambda text: headed(text) == NAME,
    plans=Plans(to_genotype, to_architecture, Genotype.ordered),
    published=PUBLISHED,
    opens=("nodes",),
    whole=True,
)
