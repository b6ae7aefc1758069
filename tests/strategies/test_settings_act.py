"""Every setting of every strategy changes a search, or is refused with the reason."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import InputError, OneOf, Supernet, Task
from supernet.layers.auxiliary_skip import AuxiliarySkip
from supernet.layers.some_of import SomeOf
from supernet.ops import SkipDropout
from supernet.settings.given import NOT_FOR_USERS, keywords
from supernet.spaces import single_path, smash
from supernet.strategies import STRATEGIES
from supernet.strategies.early_stopping import SkipConnects

WEIGHTS = {"lr": 0.3, "lr_min": 0.02, "momentum": 0.5, "nesterov": True, "decay": 0.3, "clip": 0.01, "accumulate": 2}
COMMON = {
    "alpha_lr": 0.05,
    "alpha_betas": (0.7, 0.7),
    "alpha_decay": 0.7,
    "alpha_clip": 1e-7,
    "warmup": 1,
    "inner_steps": 2,
    "alphas_on": "train",
    "single_level": True,
    "regularise": ("beta",),
    "stops": (SkipConnects(most=0),),
    "fill": 0.9,  # refused: nothing here has a bound
}
OWN: dict[str, dict[str, Any]] = {
    "OneShot": {"lessons": "path-dropout"},
    "PathDropout": {"rate": 0.9, "ghost": 3},
    "OFA": {"trained": True, "distil": 0.5},
    "SPOS": {"least": 40.0, "most": 30.0, "cost": "params", "bins": 2},
    "Sandwiched": {"between": 1},
    "AttentiveNAS": {"candidates": 5, "take": "worst", "bins": 2},
    "PolicySearch": {
        **{"policy_steps": 1, "samples": 3, "policy_lr": 0.1, "policy_betas": (0.5, 0.9), "policy_eps": 0.5, "entropy": 0.5},
        **{"remembered": 0.5, "penalty_weight": 1.0, "scale": 2.0, "candidates": 3, "calibration": 1},
    },
    "DARTS": {"order": 2, "hessian": "exact", "epsilon": 0.5},
    "GDAS": {"temperature": (3.0, 0.5), "bare": True},
    "PDARTS": {"stages": ({"cells": 5}, {"cells": 11}), "keep": (3, 2), "dropout": (0.5, 0.5, 0.5), "cap": 0},
    "DrNAS": {"stages": ({"partial": 6},), "keep": (3, 1)},
    "DARTSMinus": {"strength": 0.3},
    "FairDARTS": {"threshold": 0.1},
    "SNAS": {"temperature": (3.0, 0.5)},
    "SDARTS": {"attack": "adversarial", "radius": (0.2, 0.3), "ascents": 2, "random_start": False},
    "DARTSPT": {"tune_epochs": 1},
    "FBNet": {"temperature": 1.0, "cooling": 1.0},
    "ProxylessNAS": {"warmup_lr": 0.4, "paths": "full", "zero": "skip_connect"},
    "ProxylessREINFORCE": {"warmup_lr": 0.4, "samples": 3, "renewal": 0.5},
    "SinglePath": {"keep": 0.9},
    "DenseNAS": {"temperature": 0.3},
}
OTHER = {  # where the value above is the strategy's own
    **{"single_level": False, "alphas_on": "validation", "order": 1, "attack": "random", "warmup": 0, "regularise": ()},
    "weights": {"nesterov": False},
}
CHAIN = {"stem": "cifar", "shape": (3, 4, 4), "classes": 3, "widths": (2, 4, 4, 4, 4), "depths": (1, 1, 1, 1, 1), "last": 4, "head": 4}

BANKS = {"channels": 1, "widening": 1, "layers": 1, "shape": (3, 4, 4), "classes": 3, "generated": True}
IMAGES = {"single-path": lambda: single_path.supernet(**CHAIN), "smash": lambda: smash.supernet(**BANKS)}  # methods of one space


class Net(nn.Module):
    """Features (B, 4): what every method can search but Single-Path NAS, whose choices are kernels."""

    def __init__(self) -> None:
        super().__init__()
        options = {"linear": nn.Linear(4, 4), "skip_connect": SkipDropout(0.0)}
        self.one = AuxiliarySkip(OneOf(options, name="normal.2<0"))
        self.node = SomeOf([OneOf(copy.deepcopy(options), name=f"normal.3<{i}") for i in range(2)], pick=(1, 2), name="normal.3")
        self.norm, self.head = nn.BatchNorm1d(4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x)
        return self.head(self.norm(self.node([x, x])))


def supernet(name: str, **settings: Any) -> Supernet:
    return IMAGES[name]() if name in IMAGES else Supernet(Net())


def batches(n: int, *shape: int) -> list[tuple[Tensor, Tensor]]:
    g = torch.Generator().manual_seed(n)
    return [(torch.randn(6, *shape, generator=g), torch.randint(3, (6,), generator=g)) for _ in range(n)]


def outcome(name: str, **settings: Any) -> list[Tensor]:
    """All that a search of a few steps, each an epoch, leaves: weights, alphas or policy, rates, what it found, and where it stopped."""
    torch.manual_seed(0)
    shape = (3, 4, 4) if name in IMAGES else (4,)
    task, method = Task(batches(5, *shape), batches(3, *shape), loss=F.cross_entropy), STRATEGIES[name]
    build = {"build": lambda **more: supernet(name)} if "stages" in method.load().needs else {}
    strategy: Any = method.load()(supernet(name), task, **{**build, **settings})
    said: list[str] = []
    drawer = getattr(strategy, "drawer", None)  # of a policy, which learns after a pass of the training data
    epochs = 8 if drawer else 6 if build else 4
    for done in range(epochs + 1):
        if strategy.epoch(done, epochs, {}) or done == epochs:
            break
        strategy.step(task.data)
        said.append(str({k: v for k, v in strategy.facts().items() if k != "mixture"}))
    if hasattr(strategy, "finish"):
        strategy.finish(task.data)
    if hasattr(strategy, "architecture"):
        said.append(str(strategy.architecture()))
    if drawer:
        said += [str(strategy.evaluate()), *(str(p.tolist()) for p in drawer.policy.parameters()), str(drawer.rng.get_state().tolist())]
    return [*strategy.supernet.state_dict().values(), *getattr(strategy, "alphas", {}).values(), torch.tensor([*"".join(said).encode()])]


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return len(a) == len(b) and all(x.shape == y.shape and torch.equal(x, y) for x, y in zip(a, b, strict=True))


def class_of(name: str) -> Any:
    return STRATEGIES[name].load()


def values(name: str) -> dict[str, Any]:
    """A value of every setting that the method's class and those that it is made of have."""
    own = [OWN.get(cls.__name__, {}) for cls in reversed(class_of(name).__mro__)]
    return {**COMMON, **{setting: value for each in own for setting, value in each.items()}}


