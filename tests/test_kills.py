"""Every command that takes long is killed at random moments, gone on with, killed again, and ends with the files of one that was not.

What is in ``STRATEGIES`` and ``SEARCHERS``, and every option of a retraining, is here by being there. Each case is killed
``SUPERNET_KILLS`` times (4), at moments drawn from ``SUPERNET_KILLS_SEED`` (0); a table is printed at the end. A part of it:
``pytest -m slow tests/test_kills.py -k retrain``. A ``--basetemp`` in memory spares the disk.
"""

from __future__ import annotations

import inspect
import itertools
import json
import os
import re
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy
import pytest
import torch

from forks import Ended, Forks, plain
from supernet.recipes import HOME
from supernet.searchers import SEARCHERS, make_searcher
from supernet.settings.given import defaults, keywords
from supernet.space import Choice, SearchSpace
from supernet.spaces import space as space_named
from supernet.strategies import STRATEGIES
from supernet.strategies.weights import Weights
from supernet.tasks import kind_for

KILLS, SEED = int(os.environ.get("SUPERNET_KILLS", 4)), int(os.environ.get("SUPERNET_KILLS_SEED", 0))

MACHINE = "--threads 1 --json --out run --set save_every=0.05"
IMAGES = f"--data digits --limit-data 64 --batch-size 16 {MACHINE}"
TEXT = f"--set data.limit=8000 --set data.batch_size=16 --set data.text.steps=12 {MACHINE}"
CELLS = "--channels 4 --cells 3 --set supernet.nodes=1 --set network.channels=4 --set network.cells=3"
BENCH = "--space nasbench201 --channels 4 --cells 1"
NARROW = "--set supernet.width=0.2"
SMALL = {
    "darts": CELLS,
    "fbnet": f"{NARROW} --set supernet.depths=[1,1,1,1,1,1,1]",
    "proxyless": f"{NARROW} --set supernet.depths=[2,1,1,1,1,1]",
    "single-path": f"{NARROW} --set supernet.depths=[1,1,1,1,1]",
    "densenas": NARROW,
    "ofa-mobilenetv3": "--set supernet.width=0.25 --set supernet.widths=[16,24] --set supernet.depths=[2,3] --set supernet.last=32",
    "mobile-small": "--set supernet.width=0.25",
    "enas-micro": CELLS.replace("nodes=1", "nodes=2") + " --set strategy.policy_steps=4 --set strategy.samples=3",
    "one-shot-cell": "--channels 4 --cells 3",
    "smash": "--channels 1 --set supernet.widening=1 --set supernet.layers=2 --set network.widening=1 --set network.channels=2",
    "spos": f"{NARROW} --set supernet.depths=[1,1,1,1]",
    "fairnas": f"{NARROW} --set supernet.depths=[1,1,1,1,1,1]",
}
WIDE = {"drnas": 12}  # channels of a method that divides them
RNN = "--space darts-rnn --set supernet.hidden=8 --set supernet.nodes=3 --set network.hidden=8"
TREES = "Genotype(normal=[('sep_conv_3x3', 1), ('skip_connect', 0), ('max_pool_3x3', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3], "
TREES += "reduce=[('avg_pool_3x3', 0), ('sep_conv_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0)], reduce_concat=[2, 3])"
RECURRENT = "Genotype(recurrent=[('relu', 0), ('tanh', 1)], concat=range(1, 3))"

Words = list[str]


def search(method: str, rest: str) -> Words:
    return ["search", method, *rest.split()]


def retrain(*sets: str, epochs: int = 10, auxiliary: bool = True) -> Words:
    words = ["retrain", TREES, *IMAGES.split(), "--cells", "3", "--channels", "4", "--epochs", str(epochs), "--set", "data.validation=0.25"]
    return [*words, *(["--auxiliary"] if auxiliary else []), *itertools.chain(*(("--set", s) for s in sets))]


def method_case(name: str) -> Words:
    method = STRATEGIES[name].load()
    space = HOME.get(name, ("darts",))[0]
    trials = "" if method.decides else "--trials 6"
    small = SMALL[space].replace("--channels 4", f"--channels {WIDE.get(name, 4)}")
    return search(name, f"--space {space} {IMAGES} --epochs 6 {small} {trials}")


