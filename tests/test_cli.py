"""The command line as a person and a program meet it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
from typer.testing import CliRunner

from command_line import called, document
from supernet import load
from supernet.cli import app
from supernet.costs.limits import Limits

Cli = Callable[..., subprocess.CompletedProcess[str]]
CELL = "Genotype(normal=[('sep_conv_3x3', 0), ('skip_connect', 1)], normal_concat=[2], reduce=None, reduce_concat=[2])"
SMALL = ("--limit-data", 120, "--channels", 4, "--cells", 3, "--batch-size", 32, "--threads", 1)
CELLS = ("--space", "darts", *SMALL, "--set", "supernet.nodes=1", "--set", "network.cells=3")


@pytest.mark.parametrize(
    ("arguments", "params", "macs"),
    [
        (("darts-v2",), 3_349_342, 528_359_040),
        (("darts-v2", "--auxiliary"), 3_349_342 + 476_426, 528_359_040),
        (("darts-v2", "--stem", "imagenet"), 4_718_752, 529_911_552),
        (("p-darts", "--stem", "imagenet", "--auxiliary"), 4_944_352 + 1_262_312, 542_819_328),
        (("darts-v2", "--classes", 100), 3_349_342 + 51_930, 528_359_040 + 51_840),
        (("gdas-v1", "--stem", "imagenet", "--channels", 50), 5_345_075, 581_009_000),
        (("nasnet-a", "--channels", 33), 3_245_989, 512_512_968),
        (("fairdarts-a",), 2_360_782, 371_455_200),
        (("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|",), 1_288_506, 184_730_240),
        (("22212220",), 1_985_514, 85_164_544),
    ],
)
def test_describe_gives_the_official_counts(arguments: tuple[object, ...], params: int, macs: int) -> None:
    found = document("describe", *arguments)
    assert (found["params"], found["macs"]) == (params, macs)


def test_describe_reads_a_genotype_pasted_as_text_or_from_a_file(tmp_path: Path) -> None:
    named = document("describe", "darts-v2")
    text = named["genotype"].replace("normal_concat=[2, 3, 4, 5]", "normal_concat=range(2, 6)")
    (tmp_path / "cell.txt").write_text(text + "\n")
    assert document("describe", text)["params"] == document("describe", tmp_path / "cell.txt")["params"] == named["params"]
    assert named["choices"]["normal.5<2"] == "dil_conv_3x3"


@pytest.mark.parametrize(
    ("arguments", "params", "alphas"),
    [
        (("--space", "darts"), 1_930_618, 224),
        pytest.param(("--space", "darts", "--method", "darts-2nd"), 1_930_618, 224, marks=pytest.mark.slow),
        pytest.param(("--space", "darts", "--method", "one-shot"), 1_930_618, 0, marks=pytest.mark.slow),
        (("--space", "darts", "--cells", 5, "--method", "one-shot"), 1_275_834, 0),
        (("--space", "darts", "--cells", 5), 1_275_834, 224),
        (("--space", "nasbench201"), 1_692_826, 30),
    ],
)
def test_describe_gives_the_supernets_own_counts(arguments: tuple[object, ...], params: int, alphas: int) -> None:
    found = document("describe", *arguments)
    assert (found["supernet_params"], found["alphas"]) == (params, alphas)
    if "nasbench201" in arguments:
        assert found["size"] == 15_625 and found["choices"]["1<0"][0] == "none"


def test_the_path_from_search_to_an_exported_model(tmp_path: Path) -> None:
    found = document("search", "darts", *CELLS, "--epochs", 1, "--out", tmp_path / "s")
    assert {"choices", "genotype", "params", "macs", "validation", "measured"} <= set(found) and "test" not in found
    stored = json.loads((tmp_path / "s" / "architecture.json").read_text())
    assert stored["format"] == 1 and stored["choices"] == found["choices"] and stored["costs"]["params"] == found["params"]
    assert {p.name for p in (tmp_path / "s").iterdir()} >= {
        *("config.yaml", "history.jsonl", "checkpoint.pt"),
        *("architecture.json", "weights.safetensors", "report.html"),
    }
    described = document("describe", tmp_path / "s")
    assert (described["params"], described["macs"]) == (found["params"], found["macs"])
    retrain = ("--epochs", 1, "--channels", 4, "--cells", 3, "--limit-data", 120, "--threads", 1, "--auxiliary")
    final = document("retrain", tmp_path / "s", *retrain, "--out", tmp_path / "r")
    code, out, said = called("evaluate", tmp_path / "r", "--json")
    assert code == 0 and "batch size" not in said  # nothing is trained
    scored = json.loads(out)
    assert scored["split"] == "test" and scored["n"] == 359 and scored["accuracy"] == pytest.approx(final["test"]["accuracy"], abs=1e-6)
    network = load(tmp_path / "r")
    assert not network.training and sum(p.numel() for p in network.parameters()) == final["params"]
    assert load(tmp_path / "s") is not None
    written = document("export", tmp_path / "r", "--out", tmp_path / "x", "--format", "onnx", "--format", "safetensors")
    assert set(written) == {"onnx", "safetensors"} and all(Path(w["path"]).exists() and w["difference"] < 1e-4 for w in written.values())
    assert called("draw", tmp_path / "s", "--out", tmp_path / "cell.svg")[0] == 0
    assert (tmp_path / "cell.svg").read_text().startswith("<svg")
    (tmp_path / "s" / "report.html").unlink()
    assert called("report", tmp_path / "s")[0] == 0 and (tmp_path / "s" / "report.html").exists()


def test_a_searcher_alone_trains_networks_from_scratch(tmp_path: Path) -> None:
    found = document(
        "search", "random", "--space", "nasbench201", *SMALL[:2], "--channels", 4, "--cells", 1, "--trials", 2, "--out", tmp_path / "r"
    )
    lines = [json.loads(line) for line in (tmp_path / "r" / "history.jsonl").read_text().splitlines()]
    assert [line["trial"] for line in lines] == [1, 2]
    assert found["validation"] == max(line["scores"]["accuracy"] for line in lines)


@pytest.mark.slow
def test_one_shot_then_evolution_on_a_space_by_name(tmp_path: Path) -> None:
    words = ("search", "one-shot", "--searcher", "evolution", "--space", "nasbench201", "--limit-data", 120, "--channels", 4, "--cells", 1)
    found = document(*words, "--epochs", 1, "--trials", 5, "--max-params", 400_000, "--out", tmp_path / "o")
    assert found["limits"]["params"]["holds"] and found["params"] <= 400_000


def test_a_gradient_search_says_whether_its_limits_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("search", "darts", "--space", "nasbench201", "--limit-data", 60, "--channels", 4, "--cells", 1, "--epochs", 1, "--json")
    code, out, err = called(*words, "--max-params", 90_000, "--out", tmp_path / "held")
    assert code == 0 and json.loads(out)["params"] <= 90_000 and "limit is missed" not in err
    monkeypatch.setattr(Limits, "excess", lambda self, architecture: 0.0)  # as if the derivation looked at none
    code, out, err = called(*words, "--max-params", 80_000, "--out", tmp_path / "missed")
    assert code == 1 and not json.loads(out)["limits"]["params"]["holds"] and "the limit is missed: params" in err
    assert not json.loads((tmp_path / "missed" / "architecture.json").read_text())["limits"]["params"]["holds"]
    assert "The bound of 80,000 on parameters is missed" in (tmp_path / "missed" / "report.html").read_text()


def test_random_search_of_equal_cost_is_one_flag(tmp_path: Path) -> None:
    words = ("search", "darts", *CELLS, "--epochs", 1, "--baseline", "random", "--set", "baseline.trials=2")
    found = document(*words, "--out", tmp_path / "s")
    baseline = found["baseline"]
    assert abs(baseline["budget"]["spent"] / baseline["budget"]["searched"] - 1) < 0.5
    assert len((tmp_path / "s" / "baseline" / "history.jsonl").read_text().splitlines()) == 2
    assert json.loads((tmp_path / "s" / "baseline" / "architecture.json").read_text())["choices"] == baseline["choices"]
    assert "random" in (tmp_path / "s" / "report.html").read_text().lower()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A small benchmark table of the NAS-Bench-201 space: more 3x3 convolutions, better scores."""
    import itertools

    ops = numpy.array(list(itertools.product(range(5), repeat=6)), dtype=numpy.uint8)
    score = 50 + 5.0 * (ops == 3).sum(1) + 2.0 * (ops == 2).sum(1)
    rng = numpy.random.default_rng(0)
    names = numpy.array(["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"])
    columns = {
        n: (score + rng.normal(0, 0.3, len(ops)))[:, None].repeat(2, 1).astype("float32") for n in ("val200_v11", "test200_v11", "val12")
    }
    edges = numpy.array([[0, 1], [0, 2], [1, 2], [0, 3], [1, 3], [2, 3]], dtype=numpy.uint8)
    numpy.savez(tmp_path / "t.npz", ops=ops, op_names=names, edges=edges, datasets=numpy.array(["cifar10", "cifar100"]), **columns)
    return tmp_path / "t.npz"


