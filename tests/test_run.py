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
import yaml
from safetensors.torch import load_file
from torch import nn

from supernet.errors import InputError, RunError
from supernet.randomness import random_states, set_random_states
from supernet.run import REPEAT, Run, read_history
from supernet.stopping import Interrupted


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


@pytest.mark.parametrize(
    ("now", "name"),
    [
        ({"method": {"rate": 0.1}, "weights": {"lr": 0.5}}, "weights.lr"),
        ({"method": {}, "weights": {}}, "method.rate"),
        ({"method": {"rate": 0.1, "warmup": 0.0}, "weights": {}}, "method.warmup"),
        ({"method": {"rate": 0.2}, "weights": {"lr": 1, "clip": None}}, "method.rate, weights.lr"),
    ],
)
def test_a_run_is_resumed_only_with_all_its_settings_and_no_others(tmp_path: Path, now: dict[str, object], name: str) -> None:
    Run(tmp_path / "r", {"method": {"rate": 0.1}, "weights": {}}).close()
    stored = (tmp_path / "r" / "config.yaml").read_text()
    with pytest.raises(InputError, match=rf"other settings \({name}\)"):
        Run(tmp_path / "r", now, resume=True)
    assert (tmp_path / "r" / "config.yaml").read_text() == stored
    Run(tmp_path / "r", {"weights": {"lr": None}, "method": {"rate": 0.1}, "more": {"none": []}}, resume=True).close()


def test_threads_and_device_may_change_and_the_configuration_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Run(tmp_path / "r", {"lr": 1, "device": "cpu", "threads": 1, "save_every": 60.0}).close()
    Run(tmp_path / "r", {"lr": 1, "device": "cuda", "threads": 2, "save_every": 5.0}, resume=True).close()
    assert yaml.safe_load((tmp_path / "r" / "config.yaml").read_text()) == {"lr": 1, "device": "cuda", "threads": 2, "save_every": 5.0}
    assert "resumed on cuda, begun on cpu" in capsys.readouterr().err


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


def test_no_checkpoint_is_on_the_disk_before_the_lines_that_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, synced = Run(tmp_path / "r", {}), list[str]()
    for i in range(3):
        run.append({"trial": i}, again=True)
    monkeypatch.setattr(os, "fsync", lambda opened: synced.append(os.path.basename(os.readlink(f"/proc/self/fd/{opened}"))))
    run.save()
    assert synced[0] == "history.jsonl" and synced[1] == ".checkpoint.pt.new"


def test_who_stops_what_has_no_resume_is_told_to_repeat_the_command(tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="r holds what was done: the same command goes on"), Run(tmp_path / "r", {}, goes_on=REPEAT):
        raise KeyboardInterrupt


def test_a_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'owned'}",)

    run = Run(tmp_path / "r", {})
    torch.save({"strategy": Evil()}, tmp_path / "r" / "checkpoint.pt")
    with pytest.raises(InputError, match=r"checkpoint\.pt cannot be read"):
        run.restore()
    assert not (tmp_path / "owned").exists()


def saved_twice(folder: Path) -> Run:
    """A run with a checkpoint after one line of its history, and another after two."""
    run = Run(folder, {})
    for epoch in (1, 2):
        run.append({"epoch": epoch, "loss": 0.1 / epoch})
        run.save(weights=torch.full((40,), float(epoch)), epoch=epoch)
    return run


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and nothing more", b"\0" * 3000])
def test_an_empty_or_broken_checkpoint_is_refused_and_the_last_good_state_named(tmp_path: Path, content: bytes) -> None:
    run = saved_twice(tmp_path / "r")
    (tmp_path / "r" / "checkpoint.pt").write_bytes(content)
    with pytest.raises(InputError, match=r"checkpoint\.pt cannot be read .*last good state is checkpoint\.before\.pt, made after 1 lines"):
        run.restore()
    os.replace(tmp_path / "r" / "checkpoint.before.pt", tmp_path / "r" / "checkpoint.pt")
    state = run.restore()
    assert state and state["epoch"] == 1 and run.history() == [{"epoch": 1, "loss": 0.1}]
    (tmp_path / "r" / "checkpoint.pt").write_bytes(content)
    with pytest.raises(InputError, match="no other state is whole: start anew in another folder"):
        run.restore()


