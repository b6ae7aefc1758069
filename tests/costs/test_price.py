"""Prices against the numbers of ProxylessNAS' code (float64), and how they adapt to a bound."""

from __future__ import annotations

import json
import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import InputError, OneOf, Supernet, Task
from supernet.costs.price import FORMS, SPAN, Free, Price, Prices, derivable, widened
from supernet.mixture import Mix, Mixture, Table, expected, one_hot
from supernet.space import Choice, SearchSpace
from supernet.strategies.darts import DARTS
from supernet.strategies.gdas import GDAS
from supernet.strategies.proxyless_reinforce import ProxylessREINFORCE
from supernet.strategies.rules import capped
from supernet.strategies.turns import Alternating, Together

SPACE = SearchSpace([Choice("a", ("cheap", "dear"))])
TABLE: Table = {(): torch.tensor(4.0, dtype=torch.float64), ("a",): torch.tensor([1.0, 16.0], dtype=torch.float64)}
CHEAP, DEAR = {"a": "cheap"}, {"a": "dear"}


def at(cost: float, loss: float, **settings: Any) -> float:
    """What a price makes of a loss where the expected cost is given."""
    price = Price({(): torch.tensor(cost, dtype=torch.float64)}, **settings)
    return float(price(torch.tensor(loss, dtype=torch.float64), {}, SearchSpace()))


def blend(logit: Tensor) -> Mixture:
    return {"a": Mix(torch.stack([torch.zeros_like(logit), logit]).softmax(0), (0, 1))}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"form": "power", "weight": 0.2, "exponent": 0.3}, 0.5117921296641142),
        ({"form": "power", "weight": 1.0, "exponent": 0.6}, 2.6193118398612953),
        ({"form": "linear", "weight": 0.1}, 2.5424851610319705),
    ],
)
def test_forms_give_the_official_codes_losses(settings: dict[str, Any], expected: float) -> None:
    assert at(113.98812882557638, 2.5, reference=80.0, **settings) == pytest.approx(expected, rel=1e-12)


def test_a_reward_is_the_official_codes() -> None:
    assert at(95.0, 0.7, form="reward", exponent=0.1, reference=80.0) == pytest.approx(0.6880732562349462, rel=1e-12)


def test_logarithm_and_hinge_are_their_formulae() -> None:
    assert at(64.0, 2.5, form="log", weight=0.15, reference=16.0) == pytest.approx(2.5 + 0.15 * 1.5)
    assert at(64.0, 2.5, form="log", weight=20.0, reference=math.e) == pytest.approx(2.5 + 20 * math.log(64))
    assert at(60.0, 2.5, form="hinge", weight=3.0, bound=50.0) == pytest.approx(2.5 + 3 * 0.2)
    assert at(40.0, 2.5, form="hinge", weight=3.0, bound=50.0) == 2.5


@pytest.mark.parametrize("form", FORMS)
def test_losses_fall_and_rewards_rise_towards_the_cheaper_option(form: str) -> None:
    logit = torch.zeros((), requires_grad=True)
    Price(TABLE, form=form, bound=5.5)(torch.tensor(2.0), blend(logit), SPACE).backward()
    assert logit.grad is not None and (logit.grad < 0 if form == "reward" else logit.grad > 0)


def test_the_price_has_the_type_of_the_loss_and_the_cost_that_of_the_table() -> None:
    price = Price(TABLE, form="power", reference=math.e)
    assert price(torch.tensor(2.0), blend(torch.zeros(())), SPACE).dtype == torch.float32
    assert price.cost(blend(torch.zeros(())), SPACE) == torch.tensor(12.5, dtype=torch.float64)


@pytest.mark.parametrize("form", FORMS)
def test_strength_grows_while_the_derived_network_is_too_dear_and_shrinks_where_there_is_room(form: str) -> None:
    price = Price(TABLE, form=form, weight=0.5, exponent=0.5, bound=10.0, rate=60.0)
    price.epoch(SPACE, DEAR, share=0.0)
    assert price.strength == 0.5
    price.epoch(SPACE, DEAR)
    assert price.strength == pytest.approx(0.5 * math.exp(2.0 * 1.0))  # twice the bound
    price.epoch(SPACE, CHEAP)
    assert price.strength == pytest.approx(0.5 * math.exp(2.0 * (1.0 - 0.5)))


