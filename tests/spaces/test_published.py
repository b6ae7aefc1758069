from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from supernet.costs.count import macs, params
from supernet.errors import InputError
from supernet.genotype import Genotype
from supernet.naming.lookup import design
from supernet.spaces import cell
from supernet.spaces.cell import DARTS

# (parameters without the auxiliary head, those of the head, multiply-accumulates): CIFAR with 36 channels and 20 cells, ImageNet
# with 48 and 14; counted in the official code of each, https://github.com/quark0/darts and the others that ``cells.json`` names
COUNTS = [
    ("darts-v1", (3_169_414, 476_426, 500_987_520), (4_510_432, 1_260_776, 505_864_704)),
    ("darts-v2", (3_349_342, 476_426, 528_359_040), (4_718_752, 1_260_776, 529_911_552)),
    ("nasnet-a", (3_830_950, 457_994, 603_452_448), (5_564_320, 1_236_200, 604_031_616)),
    ("pc-darts-cifar", (3_634_678, 476_426, 556_670_592), (5_270_560, 1_260_776, 571_137_408)),
    ("p-darts", (3_433_798, 476_426, 532_174_464), (4_944_352, 1_262_312, 542_819_328)),
    ("gdas-v1", (3_368_782, 476_426, 519_428_736), (4_969_216, 1_260_776, 537_597_888)),
    ("gdas-f1", (2_543_014, 476_426, 402_781_824), (3_841_888, 1_260_776, 425_031_168)),
    ("gdas-gf", (2_999_638, 476_426, 482_297_472), (4_344_544, 1_260_776, 489_984_000)),
    ("enas", (4_020_166, 494_858, 622_142_496), (5_908_768, 1_285_352, 630_336_384)),
    ("drnas-cifar", (4_099_294, 476_426, 635_135_616), (5_738_464, 1_260_776, 633_832_320)),
    ("sdarts-rs", (3_606_166, 476_426, 562_393_728), (5_120_320, 1_260_776, 566_762_688)),
    ("beta-darts", (2_567_854, 476_426, 403_749_504), (3_880_768, 1_260_776, 425_793_216)),
    ("darts-pt-0", (2_851_246, 476_426, 449_119_872), (4_228_576, 1_260_776, 465_805_440)),
    ("darts-pt-1", (3_053_206, 476_426, 471_680_640), (4_510_816, 1_260_776, 490_962_432)),
    ("blank-pt-0", (3_039_598, 476_426, 477_569_664), (4_448_128, 1_260_776, 490_953_024)),
    ("snas", (2_661_382, 476_426, 422_218_368), (3_939_328, 1_260_776, 438_042_432)),
    ("gdas-v1-fairdarts", (3_368_782, 476_426, 519_428_736), (4_969_216, 1_260_776, 537_597_888)),
    ("darts-minus-0", (3_454_318, 476_426, 546_551_424), (4_860_256, 1_260_776, 546_074_496)),
    ("darts-minus-2", (3_739_222, 476_426, 592_115_328), (5_210_080, 1_260_776, 586_284_288)),
]
FAIRDARTS = [
    ("fairdarts-a", (2_360_782, 476_426, 371_455_200)),
    ("fairdarts-b", (3_407_878, 476_426, 536_487_552)),
    ("fairdarts-d", (3_365_542, 476_426, 532_506_240)),
    ("fairdarts-f", (3_151_054, 476_426, 497_614_464)),
]
OTHER_SIZES: list[tuple[str, dict[str, Any], tuple[int, int, int]]] = [
    ("gdas-v1", {"stem": "imagenet", "channels": 50}, (5_345_075, 1_264_872, 581_009_000)),
    ("gdas-f1", {"stem": "imagenet", "channels": 52}, (4_430_386, 1_268_968, 496_733_952)),
    ("gdas-gf", {"stem": "imagenet", "channels": 52}, (5_009_874, 1_268_968, 571_013_248)),
    ("gdas-fg", {"stem": "imagenet", "channels": 50}, (4_804_675, 1_264_872, 511_468_200)),
    ("pnasnet-5", {"channels": 48, "cells": 11}, (4_271_002, 525_578, 675_210_624)),
    ("nasnet-a", {"channels": 33}, (3_245_989, 453_386, 512_512_968)),
    ("darts-v2", {"classes": 100}, (3_349_342 + 51_930, 476_426 + 69_210, 528_359_040 + 51_840)),
]
IN_INTERFACE = (
    "darts-v1 darts-v2 nasnet-a amoebanet-a pnasnet-5 enas snas gdas-v1 gdas-f1 gdas-gf gdas-fg pc-darts-cifar pc-darts-imagenet p-darts "
    "drnas-cifar drnas-imagenet sdarts-rs sdarts-adv beta-darts darts-minus-0 darts-minus-1 darts-minus-2 darts-minus-3 darts-minus-4 "
    "darts-pt-0 darts-pt-1 darts-pt-2 darts-pt-3 fairdarts-a fairdarts-b fairdarts-c fairdarts-d fairdarts-e fairdarts-f fairdarts-g mdenas"
)


