"""What two runs that are alike have in common."""

from __future__ import annotations

from typing import Any


def plain(value: Any) -> Any:
    """Plain data without what depends on the clock or the machine."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if k != "measured"}
    return [plain(v) for v in value] if isinstance(value, list) else value
