"""Published tables against the latencies that the papers' code computes from them.

Those that no licence lets us copy are read from the folder in $SUPERNET_TABLES: ``pytest -m tables``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from supernet import Supernet
from supernet.costs.latency.by_resolution import ByResolution
from supernet.costs.latency.published import kind_of, published_table
from supernet.costs.latency.published_blocks import block_name, lookup, network_latency
from supernet.costs.parts import Part, parts
from supernet.errors import InputError
from supernet.mixture import Mix, Mixture, Table, expected, one_hot
from supernet.space import Choice, SearchSpace
from supernet.spaces import space as space_named
from supernet.spaces.record import Space

EMBEDDED = Path(__file__).parents[1] / "data_tables"


@cache
def network(name: str, **changes: Any) -> tuple[Space, Supernet, Sequence[Part]]:
    """A space at the size of the papers, and its parts."""
    space = space_named(name)
    settings = {**space.network.usual("imagenet"), **changes}
    with torch.device("meta"):
        supernet: Supernet = space.supernet(**settings)
        return space, supernet, parts(supernet, torch.empty(1, *settings["shape"]))


def real(name: str) -> Path:
    path = Path(os.environ.get("SUPERNET_TABLES", ".")) / name
    assert path.exists(), f"there is no {path}: let SUPERNET_TABLES name the folder that holds the published tables"
    return path


def softmax(supernet: Supernet, alphas: dict[str, Tensor]) -> Mixture:
    return {n: Mix(alphas[n].softmax(0), tuple(range(len(c.options)))) for n, c in supernet.space.items()}


def zeros(supernet: Supernet) -> dict[str, Tensor]:
    return {n: torch.zeros(len(c.options), dtype=torch.float64, requires_grad=True) for n, c in supernet.space.items()}


def latency(supernet: Supernet, table: Table, arch: dict[str, Any]) -> float:
    return float(expected(supernet.space, one_hot(supernet.space, supernet.space.check(arch)), table))


# ProxylessNAS

BLOCKS = [  # inputs, outputs, side, stride of its 21 layers
    (16, 24, 112, 2),
    *[(24, 24, 56, 1)] * 3,
    (24, 40, 56, 2),
    *[(40, 40, 28, 1)] * 3,
    (40, 80, 28, 2),
    *[(80, 80, 14, 1)] * 3,
    (80, 96, 14, 1),
    *[(96, 96, 14, 1)] * 3,
    (96, 192, 14, 2),
    *[(192, 192, 7, 1)] * 3,
    (192, 320, 7, 1),
]


def ms(inputs: int, outputs: int, side: int, kernel: int, expand: int) -> float:
    """Made times, no two alike."""
    return side * (inputs * expand + outputs) / 1000 + kernel * expand / 10


def proxyless_table(path: Path) -> Path:
    """A table as ProxylessNAS', with made times."""
    entries = {"Conv-input:224x224x3-output:112x112x32": 4.0, "Conv_1-input:7x7x320-output:7x7x1280": 3.0}
    entries |= {"Logits-input:7x7x1280-output:1000": 0.5, name(32, 16, 112, 1, 3, 1): 2.0}
    entries |= {name(i, o, s, d, k, e): ms(i, o, s, k, e) for i, o, s, d in BLOCKS for k in (3, 5, 7) for e in (3, 6)}
    path.write_text(yaml.safe_dump({n: {"count": 100, "mean": mean, "var": 0.1} for n, mean in entries.items()}))
    return path


def name(inputs: int, outputs: int, side: int, stride: int, kernel: int, expand: int) -> str:
    sizes = f"input:{side}x{side}x{inputs}-output:{side // stride}x{side // stride}x{outputs}"
    same = int(stride == 1 and inputs == outputs)
    return f"expanded_conv-{sizes}-expand:{expand}-kernel:{kernel}-stride:{stride}-idskip:{same}"


