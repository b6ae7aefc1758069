"""The one training loop. It knows nothing of batches, networks or searches, and can be killed at any step."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from supernet.costs.passes import Passes, counting_now
from supernet.data.streams import Data
from supernet.errors import InputError, RunError
from supernet.memory import peak_memory
from supernet.progress import Progress
from supernet.ranks import ALONE, Ranks
from supernet.run import Run
from supernet.stopping import Interrupted, interruptible, one_at_a_time

FEWEST = 6  # epochs of a training that is given in steps
FINE = 20  # moves of a schedule in a whole training, at least; papers' trainings have more epochs, and so one move an epoch, as they have
History = list[dict[str, Any]]


class Strategy(Protocol):
    """What can be trained: a supernet by some method, or a plain network."""

    def step(self, data: Data) -> dict[str, Tensor]:
        """One update; pulls the batches it needs by ``data.next(stream)``. Measured: 0-d tensors, still on the device."""

    def steps(self, data: Data) -> int:
        """How many steps make an epoch."""

    def training(self) -> AbstractContextManager[None]:
        """What is trained is in training mode meanwhile; ``fit`` takes an epoch's steps in it."""

    def epoch(self, done: int, of: int, metrics: dict[str, Any]) -> bool:
        """Called before the first epoch (``done`` = 0) and after each: schedules, stages; True stops."""

    def schedule(self, done: float, of: int) -> None:
        """Called within the epochs of a short training, see ``moves``: set the schedules for ``done`` epochs and a part of one."""

    def facts(self) -> dict[str, Any]:
        """What a history line records of the strategy at the end of an epoch, before ``epoch`` is called."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def moves(epochs: int) -> int:
    """How often schedules (rates, temperatures, what waits for a share of the training) move in an epoch.

    Once in trainings of ``FINE`` epochs or more; in shorter ones as often as makes ``FINE`` moves in all. With one move an epoch, the
    learning rate of a single epoch would stay at its first value, and alphas that wait for a ninth of the search would wait for all of it.
    """
    return max(1, -(-FINE // max(epochs, 1)))


@one_at_a_time()
def fit(
    strategy: Strategy,
    data: Data,
    epochs: int,
    run: Run | None = None,
    *,
    steps: int | None = None,
    evaluate: Callable[[], dict[str, Any]] | None = None,
    enough: Callable[[float], bool] = lambda share: False,
    what: str = "training",
    save_every: float = 60.0,
    passes: Passes | None = None,
    ranks: Ranks = ALONE,
) -> History:
    """Train for ``epochs``, or for ``steps`` in all, and return a line an epoch.

    ``steps`` make at least ``FEWEST`` epochs, shorter than a pass of the data where need be: schedules and stages follow epochs.

    With a ``run``, go on from its checkpoint, append each line to its history, save every ``save_every`` seconds and after each
    epoch. ``evaluate()``: further entries of a line. ``passes``: counts what steps and epochs of the strategy compute, over all runs
    of a training that was stopped; not what ``evaluate`` does. ``enough(share)``: asked after each epoch with the share of the training
    that is done; True ends it. ``ranks``: those that train together, all of which call this.
    Raises ``Interrupted`` after Ctrl-C or SIGTERM (of any rank), the run saved; ``RunError``
    where the loss is no longer a number, or another thread of this process trains; ``InputError`` where the checkpoint is of
    another training.
    """
    done, at, totals, history = 0, 0, {}, []
    whole, passes = passes, passes or counting_now()  # inside of what is counted as a whole, only its steps are taken for their mean
    length = strategy.steps(data)
    if steps is not None:
        epochs = max(-(-steps // length), min(FEWEST, steps))
        length = -(-steps // epochs)
        epochs = -(-steps // length)
    state = run.restore() if run else None
    if state is None:
        with passes.counting():
            strategy.epoch(0, epochs, {})
    else:
        assert run
        load(strategy, data, state, epochs, steps, run)
        done, at, totals = state["epoch"], state["step"], state["totals"]
        if whole:
            whole.restore(state)
        history = [line for line in run.history() if "epoch" in line]
        if state["threads"] != torch.get_num_threads():
            threads = f"{torch.get_num_threads()} threads, begun with {state['threads']}"
            print(f"warning: resumed with {threads}: results may differ", file=sys.stderr)
        if state["finished"]:
            return history

    def save(finished: bool = False) -> None:
        if run:
            cpu = {name: total.cpu() for name, total in averaged(totals, ranks).items()}
            further = {"epochs": epochs, "steps": steps, "finished": finished, **(whole.state() if whole else {})}
            run.save(last=finished, strategy=strategy.state_dict(), data=data.state_dict(), epoch=done, step=at, totals=cpu, **further)

    spent, parts = done * length + at, moves(epochs)
    progress = Progress(what, steps or epochs * length, spent)
    saved, device = time.monotonic(), torch.device("cpu")
    stop = False
    try:
        with interruptible() as asked:
            while not stop and done < epochs:
                began, examples = time.monotonic(), 0
                until = length if steps is None else min(length, steps - spent + at)
                with strategy.training():
                    while at < until:
                        if (part := at * parts // length) > max(at - 1, 0) * parts // length:
                            strategy.schedule(done + part / parts, epochs)
                        with passes.step(at, until):
                            measured = strategy.step(data)
                        for name, value in measured.items():
                            totals[name] = totals.get(name, torch.zeros((), device=value.device)).to(value.device) + value
                            device = value.device
                        at, spent, examples = at + 1, spent + 1, examples + 1
                        progress.advance(**({"epoch": f"{done + 1}/{epochs}", "loss": float(totals["loss"]) / at} if progress.due else {}))
                        stopped, late = ranks.any(bool(asked), time.monotonic() - saved > save_every)
                        if stopped:
                            save()
                            raise Interrupted("stopped; everything is saved: go on with --resume" if run else "stopped")
                        if run and late:
                            save()
                            saved = time.monotonic()
                seconds = time.monotonic() - began
                line: dict[str, Any] = {"epoch": done + 1, **{n: float(t) / max(at, 1) for n, t in averaged(totals, ranks).items()}}
                if wrong := [name for name, value in line.items() if not math.isfinite(value)]:
                    hint = ": lower the learning rate, or clip gradients" if "loss" in wrong else ""
                    raise RunError(f"the {wrong[0]} of epoch {done + 1} is not a finite number ({line[wrong[0]]}){hint}")
                line |= {**strategy.facts(), **(evaluate() if evaluate else {})}
                line["measured"] = {"seconds": seconds, "steps_per_second": examples / max(seconds, 1e-9)}
                line["measured"] |= {"peak_memory_mb": peak_memory(device)}
                done, at, totals = done + 1, 0, {}
                with passes.counting():
                    stop = strategy.epoch(done, epochs, line) or (steps is not None and spent >= steps)
                stop, stopped = ranks.any(enough(spent / (steps or epochs * length)) or stop, bool(asked))
                history.append(line)
                if run:
                    run.append(line)
                progress.say(said(line))
                save(finished=stop or done == epochs)
                saved = time.monotonic()
                if stopped:
                    raise Interrupted("stopped; everything is saved: go on with --resume" if run else "stopped")
    finally:
        progress.close()
    return history


def averaged(totals: dict[str, Tensor], ranks: Ranks) -> dict[str, Tensor]:
    """What was summed up so far, each number its mean over the ranks."""
    means = {name: total.clone() for name, total in totals.items()}
    ranks.mean(list(means.values()))
    return means


def load(strategy: Strategy, data: Data, state: dict[str, Any], epochs: int, steps: int | None, run: Run) -> None:
    """Put a strategy and the data where a checkpoint found them; raises ``InputError`` where it is of another training."""
    for name, now in (("epochs", epochs), ("steps", steps)):
        if state.get(name, now) != now:
            raise InputError(f"{run.folder} was begun with {name} {state[name]}, not {now}: resume with the same, or use another folder")
    load_strategy(strategy, state, run.folder)
    data.load_state_dict(state["data"])


def load_strategy(strategy: Strategy, state: dict[str, Any], folder: Path) -> None:
    """Put a strategy where the checkpoint of ``folder`` found it; raises ``InputError`` where that is of another training."""
    try:
        strategy.load_state_dict(state["strategy"])
    except (KeyError, IndexError, RuntimeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"the checkpoint of {folder} is of another network or method ({reason}): resume with the same") from error


def said(line: dict[str, Any]) -> str:
    """One epoch in a line for people."""
    parts = [f"epoch {line['epoch']}: loss {line['loss']:.4f}"]
    for stream in ("validation", "test"):
        parts += [f"{stream} {name} {value:.4f}" for name, value in line.get(stream, {}).items()]
    if "genotype" in line:
        parts.append(line["genotype"])
    return "  ".join(parts)
