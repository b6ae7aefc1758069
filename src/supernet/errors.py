"""What goes wrong by a user's mistake or on a user's machine, said in one line."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Something that was given cannot be used. The message says what was wrong and what would be right, in one line."""


class RunError(RuntimeError):
    """A run cannot be written or cannot go on: locked by another process, disk full, interrupted."""


class Lost(RunError):
    """Another rank of the same training has ended."""


NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "bad_alloc", "bad allocation")  # in what PyTorch says


OUT_OF_MEMORY = "out of memory"
SMALLER = "a smaller --batch-size needs less"


def out_of_memory(error: BaseException) -> bool:
    """Whether an error, or one that it was raised from, is that there is no memory left."""
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(said in str(error).lower() for said in NO_MEMORY)):
        return True
    before = error.__cause__ or error.__context__
    return before is not None and out_of_memory(before)


def let_go(error: BaseException) -> None:
    """Give up what the functions that an error ended were holding."""
    traceback.clear_frames(error.__traceback__)
    before = error.__cause__ or error.__context__
    if before is not None:
        let_go(before)


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a name that does not exist: suggests the nearest, else lists what there is."""
    names = list(known)
    near = get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(map(str, names))}"
    return InputError(f"unknown {kind} {name!r}; {hint}")


def refuse_unknown(kind: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise the error for the first of the names given that does not exist."""
    names = list(known)
    for name in given:
        if name not in names:
            raise unknown(kind, name, names)


def without_effect(setting: str, reason: str) -> InputError:
    """The error for a setting that would change nothing, rather than taking no notice of it."""
    return InputError(f"{setting} would have no effect: {reason}; leave it out")
