"""How well short trainings tell networks apart: schedules that move within epochs or once in each, with crops and flips or without.

    python benchmarks/short_trainings.py [--epochs 1,2] [--networks 24] [--workers 2]     # half an hour of two cores

Random networks of the space fashion-bench are trained on the 20,000 first images of Fashion-MNIST, looked for in $SUPERNET_DATA, by SGD
from a rate of 0.1 in batches of 64, and ranked by their accuracy on the last 10,000. What they are worth is their test accuracy by the
embedded table, of three longer trainings each. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import math
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from random import Random
from statistics import mean

import fashion_bench
from torch.nn import functional as F

from supernet.data.augment import Augment, default_augment
from supernet.data.batches import KNOWN, Batches
from supernet.estimators.ranking import kendall, spearman
from supernet.estimators.scratch import FromScratch
from supernet.estimators.tabular import Table
from supernet.space import Architecture
from supernet.spaces.fashion_bench import FASHION_BENCH
from supernet.strategies.retrain import Retrain
from supernet.strategies.weights import Weights, cosine
from supernet.task import Task

WAYS = {  # whether schedules move within epochs, and what is done to images
    "within epochs": (True, Augment(crop=0, flip=False)),
    "once an epoch": (False, Augment(crop=0, flip=False)),
    "within epochs, crops and flips": (True, default_augment("fashion-mnist", 28)),
}


def trained(way: str, epochs: int, architecture: Architecture) -> float:
    """The validation accuracy of a network after so many epochs."""
    fine, augment = WAYS[way]
    train, mean_std = fashion_bench.TRAINED, KNOWN["fashion-mnist"]
    x, y = fashion_bench.data().x_train, fashion_bench.data().y_train
    batches = partial(Batches, mean=mean_std[0], std=mean_std[1])
    examples = batches(x[:train], y[:train], 64, augment=augment), batches(x[-10_000:], y[-10_000:], 500, train=False)

    def schedule(done: float) -> float:
        return cosine(1.0, 0.01, done if fine else math.floor(done * epochs + 1e-9) / epochs)

    strategy = partial(Retrain, drop_path=0.0, weights=partial(Weights, lr=0.1, schedule=schedule))
    task = Task(*examples, loss=F.cross_entropy)
    return FromScratch(FASHION_BENCH.network, task, epochs=epochs, strategy=strategy)(architecture)["accuracy"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", default="1,2")
    parser.add_argument("--networks", type=int, default=24)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    space, rng = FASHION_BENCH.supernet().space, Random(0)
    table = Table.read("fashion-bench", space=space)
    networks = [space.sample(rng) for _ in range(given.networks)]
    truth = [table.report(architecture)["test"] for architecture in networks]
    print("| schedules | epochs | mean accuracy | tau | Spearman |\n|---|---|---|---|---|")
    with ProcessPoolExecutor(given.workers, get_context("spawn"), fashion_bench.alone) as pool:
        for epochs in map(int, given.epochs.split(",")):
            for way in WAYS:
                scores = list(pool.map(partial(trained, way, epochs), networks))
                ranked = kendall(scores, truth), spearman(scores, truth)
                print(f"| {way} | {epochs} | {100 * mean(scores):.1f} % | {ranked[0]:.2f} | {ranked[1]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
