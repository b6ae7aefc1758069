"""What ``make demo`` says: while it installs, and how to go on at its end. The commands that it runs are tested by themselves."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo", ROOT / "examples/demo.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_demo_uses_one_thread_and_ends_with_how_to_go_on(
    demo: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run: list[list[str]] = []

    def command(words: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        run.append(words[3:])
        said = {"genotype": "G", "test": {"accuracy": 0.9}, "path": "model.onnx"}
        return subprocess.CompletedProcess(words, 0, json.dumps({"onnx": said} if words[3] == "export" else said))

    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/activate").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo.subprocess, "run", command)
    monkeypatch.setattr(demo.shutil, "which", lambda name: None)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    monkeypatch.setattr(sys, "argv", ["demo.py"])
    demo.main()
    assert [words[0] for words in run] == ["search", "retrain", "retrain", "export"]
    assert all(words[words.index("--threads") + 1] == "1" for words in run[:3])
    said = capsys.readouterr().out.splitlines()
    assert said[said.index("to go on:") :][:2] == ["to go on:", "  . .venv/bin/activate"]


@pytest.mark.slow
def test_what_fails_beside_another_says_why_and_ends_the_demo(demo: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    fine, wrong = ("list", "tasks"), ("describe", "darts-v3")
    with pytest.raises(SystemExit) as ended:
        demo.supernet(fine, wrong)
    assert ended.value.code == 2
    assert capfd.readouterr().err.startswith("error: unknown architecture 'darts-v3'")
    assert demo.supernet(fine, fine)[1][0] == "classification"


def test_the_installation_says_what_it_is_doing() -> None:
    planned = subprocess.run(["make", "-n", "-B", "setup"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    said = [line for line in planned.splitlines() if line.lstrip().startswith("echo")]
    assert "installing torch==" in said[0] and any(". .venv/bin/activate" in line for line in said)