def counted(name: str, **sizes: Any) -> tuple[int, int, int]:
    found = DARTS.published[name]
    with torch.device("meta"):
        network = cell.network(found.notation, auxiliary=True, **found.settings, **sizes)
    shape = cell.STEMS[sizes.get("stem", "cifar")]["shape"]
    return params(network), params(network, ()) - params(network), macs(network, shape)


FEW = ("darts-v2", "nasnet-a", "p-darts", "gdas-v1", "drnas-cifar")


@pytest.mark.parametrize(
    ("name", "cifar", "imagenet"), [pytest.param(*each, marks=() if each[0] in FEW else pytest.mark.slow) for each in COUNTS]
)
def test_evaluation_networks_have_the_official_size(name: str, cifar: tuple[int, int, int], imagenet: tuple[int, int, int]) -> None:
    assert counted(name) == cifar
    assert counted(name, stem="imagenet") == imagenet


@pytest.mark.parametrize(("name", "expected"), FAIRDARTS)
def test_nodes_without_edges_are_left_out_of_the_concatenation(name: str, expected: tuple[int, int, int]) -> None:
    assert counted(name) == expected


@pytest.mark.parametrize(("name", "sizes", "expected"), OTHER_SIZES)
def test_other_widths_and_classes_have_the_official_size(name: str, sizes: dict[str, Any], expected: tuple[int, int, int]) -> None:
    assert counted(name, **sizes) == expected


@pytest.mark.parametrize("name", DARTS.published)
def test_every_published_cell_trains_with_its_auxiliary_head(name: str) -> None:
    found, genotype = DARTS.published[name], design(name).plan
    network = cell.network(genotype, channels=8, cells=3, shape=(3, 8, 8), auxiliary=True, **found.settings)
    logits, auxiliary = network(torch.randn(2, 3, 8, 8))
    assert logits.shape == auxiliary.shape == (2, 10)
    assert re.search(r" 20\d\d: .*, https://arxiv.org/abs/\d", found.cite)
    assert found.repository.startswith("https://github.com/") and found.original
    assert Genotype.parse(str(genotype)) == genotype


def test_every_promised_name_is_there() -> None:
    assert set(IN_INTERFACE.split()) <= set(DARTS.published)


def test_the_two_versions_of_gdas_v1_differ_in_one_edge() -> None:
    ours, theirs = design("gdas-v1").plan.reduce, design("gdas-v1-fairdarts").plan.reduce
    assert ours is not None and theirs is not None
    assert ours[:3] == theirs[:3]
    assert (ours[3], theirs[3]) == ((("sep_conv_5x5", 0), ("sep_conv_5x5", 1)), (("sep_conv_5x5", 0), ("sep_conv_5x5", 2)))


def test_repositories_differ_in_batch_norms_only() -> None:
    assert DARTS.published["p-darts"].settings == {"auxiliary_norm": True, "pool_norm": False}
    assert DARTS.published["drnas-cifar"].settings == {"auxiliary_norm": False, "pool_norm": True}
    assert DARTS.published["darts-v2"].settings == {"auxiliary_norm": False, "pool_norm": False}


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'pc-darts-imagenet'"):
        design("pcdarts-imagenet")
