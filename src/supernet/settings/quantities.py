"""What a setting may be: kinds of numbers with the bounds of what means something and of what a machine can hold.

A signature or a model that names one of these is checked by it wherever settings come from: flags, files, architecture.json.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from supernet.errors import InputError

MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3}  # of the units of a latency
LARGEST = 2**62  # of whole numbers that torch and numpy take as a seed, with a few to spare


def _number(value: Any) -> Any:
    """``value``, unless it is text, true or false, or a whole number beyond what any setting means."""
    if isinstance(value, bool | str | bytes):
        raise PydanticCustomError("number", "must be a number")
    if isinstance(value, int) and abs(value) > LARGEST:
        raise PydanticCustomError("large", "is larger than anything here can be")
    return value


_NUMBER = BeforeValidator(_number)


# counts

Seed = Annotated[int, _NUMBER, Field(ge=0, le=LARGEST)]
Count = Annotated[int, _NUMBER, Field(ge=1, le=1_000_000_000)]
CountOrNone = Annotated[int, _NUMBER, Field(ge=0, le=1_000_000_000)]  # 0: none
Epochs = Annotated[int, _NUMBER, Field(ge=1, le=1_000_000)]
BatchSize = Annotated[int, _NUMBER, Field(ge=1, le=1_000_000)]
Threads = Annotated[int, _NUMBER, Field(ge=1, le=1024)]
Pixels = Annotated[int, _NUMBER, Field(ge=0, le=65_536)]

# sizes of networks

Channels = Annotated[int, _NUMBER, Field(ge=1, le=65_536)]
Layers = Annotated[int, _NUMBER, Field(ge=1, le=1_000)]
Levels = Annotated[int, _NUMBER, Field(ge=2, le=10)]
Nodes = Annotated[int, _NUMBER, Field(ge=1, le=64)]
Classes = Annotated[int, _NUMBER, Field(ge=1, le=10_000_000)]  # also the words of a vocabulary
Side = Annotated[int, _NUMBER, Field(ge=1, le=65_536)]
Shape = Annotated[Sequence[Side], Field(min_length=3, max_length=3)]  # channels, height, width
Sides = Annotated[Sequence[Side], Field(min_length=1, max_length=1_000)]
Features = Annotated[Sequence[Side], Field(min_length=1, max_length=1)]  # columns of a table
Widths = Annotated[Sequence[Channels], Field(min_length=1, max_length=1_000)]
Depths = Annotated[Sequence[Layers], Field(min_length=1, max_length=1_000)]
Multiplier = Annotated[float, _NUMBER, Field(gt=0, le=1_000, allow_inf_nan=False)]

# amounts

Amount = Annotated[float, _NUMBER, Field(ge=0, le=1e9, allow_inf_nan=False)]
Positive = Annotated[float, _NUMBER, Field(gt=0, le=1e9, allow_inf_nan=False)]
Cost = Annotated[float, _NUMBER, Field(gt=0, le=1e18, allow_inf_nan=False)]  # of a network: multiply-adds, parameters, bytes, ms
Counted = Annotated[float, _NUMBER, Field(gt=0, le=1e11, allow_inf_nan=False)]  # of a path: multiply-adds, parameters, bytes
Seconds = Annotated[float, _NUMBER, Field(gt=0, le=1e9, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, _NUMBER, Field(ge=0, le=1, allow_inf_nan=False)]
Part = Annotated[float, _NUMBER, Field(ge=0, lt=1, allow_inf_nan=False)]  # a share that is never all
Fraction = Annotated[float, _NUMBER, Field(gt=0, lt=1, allow_inf_nan=False)]  # a share that is neither none nor all
Rate = Annotated[float, _NUMBER, Field(gt=0, le=1e6, allow_inf_nan=False)]  # of learning
RateOrNone = Annotated[float, _NUMBER, Field(ge=0, le=1e6, allow_inf_nan=False)]  # 0: nothing is learnt
Betas = tuple[Part, Part]


def counts(text: str) -> tuple[int, ...]:
    """(50, 150) from "50,150"; raises ``InputError`` for anything else."""
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch("[0-9]{1,9}", part) for part in parts):
        raise InputError(f"expected whole numbers with commas, for example 50,150,300; got {text!r:.60}")
    return tuple(map(int, parts))


def milliseconds(text: str) -> float:
    """12 from "12ms", "12", "0.012s" or "12000us"; raises ``InputError`` for anything else."""
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:e-?[0-9]+)?)\s*(us|ms|s)?\s*", text, re.IGNORECASE)
    if not match or float(match[1]) <= 0:
        raise InputError(f"a latency is a number with a unit, for example 12ms, 800us or 0.5s; got {text!r}")
    return float(match[1]) * MILLISECONDS[(match[2] or "ms").lower()]
