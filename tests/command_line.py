"""The command ``supernet``, run in this process: loading PyTorch in another would cost every test two seconds.

What a process does by itself, such as signals, start-up and what libraries print past Python, is tested in processes (``cli`` in conftest).
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from functools import cache
from typing import Any
from unittest import mock

import typer.main

from supernet.cli import main

typer.main.get_command = cache(typer.main.get_command)  # the parsers of the commands are made once for all calls


def called(*words: object) -> tuple[int, str, str]:
    """Exit code, standard output and error of ``supernet`` with these words."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["supernet", *map(str, words)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
            code = 0
        except SystemExit as error:
            code = int(error.code or 0)
    return code, out.getvalue(), err.getvalue()


def document(*words: object) -> Any:
    """What a command prints with ``--json``; it ends well."""
    code, out, err = called(*words, "--json")
    assert code == 0, err
    return json.loads(out)
