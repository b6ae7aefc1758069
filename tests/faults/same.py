"""Whether two folders hold the same, in all that does not depend on the clock or the machine."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from forks import Ended

from unmeasured import plain


def differences(whole: Path, killed: Path, expected: Ended, ended: Ended) -> list[str]:
    """The files of two folders, and outputs, that are not the same in what does not depend on the clock."""
    if ended.code:
        return [f"exit code {ended.code}: {ended.said.strip()[-400:]}"]
    names = [sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if matters(path)) for folder in (whole, killed)]
    if names[0] != names[1]:
        return [f"files: {sorted(set(names[0]) ^ set(names[1]))}"]
    found = [name for name in names[0] if content(whole / name) != content(killed / name)]
    return found + (["output"] if result(json.loads(expected.output)) != result(json.loads(ended.output)) else [])


def matters(path: Path) -> bool:
    """Not locks and clocks, nor what was said."""
    return path.is_file() and path.suffix not in (".lock", ".log", ".out", ".err") and not path.name.startswith(".")


def content(path: Path) -> Any:
    """What is to be the same, comparable."""
    if path.suffix == ".pt":
        return bits(torch.load(path, weights_only=True))
    if path.suffix == ".jsonl":
        return [plain(json.loads(line)) for line in path.read_text().splitlines()]
    if path.name == "latency.json":
        return shape(json.loads(path.read_text()))
    if path.suffix == ".json":
        return plain(json.loads(path.read_text()))
    if path.suffix == ".html":
        return re.sub(r"(?s)<svg.*?</svg>|[0-9][0-9.,e+-]*( (s|min|h)\b)?", "", path.read_text()).split()  # it shows times, and draws them
    return path.read_bytes()


def bits(value: Any) -> Any:
    """A state with the bytes of its tensors."""
    if isinstance(value, torch.Tensor):
        return value.dtype, tuple(value.shape), value.contiguous().flatten().view(torch.uint8).numpy().tobytes() if value.numel() else b""
    if isinstance(value, dict):
        return {k: bits(v) for k, v in value.items() if k not in ("history", "digest")}
    return [bits(v) for v in value] if isinstance(value, list | tuple) else value


def shape(value: Any) -> Any:
    """A table of measurements without its numbers."""
    if isinstance(value, dict):
        return {k: shape(v) for k, v in value.items()}
    if isinstance(value, list):
        return [shape(v) for v in value]
    return "number" if isinstance(value, float | int) else value


def result(document: Any) -> Any:
    """What a command printed, without what was measured; of a profile, all is."""
    return shape(document) if "fit" in document else plain(document)