def test_a_proxyless_table_gives_each_layer_the_entry_of_its_sizes(tmp_path: Path) -> None:
    _, supernet, found = network("proxyless")
    path = proxyless_table(tmp_path / "table.yaml")
    assert kind_of(path) == "proxyless" and len(lookup(path)) == 70
    table = published_table(path, supernet.space, found)
    for kernel in (3, 5, 7):
        for expand in (3, 6):
            total = 9.5 + sum(ms(i, o, s, kernel, expand) for i, o, s, _ in BLOCKS)
            assert latency(supernet, table, {f"layer.{n}": f"k{kernel}e{expand}" for n in range(21)}) == pytest.approx(total)
    mixed = {f"layer.{n}": "zero" if (i, d) == (o, 1) else "k7e3" for n, (i, o, s, d) in enumerate(BLOCKS)}
    assert latency(supernet, table, mixed) == pytest.approx(9.5 + sum(ms(i, o, s, 7, 3) for i, o, s, d in BLOCKS if (i, d) != (o, 1)))


@pytest.mark.parametrize(
    "changes", [{"widths": (32, 40, 80, 96, 192, 320)}, {"shape": (3, 192, 192)}, {"stem": "cifar", "shape": (3, 32, 32)}], ids=str
)
def test_a_network_of_other_sizes_is_refused_with_the_entry_that_is_missing(changes: dict[str, Any], tmp_path: Path) -> None:
    _, supernet, found = network("proxyless", **{"depths": (1,) * 6, **changes})
    with pytest.raises(InputError, match=r"the table has no entry .*: it is of a network of other sizes"):
        published_table(proxyless_table(tmp_path / "table.yaml"), supernet.space, found)


@pytest.mark.tables
def test_the_proxyless_table_gives_the_latencies_of_the_official_code() -> None:
    _, supernet, found = network("proxyless")
    table = published_table(real("proxylessnas_mobile_trim.yaml"), supernet.space, found)
    alphas = zeros(supernet)
    cost = expected(supernet.space, softmax(supernet, alphas), table)
    assert cost.item() == pytest.approx(113.98812882557638, rel=1e-12)
    cost.backward()
    assert alphas["layer.0"].grad.tolist() == pytest.approx(  # type: ignore[union-attr]
        [-1.2020053457977782, 0.5522710475947689, -0.9889153716197343, 0.9147769536013026, -0.7181402306637074, 1.4420129468851492]
    )
    assert alphas["layer.1"].grad.tolist() == pytest.approx(  # type: ignore[union-attr]
        [
            *(-0.4947966146849698, 0.1940352338886573, -0.26211210964477855, 0.6278073136469264),
            *(0.06831016431100118, 1.2577085627818156, -1.390952550298652),
        ]
    )
    everywhere = {"k3e3": 76.04809868594556, "k3e6": 136.46626591592798, "k5e3": 87.72027820277111, "k5e6": 158.95274586356186}
    everywhere |= {"k7e3": 103.66616483774828, "k7e6": 191.0298712699614}
    for option, total in everywhere.items():
        assert latency(supernet, table, dict.fromkeys(supernet.space, option)) == pytest.approx(total, rel=1e-12)
    last = {n: c.options[-1] for n, c in supernet.space.items()}
    assert latency(supernet, table, last) == pytest.approx(61.617344799297825, rel=1e-12)


# Single-Path NAS; its table is under Apache-2.0


