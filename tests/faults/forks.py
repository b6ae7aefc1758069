"""Runs commands of Supernet in processes that are forked from one that has imported everything, and kills them.

So a start takes milliseconds, not seconds. ``python tests/faults/forks.py`` reads a request a line from standard input and answers each
with a line; ``Forks`` is the other end of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy

import supernet


class Ended(NamedTuple):
    """How a command ended: its exit code, or less a signal's number; how many seconds it took; its output, and what it said."""

    code: int
    seconds: float
    output: str
    said: str

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


class Forks:
    """A process to fork from. ``hashing``: seeds the order of sets, which differs from process to process outside of tests too."""

    def __init__(self, hashing: int) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": str(hashing)}
        environment["PYTHONPATH"] = str(Path(supernet.__file__).parents[1])
        self._server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        )

    def run(self, words: list[str], folder: Path, kill_after: float | None = None, by: int = signal.SIGKILL, part: str = "") -> Ended:
        """``supernet`` with ``words`` in ``folder``; killed ``by`` a signal after so many seconds.

        ``part``: not itself is killed then, but one of the processes that it began whose command line holds this; as soon as there is one.
        """
        return self.begin(words, folder, kill_after, by, part)()

    def begin(
        self, words: list[str], folder: Path, kill_after: float | None = None, by: int = signal.SIGKILL, part: str = ""
    ) -> Callable[[], Ended]:
        """Begin what ``run`` runs; what is given waits for its end, which is to come before anything else is begun here."""
        assert self._server.stdin and self._server.stdout
        output, said = (folder / f"{folder.name}.{name}" for name in ("out", "err"))
        for path in (output, said):  # new ones: workers of a run that was killed may still say something; also for one killed at once
            path.unlink(missing_ok=True)
            path.write_text("")
        request = {"words": words, "folder": str(folder), "kill_after": kill_after, "by": int(by), "part": part}
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        answers = self._server.stdout

        def ended() -> Ended:
            answer = json.loads(answers.readline())
            return Ended(answer["code"], answer["seconds"], output.read_text(), said.read_text())

        return ended

    def close(self) -> None:
        assert self._server.stdin
        self._server.stdin.close()
        self._server.wait()


def serve() -> None:
    """Answer requests until there are no more."""
    import_everything()
    for line in sys.stdin:
        request = json.loads(line)
        began = time.monotonic()
        child = os.fork()
        if not child:
            command(request["words"], Path(request["folder"]))
        code = wait(child, None if request["kill_after"] is None else began + request["kill_after"], request["by"], request["part"])
        print(json.dumps({"code": code, "seconds": time.monotonic() - began}), flush=True)


def import_everything() -> None:
    """Import what commands import late; nothing is computed, so that no threads are begun before a fork."""
    import importlib
    import pkgutil

    import onnx  # noqa: F401
    import onnxruntime  # noqa: F401
    import scipy.special  # noqa: F401
    import sklearn.datasets  # noqa: F401
    import torch._dynamo  # noqa: F401

    for module in pkgutil.walk_packages(supernet.__path__, "supernet."):
        importlib.import_module(module.name)


def command(words: list[str], folder: Path) -> None:
    """Be the command; never returns."""
    code = 1
    try:
        os.setsid()
        os.chdir(folder)
        random.seed()  # as in a process of its own; torch begins alike in all
        numpy.random.seed()
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(f"{folder.name}.{name}", os.O_WRONLY), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.argv = ["supernet", *words]
        from supernet.cli import main

        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def wait(child: int, kill_at: float | None, by: int, part: str) -> int:
    """The exit code of a process, or less the number of the signal that ended it.

    At a time of the monotonic clock it is sent one, or a ``part`` of it, see ``Forks.run``.
    """
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if kill_at is not None and time.monotonic() >= kill_at and (victim := found(child, part) if part else child):
            os.kill(victim, by)
            kill_at = None
        time.sleep(0.002)


def found(leader: int, part: str) -> int | None:
    """The last process of a session whose command line holds ``part``, but not the one that leads it; None where there is none."""
    for path in sorted(Path("/proc").glob("[0-9]*/stat"), key=lambda path: -int(path.parent.name)):
        with contextlib.suppress(OSError):
            session = int(path.read_text().rpartition(")")[2].split()[3])
            if session == leader != int(path.parent.name) and part in path.with_name("cmdline").read_text():
                return int(path.parent.name)
    return None


if __name__ == "__main__":
    serve()
