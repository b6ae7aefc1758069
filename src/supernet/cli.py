"""The command line: gathers the commands, and says in one line what went wrong."""

from __future__ import annotations

import inspect
import os
import signal
import sys
from typing import Any

from supernet.errors import OUT_OF_MEMORY, SMALLER, InputError, RunError, out_of_memory
from supernet.launched import one_voice
from supernet.stopping import AtOnce, starting

with starting():
    import typer
    from typer.core import TyperGroup

    from supernet.commands import COMMANDS
    from supernet.commands.command import function_of


class Commands(TyperGroup):
    """The commands; one that is stopped outside of a run, which has nothing to save, says so and ends with exit code 130."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was given."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            print("stopped at once; the last checkpoint is whole" if isinstance(stop, AtOnce) else "stopped", file=sys.stderr)
            raise typer.Exit(130) from None


app = typer.Typer(
    name="supernet",
    cls=Commands,
    help="Design neural networks by search.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for name, command in COMMANDS.items():
    app.command(name, epilog=f"Example: {command.example}", help=inspect.getdoc(command.run))(function_of(command))


def main() -> None:
    """The command ``supernet``: a user's mistake is one line and exit code 2, a failure one line and exit code 1.

    SIGTERM is like Ctrl-C.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with one_voice(next((word for word in sys.argv[1:] if not word.startswith("-")), "")):
            app()
    except RunError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except (InputError, MemoryError, RuntimeError) as error:
        if out_of_memory(error):
            print(f"error: {OUT_OF_MEMORY}: {SMALLER}", file=sys.stderr)
            sys.exit(1)
        if not isinstance(error, InputError):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        print(f"error: {error.filename or ''}: {error.strerror or error}".replace("error: : ", "error: "), file=sys.stderr)
        sys.exit(1)
