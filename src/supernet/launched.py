"""A command that ``torchrun`` began as several ranks: what each of them says. Without PyTorch, so that the command line begins fast."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

from supernet.errors import InputError, Lost

TRAINING = ("search", "retrain")  # commands for several ranks


def launched() -> bool:
    """Whether this process is one of several that ``torchrun`` began."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "MASTER_ADDR" in os.environ and "RANK" in os.environ


@contextlib.contextmanager
def one_voice(command: str) -> Iterator[None]:
    """Of several ranks, the first alone prints meanwhile.

    Raises ``InputError`` for a ``command`` that trains no network, which several ranks would only repeat.
    """
    if not launched():
        yield
        return
    if command not in TRAINING:
        raise InputError(f"torchrun is for {' and '.join(TRAINING)}, which train one network on several ranks: leave it out")
    try:
        with contextlib.ExitStack() as stack:
            if os.environ["RANK"] != "0":
                nowhere = stack.enter_context(open(os.devnull, "w"))
                stack.enter_context(contextlib.redirect_stdout(nowhere))
                stack.enter_context(contextlib.redirect_stderr(nowhere))
            yield
    except Lost:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # which torchrun sends now, while this process ends by itself
        if os.environ["RANK"] == "0":
            raise
        raise SystemExit(1) from None  # the first says it
