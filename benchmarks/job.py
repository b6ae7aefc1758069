"""A user's job, several seeds: a module of one's own, Fashion-MNIST, a bound in ms. What a search finds, what random search of equal cost
finds, and what a person would draw are trained alike and tested.

    python benchmarks/job.py --out job [--seeds 5] [--bound 0.1] [--epochs 8]     # goes on from where it was

The search is ``auto``; random search trains one network more than its finals do, of those within the bound, for as many multiply-adds as
all of it took. Latency: of one image, by ONNX Runtime on one thread. By hand: dense 3x3 convolutions everywhere, the second stage twice
as wide as the first, and of these the one that uses most of the bound. Data: Fashion-MNIST, looked for in $SUPERNET_DATA; networks are
trained on the first 20,000 training images, compared in searches on the last 10,000, tested on the 10,000 test images.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from functools import partial
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import torch
from fashion_bench import task
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import ElasticConv2d, ElasticLinear, ElasticNorm, OneOf, Supernet, UpTo, auto, derive, profile, search
from supernet.auto import AUTO
from supernet.costs.latency.backends import prepare
from supernet.costs.latency.table import LatencyTable
from supernet.costs.latency.timing import Effort, Timing, measure
from supernet.costs.limits import Limits
from supernet.estimators.scratch import FromScratch
from supernet.files.lines import Lines
from supernet.finals import trainings
from supernet.layers.width import Width
from supernet.randomness import seed_everything
from supernet.run import Run
from supernet.search import limits_of
from supernet.space import Architecture
from supernet.strategies.retrain import Retrain
from supernet.strategies.weights import Weights
from supernet.summary import interval
from supernet.ways.baseline import Baseline

WIDTHS, RATIOS, DEPTHS = (8, 12, 16, 24), (1, 1.5, 2, 3), (1, 2, 3)
EXAMPLE = torch.zeros(1, 1, 28, 28)
ORIGINS = 4  # of the networks of a seed
TRAINED = {"lr": 0.2, "decay": 5e-4}  # how networks are trained from nothing, in searches too
NEAR = 0.95  # of what may be used of the bound, which a network that is drawn uses
VISITS = 61  # of each network, to time it


class Block(nn.Module):
    """A residual block: batch norm, ReLU, and one of several operations that keep size and width."""

    def __init__(self, width: Width):
        super().__init__()
        most = width.largest

        def conv(kernel: int, dilation: int = 1) -> nn.Module:
            return ElasticConv2d(most, width, kernel, 1, dilation * (kernel // 2), dilation, bias=False)

        self.norm = ElasticNorm(most)
        self.operation = OneOf({"conv1": conv(1), "conv3": conv(3), "conv5": conv(5), "dil3": conv(3, 2), "pool3": nn.AvgPool2d(3, 1, 1)})

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.operation(F.relu(self.norm(x)))
        return out


class Net(nn.Module):
    """Two stages of blocks on 14x14 and 7x7 pixels: how wide, how deep, and which operation each block is."""

    def __init__(self) -> None:
        super().__init__()
        first = Width(WIDTHS, name="width")
        second = first.times(RATIOS, name="ratio", rounded=lambda channels: int(channels))
        self.stem = ElasticConv2d(1, first, 3, 2, 1, bias=False)
        self.first = UpTo([Block(first) for _ in range(DEPTHS[-1])], DEPTHS, name="first")
        self.between = ElasticNorm(first.largest)
        self.down = ElasticConv2d(first.largest, second, 3, 2, 1, bias=False)
        self.second = UpTo([Block(second) for _ in range(DEPTHS[-1])], DEPTHS, name="second")
        self.norm, self.head = ElasticNorm(second.largest), ElasticLinear(second.largest, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(F.relu(self.between(self.first(self.stem(x)))))
        out: Tensor = self.head(F.relu(self.norm(self.second(x))).mean((2, 3)))
        return out


def fresh(supernet: Supernet, architecture: Architecture) -> nn.Module:
    """The network of an architecture with new weights, drawn as PyTorch draws them."""
    network = derive(supernet, architecture, EXAMPLE)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            module.reset_parameters()
    return network


def training(supernet: Supernet, seed: int, epochs: int, steps: int | None = None) -> FromScratch:
    """What trains networks from nothing: the same for all."""
    strategy = partial(Retrain, drop_path=0.0, weights=partial(Weights, lr_min=0.0, **TRAINED))
    return FromScratch(partial(fresh, supernet), task(seed), epochs=epochs, steps=steps, seed=seed, strategy=strategy)


def by_hand(supernet: Supernet, limits: Limits) -> Architecture:
    """Of networks that are regular, the one that uses most of the limits."""
    blocks = {name: "conv3" for name in supernet.space if name.endswith("operation")}
    sizes = product(WIDTHS, DEPTHS, DEPTHS)
    drawn = [supernet.space.matters({**blocks, "width": width, "ratio": 2, "first": one, "second": two}) for width, one, two in sizes]
    return max((a for a in drawn if limits.excess(a) <= 0), key=limits.excess)


def searched(seed: int, given: argparse.Namespace, table: LatencyTable) -> Iterable[tuple[str, Architecture]]:
    """The architectures of one seed by where they come from: found, by random search of equal cost, by hand, and one drawn at random."""
    seed_everything(seed)
    supernet, own = Supernet(Net()), task(seed)
    limits = limits_of(supernet, own, {"latency": given.bound}, table)
    folder = given.out / f"search-{seed}"
    how: dict[str, Any] = {"epochs": given.search_epochs, "seed": seed, "trials": given.trials, "finals": given.finals}
    how |= {"limits": limits, "count": True, "out": folder, "resume": (folder / "config.yaml").exists()}
    if given.method == AUTO:
        found = auto(supernet, own, weights=TRAINED, **how)
    else:
        how |= {"searcher": given.searcher, "examples": 2_000, "calibration": 4}
        found = search(supernet, own, given.method, weights={"lr": 0.1, "lr_min": 0.0, "decay": 5e-5}, **how)
    yield "found", found.architecture
    beside = Baseline(own, trainings(given.finals), partial(training, supernet, seed, 1), seed, limits, limits.check())
    run = given.out / f"random-{seed}"
    with Run(run, {"multiply_adds": found.multiply_adds}, (run / "config.yaml").exists()) as kept:
        base = beside.search(kept, supernet.space, found.multiply_adds, found.architecture)
    yield "random search", base["best"]
    yield "by hand", by_hand(supernet, limits)
    rng = Random(seed)
    drawn = supernet.space.sample(rng)
    while not NEAR - 1 <= limits.excess(drawn) <= 0:
        drawn = supernet.space.sample(rng)
    yield "drawn", supernet.space.matters(drawn)


def trained(architecture: Architecture, seed: int, epochs: int) -> dict[str, Any]:
    """Test accuracy in percent after a training."""
    network = training(Supernet(Net()), seed, epochs).trained(architecture)
    return {"test": 100 * network.evaluate("test")["accuracy"]}


def timed(architectures: list[Architecture]) -> list[float]:
    """The latencies of whole networks in ms, measured in turns, since a machine may be faster at one moment than at the next."""
    supernet = Supernet(Net())
    networks = [derive(supernet, supernet.space.check(architecture), EXAMPLE) for architecture in architectures]
    calls = {str(i): prepare("onnxruntime", network, (EXAMPLE,), whole=True) for i, network in enumerate(networks)}
    visits = measure(calls, rng=Random(0), effort=Effort(least=VISITS, most=VISITS))
    return [Timing.of(visits[name]).median_ms for name in calls]


def summed(lines: list[dict[str, Any]], aim: float) -> str:
    """The results as a Markdown table: each origin with what the found networks have more than it, and the shares used of what is aimed at,
    the bound less the margin for what the table does not know.
    """
    by_origin: dict[str, dict[int, dict[str, Any]]] = {}
    for line, ms in zip(lines, timed([line["architecture"] for line in lines]), strict=True):
        by_origin.setdefault(line["origin"], {})[line["seed"]] = {**line, "measured_ms": ms}
    rows = [
        "| network | test accuracy, % | found is better by | used of the bound less its margin, by the table | measured |",
        "|---|---|---|---|---|",
    ]
    for origin, known in by_origin.items():
        of_seeds = list(known.values())
        mean, ahead = interval([line["test"] for line in of_seeds]), ""
        pairs = [by_origin["found"][seed]["test"] - line["test"] for seed, line in known.items() if seed in by_origin["found"]]
        if origin != "found" and pairs:
            ahead = said(interval(pairs))
        used = sum(line["latency"] for line in of_seeds) / len(of_seeds) / aim
        measured = sum(line["measured_ms"] for line in of_seeds) / len(of_seeds)
        rows.append(f"| {origin} | {said(mean)} | {ahead} | {100 * used:.0f} % | {measured:.3f} ms |")
    return "\n".join(rows)


def said(value: dict[str, float | None]) -> str:
    """A mean with its interval, where there is one."""
    low, high = value["low"], value["high"]
    return f"{value['mean']:.2f}" + ("" if low is None else f" [{low:.2f}, {high:.2f}]")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="the first seed, so that two processes can share the work")
    parser.add_argument("--bound", type=float, default=0.1, help="milliseconds")
    parser.add_argument("--epochs", type=int, default=8, help="of the training of each network")
    parser.add_argument("--method", default=AUTO)
    parser.add_argument("--searcher", default="surrogate")
    parser.add_argument("--search-epochs", type=int, default=56, help="of all trainings of the search")
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--finals", type=int, default=6)
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    place = given.out / "latency.json"
    if not place.exists():  # on a machine that does nothing else
        profile(Supernet(Net()), EXAMPLE, out=place, backend="onnxruntime", threads=1)
    table, path = LatencyTable.read(place), given.out / "results.jsonl"
    known = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")] if path.exists() else []
    kept = Lines(path)
    for seed in range(given.first, given.seeds):
        if len([line for line in known if line["seed"] == seed]) == ORIGINS:
            continue
        supernet = Supernet(Net())
        costs = limits_of(supernet, task(seed), {"latency": given.bound}, table)
        for origin, architecture in searched(seed, given, table):
            if any((line["seed"], line["origin"]) == (seed, origin) for line in known):
                continue
            priced = {"latency": costs.costs(supernet.space.check(architecture))["latency"], "architecture": architecture}
            line = {"seed": seed, "origin": origin, **priced, **trained(architecture, seed, given.epochs)}
            known.append(line)
            kept.append(json.dumps(line))
            print(json.dumps(line), flush=True)
    aim = limits_of(Supernet(Net()), task(0), {"latency": given.bound}, table).aims["latency"]
    print(summed(known, aim))


if __name__ == "__main__":
    main()
