"""CIFAR-10 and CIFAR-100, the Python version: pickled batches, read without letting a pickle run anything.

Layout: A. Krizhevsky, https://www.cs.toronto.edu/~kriz/cifar.html ("CIFAR-10 python version"). A pickle may call whatever it
names, so every name is looked up in a short table of stand-ins of ours, and any other name is refused.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from supernet.data.parts import Given, Parts, labelled
from supernet.errors import InputError
from supernet.files.readers import check_ordinary

TEN, HUNDRED = "cifar-10-batches-py", "cifar-100-python"


def is_ten(folder: Path) -> bool:
    """Whether the folder is a CIFAR-10 one, complete or not."""
    return (folder.name == TEN and folder.is_dir()) or (folder / "data_batch_1").is_file()


def is_hundred(folder: Path) -> bool:
    """Whether the folder is a CIFAR-100 one, complete or not."""
    return (folder.name == HUNDRED and folder.is_dir()) or ((folder / "meta").is_file() and (folder / "train").is_file())


def read_ten(folder: Path) -> Parts:
    """CIFAR-10 from its six batches and ``batches.meta``; raises InputError that names the file at fault."""
    classes = _class_names(folder / "batches.meta", "label_names")
    batches = [_batch(folder / f"data_batch_{i}", "labels") for i in range(1, 6)]
    return labelled("cifar10", classes, batches, [_batch(folder / "test_batch", "labels")])


def read_hundred(folder: Path) -> Parts:
    """CIFAR-100 with its 100 fine labels, from ``train``, ``test`` and ``meta``; raises InputError that names the file at fault."""
    classes = _class_names(folder / "meta", "fine_label_names")
    train, test = (_batch(folder / name, "fine_labels") for name in ("train", "test"))
    return labelled("cifar100", classes, [train], [test])


class _Array:
    """Stands in for ``numpy.ndarray``: keeps the bytes of an array of unsigned bytes."""

    def __init__(self, *_: Any) -> None:
        self.shape: tuple[int, ...] = ()
        self.raw = b""
        self.kind, self.fortran = "", False

    def __setstate__(self, state: tuple[Any, Any, _Kind, Any, bytes]) -> None:
        _, self.shape, kind, self.fortran, self.raw = state
        self.kind = kind.code

    def value(self) -> NDArray[numpy.uint8]:
        if self.kind not in ("u1", "uint8", "|u1", "B"):
            raise ValueError(f"an array of {self.kind!r}, not of bytes")
        return numpy.frombuffer(self.raw, numpy.uint8).reshape(self.shape, order="F" if self.fortran else "C")


class _Kind:
    """Stands in for ``numpy.dtype``."""

    def __init__(self, code: str | bytes, *_: Any) -> None:
        self.code = code.decode() if isinstance(code, bytes) else code

    def __setstate__(self, state: Any) -> None:
        """Byte order and alignment, which single bytes do not have."""


def _empty_array(*_: Any) -> _Array:
    return _Array()


def _array_of(raw: bytes, kind: _Kind, shape: tuple[int, ...], order: str = "C") -> _Array:
    array = _Array()
    array.__setstate__((1, shape, kind, order == "F", raw))
    return array


def _bytes_of(text: str, encoding: str = "latin1") -> bytes:
    return text.encode("latin1")  # how protocols up to 2 write bytes; no other encoding occurs


_STAND_INS = {("numpy", "ndarray"): _Array, ("numpy", "dtype"): _Kind, ("_codecs", "encode"): _bytes_of}
for _package in ("numpy.core", "numpy._core"):  # numpy 1 and 2
    _STAND_INS[f"{_package}.multiarray", "_reconstruct"] = _empty_array
    _STAND_INS[f"{_package}.numeric", "_frombuffer"] = _array_of


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STAND_INS:
            wanted = f"{module}.{name}"
            raise InputError(f"refused: it asks for {wanted!r}, and a CIFAR batch holds only arrays, lists and text")
        return _STAND_INS[module, name]


def _load(path: Path) -> dict[str, Any]:
    check_ordinary(path)
    try:
        with path.open("rb") as file:
            content = _Unpickler(file, encoding="bytes").load()
    except FileNotFoundError:
        archive = "cifar-100-python.tar.gz" if path.name in ("train", "test", "meta") else "cifar-10-python.tar.gz"
        raise InputError(f"{path} is missing; get {archive} from the CIFAR page and unpack it again") from None
    except OSError:
        raise
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except Exception as error:  # a damaged pickle can raise anything
        raise InputError(f"{path}: truncated, or not a CIFAR batch ({type(error).__name__})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: not a CIFAR batch; it holds no dictionary")
    return {_text(key): value for key, value in content.items()}


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _batch(path: Path, labels: str) -> Given:
    content = _load(path)
    if missing := [key for key in ("data", labels) if key not in content]:
        raise InputError(f"{path}: not a CIFAR batch; it has no {missing[0]!r}")
    try:
        x = content["data"].value()
        if x.ndim != 2 or x.shape[1] != 3 * 32 * 32:
            raise ValueError(f"data of shape {x.shape}")
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"{path}: 'data' must be bytes of shape (images, 3072): {error}") from None
    y = content[labels].value() if isinstance(content[labels], _Array) else content[labels]
    return Given(x.reshape(-1, 3, 32, 32), y, path)


def _class_names(path: Path, key: str) -> tuple[str, ...]:
    names = _load(path).get(key)
    if not isinstance(names, list) or not names:
        raise InputError(f"{path}: not a CIFAR list of classes; it has no {key!r}")
    return tuple(map(_text, names))
