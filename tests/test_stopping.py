"""How work is stopped: by signals, in start-up, in a run and outside; in threads."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import supernet
from supernet import OneOf, RunError, Supernet, Task, search
from supernet.run import Run
from supernet.stopping import AtOnce, Interrupted, interruptible, one_at_a_time, starting
from supernet.strategies.retrain import Retrain
from supernet.train import fit

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(supernet.__file__).parents[1])}
STOPPED_BY = """
import os, signal, sys

wanted, number = sys.argv[1], getattr(signal, sys.argv[2])

class Stop:
    def find_spec(self, name, path=None, target=None):
        if name == wanted:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), number)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
sys.meta_path.insert(0, Stop())
"""
COMMAND = STOPPED_BY + "sys.argv[:] = ['/usr/bin/supernet', *sys.argv[3:]]\nfrom supernet.cli import main\nmain()"
LATE = """
import os, signal, sys
import supernet.workflow.searching as searching
from supernet.cli import main

def stopped(*given):
    os.kill(os.getpid(), getattr(signal, number))
    return own(*given)

own, number, searching.write_report = searching.write_report, sys.argv[1], stopped
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv[:] = ["supernet", *sys.argv[2:]]
main()
"""
LIBRARY = STOPPED_BY + "import supernet"


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, env=ENVIRONMENT)


@pytest.mark.parametrize(
    "module", ["torch.nn", *(pytest.param(later, marks=pytest.mark.slow) for later in ("typer", "supernet.naming.catalogue"))]
)
def test_ctrl_c_while_the_command_is_loaded_is_one_line(module: str) -> None:
    done = python(COMMAND, module, "SIGINT", "list", "methods")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "stopped\n")


@pytest.mark.parametrize(("words", "ends"), [(["-m", "supernet", "list"], SystemExit), (["own.py", "supernet"], KeyboardInterrupt)])
def test_ctrl_c_while_the_package_is_loaded_is_one_line_of_the_command_alone(
    words: list[str], ends: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["-m", *words[2:]])
    monkeypatch.setattr(sys, "orig_argv", ["python", *words])
    with pytest.raises(ends), starting():
        raise KeyboardInterrupt


def test_a_program_that_imports_the_package_gets_its_keyboard_interrupt() -> None:
    assert "KeyboardInterrupt" in python(LIBRARY, "supernet.search", "SIGINT").stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_run_stopped_outside_of_training_says_how_to_go_on_and_loses_nothing(tmp_path: Path, number: str) -> None:
    words = ["search", "darts", "--space", "darts", "--limit-data", 60, "--channels", 4, "--cells", 3, "--epochs", 1, "--batch-size", 16]
    words += ["--threads", 1, "--json", "--out", tmp_path / "r"]
    stopped = python(LATE, number, *words)  # where the report is written, after everything
    assert stopped.returncode == 1 and stopped.stdout == ""
    last = f"error: stopped; {tmp_path / 'r'} holds what was done: go on with --resume (resume=True)"
    assert stopped.stderr.splitlines()[-1] == last and "Traceback" not in stopped.stderr
    resumed = python(COMMAND, "no such module", number, *words, "--resume")
    assert resumed.returncode == 0 and (tmp_path / "r" / "report.html").exists(), resumed.stderr


def test_ctrl_c_in_a_run_says_where_it_is_and_how_to_go_on(tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match=r"r holds what was done: go on with --resume"), Run(tmp_path / "r", {"a": 1}):
        raise KeyboardInterrupt
    with pytest.raises(Interrupted, match=rf"{tmp_path / 'r'} holds"), Run(tmp_path / "r", resume=True) as run, run.sub("s", {}):
        raise KeyboardInterrupt
    with pytest.raises(AtOnce), Run(tmp_path / "r", resume=True):
        raise AtOnce


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_first_signal_is_noted_a_second_one_stops_at_once_and_handlers_are_put_back(number: int) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(AtOnce), interruptible() as asked:
        os.kill(os.getpid(), number)
        assert asked == [number]
        os.kill(os.getpid(), number)
    assert before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))


def test_a_handler_that_is_not_from_python_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    own = signal.getsignal(signal.SIGTERM)
    known = signal.getsignal
    monkeypatch.setattr(signal, "getsignal", lambda number: None if number == signal.SIGTERM else known(number))
    with interruptible():
        assert known(signal.SIGTERM) is own


def test_a_process_that_is_forked_in_a_training_can_be_ended() -> None:
    with interruptible() as asked:
        forking = multiprocessing.get_context("fork")
        begun = forking.Event()
        child = forking.Process(target=lambda: (begun.set(), time.sleep(30)))
        child.start()
        begun.wait()
        child.terminate()
        child.join(10)
        assert child.exitcode == -signal.SIGTERM and asked == []


def small() -> tuple[Supernet, Task]:
    torch.manual_seed(0)
    batches = [(torch.randn(8, 4), torch.randint(3, (8,))) for _ in range(2)]
    return Supernet(nn.Sequential(OneOf({"a": nn.Linear(4, 4), "b": nn.Identity()}), nn.Linear(4, 3))), Task(
        batches, batches, loss=F.cross_entropy
    )


def in_a_thread(work: Any) -> list[BaseException]:
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised


def test_a_second_search_in_another_thread_is_refused_in_one_line() -> None:
    net, task = small()
    for work in (lambda: search(net, task, "darts", epochs=1), lambda: fit(Retrain(nn.Linear(4, 3), task), task.data, 1)):
        with one_at_a_time():
            (error,) = in_a_thread(work)
        assert isinstance(error, RunError) and "in a process of its own" in str(error) and "\n" not in str(error)
        assert in_a_thread(work) == []  # alone it may run in any thread


def test_a_search_may_train_within_itself() -> None:
    net, task = small()

    def watch(strategy: Any, line: dict[str, Any]) -> dict[str, Any]:
        return {"inner": fit(Retrain(nn.Linear(4, 3), task), task.data, 1)[0]["loss"]}

    assert json.dumps(search(net, task, "darts", epochs=1, watch=watch).history[0]["inner"])
