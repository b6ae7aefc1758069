"""Strategies train a supernet. Names as on the command line; each is made from ``(supernet, task, **settings)``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any

from supernet.errors import unknown


@dataclass(frozen=True)
class Method:
    """Where a strategy's class is, what its name fixes, whom to cite.

    ``alphas``: whether it learns architecture parameters; ``inputs``: also for the choice of a node's inputs. ``space``: space ->
    the settings of its supernet that are part of the method. ``builds``: the spaces whose ``supernet`` it is given as ``build=``,
    a function of the settings that differ, because it makes further supernets on the way. ``variants``: space -> the place of the
    class that is the method there, with all that the name fixes.
    """

    place: str
    cite: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    alphas: bool = True
    inputs: bool = False
    space: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    builds: tuple[str, ...] = ()
    variants: Mapping[str, str] = field(default_factory=dict)

    def load(self, space: str | None = None) -> partial[Any]:
        """The class, with what the name fixes; ``space``: for the supernet of that one."""
        module, _, attribute = self.variants.get(space or "", self.place).partition(":")
        return partial(getattr(import_module(module), attribute), **({} if space in self.variants else self.fixed))

    def pricing(self, space: str | None = None) -> Mapping[str, Any]:
        """What the method's paper pays for the cost of a network: settings of ``Price``."""
        own: Mapping[str, Any] = self.load(space).func.pricing  # type: ignore[attr-defined]
        return own


_DARTS = "Liu, Simonyan, Yang 2019: DARTS: Differentiable Architecture Search, https://arxiv.org/abs/1806.09055"
_SPOS = "Guo et al. 2020: Single Path One-Shot Neural Architecture Search with Uniform Sampling, https://arxiv.org/abs/1904.00420"

_GDAS = "Dong, Yang 2019: Searching for a Robust Neural Architecture in Four GPU Hours, https://arxiv.org/abs/1910.04465"
_PC_DARTS = (
    "Xu et al. 2020: PC-DARTS: Partial Channel Connections for Memory-Efficient Architecture Search, https://arxiv.org/abs/1907.05737"
)
_P_DARTS = "Chen, Xie, Wu, Tian 2019: Progressive Differentiable Architecture Search, https://arxiv.org/abs/1904.12760"
_DR_NAS = "Chen et al. 2021: DrNAS: Dirichlet Neural Architecture Search, https://arxiv.org/abs/2006.10355"
_DARTS_MINUS = "Chu et al. 2021: DARTS-: Robustly Stepping out of Performance Collapse Without Indicators, https://arxiv.org/abs/2009.01027"
_BETA_DARTS = "Ye et al. 2022: b-DARTS: Beta-Decay Regularization for Differentiable Architecture Search, https://arxiv.org/abs/2203.01665"
_FAIR_DARTS = "Chu, Zhou, Zhang, Li 2020: Fair DARTS: Eliminating Unfair Advantages, https://arxiv.org/abs/1911.12126"
_SNAS = "Xie, Zheng, Liu, Lin 2019: SNAS: Stochastic Neural Architecture Search, https://arxiv.org/abs/1812.09926"
_SDARTS = "Chen, Hsieh 2020: Stabilizing Differentiable Architecture Search via Perturbation-based Regularization, https://arxiv.org/abs/2002.05283"
_ROBUST = "Zela et al. 2020: Understanding and Robustifying Differentiable Architecture Search, https://arxiv.org/abs/1909.09656"
_DARTS_PLUS = "Liang et al. 2019: DARTS+: Improved Differentiable Architecture Search with Early Stopping, https://arxiv.org/abs/1909.06035"
_DARTS_PT = "Wang et al. 2021: Rethinking Architecture Selection in Differentiable NAS, https://arxiv.org/abs/2108.04392"
_FBNET = (
    "Wu et al. 2019: FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable Neural Architecture Search, "
    "https://arxiv.org/abs/1812.03443"
)
_PROXYLESS = (
    "Cai, Zhu, Han 2019: ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware, https://arxiv.org/abs/1812.00332"
)

