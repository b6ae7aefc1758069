"""Commands of Supernet in processes of their own, which end when this one ends, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from supernet.errors import InputError, RunError
from supernet.stopping import SIGNALS
from supernet.workers import Gone

ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # for what is not asked by its own settings


class Children:
    """Commands that were begun here. Several threads may run one each. ``kept``: whether their folders outlive this process."""

    def __init__(self, kept: bool = True) -> None:
        self.kept = kept
        self.running: set[subprocess.Popen[str]] = set()
        self.stopped = False

    def run(self, words: list[str], log: Path, who: str) -> str:
        """Run ``supernet`` with ``words`` and return its standard output; what it says on standard error is added to the file ``log``.

        ``who``: what it is for, to begin a message with. Raises ``InputError`` for what the command calls a mistake of its user,
        ``RunError`` where it failed or was ended by a signal: ``Gone`` unless that was to stop it.
        """
        if self.stopped:
            raise RunError(f"{who}: not begun, because all were stopped")
        before = log.stat().st_size if log.exists() else 0
        with log.open("ab") as errors:
            command = [sys.executable, "-m", "supernet.child", *words]
            # A session of its own: Ctrl-C is for this process, which passes it on once.
            pipe, env = subprocess.PIPE, os.environ | ONE_THREAD
            with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, text=True, env=env, start_new_session=True) as child:
                self.running.add(child)
                try:
                    assert child.stdout
                    output = child.stdout.read()
                    code = child.wait()
                except BaseException:
                    child.terminate()  # so that it saves first; closing its input, which follows, would end it at once
                    child.wait()
                    raise
                finally:
                    self.running.discard(child)
        if code and not (code == 1 and output.strip()):  # a result that misses a bound is a result
            self._raise(code, who, words[0], log, before)
        return output

    def stop(self) -> None:
        """Ask all that run to save and end, and begin no other."""
        self.stopped = True
        for child in list(self.running):
            child.terminate()

    def _raise(self, code: int, who: str, verb: str, log: Path, start: int) -> None:
        with log.open("rb") as file:
            file.seek(start)
            lines = file.read().decode(errors="replace").strip().splitlines()
        last = lines[-1].removeprefix("error: ") if lines else ""
        if code == 2:
            raise InputError(f"{who}: {verb}: {last}")
        how = f"failed (exit code {code})" if code > 0 else f"was ended by {_name(-code)}"
        rest = f"; its log is {log}; the same command goes on from there" if self.kept else "; nothing is kept without --out"
        lost = code < 0 and -code not in SIGNALS
        raise (Gone if lost else RunError)(f"{who}: {verb} {how}{': ' + last if last else ''}{rest}")


def _name(number: int) -> str:
    """A signal as people know it."""
    why = {signal.SIGKILL: ", by hand or for want of memory", signal.SIGSEGV: ", a crash"}
    try:
        known = signal.Signals(number)
    except ValueError:
        return f"signal {number}"
    return known.name + why.get(known, "")
