"""Commands that a comparison runs in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from supernet.errors import InputError, RunError
from supernet.plan.compare import plan_compare
from supernet.run import Run
from supernet.settings.commands import Compare
from supernet.settings.given import settled
from supernet.stopping import Interrupted
from supernet.workers import Workers
from supernet.workers.within import Thread
from supernet.workflow.children import Children
from supernet.workflow.comparing import compare_run

SEARCH = ["search", "darts", "--space", "nasbench201", "--data", "digits", "--limit-data", "64", "--batch-size", "16", "--epochs", "5000"]
SEARCH += ["--channels", "4", "--cells", "1", "--threads", "1", "--set", "alarm.every=0", "--json"]


def instead(monkeypatch: pytest.MonkeyPatch, folder: Path, lines: str) -> None:
    """Let every command be these lines of shell."""
    script = folder / "command"
    script.write_text(f"#!/bin/sh\n{lines}\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))


def until(there: Callable[[], bool], what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def free(folder: Path) -> bool:
    try:
        Run(folder, resume=True).close()
    except RunError:
        return False
    return True


def test_one_ended_by_a_signal_says_which_run_it_was_and_where_its_log_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instead(monkeypatch, tmp_path, "echo getting on >&2; kill -9 $$")
    said = r"^darts with seed 3: search was ended by SIGKILL, by hand or for want of memory: getting on; its log is .*search.log; "
    with pytest.raises(RunError, match=said):
        Children().run(["search", "darts"], tmp_path / "search.log", "darts with seed 3")
    assert (tmp_path / "search.log").read_text() == "getting on\n"


def test_without_a_folder_that_is_kept_no_log_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instead(monkeypatch, tmp_path, "kill -9 $$")
    with pytest.raises(RunError, match=r"want of memory; nothing is kept without --out$"):
        Children(kept=False).run(["search", "darts"], tmp_path / "search.log", "darts with seed 3")


def test_what_a_command_says_is_said_again_and_a_mistake_stays_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instead(monkeypatch, tmp_path, "echo out; echo 'warning: x' >&2")
    assert Children().run(["search"], tmp_path / "log", "darts with seed 0") == "out\n"
    instead(monkeypatch, tmp_path, "echo 'error: no such data' >&2; exit 2")
    with pytest.raises(InputError, match=r"^darts with seed 0: search: no such data$"):
        Children().run(["search"], tmp_path / "log", "darts with seed 0")
    instead(monkeypatch, tmp_path, "exit 1")
    with pytest.raises(RunError, match=r"search failed \(exit code 1\); its log is"):
        Children().run(["search"], tmp_path / "log", "darts with seed 0")
    assert (tmp_path / "log").read_text() == "warning: x\nerror: no such data\n"


def test_one_that_was_killed_is_begun_again_by_its_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    flag, log, children = tmp_path / "killed", tmp_path / "log", Children()
    instead(monkeypatch, tmp_path, f"test -e {flag} && echo found && exit; touch {flag}; kill -9 $$")

    def search(who: str) -> str:
        return children.run(["search"], log, who)

    with Workers(lambda: Thread(search, children.stop), 1, "comparing") as workers:
        assert workers.submit("darts with seed 0").result() == ("found\n", 1)
    assert "darts with seed 0: search was ended by SIGKILL" in capsys.readouterr().err


def test_one_that_a_person_stopped_is_not_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instead(monkeypatch, tmp_path, "kill -15 $$")
    children = Children()
    said = r"^darts: search was ended by SIGTERM; its log"
    with Workers(lambda: Thread(children.run, children.stop), 1, "comparing") as workers, pytest.raises(RunError, match=said):
        workers.submit(["search"], tmp_path / "log", "darts").result()


def test_stopped_all_end_and_no_other_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instead(monkeypatch, tmp_path, "exec sleep 60")
    children, said = Children(), list[str]()

    def run() -> None:
        try:
            children.run(["search"], tmp_path / "log", "darts with seed 0")
        except RunError as error:
            said.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: bool(children.running), "it did not begin")
    children.stop()
    thread.join(10)
    assert len(said) == 1 and "ended by SIGTERM" in said[0]
    run()
    assert "not begun" in said[1]


@pytest.mark.parametrize(
    ("out", "said"), [("c", "c holds what was done, and the same command goes on"), (None, "nothing is kept without --out")]
)
def test_a_comparison_stopped_by_a_person_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str | None, said: str
) -> None:
    def stopped(self: Children, words: list[str], log: Path, who: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(Children, "run", stopped)
    settings = settled(Compare, None, [], {"space": "nasbench201", "data.source": "digits", "supernet.channels": 4, "supernet.cells": 1})
    with pytest.raises(Interrupted, match=rf"^stopped; .*{said}$"):
        compare_run(plan_compare(settings, ["darts"], "1epochs", 1), tmp_path / out if out else None)


@pytest.mark.parametrize("asked", [{"threads": 1, "autocast": "bfloat16", "save_every": 7.0}, {}], ids=["set", "as they are"])
def test_what_is_set_of_the_machine_is_for_the_last_training_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    given: list[dict[str, Any]] = []

    def noted(self: Children, words: list[str], log: Path, who: str) -> str:
        given.append(yaml.safe_load(Path(words[words.index("--config") + 1]).read_text()))
        folder = Path(words[words.index("--out") + 1])
        folder.mkdir()
        (folder / "history.jsonl").write_text("")
        split = {"accuracy": 0.5}
        return json.dumps({"validation": split, "test": split, "genotype": "x", "params": 1, "macs": 1, "measured": measured})

    measured = {"seconds": 1.0, "peak_memory_mb": 1.0}
    monkeypatch.setattr(Children, "run", noted)
    flags = {"space": "nasbench201", "data.source": "digits", "supernet.channels": 4, "supernet.cells": 1, **asked}
    compare_run(plan_compare(settled(Compare, None, [], flags), ["darts"], "1epochs", 1), tmp_path / "c")
    assert [settings["command"] for settings in given] == ["search", "retrain"] * 2
    said = {"threads": torch.get_num_threads(), **asked}
    assert all(settings[name] == value for settings in given for name, value in said.items())


def test_a_command_ends_and_frees_its_folder_when_the_process_that_began_it_is_killed(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from supernet.workflow.children import Children; "
    code += f"Children().run({[*SEARCH, '--out', str(tmp_path / 'run')]!r}, Path({str(tmp_path / 'log')!r}), 'it')"
    parent = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        until(lambda: (tmp_path / "run" / "history.jsonl").exists(), "the search did not begin")
        assert not free(tmp_path / "run")
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    until(lambda: free(tmp_path / "run"), "the search goes on without the one that began it", 5)
