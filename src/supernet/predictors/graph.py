"""An ensemble of graph convolutions over the choices of an architecture, along the edges of a cell or the order of a chain, both ways.

Wen et al. 2020, "Neural Predictor for Neural Architecture Search", section 3.2, https://arxiv.org/abs/1912.00848
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from supernet.predictors.encoding import Encoding
from supernet.predictors.ensemble import MEMBERS, Ensemble, drawn
from supernet.predictors.paths import edges_of
from supernet.space import SearchSpace

HIDDEN = (16, 16)


class GraphNetworks(Ensemble):
    """Two graph convolutions of 16, the mean over the choices and a linear layer, five times.

    A node is a choice, and knows which one it is. In a cell that decides an operation for every edge, edges follow each other that meet
    in a node of the cell; elsewhere a choice follows those that switch it on, or else the choice before it.
    ``encoding``: one group of columns a choice, such as ``Options`` gives.
    """

    def __init__(self, encoding: Encoding, seed: int = 0) -> None:
        super().__init__(encoding, seed)
        self._wide = max(columns.stop - columns.start for columns in encoding.groups)
        follows = torch.tensor(following(encoding.space)) + torch.eye(len(encoding.groups))  # of each choice, which it follows
        self._ways = [way / way.sum(1, keepdim=True) for way in (follows, follows.T)]

    def weights(self, generator: torch.Generator) -> list[Tensor]:
        """For each convolution a matrix a way and a bias, then those of the linear layer."""
        found, inputs = [], self._wide + len(self.encoding.groups)
        for outputs in HIDDEN:
            found += [*(drawn(generator, MEMBERS, 1, inputs, outputs) for _ in self._ways), torch.zeros(MEMBERS, 1, 1, outputs)]
            inputs = outputs
        return [*found, drawn(generator, MEMBERS, inputs, 1), torch.zeros(MEMBERS, 1, 1)]

    def outputs(self, weights: Sequence[Tensor], rows: Tensor) -> Tensor:
        """What every member says: (members, n)."""
        groups = [rows[..., columns] for columns in self.encoding.groups]
        nodes = torch.stack([torch.nn.functional.pad(group, (0, self._wide - group.shape[-1])) for group in groups], -2)
        states = torch.cat([nodes, torch.eye(len(groups)).expand(*nodes.shape[:-2], -1, -1)], -1)  # (members or 1, n, choices, inputs)
        for i in range(0, 3 * len(HIDDEN), 3):
            states = sum((way @ states @ w for way, w in zip(self._ways, weights[i : i + 2], strict=True)), weights[i + 2]).relu()
        return (states.mean(-2) @ weights[-2] + weights[-1])[..., 0]


def following(space: SearchSpace) -> list[list[float]]:
    """1 where the choice of the row follows that of the column: (choices, choices)."""
    names = list(space)
    if edges := edges_of(space):
        return [[float(one[0] == other[0] and one[1] == other[2]) for other in edges] for one in edges]
    before: list[set[str]] = [set(space[name].parents) or set(names[i - 1 : i]) for i, name in enumerate(names)]
    return [[float(other in known) for other in names] for known in before]
