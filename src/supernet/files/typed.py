"""Content that came from outside, checked by a type; what does not fit is one line that says what would."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from supernet.errors import InputError

_WORDS = {  # type of an error -> what would be right; {} as in the error's context
    "greater_than_equal": "must be at least {ge:g}",
    "greater_than": "must be above {gt:g}",
    "less_than_equal": "must be at most {le:.10g}",
    "less_than": "must be below {lt:g}",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text",
    "literal_error": "must be {expected}",
    "string_too_short": "must not be empty",
    "string_too_long": "is too long",
    "missing": "is missing",
    "extra_forbidden": "is not known",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "none_required": "must be null",
    **dict.fromkeys(("int_type", "int_parsing", "int_parsing_size", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "must be a number"),
    **dict.fromkeys(("list_type", "tuple_type", "sequence_type", "sequence_str", "is_instance_of"), "must be a list"),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type", "dataclass_type"), "must be names and values"),
}


def shown(value: Any) -> str:
    """A value in a message: short, whatever it is."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits; a thousand brackets
        return f"a {type(value).__name__} too long to print"
    return text if len(text) <= 60 else f"{text[:50]}... ({len(text):,} characters)"


def fault(error: ErrorDetails) -> str:
    """What is wrong with a value and what would be right, without its place: ``must be at least 1; got 0``."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "string_pattern_mismatch" and "cuda" in context["pattern"]:
        return f"must be a device, for example cpu, cuda, cuda:1 or mps; got {shown(error['input'])}"
    words = _WORDS[kind].format(**context) if kind in _WORDS else error["msg"][:1].lower() + error["msg"][1:]
    return words if kind in ("missing", "extra_forbidden") else f"{words}; got {shown(error['input'])}"


def place(error: ErrorDetails) -> str:
    """Where in the content a fault is: ``costs.latency.0``; without what pydantic adds to tell the types of a union apart."""
    return ".".join(str(part) for part in error["loc"] if not (isinstance(part, str) and set(part) & set("[(")))


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def typed(kind: Any, content: Any, where: str) -> Any:
    """``content`` as ``kind`` (a model, a dataclass, an annotated type); raises ``InputError`` that begins with ``where``, if not empty."""
    try:
        return _adapter(kind).validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InputError(" ".join(filter(None, [where and f"{where}:", place(first), fault(first)]))) from error
    except RecursionError as error:
        raise InputError(f"{where or 'a setting'} is nested too deep") from error


def value_as(kind: Any, value: Any, name: str) -> Any:
    """``value`` as the type of a keyword argument, numbers finite; raises ``InputError`` that begins with ``name``."""
    adapter = TypeAdapter(kind, config=ConfigDict(arbitrary_types_allowed=True, allow_inf_nan=False))
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        first = next((e for e in errors if e["type"] != "string_type"), errors[0])  # of a union, text is seldom what was meant
        within = f", entry {first['loc'][0]}," if first["loc"] and isinstance(first["loc"][0], int) else ""
        raise InputError(f"{name}{within} {fault(first)}") from error
    except (RecursionError, OverflowError) as error:
        raise InputError(f"{name} cannot be {shown(value)}") from error
