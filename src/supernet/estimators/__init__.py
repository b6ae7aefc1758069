"""Estimators: what an architecture is worth. One call, ``estimate(architecture, fidelity=1.0) -> metrics``."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from supernet.errors import InputError
from supernet.explore.executor import Metrics
from supernet.places import at, named
from supernet.space import Architecture


class Estimator(Protocol):
    """What an architecture is worth. The answer depends on the architecture and the fidelity alone, and all else is left as it was."""

    def __call__(self, architecture: Architecture, fidelity: float = 1.0) -> Metrics:
        """Metrics by name, of an estimate on which the share ``fidelity`` of its full cost is spent: above 0 and at most 1.

        Raises ``InputError`` where it has no such answer, ``FloatingPointError`` where the estimate failed.
        """


@dataclass(frozen=True)
class Known:
    """An estimator by name.

    path: "module:class"; a table's ``estimate`` is called. Where it ``needs`` data, the class takes (build, task), and whatever it names
    of ``seed``, ``epochs``, ``steps``, ``strategy``, ``space``, the choices, ``lineage`` and ``states``. about: what it scores by.
    cheaper: what a smaller fidelity is; None: there is no cheaper answer. raised: the score that it gives, to be raised; None: it gives the
    task's own metrics. inherits: whether an answer depends on what was asked before, which a ``lineage`` then follows. together:
    whether it puts scores of untrained networks together; of: which, where they were named.
    """

    path: str
    needs: Literal["supernet", "data", "table", "predictor"]
    about: str
    cheaper: str | None
    raised: str | None = None
    inherits: bool = False
    together: bool = False
    of: tuple[Known, ...] = ()

    @property
    def single(self) -> bool:
        """Whether it is one score of an untrained network."""
        return self.needs == "data" and self.raised is not None and not self.together

    def load(self) -> type[Any]:
        """The class."""
        found: type[Any] = at(self.path)
        return type(found.__name__, (found,), {"of": tuple(one.load() for one in self.of)}) if self.of else found


ESTIMATORS = {
    "shared": Known(
        "supernet.estimators.shared:SharedWeights",
        needs="supernet",
        about="the weights of a trained supernet",
        cheaper="the beginning of the calibration and of the validation batches",
    ),
    "scratch": Known(
        "supernet.estimators.scratch:FromScratch",
        needs="data",
        about="training each architecture from nothing",
        cheaper="a share of the training steps, with schedules as long; the scoring is whole",
    ),
    "inherited": Known(
        "supernet.estimators.inherited:Inherited",
        needs="data",
        about="training each architecture from the trained weights of its parent, or of the nearest before it",
        cheaper="a share of the training steps, with schedules as long; the scoring is whole",
        inherits=True,
    ),
    "synflow": Known(
        "supernet.estimators.synflow:Synflow",
        needs="data",
        about="the synaptic flow of the untrained network, in one pass",
        cheaper=None,
        raised="synflow",
    ),
    "naswot": Known(
        "supernet.estimators.naswot:Naswot",
        needs="data",
        about="how well the units of the untrained network tell the examples of a batch apart, in one pass",
        cheaper=None,
        raised="naswot",
    ),
    "jacob-cov": Known(
        "supernet.estimators.jacob_cov:JacobCov",
        needs="data",
        about="how unlike the Jacobians of the untrained network are at the examples of a batch, in one pass",
        cheaper=None,
        raised="jacob-cov",
    ),
    "snip": Known(
        "supernet.estimators.snip:Snip",
        needs="data",
        about="how sensitive the loss of the untrained network is to each of its weights, in one pass",
        cheaper=None,
        raised="snip",
    ),
    "grad-norm": Known(
        "supernet.estimators.grad_norm:GradNorm",
        needs="data",
        about="the gradients' norms of the untrained network, in one pass",
        cheaper=None,
        raised="grad-norm",
    ),
    "grasp": Known(
        "supernet.estimators.grasp:Grasp",
        needs="data",
        about="what the weights of the untrained network do for the flow of gradients, in one pass and its second derivative",
        cheaper=None,
        raised="grasp",
    ),
    "fisher": Known(
        "supernet.estimators.fisher:Fisher",
        needs="data",
        about="the Fisher information of the untrained network's channels, in one pass",
        cheaper=None,
        raised="fisher",
    ),
    "zen": Known(
        "supernet.estimators.zen:Zen",
        needs="data",
        about="how far the untrained network's features move with its inputs, in two passes without data",
        cheaper=None,
        raised="zen",
    ),
    "vote": Known(
        "supernet.estimators.vote:Vote",
        needs="data",
        about="how many of 50 random architectures most of synflow, jacob-cov and snip prefer it to",
        cheaper=None,
        raised="vote",
        together=True,
    ),
    "standing": Known(
        "supernet.estimators.standing:Standing",
        needs="data",
        about="how far synflow and naswot, or others as in synflow+zen, put it above 50 random architectures",
        cheaper=None,
        raised="standing",
        together=True,
    ),
    "table": Known(
        "supernet.estimators.tabular:Table",
        needs="table",
        about="finished trainings in a file",
        cheaper="a column of shorter trainings, in tables that have one",
        raised="validation",
    ),
    "predictor": Known(
        "supernet.estimators.predicted:Predicted",
        needs="predictor",
        about="models fitted to measurements; in programs only",
        cheaper=None,
    ),
}


def estimator_named(name: str) -> Known:
    """An entry of ``ESTIMATORS``, or the standing by scores of untrained networks, synflow+zen; raises ``InputError`` for another name."""
    if "+" not in name:
        return named(ESTIMATORS, name, "estimator")
    together = {one.strip(): named(ESTIMATORS, one.strip(), "estimator") for one in name.split("+")}
    able = [known for known, each in ESTIMATORS.items() if each.single]
    if other := next((one for one, known in together.items() if not known.single), None):
        raise InputError(f"{other} cannot stand in {name}, where scores of untrained networks do: {', '.join(able)}")
    if len(together) < 2:
        raise InputError(f"scores that are put together differ; got {name}")
    return replace(ESTIMATORS["standing"], of=tuple(together.values()))


def part(fidelity: float, whole: int) -> int:
    """How many of ``whole`` batches or steps a share of them is: rounded up, at least 1 of any."""
    return math.ceil(fidelity * whole - 1e-9)  # 0.1 of 30 is 3
