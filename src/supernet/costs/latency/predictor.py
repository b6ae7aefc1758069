"""Predict the latency of whole networks from networks that were measured whole.

A linear model of the options taken, as latency is nearly a sum, and a model of what that leaves: a perceptron (as in Cai et al. 2020
(Once-for-All), section 3.4, https://arxiv.org/abs/1908.09791) or boosted trees (Friedman 2001), with as much of its say as
networks held out bear out. Files hold plain numbers.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any, Literal

import torch
from torch import Tensor

from supernet.costs.latency.machine import differences
from supernet.costs.latency.table import FORMAT, short, write_text
from supernet.errors import InputError, unknown
from supernet.files.readers import read_json
from supernet.files.typed import typed
from supernet.mixture import Mixture, one_hot, reach
from supernet.settings.quantities import Amount, Finite
from supernet.space import Architecture, Option, SearchSpace

KIND = "latency predictor"
KINDS = ("mlp", "boosting")
HIDDEN = (64, 64)
RIDGES = (0.01, 0.1, 1.0, 10.0, 100.0)  # of which leave-one-out chooses
FEWEST = 20  # networks


@dataclass(frozen=True)
class Layer:
    """One layer of a perceptron: ``weight`` (inputs, outputs) and ``bias`` (outputs,)."""

    weight: tuple[tuple[Finite, ...], ...]
    bias: tuple[Finite, ...]


@dataclass(frozen=True)
class Tree:
    """A regression tree by node. ``feature`` -1: a leaf with ``value``; else ``left`` where the feature is 0, ``right`` where 1."""

    feature: tuple[int, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    value: tuple[Finite, ...]


@dataclass(frozen=True)
class Predictor:
    """Milliseconds of an architecture: ``bias`` + ``weights`` of the options taken + ``scale`` x what layers or trees make of them.

    Where that is below 0, it is 0.
    ``choices``: of the space, with their options.
    """

    kind: Literal["mlp", "boosting"]
    choices: dict[str, tuple[Option, ...]]
    bias: Finite
    weights: tuple[Finite, ...]
    scale: Amount
    layers: tuple[Layer, ...] = ()
    trees: tuple[Tree, ...] = ()
    machine: dict[str, Any] = field(default_factory=dict)  # see supernet.costs.latency.machine.machine

    @property
    def opaque(self) -> str:
        """Boosted trees have no gradient."""
        return "" if self.kind == "mlp" else "boosted trees have no gradient: fit a predictor with predictor=mlp for a gradient method"

    def differs(self, machine: Mapping[str, Any]) -> list[str]:
        """In what a machine differs from the one that was measured, one line each."""
        return differences(self.machine, machine)

    def predict(self, space: SearchSpace, architecture: Architecture) -> float:
        """The latency of one architecture, in ms; raises ``InputError`` for another space."""
        return float(self.expected(space, one_hot(space, space.check(architecture))))

    def expected(self, space: SearchSpace, mixture: Mixture) -> Tensor:
        """The latency of a blend, differentiable where it is above 0; of a one-hot blend, that of the architecture.

        Raises ``InputError`` for a blend under boosted trees, which have no gradient, and for another space.
        """
        encoded = self._encoded(space, mixture)
        if self.kind == "mlp":
            return self._through(encoded).clamp(min=0)
        if any(mix.weights is not None for mix in mixture.values()):
            raise InputError("boosted trees have no gradient: fit a predictor with kind='mlp' for a gradient method")
        taken = encoded.tolist()
        return (self._linear(encoded) + self.scale * math.fsum(_leaf(tree, taken) for tree in self.trees)).clamp(min=0)

    def _encoded(self, space: SearchSpace, mixture: Mixture) -> Tensor:
        """How far each option is taken: (options of all choices,), what ``space.encode`` says of a one-hot blend."""
        if {n: c.options for n, c in space.items()} != dict(self.choices):
            raise InputError("the predictor was fitted on another space: its choices or options differ")
        on = reach(space, mixture)
        places = [torch.as_tensor(on[n] * mixture[n].weight(i)).double() for n, c in space.items() for i in range(len(c.options))]
        return torch.stack(places)

    @cached_property
    def _tensors(self) -> list[tuple[Tensor, Tensor]]:
        """Weight and bias of the linear model, then of every layer."""
        rows: list[tuple[Any, Any]] = [(self.weights, self.bias), *((layer.weight, layer.bias) for layer in self.layers)]
        return [(torch.tensor(weight, dtype=torch.float64), torch.tensor(bias, dtype=torch.float64)) for weight, bias in rows]

    def _linear(self, encoded: Tensor) -> Tensor:
        weight, bias = self._tensors[0]
        return bias + encoded @ weight

    def _through(self, encoded: Tensor) -> Tensor:
        x = encoded
        for i, (weight, bias) in enumerate(self._tensors[1:], start=1):
            x = bias + x @ weight
            x = x.relu() if i < len(self.layers) else x
        return self._linear(encoded) + self.scale * x.sum()

    def write(self, path: str | Path) -> None:
        """Write the predictor whole or not at all."""
        write_text(path, json.dumps({"format": FORMAT, "unit": "ms", **asdict(self), "kind": KIND, "model": self.kind}) + "\n")

    @classmethod
    def read(cls, path: str | Path) -> Predictor:
        """Read what ``write`` wrote; raises ``InputError``."""
        content = read_json(path)
        if not isinstance(content, dict) or content.get("kind") != KIND or content.get("format") != FORMAT:
            raise InputError(f"{path} is not a latency predictor that this version reads")
        fields = {k: v for k, v in content.items() if k not in ("format", "unit", "model")} | {"kind": content.get("model")}
        found: Predictor = typed(cls, fields, str(path))
        try:
            found._sound()
        except ValueError as error:
            raise InputError(f"{path}: {error}") from error
        return found

    def _sound(self) -> None:
        """Raise ``ValueError`` where sizes do not agree or a tree does not end."""
        width = sum(map(len, self.choices.values()))
        if len(self.weights) != width or bool(self.layers) != (self.kind == "mlp"):
            raise ValueError("its weights are not those of its choices")
        for layer in self.layers:
            if len(layer.weight) != width or {len(row) for row in layer.weight} != {len(layer.bias)}:
                raise ValueError("its layers do not fit together")
            width = len(layer.bias)
        for tree in self.trees:
            nodes = list(zip(tree.feature, tree.left, tree.right, tree.value, strict=True))
            if not all(
                f == -1 or (f < len(self.weights) and i < a < len(nodes) and i < b < len(nodes)) for i, (f, a, b, _) in enumerate(nodes)
            ):
                raise ValueError("a tree does not end")


def _leaf(tree: Tree, taken: Sequence[float]) -> float:
    node = 0
    while tree.feature[node] >= 0:
        node = (tree.right if taken[tree.feature[node]] > 0.5 else tree.left)[node]
    return tree.value[node]


def fit_predictor(
    space: SearchSpace, architectures: Sequence[Architecture], ms: Sequence[float], *, kind: str = "mlp", seed: int = 0
) -> Predictor:
    """A predictor of the latency of ``architectures``, measured as ``ms``.

    ``kind``: "mlp", which gradient methods can use too, or "boosting". Raises ``InputError`` for too few networks or what is no time.
    """
    from sklearn.linear_model import RidgeCV

    if kind not in KINDS:
        raise unknown("kind of predictor", kind, KINDS)
    if len(architectures) != len(ms) or len(ms) < FEWEST:
        raise InputError(f"a predictor needs {FEWEST} networks or more, each with its time; got {len(architectures)} and {len(ms)} times")
    if bad := [t for t in ms if not 0 <= t < math.inf]:
        raise InputError(f"a latency is a number of at least 0; got {bad[0]}")
    order = list(range(len(ms)))
    Random(seed).shuffle(order)
    x = [space.encode(space.check(architectures[i])) for i in order]
    y = [float(ms[i]) for i in order]
    linear = RidgeCV(alphas=RIDGES).fit(x, y)
    rest = [a - b for a, b in zip(y, linear.predict(x).tolist(), strict=True)]
    deviation = math.sqrt(math.fsum(r * r for r in rest) / len(rest)) or 1.0
    held = max(len(x) // 8, 4)
    model = _fitted(kind, x[held:], [r / deviation for r in rest[held:]], seed)
    guess, left = model.predict(x[:held]).tolist(), rest[:held]
    agreement = math.fsum(a * b for a, b in zip(guess, left, strict=True)) / (deviation * math.fsum(a * a for a in guess) or 1.0)
    made: dict[str, Any] = {"layers": tuple(_layers(model))} if kind == "mlp" else {"trees": tuple(_trees(model))}
    weights = tuple(short(w) for w in linear.coef_.tolist())
    choices = {n: c.options for n, c in space.items()}
    scale = short(deviation * min(max(agreement, 0.0), 1.0))  # as much of it as the networks held out bear out
    return Predictor(kind, choices, short(float(linear.intercept_)), weights, scale, **made)  # type: ignore[arg-type]


def _fitted(kind: str, x: Sequence[Sequence[float]], y: Sequence[float], seed: int) -> Any:
    if kind == "boosting":
        from sklearn.ensemble import GradientBoostingRegressor

        return GradientBoostingRegressor(n_estimators=300, max_depth=4, subsample=0.8, init="zero", random_state=seed).fit(x, y)
    from sklearn.neural_network import MLPRegressor

    model = MLPRegressor(hidden_layer_sizes=HIDDEN, alpha=1e-2, max_iter=200, early_stopping=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        return model.fit(x, y)


def _layers(model: Any) -> Iterator[Layer]:
    for weight, bias in zip(model.coefs_, model.intercepts_, strict=True):
        yield Layer(tuple(tuple(map(short, row)) for row in weight.tolist()), tuple(map(short, bias.tolist())))


def _trees(model: Any) -> Iterator[Tree]:
    for (estimator,) in model.estimators_:
        tree = estimator.tree_
        feature = tuple(f if left >= 0 else -1 for f, left in zip(tree.feature.tolist(), tree.children_left.tolist(), strict=True))
        value = tuple(short(model.learning_rate * v) for v in tree.value[:, 0, 0].tolist())
        yield Tree(feature, tuple(tree.children_left.tolist()), tuple(tree.children_right.tolist()), value)
