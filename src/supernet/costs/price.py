"""What a search pays for the cost of its network, and how that adapts until a bound is kept.

Forms: linear, Cai et al. 2019 (ProxylessNAS), https://arxiv.org/abs/1812.00332; by logarithms, Stamoulis et al. 2019 (Single-Path
NAS), https://arxiv.org/abs/1904.02877, and Fang et al. 2020 (DenseNAS), https://arxiv.org/abs/1906.09607; by a power, Wu et al. 2019
(FBNet), https://arxiv.org/abs/1812.03443; of a reward, Tan et al. 2019 (MnasNet), https://arxiv.org/abs/1807.11626.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from supernet.errors import InputError, unknown
from supernet.mixture import Costing, Mix, Mixture, Table, expected, one_hot
from supernet.space import Architecture, SearchSpace

FORMS = ("linear", "log", "power", "hinge", "reward")
SPAN = 100.0  # how many times stronger or weaker than at first a price becomes
STEP = 2.0  # the logarithm of how many times in one epoch
ABOVE = {"log": 0.0, "power": 1.0, "reward": 0.0}  # what the cost must be above in these forms


class Pricing(Protocol):
    """What a gradient search pays for the cost of its blends."""

    def fits(self, of_reward: bool) -> bool:
        """Whether it can price scores that are to be raised (``of_reward``), or losses."""
        ...

    def __call__(self, loss: Tensor, mixture: Mixture, space: SearchSpace) -> Tensor:
        """The loss, priced by what the blend is expected to cost: ()."""
        ...

    def epoch(self, space: SearchSpace, architecture: Architecture, share: float) -> None:
        """After an epoch, and before the first: adapt. See ``Price.epoch``."""
        ...

    def facts(self, space: SearchSpace, architecture: Architecture) -> dict[str, Any]:
        """What a history line records; nothing of what is free."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Free:
    """Nothing is paid, whatever a blend costs."""

    def fits(self, of_reward: bool) -> bool:
        """It can."""
        return True

    def __call__(self, loss: Tensor, mixture: Mixture, space: SearchSpace) -> Tensor:
        return loss

    def epoch(self, space: SearchSpace, architecture: Architecture, share: float) -> None:
        """There is nothing to adapt."""

    def facts(self, space: SearchSpace, architecture: Architecture) -> dict[str, Any]:
        """Nothing."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing is kept."""


FREE = Free()


class Price:
    """A loss (or a reward), priced by the expected cost of a blend: ``price(loss, mixture, space)``.

    ``table``: what each option costs, in any unit, or what else says what a blend costs. ``form``:
    "linear": loss + weight (cost - reference) / reference; "log": loss + weight log(cost) / log(reference);
    "power": loss weight (log(cost) / log(reference)) ** exponent; "hinge": loss + weight relu(cost / bound - 1);
    "reward": of a score that is to be raised, score (reference / cost) ** exponent.
    ``reference``: a cost; the ``bound`` where none is given. ``bound``: the most that the derived network may cost. With one, the
    strength (the exponent of "power" and "reward", else the weight) is multiplied after each epoch by exp(``rate`` * share * excess):
    the share that the epoch has of the search, so that short searches adapt as far as long ones, and the excess of the network
    derived without regard to the bound, as a share of the bound. It grows while that network is too dear, shrinks where there
    is room, by at most ``STEP`` an epoch, and stays within ``SPAN`` times what it was at first.
    Under a "power" the gradient alone sees the difference.
    Raises ``InputError`` for settings that do not make a price.
    """

    def __init__(
        self,
        table: Table | Costing,
        *,
        form: str = "hinge",
        weight: float = 1.0,
        exponent: float = 1.0,
        reference: float | None = None,
        bound: float | None = None,
        rate: float = 60.0,
    ):
        if form not in FORMS:
            raise unknown("form of a price", form, FORMS)
        if form == "hinge" and bound is None:
            raise InputError("the form 'hinge' prices what is above a bound: give bound=, or use another form")
        reference = bound if reference is None else reference
        if reference is None:
            raise InputError(f"the form {form!r} compares the cost with a reference: give reference= or bound=")
        least = 1.0 if form in ("log", "power") else 0.0
        if not reference > least:
            raise InputError(f"the reference of the form {form!r} must be above {least:g}; got {reference:g}")
        if bound is not None and not bound > 0:
            raise InputError(f"a bound on the cost must be above 0; got {bound:g}")
        if not (min(weight, exponent, rate) >= 0 and max(weight, exponent, rate) < math.inf):
            raise InputError(f"weight, exponent and rate must be at least 0; got {weight:g}, {exponent:g} and {rate:g}")
        self.table, self.form, self.weight, self.exponent = table, form, weight, exponent
        self.reference, self.bound, self.rate = float(reference), bound, rate
        self.strength = self.first

    @property
    def first(self) -> float:
        """The strength before any epoch."""
        return self.exponent if self.form in ("power", "reward") else self.weight

    @property
    def of_reward(self) -> bool:
        """Whether it prices a score to be raised, not a loss."""
        return self.form == "reward"

    def fits(self, of_reward: bool) -> bool:
        """The form "reward" prices scores, the others losses."""
        return of_reward == self.of_reward

    def __call__(self, loss: Tensor, mixture: Mixture, space: SearchSpace) -> Tensor:
        cost = self._checked(self.cost(mixture, space))
        if self.form == "linear":
            return loss + (self.strength * (cost - self.reference) / self.reference).to(loss)
        if self.form == "log":
            return loss + (self.strength * cost.log() / math.log(self.reference)).to(loss)
        if self.form == "hinge":
            assert self.bound is not None
            return loss + (self.strength * torch.relu(cost / self.bound - 1)).to(loss)
        if self.form == "power":
            base = cost.log() / math.log(self.reference)
            grown = (base / base.detach()) ** (self.strength - self.exponent)  # 1, with a gradient
            return loss * (self.weight * base**self.exponent * grown).to(loss)
        return loss * ((self.reference / cost) ** self.strength).to(loss)

    def cost(self, mixture: Mixture, space: SearchSpace) -> Tensor:
        """The cost that a network derived from the blend is expected to have, with its gradient: ()."""
        return expected(space, derivable(space, mixture), self.table)

    def epoch(self, space: SearchSpace, architecture: Architecture, share: float = 1 / 30) -> None:
        """After an epoch, and before the first: adapt the strength.

        ``share``: of the search, that this epoch was; 0 where the alphas learnt nothing in it. ``architecture``: what would be derived
        without regard to the bound. Raises ``InputError`` where the space does not fit the table.
        """
        if isinstance(self.table, dict) and (other := [n for names in self.table for n in names if n not in space]):
            raise InputError(f"the table prices the choice {other[0]!r}, which is not in the space: make it of this space")
        cost = float(self._checked(expected(space, one_hot(space, architecture), self.table)))
        if self.bound is not None and share:
            step = min(max(self.rate * share * (cost / self.bound - 1), -STEP), STEP)
            self.strength = min(max(self.strength * math.exp(step), self.first / SPAN), self.first * SPAN)

    def facts(self, space: SearchSpace, architecture: Architecture) -> dict[str, Any]:
        """What a history line records: the cost of what would be derived without regard to the bound, the bound, the strength."""
        return {"cost": float(expected(space, one_hot(space, architecture), self.table)), "bound": self.bound, "strength": self.strength}

    def state_dict(self) -> dict[str, Any]:
        return {"strength": self.strength}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.strength = state["strength"]

    def _checked(self, cost: Tensor) -> Tensor:
        """The cost itself; ``InputError`` where the form has no value for it."""
        if self.form in ABOVE and not float(cost.detach()) > ABOVE[self.form]:
            above, got = f"{ABOVE[self.form]:g}", f"{float(cost.detach()):g}"
            raise InputError(f"the form {self.form!r} of a price needs a cost above {above}; got {got}: give costs in a smaller unit")
        return cost