def test_strength_grows_by_no_more_than_a_doubling_of_the_bound_does_and_stays_within_its_span() -> None:
    price = Price(TABLE, bound=1.0)
    price.epoch(SPACE, DEAR)
    assert price.strength == pytest.approx(math.exp(2.0))
    for _ in range(20):
        price.epoch(SPACE, DEAR)
    assert price.strength == SPAN
    room = Price(TABLE, bound=1000.0)
    for _ in range(20):
        room.epoch(SPACE, CHEAP)
    assert room.strength == 1 / SPAN


def test_without_a_bound_the_strength_stays() -> None:
    price = Price(TABLE, form="linear", reference=1.0)
    price.epoch(SPACE, DEAR)
    assert price.strength == 1.0


def test_an_adapted_power_pulls_harder_and_leaves_the_loss_as_large() -> None:
    slopes, losses = [], []
    price = Price(TABLE, form="power", exponent=0.6, bound=10.0, reference=math.e)
    for _ in range(2):
        logit = torch.zeros((), dtype=torch.float64, requires_grad=True)
        loss = price(torch.tensor(2.0, dtype=torch.float64), blend(logit), SPACE)
        loss.backward()
        assert logit.grad is not None
        slopes.append(float(logit.grad))
        losses.append(float(loss.detach()))
        price.epoch(SPACE, DEAR)
    assert losses[0] == pytest.approx(losses[1])
    assert slopes[1] / slopes[0] == pytest.approx(math.exp(2.0))


def test_facts_and_state_survive_a_checkpoint() -> None:
    price = Price(TABLE, bound=10.0)
    price.epoch(SPACE, DEAR)
    assert price.facts(SPACE, DEAR) == {"cost": 20.0, "bound": 10.0, "strength": price.strength}
    again = Price(TABLE, bound=10.0)
    again.load_state_dict(json.loads(json.dumps(price.state_dict())))
    assert again.strength == price.strength != Price(TABLE, bound=10.0).strength


def test_several_prices_are_paid_and_adapt_each_by_its_own_bound() -> None:
    both = Prices({"latency": Price(TABLE, bound=10.0), "params": Price(TABLE, bound=40.0)})
    mixture = one_hot(SPACE, DEAR)
    assert float(both(torch.tensor(1.0), mixture, SPACE)) == pytest.approx(2.0)
    both.epoch(SPACE, DEAR)
    facts = both.facts(SPACE, DEAR)
    assert facts["latency"]["strength"] > 1 > facts["params"]["strength"]
    again = Prices({"latency": Price(TABLE, bound=10.0), "params": Price(TABLE, bound=40.0)})
    again.load_state_dict(both.state_dict())
    assert again.facts(SPACE, DEAR) == facts


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"form": "cubic"}, "unknown form of a price 'cubic'"),
        ({"form": "hinge"}, "give bound="),
        ({"form": "linear"}, "give reference= or bound="),
        ({"form": "linear", "reference": 0.0}, "above 0; got 0"),
        ({"form": "log", "reference": 1.0}, "above 1; got 1"),
        ({"form": "hinge", "bound": -3.0}, "above 0; got -3"),
        ({"form": "hinge", "bound": 3.0, "weight": -1.0}, "at least 0"),
        ({"form": "linear", "reference": math.nan}, "above 0; got nan"),
    ],
)
def test_settings_that_make_no_price_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Price(TABLE, **settings)


def test_costs_whose_logarithm_is_no_price_are_refused_before_the_search_begins() -> None:
    small = {names: cost / 1000 for names, cost in TABLE.items()}
    with pytest.raises(InputError, match=r"above 1; got 0\.02: give costs in a smaller unit"):
        Price(small, form="power", reference=math.e).epoch(SPACE, DEAR, share=0.0)
    with pytest.raises(InputError, match="above 0; got 0"):
        Price({(): torch.zeros(())}, form="log", reference=2.0)(torch.ones(()), {}, SPACE)


