"""The state of what learns with torch, as data that JSON carries."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def listed(state: Any) -> Any:
    """``state`` with tensors as their type and nested lists, keys as text, and lists for tuples."""
    if isinstance(state, Tensor):
        return {"dtype": str(state.dtype).removeprefix("torch."), "values": state.tolist()}
    if isinstance(state, dict):
        return {str(key): listed(value) for key, value in state.items()}
    return [listed(value) for value in state] if isinstance(state, list | tuple) else state


def unlisted(state: Any) -> Any:
    """What ``listed`` was given, with lists for tuples; keys of digits are numbers, as an optimiser has them."""
    if isinstance(state, dict) and state.keys() == {"dtype", "values"}:
        return torch.tensor(state["values"], dtype=getattr(torch, state["dtype"]))
    if isinstance(state, dict):
        return {int(key) if key.isdigit() else key: unlisted(value) for key, value in state.items()}
    return [unlisted(value) for value in state] if isinstance(state, list) else state
