"""Train every network of the space fashion-bench, several seeds each, and write the benchmark table.

    python benchmarks/fashion_bench.py --out truth [--seeds 3] [--workers 2]     # hours; goes on from where it was
    python benchmarks/fashion_bench.py --out truth --latency                     # minutes, on a machine that does nothing else
    python benchmarks/fashion_bench.py --out truth --write fashion_bench.npz     # and prints how much of the variance is architecture

What it wrote is embedded, as ``src/supernet/estimators/fashion_bench.npz``.

Data: Fashion-MNIST (MIT licence, Xiao et al. 2017), looked for in $SUPERNET_DATA. Each network is trained from nothing for 5 passes of
the first 20,000 training images, by SGD with a cosine from 0.2 to 0 that moves once a pass, without augmentation; a seed is of the
initial weights and of the order of images. The folder ``truth`` beside this file has the trainings that are done. Architectures that
are the same network (``simplest``) have the training of one of them: 276 are trained. Columns ``val``: accuracy in percent on the last
10,000 training images, which no training reads; ``test``: on the 10,000 test images. Latency: of one image, by ONNX Runtime on one
thread, the median over visits in turns.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from supernet.costs import count
from supernet.costs.latency.backends import prepare
from supernet.costs.latency.timing import Effort, Timing, measure
from supernet.data import images
from supernet.data.batches import KNOWN, Batches
from supernet.estimators.scratch import FromScratch
from supernet.progress import Progress
from supernet.space import Architecture
from supernet.spaces.fashion_bench import CHOICES, FASHION_BENCH, simplest
from supernet.strategies.retrain import Retrain
from supernet.strategies.weights import Weights, cosine
from supernet.task import Task

TRAINED, HELD, BATCH, EPOCHS, RATE, DECAY = 20_000, 10_000, 128, 5, 0.2, 5e-4
SHAPE = (1, 28, 28)
EFFORT = Effort(least=9, most=25, spread=0.02, visit=5.0)


def architectures() -> list[Architecture]:
    """All of them, in the order of the table."""
    return list(FASHION_BENCH.supernet().space.enumerate())


def trained() -> list[int]:
    """For each of them, the number of the one that is trained for it."""
    numbers = {FASHION_BENCH.notation(architecture): number for number, architecture in enumerate(architectures())}
    return [numbers[FASHION_BENCH.notation(simplest(architecture))] for architecture in architectures()]


@cache
def data() -> images.ImageSet:
    """Fashion-MNIST, read once a process."""
    return images.load("fashion-mnist")


def task(seed: int) -> Task:
    """The task that networks are trained and judged by."""
    mean, std = KNOWN["fashion-mnist"]
    batches = partial(Batches, mean=mean, std=std)
    x, y = data().x_train, data().y_train
    return Task(
        batches(x[:TRAINED], y[:TRAINED], BATCH, seed=seed),
        batches(x[-HELD:], y[-HELD:], 500, train=False),
        batches(data().x_test, data().y_test, 500, train=False),
        loss=F.cross_entropy,
        seed=seed,
    )


def falling(done: float) -> float:
    """The factor of the learning rate: a cosine that moves once a pass."""
    return cosine(1.0, 0.0, math.floor(done * EPOCHS + 1e-9) / EPOCHS)


def train(number: int, seed: int) -> dict[str, Any]:
    """Train one architecture with one seed: a line of ``results.jsonl``."""
    weights = partial(Weights, lr=RATE, decay=DECAY, schedule=falling)
    estimator = FromScratch(
        FASHION_BENCH.network, task(seed), epochs=EPOCHS, seed=seed, strategy=partial(Retrain, drop_path=0.0, weights=weights)
    )
    trained = estimator.trained(architectures()[number])
    return {"number": number, "seed": seed, **{name: trained.evaluate(stream)["accuracy"] for name, stream in STREAMS.items()}}


STREAMS = {"val": "validation", "test": "test"}


def alone() -> None:
    """In a process that trains: one thread, and only the whole has a progress bar."""
    torch.set_num_threads(1)
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def known(path: Path) -> dict[tuple[int, int], dict[str, Any]]:
    """The results there are; a line cut short by a kill does not count."""
    lines = path.read_text().splitlines() if path.exists() else []
    found = [json.loads(line) for line in lines if line.endswith("}")]
    return {(line["number"], line["seed"]): line for line in found}


def train_all(out: Path, seeds: int, workers: int) -> None:
    """Train what is not trained yet: all architectures with the first seed, then with the next."""
    path = out / "results.jsonl"
    done = known(path)
    jobs = [(number, seed) for seed in range(seeds) for number in sorted(set(trained()))]
    left = [job for job in jobs if job not in done]
    Random(0).shuffle(left)  # so that whatever time there is tells of the whole space
    left.sort(key=lambda job: job[1])
    progress = Progress("training", len(jobs), len(jobs) - len(left), unit="networks")
    with ProcessPoolExecutor(workers, get_context("spawn"), alone) as pool, path.open("a") as file:
        for finished in as_completed(pool.submit(train, *job) for job in left):
            file.write(json.dumps(finished.result()) + "\n")
            file.flush()
            os.fsync(file.fileno())
            progress.advance(accuracy=finished.result()["val"])
    progress.close()


def time_all(out: Path) -> None:
    """Measure the latency of every network that is trained."""
    torch.set_num_threads(1)
    example, every = (torch.randn(1, *SHAPE),), architectures()
    calls = {str(i): prepare("onnxruntime", FASHION_BENCH.network(every[i]), example, whole=True) for i in sorted(set(trained()))}
    visits = measure(calls, rng=Random(0), effort=EFFORT, progress=Progress("timing", len(calls), unit="networks"))
    (out / "latency.json").write_text(json.dumps({name: Timing.of(times).median_ms for name, times in visits.items()}))


def columns(out: Path) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """The arrays of the table."""
    found, all_of_them = known(out / "results.jsonl"), architectures()
    names = list(dict.fromkeys(str(option) for options in CHOICES.values() for option in options))
    yield "choices", np.array(list(CHOICES))
    yield "op_names", np.array(names)
    yield "ops", np.array([[names.index(str(a[choice])) for choice in CHOICES] for a in all_of_them], dtype=np.int8)
    seeds = 1 + max(seed for _, seed in found)
    for name in STREAMS:
        yield name, 100 * np.array([[found[i, seed][name] for seed in range(seeds)] for i in trained()], dtype=np.float32)
    networks = [FASHION_BENCH.network(a) for a in all_of_them]
    yield "params", np.array([count.params(network) for network in networks])
    yield "flops", np.array([count.macs(network, SHAPE) for network in networks])
    if (out / "latency.json").exists():
        latency = json.loads((out / "latency.json").read_text())
        yield "latency_ms", np.array([latency[str(i)] for i in trained()], dtype=np.float32)


def variance(scores: np.ndarray[Any, Any]) -> dict[str, float]:
    """Of scores (architectures, seeds): the share of the variance that is architecture, by a one-way analysis, and the spreads."""
    seeds = scores.shape[1]
    noise = float(scores.var(1, ddof=1).mean())
    between = max(float(scores.mean(1).var(ddof=1)) - noise / seeds, 0.0)
    return {"architecture": between / (between + noise), "std_architecture": between**0.5, "std_seed": noise**0.5}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--latency", action="store_true")
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.latency:
        time_all(given.out)
    elif given.write:
        table = dict(columns(given.out))
        np.savez_compressed(given.write, **table)
        for name in STREAMS:
            print(name, json.dumps(variance(table[name][sorted(set(trained()))])))
    else:
        train_all(given.out, given.seeds, given.workers)


if __name__ == "__main__":
    main()
