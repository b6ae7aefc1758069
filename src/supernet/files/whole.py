"""Files that appear whole or not at all, also after a loss of power."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: str | Path, content: str | bytes, before: Path | None = None) -> Path:
    """Write a file under a temporary name beside it, and let it replace ``path`` once it is on the disk; text as UTF-8.

    Whatever happens, ``path`` holds what it held or all of ``content``. ``before``: a name, in the same folder, for what it held; where
    the file system gives no file two names, a crash may leave that alone. Returns ``path``; raises ``OSError``.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        move_whole(temporary, path, before)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def move_whole(source: Path, path: Path, before: Path | None = None) -> None:
    """Let a file replace ``path``, in the same file system: first its content reaches the disk, then its new name. Raises ``OSError``."""
    sync(source)
    if before is not None and path.exists():
        _keep(path, before)
    os.replace(source, path)
    sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing, unless it is there; their names reach the disk. Raises ``OSError``."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in reversed(missing):
        sync_folder(folder.parent)


def sync(path: Path) -> None:
    """Bring the content of a file to the disk. Raises ``OSError``."""
    _sync(path, os.O_RDWR)


def sync_folder(path: Path) -> None:
    """Bring the names in a folder to the disk. Raises ``OSError``."""
    if os.name != "nt":  # Windows opens no folders
        _sync(path, os.O_RDONLY)


def _keep(path: Path, before: Path) -> None:
    """Give a file a second name; as its only one where it cannot have two."""
    second = before.with_name(f".{before.name}.new")
    second.unlink(missing_ok=True)
    try:
        os.link(path, second)
    except OSError:
        second = path
    os.replace(second, before)


def _sync(path: Path, flags: int) -> None:
    opened = os.open(path, flags)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