def test_the_single_path_table_gives_the_runtimes_of_the_official_code() -> None:
    module, supernet, found = network("single-path")
    path = EMBEDDED / "single_path_pixel1.json"
    assert kind_of(path) == "single-path"
    plain, interpolated = (published_table(path, supernet.space, found, interpolated=i) for i in (False, True))
    everywhere = {(3, 3): 65.6914, (3, 6): 110.6524, (5, 3): 76.3622, (5, 6): 131.4578}
    for (kernel, expansion), total in everywhere.items():
        arch = {n: kernel if n.endswith("kernel") else expansion for n in supernet.space}
        assert latency(supernet, plain, arch) == pytest.approx(total, rel=1e-12)
        assert latency(supernet, interpolated, arch) == pytest.approx(65.63564555123611 if kernel + expansion == 6 else total, rel=1e-12)
    searched = module.parse(module.published["single-path"].notation)
    assert latency(supernet, plain, searched) == pytest.approx(80.4411, rel=1e-12)
    assert latency(supernet, interpolated, searched) == pytest.approx(80.5925948335339, rel=1e-12)


def test_skipped_layers_of_single_path_take_no_time() -> None:
    _, supernet, found = network("single-path")
    table = published_table(EMBEDDED / "single_path_pixel1.json", supernet.space, found)
    for kernel in (3, 5):
        arch = {n: kernel if n.endswith("kernel") else supernet.space[n].options[0] for n in supernet.space}
        raw = json.loads((EMBEDDED / "single_path_pixel1.json").read_text())
        firsts = sum(raw[str(i)]["0" if kernel == 3 else "2"] for i in (1, 5, 9, 13, 17))
        assert latency(supernet, table, arch) == pytest.approx(19.5999 + firsts)


@pytest.mark.slow
def test_single_path_of_another_size_is_refused() -> None:
    _, supernet, found = network("single-path", stem="cifar", shape=(3, 32, 32))
    with pytest.raises(InputError, match="layer 0 of the table is fed 16 channels of 112x112, of this network"):
        published_table(EMBEDDED / "single_path_pixel1.json", supernet.space, found)


# DenseNAS; its table is under Apache-2.0


def test_the_densenas_table_gives_the_latencies_of_the_official_code() -> None:
    module, supernet, found = network("densenas")
    path = EMBEDDED / "densenas_mbv2_xp32.json"
    assert kind_of(path) == "densenas"
    table = published_table(path, supernet.space, found)
    published = {"densenas-a": 13.646210516342013, "densenas-b": 15.817214840590356, "densenas-c": 18.011904581628666}
    for name, total in published.items():
        assert latency(supernet, table, module.parse(module.published[name].notation)) == pytest.approx(total, rel=1e-12)
    assert expected(supernet.space, softmax(supernet, zeros(supernet)), table).item() == pytest.approx(32.41794401615806, rel=1e-12)


@pytest.mark.parametrize(
    "changes", [{"base": "resnet"}, *(pytest.param(other, marks=pytest.mark.slow) for other in ({"shape": (3, 192, 192)}, {"width": 0.5}))]
)
def test_a_densenas_network_of_other_blocks_is_refused(changes: dict[str, Any]) -> None:
    _, supernet, found = network("densenas", **changes)
    with pytest.raises(
        InputError, match=r"densenas_mbv2_xp32.json cannot be used: (its entries are not|the table is of the paper's widths)"
    ):
        published_table(EMBEDDED / "densenas_mbv2_xp32.json", supernet.space, found)


def test_basic_blocks_without_a_choice_are_paid_by_the_route_that_takes_them(tmp_path: Path) -> None:
    _, supernet, found = network("densenas", base="resnet")
    space = supernet.space
    places = [name.removeprefix("route.") for name in space if name.startswith("route.")]

    def entering(place: str) -> list[list[float]]:
        """From the nearest block on: 1 + a thousandth of how far back it is."""
        into = [s for s in places if place in map(str, space[f"route.{s}"].options)]
        return [[1 + n / 1000] for n in range(len(into))]

    blocks = [[entering(p), [[0.01, 0.0] for _ in range(15)]] for p in places[1:]]
    (tmp_path / "table.json").write_text(json.dumps([0.25, blocks, [ms for (ms,) in entering("end")], 0.5]))
    table = published_table(tmp_path / "table.json", space, found)
    arch = {n: c.options[-1] for n, c in space.items()}  # the farthest block each time, and nothing stacked
    here, total = "start", 0.75
    while here != "end":
        there = str(arch[f"route.{here}"])
        into = [s for s in places if there in map(str, space[f"route.{s}"].options)]
        total += 1 + into[::-1].index(here) / 1000
        here = there
    assert latency(supernet, table, arch) == pytest.approx(total)


