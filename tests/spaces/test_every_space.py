"""What every built-in space promises: defaults that build, a notation that is its own, a derived network that is the supernet's."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from functools import cache
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from supernet import derive
from supernet.costs.count import params
from supernet.errors import InputError
from supernet.mixture import one_hot
from supernet.naming.design import of_plan
from supernet.naming.lookup import design
from supernet.settings.given import defaults
from supernet.space import Architecture, SearchSpace
from supernet.spaces import SPACES
from supernet.spaces import space as space_named
from supernet.spaces.record import Build
from supernet.tasks import kind_for

SMALL = {
    **{"channels": 8, "cells": 3, "nodes": 2, "layers": 4, "widening": 1, "width": 0.25, "shape": (3, 8, 8), "classes": 3, "stem": "cifar"},
    **{"levels": 2, "tokens": 20, "hidden": 6},
}
SHORT: dict[str, dict[str, Any]] = {  # chains with few layers
    **{"fbnet": {"depths": (1,) * 7}, "proxyless": {"depths": (1,) * 6}, "fairnas": {"depths": (1,) * 6}},
    **{"spos": {"depths": (1,) * 4}, "spos-bits": {"depths": (1,) * 4}, "spos-channels": {"depths": (1,) * 4}},
    "densenas": {"widths": (8, 20, 30), "sizes": (8, 4, 4), "stages": (0, 1, 2), "depths": (0, 1, 1), "last": 50},
}
OTHER: dict[str, dict[str, Any]] = {  # settings of a network that are not the usual ones
    "fbnet": {"stem": "cifar", "width": 0.5, "dropout": 0.1},
    "proxyless": {"stem": "cifar", "stem_channels": 16, "first": 8, "classes": 7},
    "single-path": {"width": 1.5, "momentum": 0.1, "shape": (1, 64, 64)},
    "densenas": {"stem": "cifar", "last": 320, "width": 0.5},
    "spos": {"width": 0.5, "dropout": 0.0, "shape": (1, 64, 64)},
    "spos-channels": {"stem": "cifar", "stem_channels": 32, "head": 512},
    "spos-bits": {"stem": "cifar", "width": 0.5, "clip": 4.0},
    "fairnas": {"stem": "cifar", "squeeze": 0.25, "first": 8, "classes": 7},
    "ofa-mobilenetv3": {"stem": "cifar", "width": 0.75, "shape": (1, 28, 28)},
    "ofa-proxyless": {"stem": "cifar", "width": 1.0, "dropout": 0.1},
    "ofa-resnet50d": {"stem": "cifar", "width": 0.5, "stem_channels": 32},
}


def sizes(build: Build) -> dict[str, Any]:
    """Small ones; of a table's rows as long as images have channels."""
    table = len(defaults(build.sizes).get("shape") or (3, 32, 32)) == 1
    return {**SMALL, **({"shape": (3,)} if table else {})}


@cache
def choices(name: str) -> SearchSpace:
    """Those of the supernet that is searched by default, whose cells are all alike."""
    space = space_named(name)
    usual = space.supernet.usual()
    with torch.device("meta"):
        found: SearchSpace = space.supernet(**{**usual, **({"cells": 3} if "cells" in usual else {})}).space
    return found


def sampled(name: str, seed: int) -> Architecture:
    return choices(name).matters(choices(name).sample(Random(seed)))


LARGE = [pytest.param(name, marks=pytest.mark.slow if name == "nasnet" else ()) for name in SPACES]  # whose builder is enas-micro's too


@pytest.mark.parametrize("name", LARGE)
def test_its_record_is_frozen_and_its_defaults_build(name: str) -> None:
    space, architecture = space_named(name), sampled(name, 0)
    assert name == space.name and "https://" in space.citation and space.tasks
    with pytest.raises(FrozenInstanceError):
        space.name = "other"  # type: ignore[misc]
    for build in (space.supernet, space.network):
        assert set(build.said) <= set(defaults(build.sizes)) and build.accepted(build.usual()) == build.usual()
    with torch.device("meta"):
        sizes = space.network.sized({"stem": "cifar"} if space.network.stems else {})
        plain: nn.Module = space.network(space.parse(space.notation(architecture)), **sizes)
        assert params(plain) == params(space.network(architecture, **sizes))


@pytest.mark.parametrize("name", SPACES)
def test_its_notation_is_read_and_written_without_loss_and_recognised_by_this_space_alone(name: str) -> None:
    space = space_named(name)
    for seed in range(5):
        architecture = sampled(name, seed)
        text = space.notation(architecture)
        assert space.plans.choices(space.parse(text)) == architecture
        assert space.notation(space.parse(text)) == text
        assert [other for other in SPACES if space_named(other).recognises(text)] == [name]
    for known in space.published.values():
        assert [other for other in SPACES if space_named(other).recognises(known.notation)] == [name]


@pytest.mark.parametrize("name", LARGE)
def test_what_describe_prints_is_described_again_with_equal_counts(name: str) -> None:
    space = space_named(name)
    found = [of_plan(name, space.plans.of(sampled(name, 1))), *map(design, list(space.published)[:2])]
    for there in found:
        given = {"stem": "cifar"} if there is found[0] and space.network.stems else {}
        described = there.describe(given)
        again = design(str(described["genotype"])).describe({k: v for k, v in there.settings.items() if not space.one_build})
        assert again == described


@pytest.mark.parametrize("name", OTHER)
def test_what_describe_prints_of_other_settings_is_described_again_with_equal_counts(name: str) -> None:
    there = of_plan(name, sampled(name, 1)) if "stem" in OTHER[name] else design(name)
    described = there.describe(OTHER[name])
    assert design(str(described["genotype"])).describe() == described


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", SPACES)
def test_the_derived_network_equals_the_supernet_under_one_hot(name: str) -> None:
    torch.manual_seed(0)
    space = space_named(name)
    net = space.supernet(**{**space.supernet.taken(sizes(space.supernet)), **SHORT.get(name, {})})
    x = kind_for(name).drawn(sizes(space.supernet), 4)
    with torch.no_grad():
        for seed in range(2):
            net(one_hot(net.space, net.space.sample(Random(seed))), x)
    net.eval()
    architecture = net.space.sample(Random(3))
    plain = derive(net, architecture, x)
    assert (first(plain(x)) - first(net(one_hot(net.space, architecture), x))).abs().max() < 1e-9


def first(outputs: Any) -> Tensor:
    """The logits."""
    return outputs if isinstance(outputs, Tensor) else outputs[0]


@pytest.mark.parametrize("name", SPACES)
def test_a_setting_that_it_does_not_have_is_refused_with_the_nearest(name: str) -> None:
    for build in (space_named(name).supernet, space_named(name).network):
        known = build.said[0]
        with pytest.raises(InputError, match=f"unknown setting of {build.what} '{known}x'; did you mean '{known}'"):
            build.accepted({f"{known}x": 1})


def test_an_unknown_space_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'nasbench201'"):
        space_named("nas-bench-201")
