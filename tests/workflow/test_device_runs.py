"""From a profile to a network that keeps its bound, by the commands."""

from __future__ import annotations

import json
import math
import statistics
import time
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import numpy
import onnxruntime
import pytest
import torch

from command_line import called
from supernet import load, time_network
from supernet.commands import export
from supernet.costs.latency.onnx import onnx_bytes
from supernet.costs.latency.predictor import Predictor
from supernet.costs.latency.table import LatencyTable
from supernet.costs.latency.timing import Effort
from supernet.errors import InputError
from supernet.modules.weights import checksum, read
from supernet.plan.bounds import limits_on, open_network
from supernet.plan.chosen import choose
from supernet.plan.profile import plan_profile
from supernet.plan.retrain import plan_retrain
from supernet.plan.search import plan_search
from supernet.settings.commands import Profile, Retrain, Search
from supernet.settings.given import settled
from supernet.settings.quantities import milliseconds
from supernet.spaces import space as space_named
from supernet.tasks import kind_for
from supernet.workflow.profiling import profile_run
from supernet.workflow.retraining import retrain_run
from supernet.workflow.searching import search_run

SMALL: dict[str, dict[str, Any]] = {
    "fbnet": {"width": 0.5, "depths": [1] * 7},
    "proxyless": {"width": 0.5, "depths": [1, 2, 1, 1, 1, 1]},
    "single-path": {"width": 0.25, "depths": [1, 2, 1, 1, 1], "head": 32},
    "densenas": {"width": 0.25},
}
HOME = {"fbnet": "fbnet", "proxyless": "proxyless", "proxyless-rl": "proxyless", "single-path": "single-path", "densenas": "densenas"}


class Tables(dict[str, Path]):
    """A table of each space, at the size of the digits, measured when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def __missing__(self, space: str) -> Path:
        flags = {"space": space, "network": {**SMALL[space], "stem": "cifar", "shape": (1, 8, 8)}, "networks": 4}
        self[space] = self.folder / f"{space}.json"
        with mock.patch.object(Effort, "enough", lambda effort, visits: len(visits) >= 3):  # how exact they are does not matter here
            profile_run(plan_profile(settled(Profile, flags=flags), self[space]))
        return self[space]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return Tables(tmp_path_factory.mktemp("tables"))


@pytest.fixture
def unexported(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found is written as no ONNX file, which takes longer than all else here; ``found`` is."""
    monkeypatch.setattr("supernet.workflow.finishing.exported", lambda *given: None)


def settings(method: str, table: Path | None, bound: float | None, **more: Any) -> Search:
    space = HOME.get(method, "fbnet")
    flags = {"method": method, "space": space, "epochs": 2, "data.limit": 96, "data.batch_size": 16, "supernet": SMALL[space]}
    limits = {"limits.latency": bound, "limits.latency_table": None if table is None else str(table)}
    return settled(Search, None, [], {**flags, **limits, "alarm.every": 0, "threads": 1, **more})


def between(table: Path, share: float = 0.5) -> float:
    """A bound that, less the margin, lies between the latencies predicted of a fast and a slow network."""
    latencies = LatencyTable.read(table)
    assert latencies.validation
    predicted = [point[0] for point in latencies.validation["points"]]
    return float(min(predicted) + share * (max(predicted) - min(predicted))) / (1 - latencies.underestimate)


@pytest.mark.slow
@pytest.mark.usefixtures("unexported")
@pytest.mark.parametrize("method", [method for method in HOME if method != "fbnet"])
def test_every_method_for_devices_finds_a_network_that_keeps_its_bound(method: str, tables: dict[str, Path], tmp_path: Path) -> None:
    table = tables[HOME[method]]
    assert_kept(search_run(plan_search(settings(method, table, between(table))), tmp_path / "run"), table, tmp_path / "run")


def assert_kept(result: dict[str, Any], table: Path, folder: Path) -> None:
    """Whether a search under the bound ``between(table)`` found what keeps it, priced it on the way, and says so in its folder."""
    bound, measured = between(table), result["measured"]["latency"]
    assert result["latency"] <= bound and result["limits"] == {"latency": {"bound": bound, "holds": measured["holds"]}}
    assert measured["predicted"] == result["latency"] and measured["over"] == pytest.approx(measured["ms"] / bound - 1)
    assert measured["holds"] == (measured["ms"] <= bound)
    stored = json.loads((folder / "architecture.json").read_text())
    assert sum(ms for _, ms in stored["where"]["latency"]) == pytest.approx(result["latency"])
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert lines[-1]["price"]["latency"]["bound"] == pytest.approx(bound * (1 - LatencyTable.read(table).underestimate))
    assert "Bounds" in (folder / "report.html").read_text()