def test_a_table_of_another_space_is_refused() -> None:
    with pytest.raises(InputError, match=r"'layer\.0', which is not in the space"):
        Price({("layer.0",): torch.ones(2)}, bound=1.0).epoch(SPACE, CHEAP)


def test_prices_of_losses_and_of_rewards_do_not_mix() -> None:
    with pytest.raises(InputError, match="all of losses or all of rewards"):
        Prices({"latency": Price(TABLE, bound=1.0), "params": Price(TABLE, form="reward", bound=1.0)})
    with pytest.raises(InputError, match="DARTS prices losses: use another form than 'reward'"):
        searching(DARTS, penalty=Price(TABLE, form="reward", bound=1.0))
    with pytest.raises(InputError, match="ProxylessREINFORCE prices rewards: use the form 'reward'"):
        searching(ProxylessREINFORCE, penalty=Price(TABLE, form="linear", bound=1.0))


def test_what_cannot_be_taken_costs_nothing_and_inputs_by_how_many_are_kept() -> None:
    space = SearchSpace([Choice("op", ("none", "conv"), search_only=("none",)), Choice("in", (0, 1, 2), pick=(2, 2))])
    everything = {"op": Mix(torch.tensor([0.75, 0.25]), (0, 1)), "in": Mix(None, (0, 1, 2))}
    kept = derivable(space, everything)
    assert [float(w) for w in kept["op"].weights] == [0.0, 1.0]  # type: ignore[union-attr]
    assert kept["in"].weights.tolist() == pytest.approx([2 / 3] * 3)  # type: ignore[union-attr]
    relaxed = derivable(space, everything | {"in": Mix(torch.tensor([0.5, 0.3, 0.2]), (0, 1, 2))})
    assert relaxed["in"].weights.tolist() == pytest.approx([1.0, 0.6, 0.4])  # type: ignore[union-attr]
    taken = one_hot(space, {"op": "conv", "in": (0, 2)})
    table: Table = {("op",): torch.tensor([9.0, 1.0]), ("in",): torch.tensor([10.0, 100.0, 1000.0])}
    assert float(Price(table, bound=1.0).cost(taken, space)) == float(expected(space, taken, table)) == 1011.0


def test_a_drawn_option_that_cannot_be_taken_gives_a_number() -> None:
    space = SearchSpace([Choice("op", ("none", "conv"), search_only=("none",))])
    price = Price({("op",): torch.tensor([0.0, 5.0])}, bound=1.0)
    assert float(price.cost({"op": Mix(torch.tensor([1.0, 0.0]), (0,))}, space)) == 0.0


def test_a_blend_of_fewer_options_is_paid_by_the_table_of_all() -> None:
    space = SearchSpace([Choice("a", ("x", "cheap", "dear")), Choice("b", (1, 2))])
    few = SearchSpace([Choice("a", ("cheap", "dear")), Choice("b", (2,))])
    wide = widened({"a": Mix(torch.tensor([0.0, 1.0]), (0, 1), (0,)), "b": Mix(None, (0,))}, few, space)
    assert wide["a"].weights.tolist() == [0.0, 0.0, 1.0] and wide["a"][1:] == ((1, 2), (1,))  # type: ignore[union-attr]
    assert wide["b"] == Mix(None, (1,))


def searching(method: Any, **settings: Any) -> tuple[Any, Task]:
    """A search on a network with the choice of ``SPACE``, whose dear option is the better one."""
    torch.manual_seed(0)

    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = OneOf({"cheap": nn.Linear(6, 3), "dear": nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 3))})

        def forward(self, x: Tensor) -> Tensor:
            return self.a(x)

    x = torch.randn(64, 6)
    batch = (x, (x[:, 0] * x[:, 1] > 0).long())
    task = Task([batch] * 4, [batch], loss=F.cross_entropy)
    return method(Supernet(Small()), task, **settings), task


def test_the_strategy_prices_the_blend_on_the_cpu_and_runs_the_moved_one() -> None:
    paid: list[Mixture] = []
    moved: list[Mixture] = []

    class Watched(Free):
        def __call__(self, loss: Tensor, mixture: Mixture, space: SearchSpace) -> Tensor:
            paid.append(mixture)
            return loss

    strategy, task = searching(DARTS, penalty=Watched())
    strategy.moved = lambda mixture: moved.append(mixture) or {n: m._replace(weights=m.weights + 0) for n, m in mixture.items()}
    for turns in (Alternating(), Together()):
        paid.clear(), moved.clear()
        turns.step(strategy, task.data)
        assert len(paid) == 1 and paid[0]["a"].weights is moved[0]["a"].weights