class Prices:
    """Several prices at once, by the name of what is paid for, one upon the other: {"latency": ..., "params": ...}."""

    def __init__(self, prices: Mapping[str, Price]):
        if len({price.of_reward for price in prices.values()}) != 1:
            raise InputError("prices are all of losses or all of rewards, and at least one")
        self.prices = dict(prices)

    def fits(self, of_reward: bool) -> bool:
        """As each of them does."""
        return all(price.fits(of_reward) for price in self.prices.values())

    def __call__(self, loss: Tensor, mixture: Mixture, space: SearchSpace) -> Tensor:
        for price in self.prices.values():
            loss = price(loss, mixture, space)
        return loss

    def epoch(self, space: SearchSpace, architecture: Architecture, share: float = 1 / 30) -> None:
        """Adapt the strength of each."""
        for price in self.prices.values():
            price.epoch(space, architecture, share)

    def facts(self, space: SearchSpace, architecture: Architecture) -> dict[str, Any]:
        """What a history line records of each."""
        return {name: price.facts(space, architecture) for name, price in self.prices.items()}

    def state_dict(self) -> dict[str, Any]:
        return {name: price.state_dict() for name, price in self.prices.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, price in self.prices.items():
            price.load_state_dict(state[name])


def derivable(space: SearchSpace, mixture: Mixture) -> Mixture:
    """The blend as a derived network would weigh it: nothing on options that cannot be taken, subsets by how many are kept."""
    kept = {}
    for name, mix in mixture.items():
        choice, n = space[name], len(space[name].options)
        weights = mix.weights
        if weights is None and choice.pick is not None and len(mix.runs) == n:
            weights = torch.full((n,), choice.pick[1] / n)
        elif weights is not None and (choice.search_only or choice.pick is not None):
            able = weights * torch.tensor([float(o in choice.able) for o in choice.options]).to(weights)
            weights = able / able.sum().clamp(min=1e-12) * (choice.pick[1] if choice.pick else 1)
        kept[name] = mix._replace(weights=weights)
    return kept


def widened(mixture: Mixture, space: SearchSpace, full: SearchSpace) -> Mixture:
    """The blend of ``space`` in ``full``, which has more options: those weigh nothing."""
    wide = {}
    for name, mix in mixture.items():
        places = [full[name].options.index(o) for o in space[name].options]
        weights = mix.weights
        if weights is not None:
            weights = weights.new_zeros(len(full[name].options)).index_put((torch.tensor(places),), weights)
        wide[name] = Mix(weights, tuple(places[i] for i in mix.runs), tuple(places[i] for i in mix.idle))
    return wide
