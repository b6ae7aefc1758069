"""Files of arrays whose sizes are known before they are read, so that what expands to more than the memory is refused."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any, BinaryIO

import numpy
from numpy.typing import NDArray

from supernet.errors import InputError
from supernet.files.readers import check_ordinary
from supernet.memory import memory

GIGABYTE = 2**30


def check_fits(size: int, where: str | Path) -> None:
    """Raise ``InputError`` where ``size`` bytes are more than half the memory: data is copied once on its way."""
    if size > memory() // 2:
        have = f"the memory here is {memory() / GIGABYTE:,.1f} GB"
        raise InputError(f"{where}: expands to {size / GIGABYTE:,.1f} GB; data may take half the memory, and {have}")


def read_npz(path: Path, wanted: Collection[str] | None = None) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz`` file by name, of plain numbers and text; ``wanted``: only these, as far as they are there.

    Raises ``InputError`` for what is no such file or does not fit into memory, ``OSError`` where it cannot be read.
    """
    path.stat()  # a file that is not there is no damaged one
    check_ordinary(path)
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("not even a zip file")
        with zipfile.ZipFile(path) as archive:
            sizes = {part.filename.removesuffix(".npy"): part.file_size for part in archive.infolist()}
        names = [name for name in sizes if wanted is None or name in wanted]
        check_fits(sum(sizes[name] for name in names), path)
        with numpy.load(path, allow_pickle=False) as file:
            return {name: numpy.asarray(file[name]) for name in names}
    except (OSError, InputError):
        raise
    except Exception as error:  # a damaged archive can raise anything
        reason = "it holds Python objects, which are not read" if "allow_pickle" in str(error) else "truncated, or another kind of file"
        raise InputError(f"{path}: not an .npz file of plain arrays: {reason}") from None


def names_in(path: Path) -> list[str]:
    """The names of the arrays in an ``.npz`` file."""
    with zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def inflated(path: Path, file: BinaryIO, size: int) -> bytes:
    """The next ``size`` bytes of a plain or gzipped file, or as many as there are; raises ``InputError`` where it is damaged."""
    try:
        return file.read(size)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: truncated, or not a gzip file ({error})") from None