def options(what: Callable[..., Any]) -> dict[str, Any]:
    """Every keyword that a person can give to ``what``, with another value than it has by default; None where there is none known."""
    found: dict[str, Any] = {}
    types = keywords(what)
    for name, parameter in inspect.signature(what).parameters.items():
        kind, before = str(types.get(name)), parameter.default
        if parameter.kind is not parameter.KEYWORD_ONLY or re.search("Callable|Schedule", kind):
            continue
        number = before if isinstance(before, float | int) else 0
        known = {"bool": str(not before).lower(), "float": number * 1.5 or 0.01, "int": number + 1}
        found[name] = next((value for word, value in known.items() if word in kind), None)
    return found


def retrain_cases() -> Iterator[tuple[str, Words]]:
    """All options of a retraining, alone and together."""
    given = {f"retrain.{k}": v for k, v in options(kind_for("darts").trainer).items()}
    given |= {f"weights.{k}": v for k, v in options(Weights).items()}
    switches = {k: v for k, v in defaults(space_named("darts").network.sizes).items() if isinstance(v, bool)}
    given |= {f"network.{k}": str(not v).lower() for k, v in switches.items() if k != "auxiliary"}
    given |= {"data.cutout": 4, "data.crop": 2, "data.flip": "true", "autocast": "bfloat16"}
    sets = [f"{k}={v}" for k, v in given.items()]
    yield "with nothing", retrain(auxiliary=False)
    for text in sets:
        yield f"with {text}", retrain(*([text] if "momentum" in text or "nesterov" not in text else [text, "weights.momentum=0.5"]))
    yield "with all options", retrain(*(s for s in sets if "nesterov" not in s), "weights.nesterov=true")
    rest = f"--set network.hidden=8 --epochs 4 {TEXT}".replace("data.limit=8000", "data.limit=2500")
    for name, value in options(kind_for("darts-rnn").trainer).items():
        yield f"of text with retrain.{name}={value}", ["retrain", RECURRENT, *rest.split(), "--set", f"retrain.{name}={value}"]
    yield "of text that averages", ["retrain", RECURRENT, *rest.split(), "--set", "retrain.patience=1", "--set", "weights.lr=60"]


def cases() -> dict[str, Words]:
    found = {f"search {name}": method_case(name) for name in STRATEGIES}
    found |= {f"search {name} of text": search(name, f"{RNN} {TEXT} --steps 10 --trials 4") for name in ("darts", "darts-2nd", "one-shot")}
    for name in ("evolution", "random"):
        how = f"--space mobile-small {SMALL['mobile-small']} --estimator inherited --set estimator.living=3 {IMAGES} --trials 8"
        found[f"search {name} from inherited weights"] = search(name, how)
    for name in SEARCHERS:
        found[f"search {name} from scratch"] = search(name, f"{BENCH} {IMAGES} --trials 5")
        found[f"search one-shot, then {name}"] = search("one-shot", f"{BENCH} {IMAGES} --epochs 2 --searcher {name} --trials 12")
        parts = len(make_searcher(name, SearchSpace([Choice("a", (1, 2))])).ask()) > 2  # of estimates, for which a table needs columns
        columns = "--set table.cheaper.val12=0.06 --set table.cheaper.val4=0.02" if parts else ""
        found[f"search {name} on a table"] = search(name, f"--space nasbench201 --table ../t.npz --trials 1500 {columns} {MACHINE}")
    ended = "--set estimator.stop=median --set estimator.epochs=3"
    found["search random among trainings that end early"] = search("random", f"{BENCH} {IMAGES} --trials 6 {ended}")
    found["search evolution among untrained networks"] = search("evolution", f"{BENCH} {IMAGES} --trials 40 --estimator synflow")
    bound = f"{BENCH} {IMAGES} --max-params 20000 --set network.channels=4 --set network.cells=1"
    found["search darts under a bound"] = search("darts", f"{bound} --epochs 3")
    found["search one-shot under a bound"] = search("one-shot", f"{bound} --epochs 2 --trials 8")
    found["search random under a bound"] = search("random", f"{bound} --trials 4")
    watched = "--set alarm.curvature=true --judge ../t.npz --set judge.samples=4"
    found["search darts, watched"] = search("darts", f"{BENCH} {IMAGES} --epochs 3 {watched}")
    beside = "--epochs 2 --trials 4 --baseline random --set baseline.trials=3"
    for name in ("darts", "one-shot"):
        found[f"search {name} beside a baseline"] = search(name, f"{BENCH} {IMAGES} {beside}")
    found |= {f"retrain {name}": words for name, words in retrain_cases()}
    few = "--set final.epochs=2 --set trials=2"
    on_data = f"{BENCH} {IMAGES} --budget 2epochs --seeds 1 {few}"
    found["compare on data"] = ["compare", "darts", *on_data.split()]
    found["compare on data, two at once"] = ["compare", "one-shot", *on_data.split(), "--workers", "2"]
    several = "--space nasbench201 --table ../t.npz --budget 400evals --seeds 3 --threads 1 --json --out run"
    found["compare on a table"] = ["compare", "evolution,local", *several.split()]
    found["compare on a table, two at once"] = ["compare", "evolution,surrogate", *several.split(), "--workers", "2", "--at", "100"]
    for backend in ("torch", "onnxruntime"):
        sizes = "--input 3x8x8 --threads 1 --json --out run/latency.json --set networks=3"
        found[f"profile with {backend}"] = ["profile", *f"{BENCH} --backend {backend} {sizes}".split()]
    return found


