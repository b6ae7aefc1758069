from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from supernet.errors import InputError, RunError
from supernet.run import Run, random_states, read_history, set_random_states


def test_a_second_process_cannot_write_the_same_run(tmp_path: Path) -> None:
    with Run(tmp_path / "r", {"a": 1}):
        code = f"from supernet.run import Run; Run({str(tmp_path / 'r')!r}, resume=True)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert "being written by another process" in done.stderr
    with Run(tmp_path / "r", {"a": 1}, resume=True) as again:
        assert again.config == {"a": 1}


def test_a_run_is_not_begun_over_another_nor_resumed_from_nothing(tmp_path: Path) -> None:
    Run(tmp_path / "r", {"a": 1}).close()
    with pytest.raises(InputError, match="already holds a run"):
        Run(tmp_path / "r", {"a": 1})
    with pytest.raises(InputError, match="nothing to resume"):
        Run(tmp_path / "s", {"a": 1}, resume=True)
    with pytest.raises(InputError, match="other settings \\(a\\)"):
        Run(tmp_path / "r", {"a": 2}, resume=True)
    with Run(tmp_path / "r", {"a": 1, "of a later version": {"b": 2}}, resume=True) as run:
        assert run.config["a"] == 1


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        Run(tmp_path / "file" / "r")


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path / "r", {})
    run.save(strategy={"x": torch.ones(3)})
    before = (tmp_path / "r" / "checkpoint.pt").read_bytes()

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(RunError, match="no space left"):
        run.save(strategy={"x": torch.zeros(3)})
    assert (tmp_path / "r" / "checkpoint.pt").read_bytes() == before
    assert not list((tmp_path / "r").glob(".*.new"))


def test_history_is_cut_to_the_checkpoint_and_an_unfinished_line_is_left_out(tmp_path: Path) -> None:
    run = Run(tmp_path / "r", {})
    run.append({"epoch": 1})
    run.save(epoch=1)
    run.append({"epoch": 2})
    with (tmp_path / "r" / "history.jsonl").open("a") as file:
        file.write('{"epoch": 3, "lo')
    assert read_history(tmp_path / "r") == [{"epoch": 1}, {"epoch": 2}]
    state = run.restore()
    assert state and state["epoch"] == 1
    assert run.history() == [{"epoch": 1}]


def test_trials_stay_in_the_history_that_is_cut_to_the_checkpoint(tmp_path: Path) -> None:
    run = Run(tmp_path / "r", {})
    run.append({"epoch": 1})
    run.save(epoch=1)
    for i in (1, 2):
        run.append({"trial": i}, again=True)
    run.close()
    with (tmp_path / "r" / "history.jsonl").open("a") as file:
        file.write('{"trial": 3, "sco')
    with Run(tmp_path / "r", {}, resume=True) as again:
        assert again.restore() is not None
        assert again.trials() == [{"trial": 1}, {"trial": 2}]
        again.append({"trial": 3})
        assert again.history() == [{"epoch": 1}, *({"trial": i} for i in (1, 2, 3))]


def test_an_unfinished_line_is_removed_before_trials_go_on(tmp_path: Path) -> None:
    run = Run(tmp_path / "r", {})
    run.append({"trial": 1})
    with (tmp_path / "r" / "history.jsonl").open("a") as file:
        file.write('{"trial": 2, "sco')
    assert run.trials() == [{"trial": 1}]
    run.append({"trial": 2})
    assert run.history() == [{"trial": 1}, {"trial": 2}]


def test_lines_that_would_be_made_again_are_synced_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    run = Run(tmp_path / "r", {})
    before = len(synced)
    for i in range(100):
        run.append({"trial": i}, again=True)
    assert len(synced) - before < 50
    run.append({"trial": 100}, again=True)
    before = len(synced)
    run.close()
    assert len(synced) == before + 1, "closed with lines that are not on the disk"


def test_a_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'owned'}",)

    run = Run(tmp_path / "r", {})
    torch.save({"strategy": Evil()}, tmp_path / "r" / "checkpoint.pt")
    with pytest.raises(InputError, match=r"checkpoint\.pt cannot be read"):
        run.restore()
    assert not (tmp_path / "owned").exists()


def test_every_random_state_is_put_back() -> None:
    states = random_states()
    first = (random.random(), numpy.random.rand(), float(torch.rand(())), random.gauss(0, 1), numpy.random.randn())
    set_random_states(states)
    assert first == (random.random(), numpy.random.rand(), float(torch.rand(())), random.gauss(0, 1), numpy.random.randn())


def test_shared_tensors_are_written_once(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    run = Run(tmp_path / "r", {})
    written = load_file(run.write_weights(model))
    assert sorted(written) == ["0.bias", "0.weight", "1.bias"]


def test_files_are_written_whole(tmp_path: Path) -> None:
    run = Run(tmp_path / "r", {})
    path = run.write_json("x.json", {"a": [1, 2]})
    assert json.loads(path.read_text()) == {"a": [1, 2]}
    assert not list((tmp_path / "r").glob(".*.new"))
