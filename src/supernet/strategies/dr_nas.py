"""DrNAS: Chen, Wang, Cheng, Tang, Hsieh, ICLR 2021, https://arxiv.org/abs/2006.10355; https://github.com/xiangning-chen/DrNAS

Blends are drawn from Dirichlet distributions, whose concentrations are learnt. In progressive search operations see more of the
channels in the second half, and fewer of them are left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from supernet import relaxations
from supernet.layers.base import Supernet
from supernet.settings.quantities import Amount, Count, RateOrNone
from supernet.strategies.regularisers import Named, Regulariser
from supernet.strategies.staged import Build, Staged
from supernet.task import Task

STAGES, KEEP = ({"partial": 6}, {"partial": 4}), (7, 4)


class DrNAS(Staged):
    """Dirichlet draws, kept near the flat distribution by their divergence from it. Alphas learn after 10 of a stage's 25 epochs.

    ``build``, ``stages``, ``keep``: progressive search; one stage without ``build``. A stage begins with the alphas of the options that
    are left and with the weights of the one before, new channels being copies of old ones.
    """

    needs: ClassVar[Mapping[str, Any]] = {"without_none": True, "evaluation_size": True, "stages": STAGES}
    recipe: ClassVar[Mapping[str, Any]] = {"lr": 0.1, "lr_min": 0.0}

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        *,
        build: Build | None = None,
        stages: Sequence[dict[str, Any]] = STAGES,
        keep: Sequence[Count] = KEEP,
        warmup: Amount = 0.4,
        alpha_lr: RateOrNone = 6e-4,
        alpha_decay: Amount = 0.0,
        regularise: Sequence[Regulariser | Named] = ("dirichlet",),
        **settings: Any,
    ):
        if build is None and (tuple(stages), tuple(keep)) == (STAGES, KEEP):
            stages, keep = stages[:1], keep[:1]
        super().__init__(
            supernet,
            task,
            relaxations.dirichlet,
            build=build,
            stages=stages,
            keep=keep,
            warmup=warmup,
            alpha_lr=alpha_lr,
            alpha_decay=alpha_decay,
            regularise=regularise,
            **settings,
        )

    def carry(self, old: Supernet, alphas: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, alpha in alphas.items():
                self.alphas[name].copy_(alpha)
            before = old.restrict(self.options).state_dict()
            copies: dict[tuple[int, int], Tensor] = {}
            for name, tensor in self.supernet.state_dict().items():
                if name in before and before[name].dim() == tensor.dim():
                    tensor.copy_(widened(before[name], tensor.shape, copies, self.rng))


def widened(tensor: Tensor, shape: Sequence[int], copies: dict[tuple[int, int], Tensor], rng: Generator) -> Tensor:
    """``tensor`` in a larger ``shape``: what is new along a dimension copies randomly drawn old places.

    ``copies``: (old size, new size) -> which places, so that tensors that meet agree. Chen et al. 2016 (Net2Net),
    https://arxiv.org/abs/1511.05641, without the rescaling, as in the code of DrNAS.
    """
    for dim, new in enumerate(shape):
        size = tensor.shape[dim]
        if size < new and (size, new) not in copies:
            copies[size, new] = torch.cat([torch.arange(size), torch.randint(size, (new - size,), generator=rng)])
        if size != new:
            tensor = tensor.index_select(dim, copies[size, new].to(tensor.device)) if size < new else tensor.narrow(dim, 0, new)
    return tensor
