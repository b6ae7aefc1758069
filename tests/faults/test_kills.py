"""Every command that takes long is killed at random moments, gone on with, killed again, and ends with the files of one that was not.

What is in ``STRATEGIES`` and ``SEARCHERS``, and every option of a retraining, is here by being there. Each case is killed
``SUPERNET_KILLS`` times (4), at moments drawn from ``SUPERNET_KILLS_SEED`` (0); a table is printed at the end. A part of it:
``pytest -m slow tests/faults/test_kills.py -k retrain``. A ``--basetemp`` in memory spares the disk.
"""

from __future__ import annotations

import inspect
import itertools
import os
import re
import shutil
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from forks import Ended, Forks
from same import differences

from supernet.recipes import HOME
from supernet.searchers import SEARCHERS, make_searcher, share_of
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
    for name in ("darts", "darts-2nd", "one-shot"):
        found[f"search {name} of text"] = search(name, f"{RNN} {TEXT} --steps 10 {'--trials 4' if name == 'one-shot' else ''}")
    for name in ("evolution", "random"):
        how = f"--space mobile-small {SMALL['mobile-small']} --estimator inherited --set estimator.living=3 {IMAGES} --trials 8"
        found[f"search {name} from inherited weights"] = search(name, how)
        found[f"search {name} from inherited weights, by two workers"] = search(name, f"{how} --workers 2")
    found["search evolution from scratch, by two workers"] = search("evolution", f"{BENCH} {IMAGES} --trials 5 --workers 2")
    found["search one-shot, then evolution by two workers"] = search("one-shot", f"{BENCH} {IMAGES} --epochs 2 --trials 12 --workers 2")
    for name in SEARCHERS:
        found[f"search {name} from scratch"] = search(name, f"{BENCH} {IMAGES} --trials 5")
        found[f"search one-shot, then {name}"] = search("one-shot", f"{BENCH} {IMAGES} --epochs 2 --searcher {name} --trials 12")
        parts = share_of(make_searcher(name, SearchSpace([Choice("a", (1, 2))])).ask()) < 1  # of estimates, for which a table needs columns
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
    beside = "--epochs 2 --baseline random --set baseline.trials=3"
    for name in ("darts", "one-shot"):
        found[f"search {name} beside a baseline"] = search(name, f"{BENCH} {IMAGES} {beside} {'--trials 4' if name == 'one-shot' else ''}")
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


TRAINED = search("one-shot", f"{BENCH} {IMAGES} --epochs 1 --trials 2".replace("--out run", "--out trained"))
ON_TRAINED = {  # commands on a run that has ended
    "rank": "rank trained --table ../t.npz --samples 40 --json",
    "specialise": "specialise trained --max-params 80000 --max-params 120000 --trials 10 --out run --json",
    "export": "export trained --format safetensors --out run --json",
}
CASES = {**cases(), **{name: text.split() for name, text in ON_TRAINED.items()}}


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
    trained = trained_once(forks[0], place) if name in ON_TRAINED else None
    whole, start = begun(place / f"{short}-whole", trained), time.time()
    expected = forks[0].run(words, whole)
    assert expected.code == 0, expected.said
    spans = [(0.0, expected.seconds), *working(whole, start)]
    while kills < KILLS and not differs:
        folder = begun(place / f"{short}-{ends}", trained)
        killed, ended = killed_to_the_end(forks[1], words, folder, spans, rng, KILLS - kills)
        kills, ends = kills + killed, ends + 1
        if not killed:  # it is faster now
            spans = [(0.9 * first, 0.8 * last) for first, last in spans]
        differs = differences(whole, folder, expected, ended)
    rows.append((name, kills, ends, expected.seconds, "; ".join(differs)))
    assert not differs


def begun(folder: Path, trained: Path | None) -> Path:
    """A folder, with a copy of a run where the command is on one."""
    folder.mkdir()
    if trained:
        shutil.copytree(trained, folder / "trained")
    return folder


def trained_once(forks: Forks, place: Path) -> Path:
    """A run with a trained supernet."""
    folder = place / "of-trained"
    if not folder.exists():
        assert forks.run(TRAINED, begun(folder, None)).code == 0
    return folder / "trained"


def working(folder: Path, start: float) -> list[tuple[float, float]]:
    """Twice, the seconds after ``start`` between which a run did what takes long when it is long: from its settings to its last line."""
    first = [path.stat().st_mtime - start for path in folder.rglob("config.yaml")]
    last = [path.stat().st_mtime - start for name in ("history.jsonl", "checkpoint.pt", "scores.jsonl") for path in folder.rglob(name)]
    return [(min(first), max(last))] * 2 if first and last and min(first) > 0 else []


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
