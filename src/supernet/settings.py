"""Settings of a command: defaults, a file, ``--set a.b=c`` and flags, in that order; unknown ones are refused with the nearest name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from supernet.errors import InputError, unknown

Settings = dict[str, Any]
OPEN = ("supernet", "network", "strategy", "weights", "searcher", "retrain", "methods")  # sections whose keys are those of what they set


def resolve(defaults: Mapping[str, Any], file: Path | None, sets: Iterable[str], flags: Mapping[str, Any]) -> Settings:
    """``defaults`` overlaid by a YAML file, by ``a.b=c`` texts and by flags (dotted names; None: not given)."""
    settings = deepcopy(dict(defaults))
    if file is not None:
        _overlay(settings, _read(file), str(file))
    for text in sets:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise InputError(f"--set takes name=value, for example --set weights.lr=0.05; got {text!r}")
        _overlay(settings, _nested(name.strip(), value_of(value)), "--set")
    for name, value in flags.items():
        if value is not None:
            _overlay(settings, _nested(name, value), "the command line")
    return settings


def overlaid(settings: Mapping[str, Any], own: Mapping[str, Any], source: str = "--set") -> Settings:
    """A copy of ``settings`` with ``own`` over it; unknown names are refused."""
    whole = deepcopy(dict(settings))
    _overlay(whole, own, source)
    return whole


def value_of(text: str) -> Any:
    """A value as YAML writes it; also 1e-3, which YAML takes for a word."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{text!r} is not a value: {str(error).splitlines()[0]}") from error
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def accepted(what: str, function: Callable[..., Any], given: Mapping[str, Any], fixed: Iterable[str] = ()) -> Settings:
    """``given`` as keyword arguments of ``function``, checked by its names and types; ``fixed`` are not for the user to set.

    Raises ``InputError`` for a name that ``function`` does not take or a value of another type.
    """
    hints: dict[str, Any] = {}
    for level in _parameters(function):
        hints = {**level, **hints}
    able = {n: hint for n, hint in hints.items() if n not in set(fixed)}
    checked = {}
    for name, value in given.items():
        if name not in able:
            raise unknown(f"setting of {what}", name, able) if able else InputError(f"{what} has no settings, so no {name!r}")
        try:
            adapter = TypeAdapter(able[name], config=ConfigDict(arbitrary_types_allowed=True))
            checked[name] = adapter.validate_python(value)
        except ValidationError as error:
            raise InputError(f"{what}: {name} = {value!r} is wrong: {error.errors()[0]['msg']}") from error
    return checked


def taken(function: Callable[..., Any], given: Mapping[str, Any]) -> Settings:
    """Those of ``given`` that ``function`` takes."""
    return {k: v for k, v in given.items() if k in inspect.signature(function).parameters}


def json_ready(settings: Mapping[str, Any]) -> Settings:
    """Settings as JSON has them."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in settings.items()}


def _parameters(function: Callable[..., Any]) -> list[dict[str, Any]]:
    """Keyword parameters and their types: of a function or class, then of its bases where it passes **settings on."""
    while isinstance(function, partial):
        function = function.func
    levels = []
    for cls in inspect.getmro(function) if inspect.isclass(function) else [None]:
        target = function if cls is None else cls.__dict__.get("__init__")
        if target is None or not inspect.isfunction(target):
            continue
        hints, signature = get_type_hints(target), inspect.signature(target)
        keywords = [n for n, p in signature.parameters.items() if p.kind is p.KEYWORD_ONLY]
        levels.append({n: hints.get(n, Any) for n in keywords})
        if not any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()):
            break
    return levels


def _read(path: Path) -> Settings:
    try:
        found = yaml.safe_load(path.read_text())
    except OSError as error:
        raise InputError(f"the settings file {path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"the settings file {path} is not YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(found, dict):
        raise InputError(f"the settings file {path} must hold names and values, as config.yaml of a run does")
    return found


def _nested(name: str, value: Any) -> Settings:
    for part in reversed(name.split(".")):
        value = {part: value}
    return value  # type: ignore[no-any-return]


def _overlay(settings: Settings, given: Mapping[str, Any], source: str, path: str = "") -> None:
    for name, value in given.items():
        group = path.split(".")[0]
        if name not in settings and group not in OPEN:
            raise unknown("setting", f"{path}{name}", [f"{path}{n}" for n in settings])
        if isinstance(settings.get(name), dict):
            if not isinstance(value, dict):
                raise InputError(f"{path}{name} is a group of settings: give {path}{name}.NAME ({source})")
            _overlay(settings[name], value, source, f"{path}{name}.")
        else:
            settings[name] = value
