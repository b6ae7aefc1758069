"""Recipes of a search: the papers' lengths and batch sizes, and short ones for two cores, as settings of the command.

What a paper says of its strategy (learning rates, decay, temperatures, warm-up) is the default of that strategy's class; here is
what belongs to the run. Numbers are those of the official code that gave the published results (FBNet's: of its paper), of cells
on CIFAR-10, of chains on ImageNet; the papers are those of ``supernet list methods --cite``.
"""

from __future__ import annotations

from supernet.errors import InputError, unknown
from supernet.searchers import SEARCHERS
from supernet.settings.given import Settings, merged
from supernet.spaces import SPACES
from supernet.spaces import space as space_named

RECIPES = ("paper", "short")

PAPER: dict[str, Settings] = {
    "darts": {"epochs": 50, "data": {"batch_size": 64}},
    "darts-2nd": {"epochs": 50, "data": {"batch_size": 64}},
    "gdas": {"epochs": 250, "data": {"batch_size": 128}},
    "gdas-frc": {"epochs": 250, "data": {"batch_size": 128}},
    "pc-darts": {"epochs": 50, "data": {"batch_size": 256}},
    "p-darts": {"epochs": 75, "data": {"batch_size": 96}},
    "drnas": {"epochs": 50},
    "darts-minus": {"epochs": 50},
    "beta-darts": {"epochs": 50},
    "fair-darts": {"epochs": 50, "data": {"batch_size": 128}},
    "sdarts-rs": {"epochs": 50},
    "sdarts-adv": {"epochs": 50},
    "darts-es": {"epochs": 50, "data": {"batch_size": 64}},
    "darts-pt": {"epochs": 50, "data": {"batch_size": 64}},
    "fbnet": {"epochs": 90, "data": {"batch_size": 192, "validation": 0.2}},
    "proxyless": {"epochs": 160, "data": {"batch_size": 256}},
    "proxyless-rl": {"epochs": 160, "data": {"batch_size": 256}},
    "single-path": {"epochs": 8, "data": {"batch_size": 1024}, "weights": {"lr": 0.064}, "supernet": {"dropout": 0.2}},
    "densenas": {"epochs": 150, "data": {"batch_size": 352, "validation": 0.2}, "strategy": {"inner_steps": 4}},
    "spos": {
        **{"epochs": 120, "data": {"batch_size": 1024}, "weights": {"lr": 0.5, "clip": None}, "trials": 1050},
        "objective": "accuracy",
        "estimator": {"calibration": 200},
    },
    "fairnas": {"epochs": 150, "data": {"batch_size": 256}, "objective": "accuracy"},
    "ofa": {"epochs": 590, "data": {"batch_size": 64}, "supernet": {"dropout": 0.1}, "objective": "accuracy"},  # on each of 32 GPUs
    "smash": {"epochs": 100, "data": {"batch_size": 50}, "trials": 700, "objective": "accuracy"},
    "enas": {},  # its spaces have the numbers
}
CELLS = ("darts", "nasbench201")
HOME = {
    "fbnet": ("fbnet",),
    "proxyless": ("proxyless",),
    "proxyless-rl": ("proxyless",),
    "single-path": ("single-path",),
    "densenas": ("densenas",),
    "spos": ("spos",),
    "fairnas": ("fairnas",),
    "path-dropout": ("one-shot-cell",),
    "bignas": ("mobile-small",),
    "attentive": ("mobile-small",),
    "ofa": ("ofa-mobilenetv3", "ofa-proxyless", "ofa-resnet50d"),
    "smash": ("smash",),
    "enas": ("enas-micro", "enas-macro", "enas-rnn"),
}

# With the sizes that each space says, an eighth of the standard arithmetic; 20 epochs on 5,000 images: minutes a method on two cores.
SHORT: Settings = {"epochs": 20, "data": {"limit": 5000, "batch_size": 32}}
SHORT_METHODS: dict[str, Settings] = {
    "p-darts": {"strategy": {"stages": [{"cells": 3}, {"cells": 5}, {"cells": 7}]}, "epochs": 21},
    "drnas": {"supernet": {"channels": 12}},  # a multiple of its partial channels
    "densenas": {"weights": {"lr": 0.025}},  # the paper's rate is for batches of 352
    "fbnet": {"weights": {"lr": 0.05}},
    "bignas": {"weights": {"lr": 0.002}},  # the paper's is for batches of 4,096
    "attentive": {"weights": {"lr": 0.05}},
    "enas": {"strategy": {"policy_steps": 10, "samples": 10, "policy_lr": 0.01, "remembered": 0.9}},  # a twentieth of the paper's updates
}


def recipe(name: str, method: str, space: str | None) -> Settings:
    """What the recipe ``name`` sets of a search by ``method`` in ``space``; to be laid under what the user sets.

    Raises ``InputError`` for another name, and where there is no recipe of that name.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    if space is None:
        raise InputError("a recipe is for a method in a space: give --space")
    known = space_named(space)
    if name == "paper" and method in SEARCHERS:
        return {}  # what the paper of a searcher says is its default
    if name == "paper":
        if method not in PAPER or space not in HOME.get(method, CELLS):
            able = f"in {' and '.join(HOME.get(method, CELLS))}" if method in PAPER else f"of {', '.join(PAPER)}"
            raise InputError(f"there is no paper recipe of {method} in {space}; there is one {able}")
        return merged(PAPER[method], known.recipes.get("paper", {}))
    if "short" not in known.recipes:
        others = [other for other in SPACES if "short" in space_named(other).recipes]
        raise InputError(f"there is no short recipe in {space}; there is one in: {', '.join(others)}")
    return merged(SHORT, known.recipes["short"], SHORT_METHODS.get(method, {}) if space in HOME.get(method, ("darts",)) else {})