# Once-for-All


def elastic(r: int, kernels: Sequence[int], expansions: Sequence[int], depths: Sequence[int]) -> list[str]:
    """The names of the blocks of a network of Once-for-All's, width 1.2, for images of r x r pixels."""
    side = r // 2
    names = [f"Conv-input:{r}x{r}x3-output:{side}x{side}x24", block_name(side, 24, 24, expand=24, kernel=3, stride=1, skip=True, se=False)]
    inputs = 24
    for stage, (outputs, stride, se, hs) in enumerate([(32, 2, 0, 0), (48, 2, 1, 0), (96, 2, 0, 1), (136, 1, 1, 1), (192, 2, 1, 1)]):
        for n in range(depths[stage]):
            i, step = 4 * stage + n, stride if n == 0 else 1
            expand = (inputs * expansions[i] + 4) // 8 * 8
            shape = {"expand": expand, "kernel": kernels[i], "stride": step, "skip": step == 1 and inputs == outputs}
            names.append(block_name(side, inputs, outputs, **shape, se=bool(se), hs=bool(hs)))
            inputs, side = outputs, -(-side // step)
    return [
        *names,
        f"Conv_1-input:{side}x{side}x192-output:{side}x{side}x1152",
        f"AvgPool2D-input:{side}x{side}x1152-output:1x1x1152",
        "Conv_2-input:1x1x1152-output:1x1x1536",
        "Logits-input:1x1x1536-output:1000",
    ]


def test_blocks_of_elastic_networks_are_looked_up_one_by_one(tmp_path: Path) -> None:
    names = elastic(160, [3] * 20, [3] * 20, [2] * 5)
    assert names[2] == "expanded_conv-input:80x80x24-output:40x40x32-expand:72-kernel:3-stride:2-idskip:0-se:0-hs:0"
    assert names[7] == "expanded_conv-input:10x10x96-output:10x10x96-expand:288-kernel:3-stride:1-idskip:1-se:0-hs:1"
    path = tmp_path / "160.yaml"
    path.write_text(yaml.safe_dump({n: {"count": 10, "mean": 2.0**i, "std": 0.1} for i, n in enumerate(names)}))
    assert kind_of(path) == "once-for-all"
    assert network_latency(lookup(path), names) == 2.0 ** len(names) - 1
    with pytest.raises(InputError, match=r"the table has no entry expanded_conv-.*-kernel:5"):
        network_latency(lookup(path), elastic(160, [5] * 20, [3] * 20, [2] * 5))
    _, supernet, found = network("proxyless")
    with pytest.raises(
        InputError, match="the table has no entry Conv-input:224x224x3-output:112x112x32: it is of a network of other sizes"
    ):
        published_table(path, supernet.space, found)


def test_a_once_for_all_table_gives_every_network_the_sum_of_its_blocks(tmp_path: Path) -> None:
    sizes: dict[str, Any] = {"width": 1.2, "shape": (3, 64, 64), "depths": (1, 1, 1, 1, 1)}
    _, supernet, found = network("ofa-mobilenetv3", **sizes)

    def blocks(kernel: int, expansion: int) -> list[str]:
        return elastic(64, [kernel] * 20, [expansion] * 20, sizes["depths"])

    named = sorted({n for kernel in (3, 5, 7) for expansion in (3, 4, 6) for n in blocks(kernel, expansion)})
    path = tmp_path / "64.yaml"
    path.write_text(yaml.safe_dump({n: {"count": 10, "mean": 1 + i / 7, "std": 0.1} for i, n in enumerate(named)}))
    table = published_table(path, supernet.space, found)
    both = ByResolution({64: table}, supernet.space)
    for kernel, expansion in ((3, 6), (7, 4)):
        taken = {
            n: c.options[0] if n.startswith("depth") else (kernel if n.endswith("kernel") else expansion) for n, c in supernet.space.items()
        }
        total = network_latency(lookup(path), blocks(kernel, expansion))
        assert latency(supernet, table, taken) == pytest.approx(total)
        chosen = SearchSpace([*supernet.space.values(), Choice("resolution", (64, 128))])
        assert both.predict(chosen, {**taken, "resolution": 64}) == pytest.approx(total)
        with pytest.raises(InputError, match="there is no latency table for resolution 128; there are: 64"):
            both.predict(chosen, {**taken, "resolution": 128})


@pytest.mark.tables
def test_the_note10_table_over_the_space_gives_the_latencies_of_the_official_code() -> None:
    _, supernet, found = network("ofa-mobilenetv3", width=1.2, shape=(3, 160, 160))
    table = published_table(real("ofa_note10/160_lookup_table.yaml"), supernet.space, found)
    for sizes, total in {(7, 6, 4): 47.77331169487525, (3, 3, 2): 9.890346512078672, (5, 4, 3): 20.032599703291698}.items():
        kernel, expansion, depth = sizes
        taken = {n: depth if n.startswith("depth") else (kernel if n.endswith("kernel") else expansion) for n in supernet.space}
        assert latency(supernet, table, taken) == pytest.approx(total, rel=1e-12)


@pytest.mark.tables
def test_the_note10_tables_give_the_latencies_of_the_official_code() -> None:
    tables = {r: lookup(real(f"ofa_note10/{r}_lookup_table.yaml")) for r in (160, 176, 192, 224)}
    sums = {160: 115.28086156249486, 176: 140.27146898485185, 192: 163.22074880154926, 224: 223.82776091304427}
    assert {r: sum(table.values()) for r, table in tables.items()} == pytest.approx(sums)
    sizes = [(7, 6, 4), (3, 3, 2), (5, 4, 3)]
    totals = {
        160: [47.77331169487525, 9.890346512078672, 20.032599703291698],
        224: [92.39803799478005, 17.769055648085843, 37.8063774619319],
    }
    for r, each in totals.items():
        for (kernel, expand, depth), total in zip(sizes, each, strict=True):
            assert network_latency(tables[r], elastic(r, [kernel] * 20, [expand] * 20, [depth] * 5)) == pytest.approx(total, rel=1e-12)
    for s, total in {1: 34.139374825012816, 2: 35.074673030490914, 4: 53.29845558843171}.items():
        kernels, expansions = [(3, 5, 7)[(2 * i + s) % 3] for i in range(20)], [(3, 4, 6)[(i * i + s) % 3] for i in range(20)]
        r = (160, 176, 192, 208, 224)[s]
        assert network_latency(tables[r], elastic(r, kernels, expansions, [(2, 3, 4)[(j + s) % 3] for j in range(5)])) == pytest.approx(
            total
        )


def test_what_is_no_table_is_refused_in_one_line(tmp_path: Path) -> None:
    _, supernet, found = network("proxyless")
    contents = {
        "{": "cannot be read",
        "a: [": "cannot be read",
        "text": "not a latency table",
        "{}": "not a latency table",
        "[1, 2]": "not a",
    }
    contents |= {"expanded_conv-a: 3": "expected entries with a mean", "expanded_conv-a: {mean: .nan}": "is not a time"}
    contents |= {"[1, [], [], 2]": "cannot be used: the table is of DenseNAS' networks"}
    for text, message in contents.items():
        (tmp_path / "table").write_text(text)
        with pytest.raises(InputError, match=message) as error:
            published_table(tmp_path / "table", supernet.space, found)
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="cannot be read: it does not exist"):
        kind_of(tmp_path / "nowhere")
