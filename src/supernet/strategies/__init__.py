"""Strategies train a supernet. Names as on the command line; each is made from ``(supernet, task, **settings)``.

What a method asks of a space, and all else that is its own, stands in its class: see ``SupernetStrategy``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from supernet.places import at, named

if TYPE_CHECKING:
    from supernet.strategies.base import SupernetStrategy


@dataclass(frozen=True)
class Method:
    """A method: where its class is, and whom to cite."""

    place: str
    cite: str

    def load(self, space: str | None = None) -> type[SupernetStrategy]:
        """The class; ``space``: the name of the space that it is to search, where that is a built-in one."""
        found: type[SupernetStrategy] = at(self.place)
        return found.on(space)


_DARTS = "Liu, Simonyan, Yang 2019: DARTS: Differentiable Architecture Search, https://arxiv.org/abs/1806.09055"
_SPOS = "Guo et al. 2020: Single Path One-Shot Neural Architecture Search with Uniform Sampling, https://arxiv.org/abs/1904.00420"
_FAIRNAS = (
    "Chu, Zhang, Xu 2021: FairNAS: Rethinking Evaluation Fairness of Weight Sharing Neural Architecture Search, "
    "https://arxiv.org/abs/1907.01845"
)

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
_GAEA = "Li, Khodak, Balcan, Talwalkar 2021: Geometry-Aware Gradient Algorithms for Neural Architecture Search, https://arxiv.org/abs/2004.07802"
_FBNET = (
    "Wu et al. 2019: FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable Neural Architecture Search, "
    "https://arxiv.org/abs/1812.03443"
)
_PROXYLESS = (
    "Cai, Zhu, Han 2019: ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware, https://arxiv.org/abs/1812.00332"
)

_OFA = "Cai et al. 2020: Once-for-All: Train One Network and Specialize It for Efficient Deployment, https://arxiv.org/abs/1908.09791"

_SINGLE_PATH = (
    "Stamoulis et al. 2019: Single-Path NAS: Designing Hardware-Efficient ConvNets in less than 4 Hours, https://arxiv.org/abs/1904.02877"
)
_DENSE_NAS = (
    "Fang et al. 2020: Densely Connected Search Space for More Flexible Neural Architecture Search, https://arxiv.org/abs/1906.09607"
)

_ENAS = "Pham et al. 2018: Efficient Neural Architecture Search via Parameter Sharing, https://arxiv.org/abs/1802.03268"

_BENDER = "Bender et al. 2018: Understanding and Simplifying One-Shot Architecture Search, https://proceedings.mlr.press/v80/bender18a.html"
_SMASH = "Brock et al. 2018: SMASH: One-Shot Model Architecture Search through HyperNetworks, https://arxiv.org/abs/1708.05344"

_BIG_NAS = "Yu et al. 2020: BigNAS: Scaling Up Neural Architecture Search with Big Single-Stage Models, https://arxiv.org/abs/2003.11142"
_ATTENTIVE = "Wang et al. 2021: AttentiveNAS: Improving Neural Architecture Search via Attentive Sampling, https://arxiv.org/abs/2011.09011"

STRATEGIES = {
    "darts": Method("supernet.strategies.darts:DARTS", _DARTS),
    "darts-2nd": Method("supernet.strategies.second_order:SecondOrder", _DARTS),
    "gdas": Method("supernet.strategies.gdas:GDAS", _GDAS),
    "gdas-frc": Method("supernet.strategies.gdas:GDASFRC", _GDAS),
    "pc-darts": Method("supernet.strategies.pc_darts:PCDARTS", _PC_DARTS),
    "p-darts": Method("supernet.strategies.p_darts:PDARTS", _P_DARTS),
    "drnas": Method("supernet.strategies.dr_nas:DrNAS", _DR_NAS),
    "darts-minus": Method("supernet.strategies.darts_minus:DARTSMinus", _DARTS_MINUS),
    "beta-darts": Method("supernet.strategies.beta_darts:BetaDARTS", _BETA_DARTS),
    "fair-darts": Method("supernet.strategies.fair_darts:FairDARTS", _FAIR_DARTS),
    "snas": Method("supernet.strategies.snas:SNAS", _SNAS),
    "sdarts-rs": Method("supernet.strategies.smooth_darts:SDARTS", _SDARTS),
    "sdarts-adv": Method("supernet.strategies.smooth_darts:AdversarialSDARTS", _SDARTS),
    "darts-es": Method("supernet.strategies.darts_es:DARTSES", _ROBUST),
    "darts-plus": Method("supernet.strategies.darts_plus:DARTSPlus", _DARTS_PLUS),
    "darts-pt": Method("supernet.strategies.darts_pt:DARTSPT", _DARTS_PT),
    "gaea": Method("supernet.strategies.gaea:GAEA", _GAEA),
    "fbnet": Method("supernet.strategies.fbnet:FBNet", _FBNET),
    "proxyless": Method("supernet.strategies.proxyless:ProxylessNAS", _PROXYLESS),
    "proxyless-rl": Method("supernet.strategies.proxyless_reinforce:ProxylessREINFORCE", _PROXYLESS),
    "single-path": Method("supernet.strategies.single_path:SinglePath", _SINGLE_PATH),
    "densenas": Method("supernet.strategies.dense_nas:DenseNAS", _DENSE_NAS),
    "enas": Method("supernet.strategies.enas:ENAS", _ENAS),
    "one-shot": Method("supernet.strategies.one_shot:OneShot", _SPOS),
    "path-dropout": Method("supernet.strategies.path_dropout:PathDropout", _BENDER),
    "ofa": Method("supernet.strategies.ofa:OFA", _OFA),
    "smash": Method("supernet.strategies.smash:SMASH", _SMASH),
    "spos": Method("supernet.strategies.spos:SPOS", _SPOS),
    "fairnas": Method("supernet.strategies.fairnas:FairNAS", _FAIRNAS),
    "bignas": Method("supernet.strategies.big_nas:BigNAS", _BIG_NAS),
    "attentive": Method("supernet.strategies.attentive:AttentiveNAS", _ATTENTIVE),
}


def strategy(name: str) -> Method:
    """The method behind a name of ``STRATEGIES``; raises ``InputError`` for another name."""
    return named(STRATEGIES, name, "strategy")
