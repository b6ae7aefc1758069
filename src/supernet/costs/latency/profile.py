"""Measure what the options of a network take on this machine, and whole networks: a latency table from a supernet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from random import Random
from statistics import fmean, median
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from supernet.costs.latency.backends import Call, check_backend, prepare, torch_threads
from supernet.costs.latency.machine import clock, machine
from supernet.costs.latency.measurement import latency_of, time_parts
from supernet.costs.latency.predictor import Predictor, fit_predictor
from supernet.costs.latency.table import LatencyTable
from supernet.costs.latency.timing import EFFORT, Effort, Timing, loop
from supernet.costs.latency.validation import kendall, time_networks, validate
from supernet.costs.parts import parts
from supernet.derive import derive
from supernet.errors import InputError
from supernet.files.whole import make_folder
from supernet.layers.base import Supernet
from supernet.space import Architecture

FEW = Effort(least=6, most=6)  # visits of each of many networks
Network = Callable[[Architecture], nn.Module]


def profile(
    supernet: Supernet,
    *example: Any,
    out: str | Path | None = None,
    backend: str = "torch",
    threads: int = 1,
    batch: int = 1,
    device: str = "cpu",
    seed: int = 0,
    networks: int = 20,
    effort: Effort = EFFORT,
    network: Network | None = None,
    space: str = "own",
    settings: Mapping[str, Any] | None = None,
) -> LatencyTable:
    """Time every option of every choice in place, then check the sums on whole networks, and fit what they leave out.

    Args:
        example: inputs of one forward pass, one example each.
        out: the file of the table. A measurement that was stopped is kept beside it (``.unfinished``) and gone on with.
        backend: "torch", "onnxruntime" or "openvino", on ``device`` with ``threads``, ``batch`` examples at once.
        networks: how many are measured whole to fit the table, and as many again to judge it; 0: none.
        network: an architecture's network; by default the one derived from ``supernet``.
        space, settings: what the table says that it is of.

    Raises ``InputError`` where the backend cannot be used or a part cannot be converted for it.
    """
    _check(backend, device, threads, batch, networks)
    path = Path(out) if out is not None else None
    unfinished = path.with_name(f"{path.name}.unfinished") if path else None
    if path:
        make_folder(path.parent)
    found, rng = parts(supernet, *example), Random(seed)
    how: dict[str, Any] = {"backend": backend, "threads": threads, "device": device}
    timings = time_parts(found, **how, batch=batch, rng=rng, effort=effort, unfinished=unfinished)
    cost, by_part = latency_of(supernet.space, found, timings)
    table = LatencyTable(
        space=space,
        settings=dict(settings or {}),
        shape=tuple(example[0].shape[1:]) if example and isinstance(example[0], Tensor) else (),
        choices={name: choice.options for name, choice in supernet.space.items()},
        machine=machine(backend, threads=threads, batch=batch, device=device),
        costs={"latency": cost},
        parts=by_part,
    )
    count = min(networks, supernet.space.size() // 2)
    if count >= 3:
        prepared = _prepared(supernet, example, network, batch, how)
        with torch_threads(threads):
            fit, validation = validate(
                supernet.space,
                table.table(supernet.space),
                prepared,
                rng=rng,
                fit_networks=count,
                test_networks=count,
                clock=clock(threads, device),
            )
        table = replace(table, fit=fit, validation=validation)
    if path:
        table.write(path)
        assert unfinished
        unfinished.unlink(missing_ok=True)
    return table


def profile_networks(
    supernet: Supernet,
    *example: Any,
    out: str | Path | None = None,
    kind: str = "mlp",
    networks: int = 200,
    backend: str = "torch",
    threads: int = 1,
    batch: int = 1,
    device: str = "cpu",
    seed: int = 0,
    network: Network | None = None,
) -> tuple[Predictor, dict[str, Any]]:
    """Time ``networks`` whole networks drawn at random and fit a predictor, where options do not add up; the rest as in ``profile``.

    ``kind``: "mlp" or "boosting", which is for searchers only. Also gives how well one fitted on four fifths of the networks
    predicts the others: their number, Kendall's tau and the mean error in percent.
    """
    _check(backend, device, threads, batch, networks)
    rng, space = Random(seed), supernet.space
    if space.size() < 2 * networks:
        raise InputError(
            f"the space has {space.size()} architectures, too few to draw {networks} different ones: profile its options instead"
        )
    drawn: dict[str, Architecture] = {}
    while len(drawn) < networks:
        architecture = space.sample(rng)
        drawn.setdefault(space.key(architecture), architecture)
    how: dict[str, Any] = {"backend": backend, "threads": threads, "device": device}
    chosen, prepared = list(drawn.values()), _prepared(supernet, example, network, batch, how)
    with torch_threads(threads):
        times = [median(ms) for ms in time_networks(chosen, prepared, rng=rng, effort=FEW, clock=clock(threads, device))]
    kept = networks - networks // 5
    guess = fit_predictor(space, chosen[:kept], times[:kept], kind=kind, seed=seed)
    seen = times[kept:]
    guesses = [guess.predict(space, architecture) for architecture in chosen[kept:]]
    error = 100 * fmean(abs(a - b) / b for a, b in zip(guesses, seen, strict=True))
    made = replace(fit_predictor(space, chosen, times, kind=kind, seed=seed), machine=machine(batch=batch, **how))
    if out is not None:
        make_folder(Path(out).parent)
        made.write(Path(out))
    return made, {"networks": len(seen), "tau": kendall(guesses, seen), "error_percent": error}


def _check(backend: str, device: str, threads: int, batch: int, networks: int) -> None:
    check_backend(backend, device)
    if min(threads, batch) < 1 or networks < 0:
        raise InputError(f"threads and batch must be at least 1 and networks at least 0; got {threads}, {batch} and {networks}")


def _prepared(
    supernet: Supernet, example: tuple[Any, ...], network: Network | None, batch: int, how: Mapping[str, Any]
) -> Callable[[Architecture], Call]:
    """Architecture -> the call that runs its whole network once."""
    inputs = tree_map(lambda x: batched(x, batch), example)
    make = network or (lambda architecture: derive(supernet, architecture, *example))
    return lambda architecture: prepare(module=make(architecture), inputs=inputs, whole=True, **how)


def time_network(
    network: nn.Module,
    *example: Any,
    backend: str = "torch",
    threads: int = 1,
    batch: int = 1,
    device: str = "cpu",
    seconds: float = 0.5,
) -> Timing:
    """How long a whole network takes on this machine, in ms: median and minimum of a plain loop over the runtime. It stays as it is.

    By the wall clock, with what a call costs in itself. ``seconds``: how long the loop lasts; the rest as in ``profile``.
    """
    inputs = tree_map(lambda x: batched(x, batch), example)
    call = prepare(backend, deepcopy(network), inputs, threads=threads, device=device, whole=True)
    with torch_threads(threads):
        return loop(call, seconds=seconds)


def batched(x: Any, batch: int) -> Any:
    """``x``, one example, as a batch of drawn values."""
    if not isinstance(x, Tensor):
        return x
    if not x.is_floating_point():
        return x[:1].cpu().expand(batch, *x.shape[1:]).contiguous()
    return torch.randn(batch, *x.shape[1:], generator=torch.Generator().manual_seed(0), dtype=x.dtype)
