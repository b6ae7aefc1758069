"""What a person may name as an architecture: a run, a file, a published name, or a notation as text."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from supernet.costs.count import macs, params
from supernet.errors import InputError, unknown
from supernet.genotype import Genotype, RecurrentGenotype, whole_numbers
from supernet.layers.base import Supernet
from supernet.readers import read_text
from supernet.records import architecture_of
from supernet.settings import accepted, json_ready, value_of
from supernet.sketch import sketched
from supernet.space import Architecture, Choice
from supernet.spaces import SPACES, space_module
from supernet.spaces.published import names, published
from supernet.spaces.published.recurrent import published_recurrent, recurrent_names
from supernet.spaces.serves import served
from supernet.strategies import Method, strategy

NAMED = re.compile(r"\s*([A-Za-z][\w-]+)\s*(?:\(([^()]*)\))?\s*:")  # the notation of a chain starts with its space, perhaps its settings
SETTING = re.compile(r"\s*(\w+)\s*=\s*(\[[^\[\]]*\]|[^,\[\]]+?)\s*(?:,|$)")


@dataclass(frozen=True)
class Design:
    """An architecture of a built-in space, and the settings of its evaluation network.

    ``plan``: what the space's ``network`` takes. ``choices``: the same as choices of the search space; None where it has none
    that say it. ``settings``: those the source fixes. ``stored``: the run's architecture.json where it comes from one.
    """

    space: str
    plan: Genotype | RecurrentGenotype | Architecture
    choices: Architecture | None
    notation: str
    settings: dict[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    stored: dict[str, Any] = field(default_factory=dict)

    def sized(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All settings of the network: the space's defaults, those of the source, those ``given`` (None: not given)."""
        module = space_module(self.space)
        chosen = {**self.settings, **{k: v for k, v in given.items() if v is not None}}
        known = accepted(f"a network of {self.space}", module.network, chosen)
        return {**usual(module, known.get("stem")), **known}

    def written(self, given: Mapping[str, Any] | None = None) -> str:
        """The notation; of a chain with the settings that are not usual, so that it names the network that ``describe`` counts."""
        module, sized = space_module(self.space), self.sized(given or {})
        if not getattr(module, "ONE_BUILD", False):
            return self.notation
        defaults = {name: p.default for name, p in inspect.signature(module.network).parameters.items()}
        base = {**defaults, **module.EVALUATION, **usual(module, sized.get("stem"))} | {"stem": module.EVALUATION["stem"]}
        own = {k: v for k, v in json_ready(sized).items() if v is not None and v != json_ready(base).get(k)}
        said = ", ".join(f"{name}={value}" for name, value in own.items())
        return self.notation.replace(self.space, f"{self.space}({said})", 1) if said else self.notation

    def network(self, given: Mapping[str, Any] | None = None) -> nn.Module:
        """The evaluation network."""
        built: nn.Module = space_module(self.space).network(self.plan, **self.sized(given or {}))
        return built

    def describe(self, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Parameters, multiply-adds of one image (or token) in evaluation mode, choices and settings."""
        sized, module = self.sized(given or {}), space_module(self.space)
        network = sketched(f"a network of {self.space}", lambda: self.network(given))
        counted = params(network, without=() if sized.get("auxiliary") else ("auxiliary",))
        work = module.macs(network, sized) if hasattr(module, "macs") else macs(network, tuple(sized["shape"]))
        found: dict[str, Any] = {"params": counted, "macs": work, "choices": self.choices}
        return {**found, "genotype": self.written(given), "settings": {k: list(v) if isinstance(v, tuple) else v for k, v in sized.items()}}


def usual(module: ModuleType, stem: str | None) -> dict[str, Any]:
    """The settings of a space's evaluation network that go with a stem; None: the space's own."""
    own: dict[str, Any] = getattr(module, {"imagenet": "IMAGENET", "cifar": "CIFAR"}.get(stem or "", "EVALUATION"), module.EVALUATION)
    return own


def chain_names() -> dict[str, str]:
    """The published networks that are chains of blocks: name -> space."""
    return {name: space for space in SPACES for name in getattr(space_module(space), "PUBLISHED", {})}


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
    if text in names():
        known = published(text)
        return _of_plan(known.space, known.genotype, dict(known.settings))
    if text in recurrent_names():
        return _of_plan("darts-rnn", published_recurrent(text).genotype)
    chains = chain_names()
    if text in chains:
        module = space_module(chains[text])
        notation, settings = module.PUBLISHED[text]
        return _of_plan(chains[text], module.parse(notation), dict(settings))
    if any(mark in text for mark in "(|[{") or whole_numbers(text) or NAMED.match(text):
        return of_text(text)
    if path.suffix or len(path.parts) > 1:
        raise InputError(f"{text} does not exist; an architecture is a run, a file, a published name or a notation")
    raise unknown("architecture", text, (*names(), *recurrent_names(), *chains))


def of_text(text: str) -> Design:
    """The design a notation says, by the space whose notation it looks like."""
    space, module = (name := space_of(text)), space_module(name)
    named = NAMED.match(text)
    if not named or not named[2] or named[1] != space:
        return _of_plan(space, module.parse(text))
    given = {}
    if not re.fullmatch(f"(?:{SETTING.pattern})+", named[2]):
        example = f"{space}(width=0.5, stem=cifar): ..."
        raise InputError(f"the settings of {space} must be names and values, such as {example}; got ({named[2][:80]})")
    for name, value in SETTING.findall(named[2]):
        given[name] = value_of(value)
    return _of_plan(space, module.parse(f"{space}:{text[named.end() :]}"), accepted(f"a network of {space}", module.network, given))


def space_of(text: str) -> str:
    """The space whose notation ``text`` looks like; raises ``InputError`` where it names another."""
    named, numbers = NAMED.match(text), whole_numbers(text)
    if "Genotype(" in text or text.lstrip().startswith("{"):
        return "darts-rnn" if re.search(r"\brecurrent\W?\s*[=:]", text) else "darts"
    if named and named[1] in SPACES:
        return named[1]
    if numbers or "~" in text or "nor_conv" in text:
        return "nasbench-macro" if numbers and len(numbers) != 6 else "nasbench201"
    if named:
        raise unknown("space", named[1], SPACES)
    return "darts"


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
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in stored.get("settings", {}).items()}
    choices = stored["choices"]
    if choices is not None:
        choices = {n: tuple(t) if isinstance(t, list) else t for n, t in choices.items()}
    try:
        plan = _stored_plan(stored["space"], choices, stored.get("genotype"), path)
        found = _of_plan(stored["space"], plan, settings)
    except InputError as error:
        raise InputError(f"{path}: {str(error).removeprefix(f'{path} ')}") from error
    except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError) as error:  # what the space makes of them
        raise InputError(f"{path}: its choices are not those of a network of {stored['space']}") from error
    return Design(found.space, plan, found.choices if choices is None else choices, found.notation, settings, path.parent, stored)


def _stored_plan(space: str, choices: Architecture | None, notation: str | None, path: Path) -> Any:
    """What a stored network is built from: its genotype, whose order of edges its weights follow; in spaces without, its choices."""
    module = space_module(space)
    if notation is None and choices is not None:
        return choices
    said = of_text(notation or "")
    plan = said.plan
    if isinstance(plan, Genotype | RecurrentGenotype):
        alike = choices is None or module.to_genotype(choices).ordered() == plan.ordered()
    else:
        alike, plan = choices is None or module.notation(choices) == said.notation, plan if choices is None else choices
    if not alike:
        raise InputError(f"{path} says two networks: its choices are not those of its genotype; one of them was changed")
    return plan


def _of_plan(space: str, plan: Any, settings: dict[str, Any] | None = None) -> Design:
    module = space_module(space)
    if not isinstance(plan, Genotype | RecurrentGenotype):
        return Design(space, plan, dict(plan), module.notation(plan), settings or {})
    try:
        choices = module.to_architecture(plan)
    except InputError:
        choices = None
    return Design(space, plan, choices, str(plan), settings or {})


def alphas(choice: Choice, method: Method | None, space: str) -> int:
    """How many architecture parameters a method learns for a choice; None: as DARTS does."""
    if method is None:
        return len(choice.options) if choice.pick is None else 0
    return method.load(space).logits(choice)


def describe_space(space: str, method: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a space's supernet, the number of alphas a method learns, the options of every choice, the space's size."""
    module = space_module(space)
    known = strategy(method) if method else None
    own = served(space, known.load(space).needs) if known else {}
    sizes = usual(module, given.get("stem")) if getattr(module, "ONE_BUILD", False) else module.SEARCH
    settings = {**sizes, **own, **{k: v for k, v in given.items() if v is not None}}
    settings = accepted(f"the supernet of {space}", module.supernet, settings)
    supernet: Supernet = sketched(f"the supernet of {space}", lambda: module.supernet(**settings))
    open_choices = supernet.space.values()
    return {
        "supernet_params": params(supernet, without=()),
        "alphas": sum(alphas(c, known, space) for c in open_choices),
        "choices": {c.name: list(c.options) for c in open_choices},
        "size": supernet.space.size(),
        "settings": {k: list(v) if isinstance(v, tuple) else v for k, v in settings.items()},
    }
