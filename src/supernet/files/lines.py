"""Files that grow by a line at a time, and lose none that cannot be made again, also after a loss of power."""

from __future__ import annotations

import time
from pathlib import Path

from supernet.files.whole import sync, sync_folder

SYNC_EVERY = 0.5  # seconds between syncs of lines that would be made again


class Lines:
    """The file ``path``, which is made with the first line that is added. Methods raise ``OSError``.

    A line that was added outlives this process, however it ends. A full disk or a loss of power may leave the last one cut short: who
    reads the file leaves out, or removes, what has no end of line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._synced, self._unsynced, self._named = 0.0, False, path.exists()

    def append(self, line: str, again: bool = False) -> bytes:
        """Add a line and see it on the disk; what was added. ``again``: if lost it would be made again; it goes there with later ones."""
        text = (line + "\n").encode()
        with self.path.open("ab") as file:
            self._unsynced = True
            file.write(text)
        if not again or time.monotonic() - self._synced > SYNC_EVERY:
            self.sync()
        return text

    def sync(self) -> None:
        """See on the disk what was added."""
        if not self._unsynced:
            return
        sync(self.path)
        if not self._named:
            sync_folder(self.path.parent)
        self._synced, self._unsynced, self._named = time.monotonic(), False, True
