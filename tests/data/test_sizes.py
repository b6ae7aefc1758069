"""What expands beyond the memory, never ends or leads in a circle is refused before it is read."""

from __future__ import annotations

import gzip
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image

from supernet import memory
from supernet.data import arrays, images, text
from supernet.errors import InputError
from supernet.estimators.tabular import Table
from supernet.estimators.tabular_csv import from_csv

MEGABYTE = 2**20


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "memory", lambda: 8 * MEGABYTE)


def bomb(path: Path, *names: str) -> Path:
    """Each array is 5 MB of zeros in some KB."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(f"{name}.npy", bytes(5 * MEGABYTE))
    return path


def never_read(*given: Any, **settings: Any) -> Any:
    raise AssertionError("it was read")


@pytest.mark.parametrize("read", [images.load, Table.read])
def test_a_zip_file_that_expands_beyond_the_memory_is_refused_by_its_head(
    tmp_path: Path, small_memory: None, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], Any]
) -> None:
    monkeypatch.setattr(numpy, "load", never_read)
    path = bomb(tmp_path / "bomb.npz", "x", "ops")
    assert path.stat().st_size < MEGABYTE / 10
    with pytest.raises(InputError, match=r"bomb\.npz: expands to .* GB; data may take half the memory"):
        read(path)


def test_arrays_that_nobody_asks_for_are_not_read(tmp_path: Path, small_memory: None) -> None:
    numpy.savez(tmp_path / "set.npz", x=numpy.zeros((4, 5, 5), numpy.uint8), y=[0, 1, 0, 1])
    with zipfile.ZipFile(tmp_path / "set.npz", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rest.npy", bytes(5 * MEGABYTE))
    assert len(images.load(tmp_path / "set.npz").classes) == 2


def test_a_gzip_file_is_read_no_further_than_its_head_says(tmp_path: Path, small_memory: None) -> None:
    def write(shape: tuple[int, ...], content: bytes) -> None:
        for part in ("images-idx3", "labels-idx1"):
            sides = shape if part == "images-idx3" else shape[:1]
            head = bytes((0, 0, 8, len(sides))) + struct.pack(f">{len(sides)}I", *sides)
            (tmp_path / f"train-{part}-ubyte.gz").write_bytes(gzip.compress(head + content))

    write((2**31, 2**10, 2**10), b"")
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte\.gz: expands to 2,097,152\.0 GB"):
        images.load(tmp_path)
    write((2, 5, 5), bytes(20 * MEGABYTE))
    with pytest.raises(InputError, match="its head says 50 bytes, more follow"):
        images.load(tmp_path)


def test_pictures_that_do_not_fit_are_refused(tmp_path: Path, small_memory: None) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.new("L", (4, 4)).save(tmp_path / name / "1.png")
    with pytest.raises(InputError, match="expands to"):
        images.load(tmp_path, size=(10**5, 10**5))


def test_memory_is_that_of_a_container_where_it_has_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = memory.memory()
    (tmp_path / "max").write_text("4096\n")
    monkeypatch.setattr(memory, "LIMITS", (str(tmp_path / "max"), str(tmp_path / "none")))
    assert whole > 2**28 and memory.memory() == 4096
    (tmp_path / "max").write_text("max\n")
    assert memory.memory() >= whole


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("cat/2.png", lambda folder: images.load(folder)),
        ("set.npz", lambda folder: images.load(folder / "set.npz")),
        ("table.npz", lambda folder: Table.read(folder / "table.npz")),
        ("table.csv", lambda folder: from_csv(folder / "table.csv", folder / "new.npz")),
        ("book.txt", lambda folder: text.load(folder / "book.txt")),
        ("cifar-100-python/train", lambda folder: images.cifar.read_hundred(folder / "cifar-100-python")),
    ],
)
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path, name: str, read: Callable[[Path], Any]) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    if "cifar" in name:
        import pickle

        (tmp_path / "cifar-100-python" / "meta").write_bytes(pickle.dumps({"fine_label_names": ["cat"]}))
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match=f"{Path(name).name}: not an ordinary file"):
        read(tmp_path)


def test_a_folder_of_something_else_is_refused_at_its_first_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    for name in ("a/0", "a/1", "b/0"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("#!/bin/sh")
    monkeypatch.setattr(Image, "open", lambda path: opened.append(path.name) or (_ for _ in ()).throw(OSError()))
    with pytest.raises(InputError, match="a/0: truncated, or not an image"):
        images.load(tmp_path)
    assert opened == ["0"]


def test_a_link_that_leads_back_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "cat" / "1.png")
    (tmp_path / "cat" / "again").symlink_to(tmp_path / "cat")
    with pytest.raises(InputError, match="again: a link that leads back to"):
        images.load(tmp_path)
