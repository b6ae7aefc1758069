"""A function as it is sent to other processes, with all that it refers to: data sets and weights as files that each of them maps."""

from __future__ import annotations

import pickle
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from supernet.errors import InputError, RunError
from supernet.files.whole import make_folder

LARGE = 1 << 16  # bytes of a storage that is worth a file


class Packed:
    """``function``, pickled once; ``unpacked`` is what it was, for whoever was sent this.

    Large tensors on the CPU are written to ``folder`` and mapped from there, so that all processes of a computer share their memory, and
    one that changes a tensor changes a copy of its own. None: they are sent like everything else. The folder must be there until the last
    process has its function. Raises ``InputError`` for what cannot be pickled.
    """

    def __init__(self, function: Any, folder: Path | None = None):
        from joblib.externals.loky.backend.reduction import dumps

        reducers = {torch.storage.TypedStorage: partial(written, folder)} if folder else {}
        try:
            self.content = bytes(dumps(function, reducers=reducers))
        except OSError:
            raise
        except Exception as error:  # whatever an object's own way of being pickled raises
            why = str(error).splitlines()[0] if str(error) else repr(error)
            raise InputError(f"what scores architectures cannot be sent to other processes ({why}): leave workers out") from error

    def unpacked(self) -> Any:
        """The function, in the process that was sent this; raises ``RunError`` where it lacks something that the function needs."""
        try:
            return pickle.loads(self.content)
        except (OSError, MemoryError):  # which another worker may be spared
            raise
        except Exception as error:  # whatever a module raises that is imported here for the first time
            said = str(error).splitlines()[0] if str(error) else ""
            raise RunError(f"a worker cannot begin: {type(error).__name__}{said and ': '}{said}") from error


@contextmanager
def place(folder: Path | None) -> Iterator[Path]:
    """A folder for what is sent, gone afterwards: ``workers`` in that of a run, so that one that was killed leaves nothing; None: apart."""
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="supernet-workers-") as apart:
            yield Path(apart)
        return
    own = folder.absolute() / "workers"
    shutil.rmtree(own, ignore_errors=True)
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)


def written(folder: Path, storage: Any) -> tuple[Any, ...]:
    """How a storage is pickled: as a file in ``folder``, where it is large and in this computer's memory."""
    held = storage._untyped_storage
    if held.device.type != "cpu" or held.nbytes() < LARGE:
        how: tuple[Any, ...] = storage.__reduce__()
        return how
    path = folder / f"{held.data_ptr():x}-{held.nbytes()}"
    if not path.exists():
        make_folder(folder)
        torch.empty(0, dtype=torch.uint8).set_(held).numpy().tofile(path)
    return mapped, (str(path), held.nbytes(), storage.dtype)


def mapped(path: str, size: int, dtype: torch.dtype) -> Any:
    """The storage in a file of ``size`` bytes: what is written to it stays with this process."""
    held = torch.UntypedStorage.from_file(path, False, size)
    return torch.storage.TypedStorage(wrap_storage=held, dtype=dtype, _internal=True)  # type: ignore[no-untyped-call]
