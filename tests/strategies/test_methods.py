"""The supernets that the methods ask of the spaces, counted in their official codes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from supernet.costs.count import params
from supernet.errors import InputError
from supernet.mixture import one_hot
from supernet.settings.given import accepted, keywords
from supernet.spaces import SPACES
from supernet.spaces import space as space_named
from supernet.strategies import STRATEGIES, strategy

COUNTS = [  # (method, settings of the size, parameters, alphas)
    ("darts", {}, 1_930_618, 224),
    ("gdas", {}, 1_930_618, 224),
    ("gdas-frc", {}, 1_341_946, 112),
    ("pc-darts", {}, 299_578, 224 + 28),
    ("pc-darts", {"classes": 100}, 322_708, 224 + 28),
    ("pc-darts", {"partial": 2, "stem": "imagenet", "shape": (3, 224, 224), "classes": 1000}, 956_512, 224 + 28),
    ("p-darts", {}, 1_275_834, 224),
    ("p-darts", {"cells": 11}, 2_585_146, 224),
    ("p-darts", {"cells": 17}, 3_894_202, 224),
    (
        "p-darts",
        {"cells": 11, "operations": ("skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")},
        2_585_146,
        140,
    ),
    ("p-darts", {"cells": 17, "operations": ("skip_connect", "sep_conv_3x3", "dil_conv_3x3")}, 1_861_402, 84),
    ("drnas", {}, 2_221_750, 196),
    ("fair-darts", {}, 1_930_618, 196),
    ("sdarts-rs", {}, 1_930_618, 196),
    ("sdarts-adv", {"operations": "s1"}, 405_146, 56),
    ("darts-es", {"operations": "s2"}, 665_466, 56),
    ("darts-es", {"operations": "s3"}, 665_466, 84),
    ("darts-es", {"operations": "s4"}, 624_506, 56),
    ("darts-es", {"operations": "s5"}, 1_930_618, 196),
    ("darts-pt", {}, 1_930_618, 224),
]


def asked(name: str, settings: dict[str, Any]) -> Any:
    """The supernet of a method on the cell space, without memory."""
    space, needs = space_named("darts"), strategy(name).load().needs
    with torch.device("meta"):
        return space.supernet(**space.supernet.accepted({**space.supernet.usual(), **space.served(needs), **settings}))


FEW = [COUNTS[0], COUNTS[2], COUNTS[5], COUNTS[8], COUNTS[11], COUNTS[14]]


@pytest.mark.parametrize(
    ("name", "settings", "parameters", "alphas"), [pytest.param(*each, marks=() if each in FEW else pytest.mark.slow) for each in COUNTS]
)
def test_supernet_has_as_many_parameters_and_alphas_as_the_official_one(
    name: str, settings: dict[str, Any], parameters: int, alphas: int
) -> None:
    net, method = asked(name, settings), strategy(name)
    assert params(net, without=()) == parameters
    assert sum(method.load().logits(c) for c in net.space.values()) == alphas


@pytest.mark.parametrize(("name", "settings", "parameters", "alphas"), COUNTS)
def test_a_small_supernet_has_as_many_alphas_as_the_official_one(name: str, settings: dict[str, Any], parameters: int, alphas: int) -> None:
    net = asked(name, {**settings, "cells": 3})
    assert sum(strategy(name).load().logits(c) for c in net.space.values()) == alphas


def test_auxiliary_skips_add_the_reductions_of_the_strided_edges_only() -> None:
    more = params(asked("darts-minus", {}), without=()) - params(asked("darts", {}), without=())
    assert more == 8 * (32 * 32 + 64 * 64)  # affine-free factorised reductions of both reduction cells, four nodes of two inputs


@pytest.mark.parametrize(
    ("first", "second", "edge"), [("max_pool_3x3", "skip_connect", "normal.4<0"), ("dil_conv_3x3", "dil_conv_5x5", "normal.5<4")]
)
def test_edges_of_the_space_s1_have_operations_of_their_own(first: str, second: str, edge: str) -> None:
    assert asked("darts", {"operations": "s1"}).space[edge].options == (first, second)


def test_noise_stands_for_its_input_in_the_space_s4() -> None:
    net = space_named("darts").supernet(channels=4, cells=3, nodes=1, shape=(3, 8, 8), operations="s4")
    choices = {"normal.2": (0, 1), "reduce.2": (0, 1)}
    arch = net.space.check({**choices, **dict.fromkeys((n for n in net.space if "<" in n), "noise")})
    x = torch.randn(2, 3, 8, 8)
    outputs = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        outputs.append(net(one_hot(net.space, arch), x))
    assert torch.allclose(outputs[0], outputs[1])
    assert not torch.allclose(outputs[0], outputs[2])
    assert torch.isfinite(outputs[0]).all()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"operations": "s6"}, "did you mean 's"),
        ({"operations": {"normal.2<0": ["skip_connect"]}}, "must name those of normal.2<1"),
        ({"operations": ["skip_conect"]}, "did you mean 'skip_connect'"),
        ({"least_inputs": 0}, "1 or 2"),
    ],
)
def test_operations_that_make_no_space_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        asked("darts", settings)


def test_every_method_cites_its_paper_and_can_be_loaded() -> None:
    for method in STRATEGIES.values():
        assert "https://" in method.cite
        assert callable(method.load())


def test_what_a_method_needs_some_space_gives() -> None:
    for method in STRATEGIES.values():
        assert set(method.load().needs) <= {need for space in SPACES for need in space_named(space).serves}
    for space in map(space_named, SPACES):
        for need, serve in space.serves.items():
            value = next(method.load().needs[need] for method in STRATEGIES.values() if need in method.load().needs)
            assert space.supernet.accepted(serve(value))


@pytest.mark.parametrize("name", [name for name, method in STRATEGIES.items() if "regularise" in keywords(method.load())])
def test_regularisers_and_stopping_rules_can_be_named_in_the_settings_of_a_command(name: str) -> None:
    given = {"regularise": ["beta", ["zero-one", 0.5]], "warmup": 2, "alpha_clip": 5, "inner_steps": 2, "alphas_on": "train"}
    found = accepted(name, strategy(name).load(), given)
    assert list(found["regularise"]) == ["beta", ("zero-one", 0.5)]
    assert accepted(name, strategy(name).load(), {"stops": ["curvature"]})