@pytest.fixture(scope="module")
def found(tables: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A search under a bound with a random search beside it, exported: its folder, and what it gave."""
    folder, table = tmp_path_factory.mktemp("found") / "run", tables["fbnet"]
    more = {"epochs": 2, "baseline.name": "random", "baseline.trials": 2}
    return folder, search_run(plan_search(settings("fbnet", table, between(table), **more)), folder)


def test_fbnet_finds_a_network_that_keeps_its_bound_also_beside_a_random_search(
    found: tuple[Path, dict[str, Any]], tables: dict[str, Path]
) -> None:
    assert_kept(found[1], tables["fbnet"], found[0])


def test_what_is_exported_is_what_was_found_also_beside_a_random_search(found: tuple[Path, dict[str, Any]]) -> None:
    folder, result = found
    session = onnxruntime.InferenceSession(result["exported"], providers=["CPUExecutionProvider"])
    about = json.loads(session.get_modelmeta().custom_metadata_map["supernet"])
    tensors, bound = read(folder / "weights.safetensors")
    assert about["checksum"] == bound["checksum"] == checksum(tensors)
    x = torch.randn(3, 1, 8, 8)
    with torch.no_grad():
        expected = load(folder)(x)
    torch.testing.assert_close(torch.from_numpy(session.run(None, {"input": x.numpy()})[0]), expected, rtol=1e-3, atol=1e-4)
    said = about["metadata"]
    assert said["layout"] == "NCHW" and said["size"] == [8, 8] and said["colours"] == "L" and said["scale"] == 255
    assert len(said["mean"]) == len(said["std"]) == 1 and said["classes"] == [str(i) for i in range(10)]
    limit, measured = said["bounds"]["latency"], result["measured"]["latency"]
    assert limit["how"] == "median of a plain loop" and limit["unit"] == "ms" and limit["holds"] == measured["holds"]
    assert limit["median"] == limit["value"] == measured["ms"] >= limit["minimum"] > 0
    assert "validation_accuracy" in said["metrics"] and said["weights"].startswith("of the supernet")


def test_a_search_that_trained_no_weights_of_what_it_found_exports_none(
    tables: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = search_run(plan_search(settings("random", tables["fbnet"], between(tables["fbnet"], 0.9), trials=2, steps=2)), tmp_path / "run")
    assert "exported" not in found and not (tmp_path / "run" / "exported").exists()
    assert "no trained weights of this network: retrain" in capsys.readouterr().err and found["measured"]["latency"]["ms"] > 0


def test_a_retraining_under_a_bound_is_delivered_with_it(found: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, result = found
    flags = {"architecture": str(folder), "epochs": 1, "data.limit": 96, "data.batch_size": 16, "threads": 1}
    scores = retrain_run(plan_retrain(settled(Retrain, None, [], flags)), tmp_path / "final")
    export.run(export.Export(run=tmp_path / "final", out=tmp_path / "out", formats=["safetensors"]))
    about = json.loads((tmp_path / "out" / "model.json").read_text())["metadata"]
    assert about["bounds"]["latency"]["value"] == result["measured"]["latency"]["ms"]
    assert about["metrics"]["test_accuracy"] == scores["test"]["accuracy"] and about["weights"] == "trained from nothing"
    retrain_run(plan_retrain(settled(Retrain, None, [], {**flags, "network": {"head": 24}})), tmp_path / "wider")
    export.run(export.Export(run=tmp_path / "wider", out=tmp_path / "other", formats=["safetensors"]))
    assert json.loads((tmp_path / "other" / "model.json").read_text())["metadata"]["bounds"] == {}  # another network


def test_the_latency_reported_is_that_of_a_plain_loop(tables: dict[str, Path]) -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 64, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(64, 64, 3, padding=1))
    ratios = []
    for _ in range(3):
        timing = time_network(network, torch.zeros(1, 1, 24, 24), backend="onnxruntime", seconds=0.3)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        written = onnx_bytes(network, (torch.zeros(1, 1, 24, 24),))
        session = onnxruntime.InferenceSession(written, options, providers=["CPUExecutionProvider"])
        x, times = numpy.zeros((1, 1, 24, 24), numpy.float32), []
        for _ in range(200):
            before = time.perf_counter()
            session.run(None, {"input_0": x})
            times.append(1000 * (time.perf_counter() - before))
        assert 0 < timing.minimum_ms <= timing.median_ms
        ratios.append(timing.median_ms / statistics.median(times))
    assert min(abs(math.log(ratio)) for ratio in ratios) < 0.2, ratios  # once of three times, on a machine that does other things too


def test_a_random_search_tries_nothing_beyond_the_bound(tables: dict[str, Path], tmp_path: Path) -> None:
    bound = between(tables["fbnet"])
    plan = plan_search(settings("random", tables["fbnet"], bound, trials=4, steps=4, **{"limits.margin": 0.0}))
    found = search_run(plan, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    assert found["latency"] <= bound
    assert all((line["outcome"] == "infeasible") == (line["costs"]["latency"] > bound) for line in lines)


@pytest.mark.slow
@pytest.mark.usefixtures("unexported")
def test_a_bound_gives_a_faster_network_than_none(tables: dict[str, Path], tmp_path: Path) -> None:
    table = tables["proxyless"]
    plan = plan_search(settings("proxyless", table, None, **{"price.cost": "latency", "price.reference": 1.0}))
    free = search_run(plan, tmp_path / "free")
    fast = between(table, 0.0) * (1 - LatencyTable.read(table).underestimate)
    bound = 0.5 * (fast + free["latency"])
    assert bound < free["latency"]
    kept = search_run(plan_search(settings("proxyless", table, bound, **{"limits.margin": 0.0})), tmp_path / "kept")
    assert kept["latency"] <= bound


@pytest.mark.slow
@pytest.mark.usefixtures("unexported")
def test_timing_a_few_steps_for_a_budget_in_seconds_leaves_the_price_as_it_is(tables: dict[str, Path], tmp_path: Path) -> None:
    table = tables["proxyless"]
    search_run(plan_search(settings("proxyless", table, between(table, 0.1), seconds=1.0, **{"limits.margin": 0.0})), tmp_path / "run")
    line = json.loads((tmp_path / "run" / "history.jsonl").read_text().splitlines()[0])
    assert line["price"]["latency"]["strength"] == 0.1  # the first epoch is one of warm-up


def test_what_the_table_was_short_of_is_left_as_a_margin(tables: dict[str, Path]) -> None:
    table = LatencyTable.read(tables["fbnet"])
    network = {**SMALL["fbnet"], "stem": "cifar", "shape": (1, 8, 8)}
    assert 0 <= table.underestimate < 1
    for margin, aim in ((None, 2.0 * (1 - table.underestimate)), (0.25, 1.5)):
        given = settings("fbnet", tables["fbnet"], 2.0, **{"limits.margin": margin})
        assert limits_on(given.limits, space_named("fbnet"), kind_for("fbnet"), network, table).aims == {"latency": aim}


@pytest.mark.usefixtures("unexported")
def test_a_price_without_a_bound_is_the_papers(tables: dict[str, Path], tmp_path: Path) -> None:
    chosen = settings("single-path", tables["single-path"], None, **{"epochs": 1, "price.cost": "latency", "price.weight": 50.0})
    result = search_run(plan_search(chosen), tmp_path / "run")
    assert "limits" not in result and result["latency"] > 0
    line = json.loads((tmp_path / "run" / "history.jsonl").read_text().splitlines()[-1])
    assert line["price"]["latency"]["strength"] == 50 and line["price"]["latency"]["bound"] is None


@pytest.mark.usefixtures("unexported")
@pytest.mark.slow
def test_what_a_device_without_python_measured_becomes_a_table(tmp_path: Path, tables: dict[str, Path]) -> None:
    plain = settled(Profile, flags={"space": "fbnet", "network": {**SMALL["fbnet"], "stem": "cifar", "shape": (1, 8, 8)}})
    written = profile_run(plan_profile(plain, None, tmp_path / "parts"))
    lines = (tmp_path / "parts" / "manifest.csv").read_text().splitlines()
    assert written["files"] == len(lines) - 1 == len(list((tmp_path / "parts").glob("*.onnx")))
    times = [f"{line.split(',')[0]},{0.5 if 'empty' in line else 1.5}" for line in lines[1:]]
    (tmp_path / "times.csv").write_text("\n".join(["name,ms", *times]))
    profile_run(plan_profile(plain, tmp_path / "phone.json", tmp_path / "parts", tmp_path / "times.csv"))
    table = LatencyTable.read(tmp_path / "phone.json")
    assert table.costs["latency"].unit == "ms" and max(table.parts.values()) == 1.0
    found = search_run(plan_search(settings("fbnet", tmp_path / "phone.json", 11.0)), tmp_path / "run")  # as many parts have convolutions
    assert found["latency"] <= 11 and "latency" not in found["measured"]  # the device is not here


@pytest.mark.usefixtures("unexported")
@pytest.mark.parametrize(("kind", "method"), [pytest.param("mlp", "fbnet", marks=pytest.mark.slow), ("boosting", "random")])
def test_a_predictor_of_whole_networks_stands_for_a_table(kind: str, method: str, tmp_path: Path) -> None:
    network = {**SMALL["fbnet"], "stem": "cifar", "shape": (1, 8, 8)}
    plain = settled(Profile, flags={"space": "fbnet", "network": network, "networks": 30, "predictor": kind})
    judged = profile_run(plan_profile(plain, tmp_path / "latency.json"))
    assert judged["validation"]["networks"] == 6 and judged["validation"]["error_percent"] < 60
    space = open_network(space_named("fbnet"), network)[0].space
    model = Predictor.read(tmp_path / "latency.json")
    drawn = sorted(model.predict(space, space.sample(Random(seed))) for seed in range(40))
    more = {"trials": 4, "steps": 4} if method == "random" else {}
    found = search_run(plan_search(settings(method, tmp_path / "latency.json", drawn[20], **more)), tmp_path / "run")
    assert found["latency"] <= drawn[20] and found["measured"]["latency"]["ms"] > 0


def test_latencies_are_read_with_their_unit() -> None:
    assert [milliseconds(text) for text in ("12ms", "12", "0.5s", "800us", "1e1 MS")] == [12, 12, 500, 0.8, 10]
    for text in ("", "fast", "-3ms", "0ms", "12m"):
        with pytest.raises(InputError, match="12ms"):
            milliseconds(text)


def test_mistakes_are_one_line(tables: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    start = ("search", "fbnet", "--space", "fbnet", "--data", "digits", "--epochs", "1")
    other = (*start, "--max-latency", "2ms", "--latency-table", tables["fbnet"], "--set", "supernet.width=1")
    (tmp_path / "broken.json").write_text("{}")
    for arguments, message in (
        ((*start, "--max-latency", "2ms"), "--latency-table FILE"),
        ((*start, "--max-latency", "soon", "--latency-table", tables["fbnet"]), "12ms"),
        (other, "measured for another network"),
        ((*start, "--max-latency", "2ms", "--latency-table", tmp_path / "broken.json"), "not a latency table"),
        ((*start, "--max-latency", "2ms", "--latency-table", tmp_path / "none.json"), "cannot be read"),
        ((*start, "--set", "price.weight=3"), "nothing is priced"),
        (("profile", "--space", "fbnet"), "--out latency.json"),
        (("profile", "--space", "darts-rnn", "--out", "x.json"), "latencies choose nothing in darts-rnn"),
        (("profile", "--space", "fbnet", "--backend", "onnx", "--out", "x.json"), "did you mean 'onnxruntime'"),
    ):
        code, _, said = called(*arguments)
        lines = [line for line in said.splitlines() if not line.startswith("note: ")]
        assert code == 2 and len(lines) == 1 and message in lines[0], (arguments, said)


@pytest.mark.usefixtures("unexported")
def test_a_table_of_another_machine_is_warned_of_and_measures_nothing(
    tables: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads(tables["fbnet"].read_text())
    content["machine"]["processor"] = "another"
    (tmp_path / "there.json").write_text(json.dumps(content))
    bound = between(tables["fbnet"], 0.9)
    result = search_run(plan_search(settings("random", tmp_path / "there.json", bound, trials=1, steps=2)), tmp_path / "run")
    assert "was measured elsewhere: processor: another in the table" in capsys.readouterr().err
    assert "latency" in result["limits"] and "latency" not in result["measured"]


def test_a_latency_that_no_network_has_is_refused_with_the_least_that_is_possible(tables: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"meets latency <= 1e-06, with \d.*% left as a margin: the least that is possible is \d+\.?\d*$"):
        search_run(plan_search(settings("fbnet", tables["fbnet"], 1e-6, **{"limits.margin": 0.1})), tmp_path / "run")


def test_a_bound_on_text_is_refused() -> None:
    with pytest.raises(InputError, match="choose nothing"):
        choose(settled(Search, flags={"method": "darts", "space": "darts-rnn", "price.cost": "macs"}))