SEARCHING = [name for name in STRATEGIES if name != "darts-plus"]  # DARTS with a rule that ends so small a search at once


WHOLE = ("darts", "gdas", "proxyless", "one-shot")  # whose settings that others have too are changed among the quick tests


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in WHOLE else pytest.mark.slow) for name in SEARCHING])
def test_every_setting_acts_or_is_refused_with_the_reason(name: str) -> None:
    able = {*keywords(class_of(name), NOT_FOR_USERS["strategy"])}
    changed = {n: v for n, v in values(name).items() if n in able}
    assert able == set(changed), "a setting without a case"
    assert_followed(name, {n: {n: v} for n, v in changed.items()} | {f"weights.{n}": {"weights": {n: v}} for n, v in WEIGHTS.items()})


@pytest.mark.parametrize("name", [name for name in SEARCHING if name not in ("enas", *WHOLE)])
def test_every_setting_of_its_own_acts_or_is_refused_with_the_reason(name: str) -> None:
    able, own = {*keywords(class_of(name), NOT_FOR_USERS["strategy"])}, OWN.get(class_of(name).__name__, {})
    assert able <= values(name).keys(), "a setting without a case"
    assert_followed(name, {n: {n: v} for n, v in own.items() if n in able})


def assert_followed(name: str, cases: dict[str, dict[str, Any]]) -> None:
    """Whether each of the cases, settings by what they are called, gives another outcome or is refused with a reason."""
    usual, idle = outcome(name) if cases else [], []
    for what, settings in cases.items():
        refused = False
        for tried in (settings, {n: OTHER[n] for n in settings if n in OTHER}):
            try:
                if not same(outcome(name, **tried), usual):
                    break
            except InputError as error:
                refused = True
                assert any(reason in str(error) for reason in ("would have no effect", "excludes", "needs", "must")), error
        else:
            idle += [] if refused else [what]
    assert not idle, f"taken and not followed: {', '.join(idle)}"