def test_a_flipped_bit_of_a_checkpoint_never_changes_what_is_restored(tmp_path: Path) -> None:
    run = saved_twice(tmp_path / "r")
    path = tmp_path / "r" / "checkpoint.pt"
    whole, refused = path.read_bytes(), 0
    expected = torch.load(path, weights_only=True)
    draw = random.Random(0)
    places = [whole.index(torch.full((40,), 2.0).numpy().tobytes()) + 5, *(draw.randrange(len(whole)) for _ in range(150))]
    for place in places:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << draw.randrange(8)]) + whole[place + 1 :])
        try:
            state = run.restore()
        except InputError:
            refused += 1
            assert place != places[0] or refused == 1
            continue
        assert place != places[0]
        assert state and torch.equal(state["weights"], expected["weights"]) and state["epoch"] == 2
        assert torch.equal(state["random"]["torch"], expected["random"]["torch"])
    assert refused > 50


def test_a_history_that_lost_or_changed_lines_is_refused(tmp_path: Path) -> None:
    run = saved_twice(tmp_path / "r")
    history = tmp_path / "r" / "history.jsonl"
    first, second = history.read_text().splitlines(keepends=True)
    history.write_text(first)
    with pytest.raises(InputError, match=r"has 1 lines, and checkpoint\.pt was made after 2.*last good state is checkpoint\.before\.pt"):
        run.restore()
    for changed in (first + second.replace("0.05", "0.06"), second + first, first.replace("0.1", "0.2") + second):
        history.write_text(changed)
        with pytest.raises(InputError, match="was changed after"):
            run.restore()
    history.unlink()
    with pytest.raises(InputError, match="has 0 lines"):
        run.restore()
    history.write_text(first + second + '{"epoch": 3}\n')
    assert run.restore() and history.read_text() == first + second
    run.append({"epoch": 3})
    run.save(epoch=3)
    assert len(run.restore() and run.history()) == 3


@pytest.mark.parametrize("links", [True, False])
def test_a_crash_between_two_checkpoints_leaves_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    run = saved_twice(tmp_path / "r")
    renamed = os.replace

    def unable(source: Path, path: Path) -> None:
        raise OSError(1, "Operation not permitted")

    def crash(source: Path, path: Path) -> None:
        if Path(path).name == "checkpoint.pt":
            raise OSError(5, "Input/output error")
        renamed(source, path)

    monkeypatch.setattr(os, "replace", crash)
    if not links:
        monkeypatch.setattr(os, "link", unable)
    with pytest.raises(RunError, match="cannot be written"):
        run.save(epoch=3)
    monkeypatch.undo()
    assert (tmp_path / "r" / "checkpoint.pt").exists() is links
    state = run.restore()
    assert state and state["epoch"] == 2


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


def test_the_seconds_of_a_resumed_run_count_those_before_it_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("supernet.run.monotonic", lambda: now)
    with Run(tmp_path / "run", {"seed": 0}) as run:
        now += 30
        run.append({"epoch": 1})
        now += 5  # after the last line, which is lost with what was done meanwhile
    now = 7.0  # of another process, long after
    with Run(tmp_path / "run", {"seed": 0}, resume=True) as run:
        now += 10
        assert run.seconds() == pytest.approx(40)
        run.save(last=True)
    (tmp_path / "run" / ".clock").write_text("")
    with Run(tmp_path / "run", {"seed": 0}, resume=True) as run:
        assert run.seconds() == pytest.approx(0)
