"""Trained states by number, kept for others to go on from: in memory, or in a folder, so that a search that was stopped finds them."""

from __future__ import annotations

from collections.abc import Container, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import torch

from supernet.errors import RunError
from supernet.files.whole import make_folder, write_whole

State = Mapping[str, Any]  # tensors and plain data


class States(Protocol):
    """Keeps states by number."""

    def save(self, number: int, state: State) -> None:
        """Keep a state, in the place of one of that number."""

    def load(self, number: int) -> State:
        """The state of that number, which was kept."""

    def drop(self, below: int, kept: Container[int]) -> None:
        """Forget the states of all numbers ``below`` one, but those that are ``kept``."""


class InMemory:
    """Keeps them with this object; whoever saves a state does not change it afterwards."""

    def __init__(self) -> None:
        self._states: dict[int, State] = {}

    def save(self, number: int, state: State) -> None:
        self._states[number] = state

    def load(self, number: int) -> State:
        return self._states[number]

    def drop(self, below: int, kept: Container[int]) -> None:
        self._states = {number: state for number, state in self._states.items() if number >= below or number in kept}


class InFolder:
    """Keeps them as files in a folder, which is made where it is needed. Raises ``RunError`` for a file that cannot be read or written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, number: int, state: State) -> None:
        content = BytesIO()
        torch.save(state, content)
        try:
            make_folder(self.folder)
            write_whole(self._path(number), content.getvalue())
        except OSError as error:
            raise RunError(f"{self._path(number)} cannot be written: {error.strerror or error}") from error

    def load(self, number: int) -> State:
        try:
            state: State = torch.load(self._path(number), weights_only=True)
        except Exception as error:  # torch raises what it meets in the file
            why = "which a trial goes on from, cannot be read: begin the search again"
            raise RunError(f"the weights in {self._path(number)}, {why}") from error
        return state

    def drop(self, below: int, kept: Container[int]) -> None:
        for path in self.folder.glob("*.pt"):
            if path.stem.isdigit() and int(path.stem) < below and int(path.stem) not in kept:
                path.unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number}.pt"
