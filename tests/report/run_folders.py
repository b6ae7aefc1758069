"""Folders of runs as a search, a searcher and a retraining leave them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from random import Random
from typing import Any

import yaml

from supernet.genotype import OPERATIONS

DARTS_V2 = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), "
    "('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), "
    "('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), "
    "('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"
)
Line = dict[str, Any]


def write_run(folder: Path, config: Line, lines: list[Line], found: Line | None) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    (folder / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if found is not None:
        (folder / "architecture.json").write_text(json.dumps({"format": 1, **found}, indent=2))
    return folder


def cell_mixture(epoch: int, epochs: int) -> dict[str, list[float]]:
    """A softmax over the operations of every edge that sharpens over the epochs, towards skips in some."""
    mixture = {}
    for cell in ("normal", "reduce"):
        for node in range(2, 6):
            for source in range(node):
                rng = Random(f"{cell}{node}{source}")
                ends = [rng.gauss(0, 1.2) + (epoch / epochs - 0.5) * (name == "skip_connect") for name in OPERATIONS]
                logits = [math.exp(2 * epoch / epochs * end) for end in ends]
                mixture[f"{cell}.{node}<{source}"] = [round(x / sum(logits), 6) for x in logits]
    return mixture


def cell_choices(mixture: dict[str, list[float]]) -> Line:
    """The strongest operation of every edge, and the last two inputs of every node."""
    taken: Line = {}
    for name, p in mixture.items():
        node = name.split("<")[0]
        taken.setdefault(node, [int(node[-1]) - 2, int(node[-1]) - 1])
        taken[name] = OPERATIONS[p.index(max(p[1:]))]
    return taken


def tried(count: int, low: float, high: float, seed: int = 0) -> list[Line]:
    """Lines of architectures that were tried, chains of eight layers: some break a limit, one failed."""
    rng, lines = Random(seed), []
    for number in range(1, count + 1):
        architecture = {str(i): rng.choice(["id", "mb3_k3", "mb6_k5"]) for i in range(8)}
        params = sum({"id": 1e4, "mb3_k3": 2e5, "mb6_k5": 5.1e5}[o] for o in architecture.values())
        accuracy = low + (high - low) * (params / 2.6e6) ** 0.3 * rng.random() ** 0.3
        outcome = "infeasible" if params > 2.6e6 else "failed" if number == 7 else "scored"
        scores = {"accuracy": round(accuracy, 4), "loss": rng.random()} if outcome == "scored" else None
        line = {"trial": number, "architecture": architecture, "scores": scores, "outcome": outcome, "costs": {"params": params}}
        lines.append({**line, "measured": {"seconds": 2 + rng.random()}})
    return lines


def darts_run(tmp_path: Path, name: str = "run", epochs: int = 30, finished: bool = True, baseline: bool = True) -> Path:
    """A gradient search in the cell space, finished or not, with a random search beside it or not."""
    rng, lines = Random(1), []
    for e in range(1, epochs + 1):
        mixture, loss = cell_mixture(e, 30), 2.3 * math.exp(-e / 20) + 0.05 * rng.random()
        line = {"epoch": e, "loss": loss, "accuracy": 1 - loss / 2.6, "learning_rate": 0.0125 * (1 + math.cos(math.pi * e / 30))}
        line |= {"mixture": mixture, "architecture": cell_choices(mixture)}
        line |= {"validation": {"accuracy": 0.93 - loss / 2.7, "loss": loss + 0.15 + 0.1 * rng.random()}}
        lines.append({**line, "measured": {"seconds": 61 + rng.random(), "steps_per_second": 12.3, "peak_memory_mb": 812.0}})
    config: Line = {"command": "search", "method": "darts", "space": "darts", "seed": 3, "device": "cpu", "threads": 2, "epochs": 30}
    config |= {"data": {"source": "cifar10", "limit": None, "batch_size": 64, "validation": 0.5}, "searcher": {"name": "evolution"}}
    config |= {"supernet": {"channels": 16, "cells": 8}, "strategy": {}, "limits": {"params": 4000000, "macs": 500000000}}
    found = {"space": "darts", "settings": {"channels": 36, "cells": 20, "shape": [3, 32, 32]}, "genotype": DARTS_V2}
    found |= {"choices": cell_choices(cell_mixture(30, 30)), "found_by": {"method": "darts", "seed": 3, "epochs": 30, "trials": 0}}
    found |= {"scores": {"validation": 0.8771, "validation_accuracy": 0.8771, "validation_loss": 0.41}}
    found |= {"costs": {"params": 3349342, "macs": 529053696}}
    folder = write_run(tmp_path / name, config, lines, found if finished else None)
    if baseline:
        best = {"space": "darts", "choices": {}, "costs": {"params": 2810000}, "scores": {"validation": 0.871}}
        write_run(folder / "baseline", {**config, "method": "random"}, tried(24, 0.62, 0.9), best)
    return folder


def evolution_run(tmp_path: Path, trials: int = 120) -> Path:
    """A searcher on a chain of blocks, with a random search beside it."""
    lines = tried(trials, 0.7, 0.93, seed=5)
    config = {"method": "evolution", "space": "nasbench-macro", "seed": 0, "trials": trials, "limits": {"params": 2.6e6, "macs": None}}
    best = max((line for line in lines if line["scores"]), key=lambda line: line["scores"]["accuracy"])
    found = {"space": "nasbench-macro", "choices": best["architecture"], "genotype": "12012012", "found_by": {"method": "evolution"}}
    found |= {"scores": {"validation": best["scores"]["accuracy"]}, "costs": {"params": best["costs"]["params"], "macs": 151e6}}
    folder = write_run(tmp_path / "evolution", {**config, "data": {"source": "cifar10"}}, lines, found)
    write_run(folder / "baseline", {**config, "method": "random"}, tried(trials, 0.66, 0.92, seed=6), {**found, "costs": {"params": 2.2e6}})
    return folder


def retrain_run(tmp_path: Path, epochs: int = 60) -> Path:
    """A retraining of a published cell: epochs with a test score, no search."""
    lines = []
    for e in range(1, epochs + 1):
        line = {"epoch": e, "loss": 2.3 * math.exp(-e / 12), "learning_rate": 0.025 * (1 - e / epochs)}
        line |= {"test": {"accuracy": 0.965 - 0.5 * math.exp(-e / 9), "loss": 0.15 + 2 * math.exp(-e / 10)}}
        lines.append({**line, "measured": {"seconds": 300.0}})
    found = {"space": "darts", "genotype": DARTS_V2, "choices": None, "found_by": {"architecture": "darts-v2"}}
    found |= {"scores": {"test": 0.9642}, "costs": {"params": 3349342}}
    config = {"command": "retrain", "architecture": "darts-v2", "seed": 0, "epochs": epochs, "data": {"source": "cifar10"}}
    return write_run(tmp_path / "retrained", config, lines, found)


MACHINE = {"processor": "Cortex-A53", "backend": "onnxruntime", "threads": 1, "batch": 1}
PARTS = [["stem", 0.11], *([f"layers.{i} k{3 + 2 * (i % 3)}e{3 + 3 * (i % 2)}", 0.03 + 0.011 * (7 * i % 12)] for i in range(18))]
PARTS += [["layers.18 skip", 0.0], ["pool", 0.004], ["flatten", 0.002], ["head", 0.14]]


def priced_run(tmp_path: Path, epochs: int = 30, measured: bool = True, bound: float | None = 2.0, finished: bool = True) -> Path:
    """A gradient search under a price on latency and one on multiply-adds, measured on the device of its table or not."""
    rng, lines, strength = Random(2), [], 0.4
    for e in range(1, epochs + 1):
        cost = 1.9 + 1.4 * math.exp(-e / 7) + rng.uniform(-0.08, 0.08)
        strength *= math.exp(0.45 * min(max(cost / 2.0 - 1, -1), 1)) * 1.09
        accuracy = 0.62 - 0.35 * math.exp(-e / 6) + rng.uniform(-0.01, 0.01)
        price: Line = {"latency": {"cost": cost, "bound": bound, "strength": strength}}
        price |= {"macs": {"cost": 1.6e8 * cost, "bound": 3.2e8 if bound else None, "strength": 1.0 + e / 30}}
        line = {"epoch": e, "loss": 2.3 - accuracy, "validation": {"loss": 2.4 - accuracy, "accuracy": accuracy}, "price": price}
        lines.append({**line, "architecture": {"layer.0": "k3e3"}, "measured": {"seconds": 60.0}})
    total = sum(ms for _, ms in PARTS)
    found: Line = {"space": "proxyless", "choices": {"layer.0": "k3e3"}, "found_by": {"method": "proxyless-nas", "seed": 0}}
    found |= {"scores": {"validation": 0.615, "validation_accuracy": 0.615}}
    found |= {"costs": {"params": 4080512, "macs": 3.04e8, "activations": 7.2e6, "storage": 1.64e7, "latency": total}}
    if bound:
        found["limits"] = {"latency": {"bound": bound, "holds": total <= bound}, "macs": {"bound": 3.2e8, "holds": True}}
    if measured:
        real: Line = {"ms": 1.97, "median": 1.97, "minimum": 1.9, "predicted": total, "bound": bound, "holds": True, "machine": MACHINE}
        found["measured"] = {"latency": real | ({"over": 1.97 / bound - 1} if bound else {})}
    found["where"] = {"latency": PARTS}
    config: Line = {"method": "proxyless-nas", "space": "proxyless", "epochs": epochs, "limits": {"latency_table": "l.json"}}
    return write_run(tmp_path / "priced", config, lines, found if finished else None)


def bounded_run(tmp_path: Path, trials: int = 80) -> Path:
    """A searcher under a bound on latency, which some trials break."""
    rng, lines = Random(3), []
    for number in range(1, trials + 1):
        latency, params = rng.uniform(0.9, 2.3), rng.randint(2_000_000, 5_000_000)
        scores = {"accuracy": 0.6 + 0.1 * latency**0.5 - 0.06 * rng.random()} if latency <= 2.0 else None
        line = {"trial": number, "architecture": {"layer.0": "k3e3"}, "scores": scores, "outcome": "scored" if scores else "infeasible"}
        lines.append({**line, "costs": {"params": params, "macs": 90 * params, "latency": latency}, "measured": {"seconds": 1.0}})
    best = max((line for line in lines if line["scores"]), key=lambda line: line["scores"]["accuracy"])
    found = {"space": "proxyless", "choices": best["architecture"], "costs": best["costs"], "found_by": {"method": "evolution"}}
    found |= {"scores": {"validation": best["scores"]["accuracy"]}, "limits": {"latency": {"bound": 2.0, "holds": True}}}
    config = {"method": "evolution", "space": "proxyless", "trials": trials, "limits": {"latency": 2.0, "params": None}}
    return write_run(tmp_path / "bounded", config, lines, found)
