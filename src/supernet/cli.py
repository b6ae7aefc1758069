"""The command line: flags to settings, settings to a run, results to the terminal or to JSON."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

from supernet.errors import InputError, RunError, unknown
from supernet.stopping import AtOnce, starting

with starting():
    import typer
    import yaml
    from typer.core import TyperGroup


class Commands(TyperGroup):
    """The commands; one that is stopped outside of a run, which has nothing to save, says so and ends with exit code 130."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was given."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            print("stopped at once; the last checkpoint is whole" if isinstance(stop, AtOnce) else "stopped", file=sys.stderr)
            raise typer.Exit(130) from None


app = typer.Typer(
    name="supernet",
    cls=Commands,
    help="Design neural networks by search.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

JSON = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output and nothing else there.")]
SETS = Annotated[list[str] | None, typer.Option("--set", metavar="a.b=c", help="Set any setting, for example weights.lr=0.05.")]
CHANNELS = Annotated[int | None, typer.Option(help="Channels of the first cells.")]
CELLS = Annotated[int | None, typer.Option(help="Cells (of NAS-Bench-201: cells a stage).")]
INPUT = Annotated[str | None, typer.Option("--input", metavar="3x32x32", help="Shape of one input.")]
CLASSES = Annotated[int | None, typer.Option(help="Number of classes.")]
DATA = Annotated[str | None, typer.Option(help="A data set's name (supernet list data) or path.")]
OUT = Annotated[Path | None, typer.Option(help="The folder of the run.")]
SEED = Annotated[int | None, typer.Option(help="Fixes everything that is random.")]
DEVICE = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps.")]
THREADS = Annotated[int | None, typer.Option(help="CPU threads.")]
EPOCHS = Annotated[int | None, typer.Option(help="Passes over the training data.")]
STEPS = Annotated[int | None, typer.Option(help="Training steps in all, instead of epochs.")]
CONFIG = Annotated[Path | None, typer.Option(help="Settings from a YAML file, such as a run's config.yaml.")]
DRY_RUN = Annotated[bool, typer.Option("--dry-run", help="Check everything and print all settings with their values; do nothing.")]
RESUME = Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")]
BATCH = Annotated[int | None, typer.Option("--batch-size", help="Images a batch.")]
LIMIT = Annotated[int | None, typer.Option("--limit-data", help="Use this many images, training and validation together.")]
SPACE = Annotated[str | None, typer.Option(help="A search space (supernet list spaces).")]
LATENCIES = Annotated[Path | None, typer.Option(help="Latencies that supernet profile measured, or a published table.")]
TASK = Annotated[str | None, typer.Option(help="What is learnt (supernet list tasks); the space's first, or as the run has it.")]
TABLE = Annotated[Path | None, typer.Option(help="A benchmark table (.npz) instead of data.")]


@app.command(epilog="Example: supernet search darts --space darts --data digits --epochs 5 --out runs/first")
def search(
    method: Annotated[str, typer.Argument(help="A strategy or a searcher (supernet list methods).")],
    space: SPACE = None,
    task: TASK = None,
    data: DATA = None,
    table: TABLE = None,
    out: OUT = None,
    epochs: EPOCHS = None,
    steps: STEPS = None,
    trials: Annotated[int | None, typer.Option(help="Architectures that a searcher tries.")] = None,
    estimator: Annotated[str | None, typer.Option(help="What scores architectures (supernet list estimators).")] = None,
    searcher: Annotated[str | None, typer.Option(help="What searches the trained supernet (supernet list searchers).")] = None,
    baseline: Annotated[str | None, typer.Option(help="random: add a random search of equal cost.")] = None,
    batch_size: BATCH = None,
    channels: CHANNELS = None,
    cells: CELLS = None,
    limit_data: LIMIT = None,
    seed: SEED = None,
    device: DEVICE = None,
    threads: THREADS = None,
    max_params: Annotated[float | None, typer.Option(help="The most parameters of the evaluation network.")] = None,
    max_macs: Annotated[float | None, typer.Option(help="The most multiply-adds of the evaluation network.")] = None,
    max_latency: Annotated[str | None, typer.Option(help="The highest latency, such as 12ms.")] = None,
    latency_table: LATENCIES = None,
    judge: Annotated[Path | None, typer.Option(help="A benchmark table that scores the search epoch by epoch.")] = None,
    recipe: Annotated[str | None, typer.Option(help="paper: the paper's length and batch size; short: minutes on two cores.")] = None,
    config: CONFIG = None,
    set_: SETS = None,
    resume: RESUME = False,
    dry_run: DRY_RUN = False,
    json_: JSON = False,
) -> None:
    """Search for an architecture on data, or on a benchmark table."""
    from supernet.recipes import under
    from supernet.settings import resolve
    from supernet.workflow.limits import milliseconds
    from supernet.workflow.searching import SEARCH, keeps_bounds, plan_of, search_run

    if baseline not in (None, "random"):
        raise unknown("baseline", str(baseline), ("random",))
    flags = {
        "method": method,
        "space": space,
        "task": task,
        "data.source": data,
        "table.file": None if table is None else str(table),
        "epochs": epochs,
        "steps": steps,
        "trials": trials,
        "estimator.name": estimator,
        "searcher.name": searcher,
        "baseline.name": baseline,
        "data.batch_size": batch_size,
        "supernet.channels": channels,
        "supernet.cells": cells,
        "data.limit": limit_data,
        "seed": seed,
        "device": device,
        "threads": threads,
        "limits.params": max_params,
        "limits.macs": max_macs,
        "limits.latency": None if max_latency is None else milliseconds(max_latency),
        "limits.latency_table": None if latency_table is None else str(latency_table),
        "judge.file": None if judge is None else str(judge),
    }
    settings = resolve(under(SEARCH, recipe, method, space), config, set_ or [], flags)
    folder = out or Path("runs") / f"{method}-{settings['space']}-{settings['seed']}"
    if resume:
        settings = resolve(SEARCH, stored(folder, config), set_ or [], flags)
    if settings["space"] is None:
        raise InputError("no search space: give --space (supernet list spaces)")
    if dry_run:
        return show(plan_of(settings, folder, resume), json_)
    result = search_run(settings, folder, resume)
    show(result, json_)
    if not keeps_bounds(result):
        raise typer.Exit(1)


@app.command(epilog="Example: supernet retrain runs/first --data digits --epochs 30 --out runs/final")
def retrain(
    architecture: Annotated[str, typer.Argument(help="A run, a file, a published name or a notation.")],
    task: TASK = None,
    data: DATA = None,
    out: OUT = None,
    epochs: EPOCHS = None,
    cells: CELLS = None,
    channels: CHANNELS = None,
    auxiliary: Annotated[bool, typer.Option("--auxiliary", help="Train with the auxiliary head.")] = False,
    batch_size: BATCH = None,
    limit_data: LIMIT = None,
    seed: SEED = None,
    device: DEVICE = None,
    threads: THREADS = None,
    config: CONFIG = None,
    set_: SETS = None,
    resume: RESUME = False,
    dry_run: DRY_RUN = False,
    json_: JSON = False,
) -> None:
    """Train the evaluation network of an architecture from nothing."""
    from supernet.settings import resolve
    from supernet.workflow.retraining import RETRAIN, plan_of, retrain_run

    flags = {
        "architecture": architecture,
        "task": task,
        "data.source": data,
        "epochs": epochs,
        "network.cells": cells,
        "network.channels": channels,
        "network.auxiliary": True if auxiliary else None,
        "data.batch_size": batch_size,
        "data.limit": limit_data,
        "seed": seed,
        "device": device,
        "threads": threads,
    }
    name = re.sub(r"[^\w.-]+", "-", Path(architecture).name)[:40].strip("-") or "network"
    folder = out or Path("runs") / f"{name}-retrained"
    settings = resolve(RETRAIN, stored(folder, config) if resume else config, set_ or [], flags)
    if dry_run:
        return show(plan_of(settings, folder, resume), json_)
    show(retrain_run(settings, folder, resume), json_)


@app.command(epilog="Example: supernet evaluate runs/final --split test")
def evaluate(
    run: Annotated[Path, typer.Argument(help="The folder of a run with weights.")],
    data: DATA = None,
    split: Annotated[str, typer.Option(help="test or validation.")] = "test",
    batch_size: Annotated[int, typer.Option("--batch-size", help="Images a batch.")] = 256,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps.")] = "cpu",
    json_: JSON = False,
) -> None:
    """Measure a run's network on a split of its data."""
    from supernet.workflow.delivery import evaluate_run

    if split not in ("test", "validation"):
        raise unknown("split", split, ("test", "validation"))
    show(evaluate_run(run, data, split, batch_size, device), json_)


@app.command(epilog="Example: supernet describe darts-v2 --json")
def describe(
    architecture: Annotated[str | None, typer.Argument(help="A run, a file, a published name or a notation.")] = None,
    space: SPACE = None,
    method: Annotated[str | None, typer.Option(help="With --space: the supernet as this method builds it.")] = None,
    channels: CHANNELS = None,
    cells: CELLS = None,
    stem: Annotated[str | None, typer.Option(help="cifar or imagenet.")] = None,
    input_: INPUT = None,
    classes: CLASSES = None,
    auxiliary: Annotated[bool, typer.Option("--auxiliary", help="Count the auxiliary head too.")] = False,
    set_: SETS = None,
    json_: JSON = False,
) -> None:
    """Parameters and multiply-adds of an architecture's evaluation network, or of a space's supernet."""
    from supernet.designs import describe_space, design
    from supernet.settings import resolve

    if (architecture is None) == (space is None):
        raise InputError("describe takes an architecture or --space, one of them")
    flags = {"channels": channels, "cells": cells, "stem": stem, "shape": shape_of(input_), "classes": classes}
    section = "network" if space is None else "supernet"
    given = resolve({section: {}}, None, set_ or [], {f"{section}.{name}": value for name, value in flags.items()})[section]
    if space is not None:
        return show(describe_space(space, method, given), json_)
    show(design(str(architecture)).describe({**given, "auxiliary": True if auxiliary else None}), json_)


@app.command(epilog="Example: supernet export runs/final --out exported --format onnx --format safetensors")
def export(
    run: Annotated[Path, typer.Argument(help="The folder of a run with weights.")],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    format_: Annotated[list[str] | None, typer.Option("--format", help="onnx, torch, safetensors; may be repeated.")] = None,
    json_: JSON = False,
) -> None:
    """Write a run's network in formats that run without Supernet, each checked against its outputs."""
    from supernet.workflow.delivery import export_run

    show(export_run(run, out, tuple(format_ or ("onnx", "torch", "safetensors"))), json_)


@app.command(epilog="Example: supernet draw darts-v2 --out cell.svg")
def draw(
    architecture: Annotated[str, typer.Argument(help="A run, a file, a published name or a notation.")],
    out: Annotated[Path, typer.Option(help="The SVG file to write.")],
) -> None:
    """Draw an architecture as SVG."""
    from supernet.workflow.delivery import draw_design

    typer.echo(draw_design(architecture, out), err=True)


@app.command(epilog="Example: supernet report runs/first")
def report(run: Annotated[Path, typer.Argument(help="The folder of a run.")]) -> None:
    """Write a run's report.html anew."""
    from supernet.report.page import write_report

    if not run.is_dir():
        raise InputError(f"{run} is not the folder of a run")
    typer.echo(write_report(run))


@app.command(epilog="Example: supernet compare evolution,local --space nasbench201 --table nb201.npz --budget 300evals --seeds 10")
def compare(
    methods: Annotated[str, typer.Argument(help="Methods, separated by commas; random is always among them.")],
    space: SPACE = None,
    task: TASK = None,
    data: DATA = None,
    table: TABLE = None,
    budget: Annotated[str, typer.Option(help="N with a unit: 300evals, 10epochs, 500steps, 120s.")] = "300evals",
    seeds: Annotated[int, typer.Option(help="How many seeds, from 0.")] = 3,
    out: OUT = None,
    batch_size: BATCH = None,
    channels: CHANNELS = None,
    cells: CELLS = None,
    limit_data: LIMIT = None,
    device: DEVICE = None,
    threads: THREADS = None,
    workers: Annotated[int | None, typer.Option(help="Runs at once; each is a process.")] = None,
    config: CONFIG = None,
    set_: SETS = None,
    dry_run: DRY_RUN = False,
    json_: JSON = False,
) -> None:
    """Run several methods on the same space and budget over several seeds, and compare them with random search."""
    from supernet.settings import resolve
    from supernet.workflow.comparing import COMPARE, compare_run, plan_of

    flags = {
        "space": space,
        "task": task,
        "data.source": data,
        "table.file": None if table is None else str(table),
        "data.batch_size": batch_size,
        "supernet.channels": channels,
        "supernet.cells": cells,
        "data.limit": limit_data,
        "device": device,
        "threads": threads,
        "workers": workers,
    }
    settings, names = resolve(COMPARE, config, set_ or [], flags), [m.strip() for m in methods.split(",") if m.strip()]
    if dry_run:
        return show(plan_of(names, settings, budget, seeds, out), json_)
    result = compare_run(names, settings, budget, seeds, out)
    show(result, json_)
    if not all(entry.get("holds", True) for entry in result.get("methods", {}).values()):
        raise typer.Exit(1)


@app.command(epilog="Example: supernet profile --space proxyless --backend onnxruntime --threads 1 --out latency.json")
def profile(
    space: Annotated[str, typer.Option(help="A search space (supernet list spaces).")],
    out: Annotated[Path | None, typer.Option(help="The table to write, a JSON file.")] = None,
    backend: Annotated[str | None, typer.Option(help="torch, onnxruntime or openvino.")] = None,
    threads: THREADS = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", help="Examples at once.")] = None,
    channels: CHANNELS = None,
    cells: CELLS = None,
    stem: Annotated[str | None, typer.Option(help="cifar or imagenet.")] = None,
    input_: INPUT = None,
    classes: CLASSES = None,
    device: DEVICE = None,
    seed: SEED = None,
    emit: Annotated[Path | None, typer.Option(help="Write an ONNX file for each option here, to be timed on another device.")] = None,
    collect: Annotated[Path | None, typer.Option(help="Timings from that device: a CSV file with the columns name and ms.")] = None,
    config: CONFIG = None,
    set_: SETS = None,
    dry_run: DRY_RUN = False,
    json_: JSON = False,
) -> None:
    """Measure how long every option of every choice takes here, and check the sums against whole networks.

    The network is the one a search on CIFAR is for; --stem, --input, --classes and --set network.NAME=VALUE change that. A
    measurement that was stopped goes on where the same command is given again.
    """
    from supernet.settings import resolve
    from supernet.workflow.profiling import PROFILE, plan_of, profile_run

    flags = {
        "space": space,
        "backend": backend,
        "threads": threads,
        "batch_size": batch_size,
        "network.channels": channels,
        "network.cells": cells,
        "network.stem": stem,
        "network.shape": shape_of(input_),
        "network.classes": classes,
        "device": device,
        "seed": seed,
    }
    settings = resolve(PROFILE, config, set_ or [], flags)
    show((plan_of if dry_run else profile_run)(settings, out, emit, collect), json_)


@app.command("list", epilog="Example: supernet list architectures")
def list_(
    what: Annotated[str, typer.Argument(help="methods, searchers, estimators, spaces, tasks, data or architectures.")],
    cite: Annotated[bool, typer.Option("--cite", help="Say whom to cite.")] = False,
    json_: JSON = False,
) -> None:
    """What there is by name."""
    from supernet.catalogue import catalogue

    entries = catalogue(what)
    if json_:
        return show(entries if cite else [entry["name"] for entry in entries], True)
    for entry in entries:
        typer.echo(f"{entry['name']}\t{entry['cite']}" if cite else entry["name"])


def stored(folder: Path, config: Path | None) -> Path | None:
    """The settings that a run was begun with, to go on with; those of ``config`` are for one that has not begun."""
    return folder / "config.yaml" if (folder / "config.yaml").exists() else config


def shape_of(text: str | None) -> tuple[int, ...] | None:
    """(3, 32, 32) from 3x32x32; raises ``InputError`` for anything else."""
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise InputError(f"--input is channels x height x width, for example 3x32x32; got {text!r}")
    return tuple(int(part) for part in parts)


def show(result: Any, as_json: bool) -> None:
    """A result for a program, or for a person."""
    if as_json:
        typer.echo(json.dumps(result, allow_nan=False, default=str))
    else:
        typer.echo(
            yaml.safe_dump(json.loads(json.dumps(result, default=str)), sort_keys=False, default_flow_style=None, width=120).rstrip()
        )


def main() -> None:
    """The command ``supernet``: a user's mistake is one line and exit code 2, a failure one line and exit code 1.

    SIGTERM is like Ctrl-C.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except RunError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        print(f"error: {error.filename or ''}: {error.strerror or error}".replace("error: : ", "error: "), file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
