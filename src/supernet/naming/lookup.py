"""What a person may name as an architecture: a run, a file, a published name, or a notation as text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from supernet.errors import InputError, unknown
from supernet.files.readers import read_text
from supernet.files.records import architecture_of
from supernet.naming.design import Design, of_plan
from supernet.settings.given import value_of
from supernet.space import Architecture
from supernet.spaces import SPACES
from supernet.spaces import space as space_named
from supernet.spaces.record import HEAD, headed

SETTING = re.compile(r"\s*(\w+)\s*=\s*(\[[^\[\]]*\]|[^,\[\]]+?)\s*(?:,|$)")


def published_names() -> dict[str, str]:
    """The published networks: name -> space."""
    return {name: space for space in SPACES for name in space_named(space).published}


def design(text: str) -> Design:
    """The design that ``text`` names; raises ``InputError`` that says what was tried, or suggests the nearest name."""
    path = Path(text)
    try:
        if path.is_dir():
            return of_run(path)
        if path.is_file():
            return of_file(path)
    except OSError:  # a notation is too long for a file name
        pass
    names = published_names()
    if text in names:
        space = space_named(names[text])
        known = space.published[text]
        return of_plan(space.name, space.parse(known.notation), dict(known.settings))
    if any(mark in text for mark in "(|[{") or headed(text) or space_of(text):
        return of_text(text)
    if path.suffix or len(path.parts) > 1:
        raise InputError(f"{text} does not exist; an architecture is a run, a file, a published name or a notation")
    raise unknown("architecture", text, names)


def space_of(text: str) -> str | None:
    """The space whose notation ``text`` is, or was meant to be; None where no space recognises it."""
    return next((name for name in SPACES if space_named(name).recognises(text)), None)


def of_text(text: str) -> Design:
    """The design that a notation says; raises ``InputError``."""
    name, head = space_of(text), HEAD.match(text)
    if name is None and head:
        raise unknown("space", head[1], SPACES)
    space = space_named(name or "darts")  # which says what is wrong with a text that no space knows
    if not head or not head[2] or head[1] != space.name:
        return of_plan(space.name, space.parse(text))
    return of_plan(space.name, space.parse(f"{space.name}:{text[head.end() :]}"), settings_of(space.name, head[2]))


def settings_of(space: str, text: str) -> dict[str, Any]:
    """The settings of a network that stand in brackets behind its space's name."""
    if not re.fullmatch(f"(?:{SETTING.pattern})+", text):
        example = f"{space}(width=0.5, stem=cifar): ..."
        raise InputError(f"the settings of {space} must be names and values, such as {example}; got ({text[:80]})")
    return space_named(space).network.accepted({name: value_of(value) for name, value in SETTING.findall(text)})


def of_file(path: Path) -> Design:
    """The design in an architecture.json, or in a text file that holds a notation."""
    text = read_text(path)
    return of_json(text, path) if re.match(r"\s*\{(?!\W*(normal|reduce|recurrent)\b)", text) else of_text(text)


def of_run(folder: Path) -> Design:
    """The design a run found, or retrained."""
    path = folder / "architecture.json"
    if not path.exists():
        reason = "the run is not finished: go on with --resume" if (folder / "config.yaml").exists() else "it is not the folder of a run"
        raise InputError(f"{folder} has no architecture.json: {reason}")
    return of_file(path)


def of_json(text: str, path: Path) -> Design:
    """The design in the text of an architecture.json."""
    stored = architecture_of(text, path)
    if stored["space"] not in SPACES:
        raise InputError(f"{path} is of the space {stored['space']!r}, which is not built in: use supernet.load(RUN, model) in Python")
    settings, choices = tuples(stored.get("settings", {})), stored["choices"] and tuples(stored["choices"])
    try:
        found = of_plan(stored["space"], _stored_plan(stored["space"], choices, stored.get("genotype"), path), settings)
    except InputError as error:
        raise InputError(f"{path}: {str(error).removeprefix(f'{path} ')}") from error
    except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError) as error:  # what the space makes of them
        raise InputError(f"{path}: its choices are not those of a network of {stored['space']}") from error
    return replace(found, choices=found.choices if choices is None else choices, folder=path.parent, stored=stored)


def _stored_plan(name: str, choices: Architecture | None, notation: str | None, path: Path) -> Any:
    """What a stored network is built from: its notation, whose order of edges its weights follow; where there is none, its choices."""
    space = space_named(name)
    if notation is None and choices is not None:
        return choices
    plan = of_text(notation or "").plan
    if choices is None:
        return plan
    same = [space.notation(space.plans.ordered(each)) for each in (plan, space.plans.of(choices))]
    if len(set(same)) > 1:
        raise InputError(f"{path} says two networks: its choices are not those of its genotype; one of them was changed")
    return plan


def tuples(stored: Mapping[str, Any]) -> dict[str, Any]:
    """What JSON has as lists, as tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()}
