"""Random architectures of one latency out of a trained supernet, scored on test data, beside what was specialised for that latency.

    python benchmarks/same_latency.py RUN --latency-table TABLE --max-latency 0.08ms [--max-latency ...] [--share 0.06] [--samples 10]

For each bound architectures are drawn uniformly until ``--samples`` of them have a latency, by the table, between ``1 - share`` of the
bound and the bound; each is derived with the weights of the supernet in RUN, its batch norms recalibrated as by ``supernet specialise``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from random import Random
from statistics import mean, stdev

from supernet.commands.stored import search_in
from supernet.estimators.shared import SharedWeights
from supernet.plan.search import plan_search
from supernet.search import limits_of
from supernet.settings.quantities import milliseconds
from supernet.settings.sections import Machine
from supernet.workflow.trained import trained_run

TRIES = 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--latency-table", required=True)
    parser.add_argument("--max-latency", action="append", required=True)
    parser.add_argument("--share", type=float, default=0.06)
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    call = search_in(given.run)
    plan, rng = plan_search(call), Random(given.seed)
    with trained_run(given.run, plan) as trained:
        supernet, task = trained.supernet, trained.task
        testing = plan.kind.read(plan.data, Machine(seed=call.seed, threads=call.threads), testing=True)
        estimate = SharedWeights(supernet, task, batches=trained.calibration)
        for said in given.max_latency:
            bound = milliseconds(said)
            limits, scores = limits_of(supernet, task, {"latency": bound}, given.latency_table), []
            for _ in range(TRIES):
                drawn = supernet.space.sample(rng)
                if not (1 - given.share) * bound <= limits.costs(drawn)["latency"] <= bound:
                    continue
                scores.append(testing.evaluate(testing.place(estimate.network(drawn)), "test")["accuracy"])
                if len(scores) == given.samples:
                    break
            spread = {"mean": mean(scores), "std": stdev(scores), "least": min(scores), "most": max(scores)}
            print(json.dumps({"latency": bound, **spread, "samples": len(scores)}), flush=True)


if __name__ == "__main__":
    main()