def test_searching_and_comparing_on_a_table(tmp_path: Path, table: Path) -> None:
    found = document("search", "evolution", "--space", "nasbench201", "--table", table, "--trials", 150, "--out", tmp_path / "e")
    assert found["validation"] > 70 and "test" not in found
    other = ("--set", "table.search=val12", "--set", "table.dataset=cifar100")
    assert (
        document("search", "random", "--space", "nasbench201", "--table", table, "--trials", 20, *other, "--out", tmp_path / "v")[
            "validation"
        ]
        > 50
    )
    result = document("compare", "evolution,local", "--space", "nasbench201", "--table", table, "--budget", "150evals", "--seeds", 4)
    assert set(result["methods"]) == {"evolution", "local", "random"} and result["seeds"] == 4 and result["budget"] == "150evals"
    means = {n: m["validation"]["mean"] for n, m in result["methods"].items()}
    assert means["evolution"] > means["random"] and means["local"] > means["random"]
    assert result["methods"]["random"]["test"]["std"] >= 0 and result["methods"]["random"]["evaluations"] == 150


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("search", "dart", "--space", "darts"), "did you mean 'darts'"),
        (("search", "darts"), "no search space"),
        (("search", "darts", "--space", "dart"), "did you mean 'darts'"),
        (("search", "darts", "--space", "darts", "--data", "nowhere/at/all"), "does not exist"),
        (("search", "darts", "--space", "darts", "--set", "weights.learning=1"), "unknown setting of weights 'learning'"),
        (("search", "darts", "--space", "darts", "--set", "epochs"), "name=value"),
        (("search", "darts", "--space", "darts", "--set", "epoch=3"), "did you mean 'epochs'"),
        (("search", "darts", "--space", "darts", "--set", "strategy.order=two"), "order must be a number; got 'two'"),
        (("search", "darts", "--space", "darts", "--epochs", 0), "epochs must be at least 1"),
        (("search", "darts", "--space", "darts", "--table", "x.npz"), "--table is for searchers"),
        (("search", "random", "--space", "nasbench201", "--table", "x.npz"), "there is no table x.npz"),
        (("search", "evolution", "--space", "darts", "--estimator", "shared"), "use search one-shot --searcher evolution"),
        (("search", "evolution", "--space", "darts", "--estimator", "predictor"), "for predictor use a program"),
        (("search", "darts", "--space", "darts", "--estimator", "scratch"), "not by scratch; for scratch use a searcher on --data"),
        (("search", "random", "--space", "darts", "--estimator", "scrach"), "did you mean 'scratch'"),
        (("search", "darts", "--space", "darts", "--device", "cuda:99"), "cannot be used here"),
        (("search", "darts", "--space", "darts", "--resume"), "nothing to resume"),
        (("search", "darts", "--space", "darts", "--config", "none.yaml"), "cannot be read"),
        (("search", "darts", "--space", "darts", "--max-latency", "12ms"), "--latency-table FILE"),
        (("describe", "darts-v3"), "did you mean 'darts-v"),
        (("describe",), "an architecture or --space"),
        (("describe", CELL.replace("sep_conv_3x3", "sep_conv_3x4")), "did you mean 'sep_conv_3x3'"),
        (("describe", "__import__('os').system('true')"), ""),
        (("describe", "darts-v2", "--input", "3x32"), "channels x height x width"),
        (("describe", "runs/none/architecture.json"), "does not exist"),
        (("retrain", "darts-v2", "--data", "digit"), "did you mean 'digits'"),
        (("evaluate", "nowhere"), "no such folder"),
        (("export", "nowhere", "--out", "x"), "no such folder"),
        (("compare", "random", "--space", "nasbench201", "--table", "t.npz", "--budget", "many"), "a number with a unit"),
        (("compare", "randon", "--space", "nasbench201", "--table", "t.npz"), "did you mean 'random'"),
        (("list", "method"), "did you mean 'methods'"),
        (("profile", "--space", "fbnt", "--out", "x.json"), "did you mean 'fbnet'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[object, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = called(*arguments)
    assert code == 2 and out == ""
    assert message in err and err.startswith("error: ") and err.count("\n") == 1
    assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").rglob("history.jsonl"))


def test_a_refused_search_leaves_nothing_in_the_way_of_the_corrected_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUPERNET_DATA", raising=False)  # where CIFAR-10 may be
    words = ("search", "random", "--space", "nasbench201", "--out", tmp_path / "r", "--limit-data", 40, "--channels", 4, "--cells", 1)
    assert called(*words, "--data", "cifar10")[0] == 2
    assert called(*words, "--data", tmp_path / "nowhere")[0] == 2
    assert not (tmp_path / "r").exists()
    assert called(*words, "--trials", 1, "--batch-size", 16)[0] == 0


def test_unknown_commands_and_options_are_bad_usage() -> None:
    assert called("serach", "darts")[0] == 2
    assert called("search", "darts", "--no-such-option")[0] == 2


def test_every_command_has_help_with_an_example() -> None:
    for command in ("search", "retrain", "evaluate", "describe", "export", "draw", "report", "compare", "list"):
        shown = CliRunner().invoke(app, [command, "--help"])
        assert shown.exit_code == 0 and "Example:" in shown.output, command


@pytest.mark.slow
def test_json_is_all_there_is_on_standard_output(cli: Cli, tmp_path: Path) -> None:
    done = cli("search", "darts", *CELLS, "--batch-size", 500, "--epochs", 1, "--out", "r", "--json")
    assert done.returncode == 0, done.stderr
    runs_on = "cpu, 1 thread, kernels of PyTorch"
    assert f"note: runs on {runs_on}" in done.stderr and json.loads(done.stdout)["measured"]["computing"].startswith(runs_on)
    assert "note: digits has no test split" in done.stderr and "note: the batch size 500 is above the" in done.stderr
    code, _, said = called("search", "darts", *CELLS, "--epochs", 1, "--out", tmp_path / "r")
    assert code == 2 and "already holds a run" in said and "Traceback" not in said


@pytest.mark.slow
def test_a_run_is_repeated_from_its_own_configuration(tmp_path: Path) -> None:
    first = document("search", "darts", *CELLS, "--epochs", 1, "--seed", 3, "--out", tmp_path / "a")
    second = document("search", "darts", "--config", tmp_path / "a" / "config.yaml", "--out", tmp_path / "b")
    first.pop("measured"), second.pop("measured"), first.pop("out"), second.pop("out")
    assert first == second


@pytest.mark.usefixtures("untold")
def test_a_dry_run_checks_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = document("search", "darts", "--space", "darts", "--epochs", 7, "--dry-run")
    assert plan["settings"]["epochs"] == 7 and plan["supernet_params"] == 1_930_618 - 2 * 48 * 9  # digits are grey
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("untold")
def test_mixed_precision_is_one_flag_of_every_training() -> None:
    words = {"search": ("search", "darts", *CELLS), "retrain": ("retrain", "darts-v2", "--channels", 4, "--cells", 3)}
    words["compare"] = ("compare", "darts", *CELLS, "--budget", "1epochs")
    for command, given in words.items():
        assert document(*given, "--autocast", "bfloat16", "--dry-run")["settings"]["autocast"] == "bfloat16", command
        code, _, err = called(*given, "--autocast", "float8", "--dry-run")
        assert code == 2 and err == "error: autocast must be 'bfloat16' or 'float16'; got 'float8'\n", command


def test_lists_name_everything_and_whom_to_cite() -> None:
    without = ("random", "grid", "digits", "digit-pairs", "digit-scenes", "diabetes", "cifar10", "cifar100", "mnist", "ptb", "shakespeare")
    for what in ("methods", "searchers", "estimators", "spaces", "data", "architectures"):
        names = document("list", what)
        assert names and len(set(names)) == len(names)
        assert all("http" in e["cite"] or e["name"] in without for e in document("list", what, "--cite"))


def test_successive_halving_trains_many_a_little_and_the_best_whole(tmp_path: Path) -> None:
    bench = ("--space", "nasbench201", "--limit-data", 120, "--channels", 4, "--cells", 1, "--trials", 2)
    found = document("search", "successive-halving", *bench, "--data", "digits", "--set", "searcher.rungs=2", "--out", tmp_path / "r")
    lines = [json.loads(line) for line in (tmp_path / "r" / "history.jsonl").read_text().splitlines()]
    assert [line.get("fidelity") for line in lines] == [0.5, 0.5, None]
    assert found["validation"] == lines[-1]["scores"]["accuracy"]
    assert "2 scored by 0.5 of an estimate, 1 scored" in (tmp_path / "r" / "report.html").read_text()


def test_untrained_networks_are_scored_where_that_is_asked_for(tmp_path: Path) -> None:
    words = ("search", "random", "--space", "nasbench201", "--channels", 4, "--cells", 1, "--trials", 6, "--estimator", "synflow")
    found = document(*words, "--data", "digits", "--out", tmp_path / "r")
    lines = [json.loads(line) for line in (tmp_path / "r" / "history.jsonl").read_text().splitlines()]
    stored = json.loads((tmp_path / "r" / "architecture.json").read_text())
    best = max(lines, key=lambda line: float(line["scores"]["synflow"]))
    assert found["choices"] == best["architecture"] and found["validation"] is None
    assert stored["scores"] == {"validation": None, "synflow": best["scores"]["synflow"]}
    assert "synflow" in (tmp_path / "r" / "report.html").read_text()
    for idle in ("steps=3", "estimator.epochs=2", "weights.lr=0.1"):
        code, _, said = called(*words, "--data", "digits", "--set", idle, "--out", tmp_path / "s")
        assert code == 2 and f"{idle.partition('=')[0].split('.lr')[0]} would have no effect: synflow trains nothing" in said
    halving = ("search", "successive-halving", *words[2:], "--data", "digits", "--out", tmp_path / "s")
    code, _, said = called(*halving)
    assert code == 2 and "asks for parts of estimates, and synflow has no cheaper answer" in said
    text = ("--space", "darts-rnn", "--data", "shakespeare")
    code, _, said = called("search", "random", *text, "--estimator", "synflow", "--out", tmp_path / "s")
    assert code == 2 and "these networks read tokens" in said and not (tmp_path / "s").exists()


def test_latencies_beside_a_table_are_a_goal_and_a_bound(tmp_path: Path, table: Path) -> None:
    ops = numpy.load(table)["ops"]
    times, file = numpy.stack([1 + (ops == 3).sum(1), ops.sum(1)], 1), tmp_path / "l.npz"
    numpy.savez(file, latency_ms=times, devices=numpy.array(["phone", "board"]))
    words = ("--space", "nasbench201", "--table", table, "--trials", 30, "--max-latency", "4ms", "--set", f"table.latency={file}")
    goals = ("--objective", "validation,latency", "--out", tmp_path / "f")
    found = document("search", "random", *words, "--set", "table.device=phone", *goals)
    assert found["limits"] == {"latency": {"bound": 4.0, "holds": True}} and found["latency"] <= 4 and "exported" not in found
    assert found["latency"] == max(entry["costs"]["latency"] for entry in found["front"])
    assert json.loads((tmp_path / "f" / "architecture.json").read_text())["costs"]["latency"] == found["latency"]
    for more, message in (
        (("--set", "table.device=watch"), "the table has no device 'watch'; it has: phone, board"),
        (("--set", "table.device=phone", "--max-latency", "0.5ms"), "latency <= 0.5: the least that is possible is latency 1"),
        (("--set", "table.device=phone", "--set", "limits.margin=0.1"), "--latency-table with its margin would have no effect"),
        (("--set", "table.latency=", "--max-latency", "4ms"), "give --latency-table FILE"),
    ):
        code, _, said = called("search", "random", *words, *more, "--out", tmp_path / "r", "--dry-run")
        assert code == 2 and message in said


def test_a_searcher_that_asks_for_parts_is_refused_on_a_table_without_shorter_trainings(tmp_path: Path, table: Path) -> None:
    without = ("--space", "nasbench201", "--table", table, "--set", "table.cheaper={}", "--out", tmp_path / "r")
    for more in ((), ("--dry-run",)):
        code, _, said = called("search", "successive-halving", *without, *more)
        assert code == 2 and "successive-halving asks for parts of estimates, and table has no cheaper answer" in said
        assert "such as --set table.cheaper.val12=0.06" in said
    code, _, said = called("compare", "successive-halving", *without, "--budget", "20evals", "--seeds", 1)
    assert code == 2 and "successive-halving asks for parts of estimates" in said
    assert not (tmp_path / "r").exists()


def test_columns_of_shorter_trainings_are_shares_of_estimates(tmp_path: Path, table: Path) -> None:
    words = ("--space", "nasbench201", "--table", table, "--out")
    shares = ("--set", "table.cheaper.val12=0.1", "--set", "table.cheaper.test200_v11=0.5")
    found = document("search", "hyperband", *words, tmp_path / "r", *shares, "--trials", 30)
    lines = [json.loads(line) for line in (tmp_path / "r" / "history.jsonl").read_text().splitlines()]
    assert {line.get("fidelity", 1.0) for line in lines} == {0.1, 1.0}  # it asks for 1/27, 1/9, 1/3 and 1
    assert 30 <= sum(line.get("fidelity", 1.0) for line in lines) < 31
    assert found["validation"] == max(line["scores"]["validation"] for line in lines if "fidelity" not in line)
    compared = document("compare", "successive-halving", *words, tmp_path / "c", "--budget", "30evals", "--seeds", 1)
    assert compared["methods"]["successive-halving"]["validation"]["mean"] > 60
    code, _, said = called("search", "hyperband", *words, tmp_path / "s", "--set", "table.cheaper.val12=1.5")
    assert code == 2 and "table.cheaper.val12 must be below 1; got 1.5" in said