def test_a_hard_draw_is_paid_for_by_its_probabilities() -> None:
    strategy, _ = searching(GDAS)
    strategy.alphas["a"].data.copy_(torch.tensor([0.0, 1.0]))
    mixture = strategy.priced(strategy.blended(strategy.relax))
    assert float(expected(SPACE, mixture, TABLE).detach()) == pytest.approx(4 + (1 + 16 * math.e) / (1 + math.e), rel=1e-6)


class Blind(nn.Module):
    """Sees nothing of its input."""

    def forward(self, x: Tensor) -> Tensor:
        return 0 * x


class Features(nn.Module):
    """Decides which of its features (batch, 8) to look at."""

    def __init__(self) -> None:
        super().__init__()
        self.see = nn.ModuleList(OneOf({"cheap": Blind(), "dear": nn.Linear(1, 1)}, name=f"see.{i}") for i in range(8))

    def forward(self, x: Tensor) -> Tensor:
        total = torch.stack([see(x[:, i : i + 1]) for i, see in enumerate(self.see)]).sum(0)
        return torch.cat([total, -total], 1)


@pytest.mark.parametrize("form", ["linear", "log", *(pytest.param(other, marks=pytest.mark.slow) for other in ("power", "hinge"))])
def test_every_form_leads_to_the_bound_whatever_its_weight_and_keeps_what_is_worth_most(form: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(128, 8)
    batch = (x, (x @ torch.arange(1.0, 9.0) > 0).long())
    table: Table = {(f"see.{i}",): torch.tensor([1.0, 4.0]) for i in range(8)}
    task = Task([batch] * 4, [batch], loss=F.cross_entropy)
    price = Price(table, form=form, weight=0.3, exponent=0.6, reference=math.e, bound=16.0)
    strategy = DARTS(Supernet(Features()), task, penalty=price, alpha_lr=0.05, weights={"lr": 0.2})
    for done in range(30):
        strategy.epoch(done, 30, {})
        for _ in range(4):
            strategy.step(task.data)
    taken = strategy.architecture()
    assert abs(strategy.facts()["price"]["cost"] - 16.0) <= 3.0  # one option more or less
    assert taken["see.7"] == "dear" and taken["see.0"] == taken["see.1"] == "cheap"


def test_history_has_the_price_of_what_would_be_derived_without_the_bound() -> None:
    excess = lambda arch: 1.0 if arch["a"] == "dear" else 0.0  # noqa: E731
    strategy, _ = searching(DARTS, penalty=Price(TABLE, bound=10.0), within=excess)
    strategy.alphas["a"].data.copy_(torch.tensor([0.0, 1.0]))
    assert strategy.architecture() == CHEAP
    assert strategy.facts()["price"] == {"cost": 20.0, "bound": 10.0, "strength": 1.0}
    strategy.epoch(0, 10, {})
    assert strategy.price.strength == 1.0
    strategy.epoch(1, 10, {})
    assert strategy.price.strength == pytest.approx(math.exp(2.0))
    assert "price" not in searching(DARTS)[0].facts()


def test_the_strength_waits_until_the_alphas_have_learnt() -> None:
    strategy, _ = searching(DARTS, penalty=Price(TABLE, bound=10.0), warmup=2)
    strategy.alphas["a"].data.copy_(torch.tensor([0.0, 1.0]))
    found = []
    for done in range(4):
        strategy.epoch(done, 4, {})
        found.append(strategy.price.strength)
    assert found == [1.0, 1.0, 1.0, pytest.approx(math.exp(2.0))]


def test_bounds_hold_beside_a_rule_of_the_methods_own() -> None:
    strategy, _ = searching(DARTS, rule=partial(capped, cap=0, option="dear", where="a"), within=lambda arch: -1.0)
    strategy.alphas["a"].data.copy_(torch.tensor([0.0, 1.0]))
    assert strategy.architecture() == CHEAP
