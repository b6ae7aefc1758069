"""A command of Supernet that ends when whoever began it does: ``python -m supernet.child search darts ...``.

The one that begins it holds the writing end of its standard input and writes nothing. That end is closed when its holder ends, also by
a kill that nobody can catch, and then this process ends at once, as if it were killed itself: its run is whole, and its lock is free.
"""

from __future__ import annotations

import os
import sys
import threading


def end_with_input() -> None:
    """Wait for the end of standard input, then end the process."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(1)


def main() -> None:
    """Run the command that the arguments say."""
    threading.Thread(target=end_with_input, daemon=True).start()
    from supernet.cli import main as command

    command()


if __name__ == "__main__":
    main()