CASES = cases()


@pytest.fixture(scope="module")
def forks() -> Iterator[tuple[Forks, Forks]]:
    """What is not stopped, and what is killed, in processes whose sets have another order."""
    both = Forks(1), Forks(2)
    yield both
    for one in both:
        one.close()


@pytest.fixture(scope="module")
def rows(request: pytest.FixtureRequest) -> Iterator[list[tuple[str, int, int, float, str]]]:
    """A row a case: its name, kills, times it was gone on with to the end, seconds undisturbed, what differed. Printed at the end."""
    found: list[tuple[str, int, int, float, str]] = []
    yield found
    with request.config.pluginmanager.get_plugin("capturemanager").global_and_fixture_disabled():
        print()
        for name, kills, ends, seconds, differs in found:
            print(f"{name:55} {kills:3} kills  {ends:3} ends  {seconds:6.1f} s  {differs or 'identical'}")
        print(f"{sum(row[1] for row in found)} kills of {len(found)} commands, {sum(bool(row[4]) for row in found)} differ", flush=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a benchmark table of the NAS-Bench-201 space, made up."""
    folder = tmp_path_factory.mktemp("kills")
    ops = numpy.array(list(itertools.product(range(5), repeat=6)), dtype=numpy.uint8)
    names = numpy.array(["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"])
    score = 50 + 5.0 * (ops == 3).sum(1) + numpy.random.default_rng(0).normal(0, 1, len(ops))
    edges = numpy.array([[0, 1], [0, 2], [1, 2], [0, 3], [1, 3], [2, 3]], dtype=numpy.uint8)
    shorter = {name: score + numpy.random.default_rng(1).normal(0, spread, len(ops)) for name, spread in (("val12", 2), ("val4", 4))}
    columns = {name: column.astype("float32") for name, column in {"val200_v11": score, "test200_v11": score, **shorter}.items()}
    numpy.savez(folder / "t.npz", ops=ops, op_names=names, edges=edges, **columns)
    return folder


@pytest.mark.parametrize("what", [kind_for("darts").trainer, kind_for("darts-rnn").trainer, Weights])
def test_every_option_of_a_retraining_has_a_value_to_be_killed_with(what: Callable[..., Any]) -> None:
    assert None not in options(what).values(), options(what)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_killed_and_gone_on_with_it_ends_like_one_that_was_not(
    name: str, forks: tuple[Forks, Forks], place: Path, rows: list[tuple[str, int, int, float, str]]
) -> None:
    words, short = CASES[name], re.sub(r"[^a-z0-9]+", "-", name)
    rng, kills, ends, differs = Random(SEED + zlib.crc32(name.encode())), 0, 0, list[str]()
    whole, start = begun(place / f"{short}-whole"), time.time()
    expected = forks[0].run(words, whole)
    assert expected.code == 0, expected.said
    spans = [(0.0, expected.seconds), *working(whole, start)]
    while kills < KILLS and not differs:
        folder = begun(place / f"{short}-{ends}")
        killed, ended = killed_to_the_end(forks[1], words, folder, spans, rng, KILLS - kills)
        kills, ends = kills + killed, ends + 1
        if not killed:  # it is faster now
            spans = [(0.9 * first, 0.8 * last) for first, last in spans]
        differs = differences(whole, folder, expected, ended)
    rows.append((name, kills, ends, expected.seconds, "; ".join(differs)))
    assert not differs


def begun(folder: Path) -> Path:
    folder.mkdir()
    return folder


def working(folder: Path, start: float) -> list[tuple[float, float]]:
    """Twice, the seconds after ``start`` between which a run did what takes long when it is long: from its settings to its last line."""
    first = [path.stat().st_mtime - start for path in folder.rglob("config.yaml")]
    last = [path.stat().st_mtime - start for name in ("history.jsonl", "checkpoint.pt") for path in folder.rglob(name)]
    return [(min(first), max(last))] * 2 if first and last else []


def killed_to_the_end(
    forks: Forks, words: Words, folder: Path, spans: list[tuple[float, float]], rng: Random, most: int
) -> tuple[int, Ended]:
    """How often it was killed, up to ``most`` times, after seconds in one of ``spans``, until it ended, and how that was."""
    kills = 0
    while True:
        resume = ["--resume"] if words[0] in ("search", "retrain") and (folder / "run" / "config.yaml").exists() else []
        ended = forks.run([*words, *resume], folder, rng.uniform(*rng.choice(spans)) if kills < most else None)
        if not ended.killed:
            return kills, ended
        kills += 1


def differences(whole: Path, killed: Path, expected: Ended, ended: Ended) -> list[str]:
    """The files of two folders, and outputs, that are not the same in what does not depend on the clock."""
    if ended.code:
        return [f"exit code {ended.code}: {ended.said.strip()[-400:]}"]
    names = [sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if matters(path)) for folder in (whole, killed)]
    if names[0] != names[1]:
        return [f"files: {sorted(set(names[0]) ^ set(names[1]))}"]
    found = [name for name in names[0] if content(whole / name) != content(killed / name)]
    return found + (["output"] if result(json.loads(expected.output)) != result(json.loads(ended.output)) else [])


def matters(path: Path) -> bool:
    """Not locks, nor what was said."""
    return path.is_file() and path.suffix not in (".lock", ".log", ".out", ".err") and path.name != ".lock"


def content(path: Path) -> Any:
    """What is to be the same, comparable."""
    if path.suffix == ".pt":
        return bits(torch.load(path, weights_only=True))
    if path.suffix == ".jsonl":
        return [plain(json.loads(line)) for line in path.read_text().splitlines()]
    if path.name == "latency.json":
        return shape(json.loads(path.read_text()))
    if path.suffix == ".json":
        return plain(json.loads(path.read_text()))
    if path.suffix == ".html":
        return re.sub(r"(?s)<svg.*?</svg>|[0-9][0-9.,e+-]*", "", path.read_text())  # it shows times, and draws them
    return path.read_bytes()


def bits(value: Any) -> Any:
    """A state with the bytes of its tensors."""
    if isinstance(value, torch.Tensor):
        return value.dtype, tuple(value.shape), value.contiguous().flatten().view(torch.uint8).numpy().tobytes() if value.numel() else b""
    if isinstance(value, dict):
        return {k: bits(v) for k, v in value.items() if k not in ("history", "digest")}
    return [bits(v) for v in value] if isinstance(value, list | tuple) else value


def shape(value: Any) -> Any:
    """A table of measurements without its numbers."""
    if isinstance(value, dict):
        return {k: shape(v) for k, v in value.items()}
    if isinstance(value, list):
        return [shape(v) for v in value]
    return "number" if isinstance(value, float | int) else value


def result(document: Any) -> Any:
    """What a command printed, without what was measured; of a profile, all is."""
    return shape(document) if "fit" in document else plain(document)
