"""Settings of a command: defaults, a file, ``--set a.b=c`` and flags, in that order; unknown ones are refused with the nearest name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import is_dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import BaseModel

from supernet.errors import InputError, unknown
from supernet.files.readers import read_yaml, yaml_of
from supernet.files.typed import typed, value_as

Settings = dict[str, Any]
Model = TypeVar("Model", bound=BaseModel)
NOT_FOR_USERS = {  # of an open section: functions, and what the command itself knows
    "strategy": (
        *("weights", "seed", "penalty", "within", "rule", "build", "objective"),
        *("alpha_optimiser", "relax_weights"),
    ),
    "weights": ("schedule", "optimiser"),
    "searcher": ("budget", "sample", "mutate", "cross", "neighbours"),
    "retrain": ("weights",),
}
DEEPEST = 8  # groups in the name of a setting
RESOLVED = "resolved"  # of config.yaml: all values of the open sections, to be read and compared; not settings
# sections whose keys are those of what they set
OPEN = ("supernet", "network", "strategy", "weights", "searcher", "retrain", "methods", "cheaper")


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


def merged(*parts: Settings) -> Settings:
    """Groups of settings over one another, the later over the earlier."""
    whole: Settings = {}
    for part in parts:
        for section, value in part.items():
            whole[section] = {**whole.get(section, {}), **value} if isinstance(value, dict) else value
    return whole


def checked(model: type[Model], settings: Mapping[str, Any]) -> Model:
    """``settings`` of a command as its model, defaults where they lack one; raises ``InputError`` that names what is wrong."""
    found: Model = typed(model, overlaid(model().model_dump(), settings, "the settings"), "")
    return found


def settled(
    model: type[Model],
    file: Path | None = None,
    sets: Iterable[str] = (),
    flags: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
) -> Model:
    """The settings of a command: its defaults, over them a ``recipe``, and what ``resolve`` lays over both.

    Raises ``InputError`` for a name that the model has not and a value that it does not allow.
    """
    usual = overlaid(model().model_dump(), recipe or {}, "the recipe")
    found: Model = typed(model, resolve(usual, file, sets, flags or {}), "")
    return found


def value_of(text: str) -> Any:
    """A value as YAML writes it; also 1e-3, which YAML takes for a word."""
    value = yaml_of(text, f"the value {text:.60}")
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
    able, found = keywords(function, fixed), {}
    for name, value in given.items():
        if name not in able:
            raise unknown(f"setting of {what}", name, able) if able else InputError(f"{what} has no settings, so no {name!r}")
        found[name] = value_as(able[name], value, f"{what}: {name}")
    return found


def keywords(function: Callable[..., Any], fixed: Iterable[str] = ()) -> dict[str, Any]:
    """Name -> type of the keyword arguments of ``function``, but for ``fixed``."""
    return {name: hint for name, (hint, _) in _parameters(function).items() if name not in set(fixed)}


def defaults(function: Callable[..., Any], fixed: Iterable[str] = ()) -> Settings:
    """Name -> default of the keyword arguments of ``function``, but for ``fixed``; a partial's own count as defaults."""
    return {name: default for name, (_, default) in _parameters(function).items() if name not in set(fixed)}


def taken(function: Callable[..., Any], given: Mapping[str, Any]) -> Settings:
    """Those of ``given`` that ``function`` takes."""
    return {k: v for k, v in given.items() if k in inspect.signature(function).parameters}


def json_ready(settings: Mapping[str, Any]) -> Settings:
    """Settings as JSON has them."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in settings.items()}


@cache
def _parameters(function: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """Keyword parameters, their types and defaults: of a function or class, then of what it passes **settings on to.

    That is what their annotation says, ``**settings: Annotated[Any, other]``, and the bases of a class.
    """
    given: Settings = {}
    while isinstance(function, partial):
        given = {**function.keywords, **given}
        function = function.func
    found: dict[str, tuple[Any, Any]] = {}
    for cls in inspect.getmro(function) if inspect.isclass(function) else [None]:
        target = function if cls is None else cls.__dict__.get("__init__")
        if target is None or not inspect.isfunction(target):
            continue
        named = cls if is_dataclass(cls) else target  # a dataclass has fields of its bases, whose types are known in their modules
        hints, parameters = get_type_hints(named, include_extras=True), inspect.signature(target).parameters
        own = {n: (hints.get(n, Any), given.get(n, p.default)) for n, p in parameters.items() if p.kind is p.KEYWORD_ONLY}
        found = {**own, **found}
        passed = next((n for n, p in parameters.items() if p.kind is p.VAR_KEYWORD), None)
        if passed is None:
            break
        for other in get_args(hints.get(passed))[1:]:
            found = {**_parameters(other), **found}
    return found


def _read(path: Path) -> Settings:
    found = read_yaml(path)
    if not isinstance(found, dict):
        raise InputError(f"the settings file {path} must hold names and values, as config.yaml of a run does")
    return {name: value for name, value in found.items() if name != RESOLVED}


def _nested(name: str, value: Any) -> Settings:
    parts = name.split(".")
    if len(parts) > DEEPEST:
        raise InputError(f"{name:.60} is not the name of a setting: it has {len(parts)} groups")
    for part in reversed(parts):
        value = {part: value}
    return value  # type: ignore[no-any-return]


def _overlay(settings: Settings, given: Mapping[str, Any], source: str, path: str = "") -> None:
    for name, value in given.items():
        if name not in settings and not any(group in OPEN for group in path.split(".")):
            raise unknown("setting", f"{path}{name}", [f"{path}{n}" for n in settings])
        if isinstance(settings.get(name), dict):
            if not isinstance(value, dict):
                raise InputError(f"{path}{name} is a group of settings: give {path}{name}.NAME ({source})")
            _overlay(settings[name], value, source, f"{path}{name}.")
        else:
            settings[name] = value
