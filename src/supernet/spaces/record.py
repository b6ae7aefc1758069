"""What a search space is: one frozen record, which the module of the space makes and ``supernet.spaces.space`` gives by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from torch import nn

from supernet.costs import count
from supernet.settings.given import Settings, accepted, defaults
from supernet.space import Architecture
from supernet.spaces.pictured import Graph

HEAD = re.compile(r"\s*([A-Za-z][\w-]*)\s*(?:\(([^()]*)\))?\s*:")  # a notation may begin with its space, perhaps with settings in brackets
PICTURES = ("classification", "multi-label", "regression")  # the tasks that a network from pictures to a vector is for
Sizes = TypeVar("Sizes")
Serves = Mapping[str, Callable[[Any], Mapping[str, Any]]]  # what methods may need of a space -> the settings that give a value of it


@dataclass(frozen=True)
class Build:
    """One of the two networks of a space, as a function of its settings.

    ``what``: its name in messages. ``make``: the function, of keyword arguments, for a network after its architecture.
    ``sizes``: the dataclass of its settings, where their types, bounds and defaults stand, or a partial with other defaults.
    ``said``: the settings that are said of every such network, in order; all others only where they are given.
    ``stems``: stem -> the settings that go with it where they are not given.
    """

    what: str
    make: Callable[..., Any]
    sizes: Callable[..., Any]
    said: tuple[str, ...]
    stems: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __call__(self, *architecture: Any, **settings: Any) -> Any:
        return self.make(*architecture, **settings)

    def usual(self, stem: str | None = None) -> Settings:
        """The settings that are said of every network with that stem; None, or one that is not known: the stem by default."""
        own = defaults(self.sizes)
        usual = {name: own[name] for name in self.said}
        if not self.stems:
            return usual
        known: str = stem if stem is not None and stem in self.stems else own["stem"]
        return {**usual, "stem": known, **self.stems[known]}

    def accepted(self, given: Mapping[str, Any]) -> Settings:
        """``given``, checked by names and types; raises ``InputError``."""
        return accepted(self.what, self.sizes, given)

    def sized(self, given: Mapping[str, Any]) -> Settings:
        """All that is said of a network: the usual settings, over them those ``given``, checked."""
        known = self.accepted(given)
        return {**self.usual(known.get("stem")), **known}

    def taken(self, given: Mapping[str, Any]) -> Settings:
        """Those of ``given`` that are settings of this build."""
        return {name: value for name, value in given.items() if name in defaults(self.sizes)}


@dataclass(frozen=True)
class Plans:
    """What the networks of a space are built from: by default choices, in spaces of cells genotypes, which can say more.

    ``of``: choices -> plan. ``choices``: plan -> choices; raises ``InputError`` where none say it. ``ordered``: plan -> the same plan,
    equal for all that say the same.
    """

    of: Callable[[Any], Any] = dict
    choices: Callable[[Any], Architecture] = dict
    ordered: Callable[[Any], Any] = dict


@dataclass(frozen=True)
class Published:
    """A network that was published in a space: its notation, whom to cite, and the settings that its source fixes.

    ``repository``: the URL that it was read from; ``original``: its name there.
    """

    notation: str
    cite: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    repository: str = ""
    original: str = ""


def image_macs(network: nn.Module, settings: Mapping[str, Any]) -> int:
    """Multiply-adds of a network for one image of its ``shape``."""
    return count.macs(network, tuple(settings["shape"]))


@dataclass(frozen=True)
class Space:
    """A search space.

    ``supernet``: with every choice open. ``network``: of one architecture or its notation, as it is trained from nothing and described.
    ``one_build``: the network has the settings of the supernet, so that one table of latencies is of both, and its notation says them.
    ``parse``: text -> plan; raises ``InputError``. ``notation``: plan or choices -> text. ``recognises``: whether a text is, or was meant
    to be, a notation of this space.
    ``tasks``: what its networks are for. ``published``: networks by name. ``recipes``: settings of commands, by recipe.
    ``macs``: (network, settings) -> multiply-adds of one example. ``serves``: what methods may need of it, and how it is given.
    ``opens``: the settings of the supernet, not of the network, that say which choices there are. ``whole``: its networks are not put
    together from parts of the supernet, so that what they cost is counted of each, and latencies of parts say nothing. ``chain``: its
    networks are one chain of blocks, which are drawn one by one. ``pictured``: choices -> the graphs to draw, by title; without it, and
    where it is no chain, what is drawn goes by the names of the choices and by the notation.
    """

    name: str
    citation: str
    supernet: Build
    network: Build
    parse: Callable[[str], Any]
    notation: Callable[[Any], str]
    recognises: Callable[[str], bool]
    tasks: tuple[str, ...] = PICTURES
    plans: Plans = field(default_factory=Plans)
    one_build: bool = False
    published: Mapping[str, Published] = field(default_factory=dict)
    recipes: Mapping[str, Settings] = field(default_factory=dict)
    macs: Callable[[nn.Module, Mapping[str, Any]], int] = image_macs
    serves: Serves = field(default_factory=dict)
    opens: tuple[str, ...] = ()
    whole: bool = False
    chain: bool = False
    pictured: Callable[[Mapping[str, Any]], Mapping[str, Graph]] | None = None

    def served(self, needs: Mapping[str, Any]) -> Settings:
        """The settings of the supernet that give what the space can of ``needs``; a method does without the rest, or refuses."""
        able = [(self.serves[need], asked) for need, asked in needs.items() if need in self.serves]
        return {name: value for serve, asked in able for name, value in serve(asked).items()}

    def costs(self, network: nn.Module, settings: Mapping[str, Any]) -> dict[str, int]:
        """Parameters, those of an auxiliary head where ``settings`` ask for one, and multiply-adds of one example in evaluation mode."""
        params = count.params(network, without=() if settings.get("auxiliary") else ("auxiliary",))
        return {"params": params, "macs": self.macs(network, settings)}

    def builds_again(self, needs: Mapping[str, Any]) -> bool:
        """Whether a method that goes through stages can have the supernet of each built."""
        return "stages" in needs and "stages" in self.serves


def setting(name: str) -> Callable[[Any], Mapping[str, Any]]:
    """How a need is served that is the setting of that name."""
    return lambda value: {name: value}


def headed(text: str) -> str | None:
    """The name that a notation begins with, before a colon; None where there is none."""
    found = HEAD.match(text)
    return found[1] if found else None


def following(sizes: Sizes, stems: Mapping[str, Mapping[str, Any]]) -> Sizes:
    """A dataclass of settings with what goes with its stem in the place of None; with an unknown stem, what goes with the first."""
    own = vars(sizes)
    goes = stems.get(own["stem"], next(iter(stems.values())))
    return replace(sizes, **{name: value for name, value in goes.items() if own[name] is None})  # type: ignore[type-var]
