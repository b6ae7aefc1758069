from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import numpy
import pytest

import supernet
from supernet.files.lines import Lines
from supernet.files.whole import make_folder, move_whole, write_whole


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the system is asked to do, in order: "file" and "folder" for what is brought to the disk, "rename"."""
    found: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(opened: int) -> None:
        found.append("folder" if stat.S_ISDIR(os.fstat(opened).st_mode) else "file")
        fsync(opened)

    def renamed(source: Path, path: Path) -> None:
        found.append("rename")
        replace(source, path)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    return found


def test_content_reaches_the_disk_before_the_name_and_the_name_before_the_call_ends(tmp_path: Path, done: list[str]) -> None:
    path = write_whole(tmp_path / "x.txt", "grün")
    assert done == ["file", "rename", "folder"] and path.read_text(encoding="utf-8") == "grün"
    write_whole(path, b"two", before=tmp_path / "y.txt")
    assert done[3:] == ["file", "rename", "rename", "folder"]
    assert (path.read_bytes(), (tmp_path / "y.txt").read_text(encoding="utf-8")) == (b"two", "grün")
    move_whole(tmp_path / "y.txt", path)
    assert done[7:] == ["file", "rename", "folder"] and [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_nothing_is_lost_where_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_whole(tmp_path / "x.txt", "one")

    def failing(opened: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, "two")
    assert path.read_text() == "one" and [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_every_file_that_is_renamed_into_place_goes_through_one_function() -> None:
    root = Path(supernet.__file__).parent
    renaming = [p.relative_to(root).as_posix() for p in root.rglob("*.py") if "os.replace(" in p.read_text() or ".rename(" in p.read_text()]
    assert renaming == ["files/whole.py"]


def test_lines_and_the_names_of_what_was_made_reach_the_disk(tmp_path: Path, done: list[str]) -> None:
    make_folder(tmp_path / "a" / "b")
    assert done == ["folder", "folder"]
    make_folder(tmp_path / "a" / "b")
    lines = Lines(tmp_path / "a" / "b" / "lines")
    lines.append("one")
    assert done[2:] == ["file", "folder"], "a new file whose name is not on the disk"
    lines.append("two")
    assert done[4:] == ["file"]
    for _ in range(100):
        lines.append("cheap", again=True)
    assert len(done) < 50
    lines.append("last", again=True)
    before = len(done)
    lines.sync()
    lines.sync()
    assert done[before:] == ["file"] and len(lines.path.read_text().splitlines()) == 103


def test_every_file_is_written_whole_or_by_lines() -> None:
    root = Path(supernet.__file__).parent
    writing = re.compile(r"\.write_(text|bytes)\(|\bopen\((?!os\.devnull)[^)]*[\"'](w|a|x)b?[\"']")
    found = {p.relative_to(root).as_posix() for p in root.rglob("*.py") if writing.search(p.read_text())}
    by_itself = {"export/__init__.py", "workflow/children.py", "ranks.py"}  # by move_whole; what a process says; temporary
    by_itself |= {"memory.py", "run.py"}  # tells the system, and keeps nothing; its clock, which may be lost
    assert found == {"files/whole.py", "files/lines.py", *by_itself}


def test_a_converted_table_is_written_whole(tmp_path: Path, done: list[str]) -> None:
    from supernet.estimators.tabular_csv import from_csv

    (tmp_path / "t.csv").write_text("op_0,val\na,1\nb,2\n")
    from_csv(tmp_path / "t.csv", tmp_path / "t.npz")
    assert done == ["file", "rename", "folder"] and list(numpy.load(tmp_path / "t.npz")["val"]) == [1, 2]