_SINGLE_PATH = (
    "Stamoulis et al. 2019: Single-Path NAS: Designing Hardware-Efficient ConvNets in less than 4 Hours, https://arxiv.org/abs/1904.02877"
)
_DENSE_NAS = (
    "Fang et al. 2020: Densely Connected Search Space for More Flexible Neural Architecture Search, https://arxiv.org/abs/1906.09607"
)

_WITHOUT_NONE = {"operations": "s5"}

STRATEGIES = {
    "darts": Method("supernet.strategies.darts:DARTS", _DARTS),
    "darts-2nd": Method(
        "supernet.strategies.darts:DARTS", _DARTS, {"order": 2}, variants={"darts-rnn": "supernet.strategies.clipped_darts:ClippedDARTS"}
    ),
    "gdas": Method("supernet.strategies.gdas:GDAS", _GDAS),
    "gdas-frc": Method("supernet.strategies.gdas:GDAS", _GDAS, space={"darts": {"fixed_reduction": True}}),
    "pc-darts": Method("supernet.strategies.pc_darts:PCDARTS", _PC_DARTS, inputs=True, space={"darts": {"partial": 4}}),
    "p-darts": Method(
        "supernet.strategies.p_darts:PDARTS", _P_DARTS, space={"darts": {"cells": 5, "skip_dropout": True}}, builds=("darts",)
    ),
    "drnas": Method(
        "supernet.strategies.dr_nas:DrNAS",
        _DR_NAS,
        space={"darts": {**_WITHOUT_NONE, "channels": 36, "cells": 20, "partial": 6}},
        builds=("darts",),
    ),
    "darts-minus": Method("supernet.strategies.darts_minus:DARTSMinus", _DARTS_MINUS, space={"darts": {"auxiliary_skip": True}}),
    "beta-darts": Method("supernet.strategies.darts:DARTS", _BETA_DARTS, {"regularise": ("beta",)}),
    "fair-darts": Method("supernet.strategies.fair_darts:FairDARTS", _FAIR_DARTS, space={"darts": {**_WITHOUT_NONE, "least_inputs": 1}}),
    "snas": Method("supernet.strategies.snas:SNAS", _SNAS),
    "sdarts-rs": Method("supernet.strategies.smooth_darts:SDARTS", _SDARTS, space={"darts": _WITHOUT_NONE}),
    "sdarts-adv": Method("supernet.strategies.smooth_darts:SDARTS", _SDARTS, {"attack": "adversarial"}, space={"darts": _WITHOUT_NONE}),
    "darts-es": Method("supernet.strategies.darts:DARTS", _ROBUST, {"stops": ("curvature",)}),
    "darts-plus": Method("supernet.strategies.darts:DARTS", _DARTS_PLUS, {"stops": ("skip-connects",)}),
    "darts-pt": Method("supernet.strategies.darts_pt:DARTSPT", _DARTS_PT),
    "fbnet": Method("supernet.strategies.fbnet:FBNet", _FBNET),
    "proxyless": Method("supernet.strategies.proxyless:ProxylessNAS", _PROXYLESS),
    "proxyless-rl": Method("supernet.strategies.proxyless_reinforce:ProxylessREINFORCE", _PROXYLESS),
    "single-path": Method("supernet.strategies.single_path:SinglePath", _SINGLE_PATH),
    "densenas": Method("supernet.strategies.dense_nas:DenseNAS", _DENSE_NAS),
    "one-shot": Method("supernet.strategies.one_shot:OneShot", _SPOS, alphas=False, space={"darts-rnn": {"batch_statistics": True}}),
}


def strategy(name: str) -> Method:
    """The method behind a name of ``STRATEGIES``; raises ``InputError`` for another name."""
    if name not in STRATEGIES:
        raise unknown("strategy", name, STRATEGIES)
    return STRATEGIES[name]
