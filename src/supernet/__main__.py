"""The command line as ``python -m supernet``."""

from __future__ import annotations

from supernet.cli import main

if __name__ == "__main__":  # processes that a data loader spawns import this module too
    main()
