"""Readers of files that people and other programs write. Whatever is in them, what does not fit is one line that names the file."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from supernet.errors import InputError

MOST_BYTES = 512 * 2**20  # of a file that is read as text
DEEPEST, MOST_VALUES = 64, 2_000_000  # of plain data: levels, and values with those of YAML's aliases counted each time


def check_ordinary(path: Path) -> None:
    """Raise ``InputError`` for a pipe, a socket or a device, which reading could wait for without end; nothing for what is missing."""
    with suppress(FileNotFoundError):
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise InputError(f"{path}: not an ordinary file, but a pipe, a socket or a device")


def read_bytes(path: str | Path, most: int | None = None) -> bytes:
    """The content of an ordinary file; raises ``InputError`` for a folder, a pipe, a device, a file that is too large or not to be read."""
    path = Path(path)
    try:
        about = path.stat()
        if stat.S_ISDIR(about.st_mode):
            raise InputError(f"{path} is a folder; a file is needed")
        check_ordinary(path)
        if most is not None and about.st_size > most:
            raise InputError(f"{path} is too large to be what it should be: {about.st_size / 2**20:,.0f} MB")
        return path.read_bytes()
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path} cannot be read: it does not exist") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # a zero byte in the name
        raise InputError(f"{str(path)!r:.60} is not the name of a file") from error


def read_text(path: str | Path) -> str:
    """The content of a text file (UTF-8, with or without a mark); raises ``InputError``."""
    try:
        return read_bytes(path, MOST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} cannot be read: it is not text, byte {error.start} is not UTF-8") from error


def read_json(path: str | Path) -> Any:
    """The content of a JSON file; raises ``InputError``."""
    return json_of(read_text(path), str(path))


def json_of(text: str, where: str) -> Any:
    """The content of JSON; raises ``InputError`` that begins with ``where``."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{where} cannot be read: it is not JSON: {error.msg} in line {error.lineno}, column {error.colno}") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; a thousand brackets
        raise InputError(f"{where} cannot be read: {_reason(error)}") from error
    return checked_plain(found, where)


def read_yaml(path: str | Path) -> Any:
    """The content of a YAML file, plain data only; raises ``InputError``."""
    return yaml_of(read_text(path), str(path))


def yaml_of(text: str, where: str) -> Any:
    """The content of YAML, plain data only; raises ``InputError`` that begins with ``where``."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        said = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(f"{where} cannot be read: it is not YAML: {said}{line}") from error
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:  # no such date, too many digits or brackets
        raise InputError(f"{where} cannot be read: {_reason(error)}") from error
    return checked_plain(found, where)


def checked_plain(content: Any, where: str) -> Any:
    """``content``, if it is text, numbers, lists and names with values, not too deep and not too many; else raises ``InputError``."""
    level, left = [content], MOST_VALUES
    for _ in range(DEEPEST):
        below: list[Any] = []
        for value in level:
            if isinstance(value, Mapping):
                if name := next((n for n in value if not isinstance(n, str)), None):
                    raise InputError(f"{where}: a name must be text; got {name!r:.60}")
                below += value.values()
            elif isinstance(value, list):
                below += value
            elif not isinstance(value, str | int | float | bool | None):
                raise InputError(f"{where}: a {type(value).__name__} is not plain text or a number: {value!s:.60}; write it in quotes")
        level, left = below, left - len(below)
        if not level:
            return content
        if left < 0:
            raise InputError(f"{where} holds too many values")
    raise InputError(f"{where} is nested more than {DEEPEST} levels deep")


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    return "a number in it has too many digits" if "integer string conversion" in str(error) else str(error).splitlines()[0]
