"""What a command learns: the task, the recipe and the training that a space asks for, of images or of text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from supernet.settings import Settings
from supernet.spaces import space_module
from supernet.strategies import STRATEGIES
from supernet.strategies.averaged import Averaged
from supernet.strategies.by_length import ByLength
from supernet.strategies.retrain import Retrain
from supernet.workflow.classification import IMAGES, ImageTask, image_task
from supernet.workflow.language import TextTask

MAIN = ("accuracy", "perplexity", "validation")  # the score of a run is the first of these that was measured
READ = ("source", "limit", "batch_size", "text")  # of the section ``data``, what matters to a text


def reads_text(space: str) -> bool:
    """Whether the networks of a space read tokens, not images."""
    return "tokens" in space_module(space).SEARCH


def with_recipe(settings: Settings, space: str) -> Settings:
    """``settings`` laid over the recipe of the space for this command; of ``data``, only what the space's kind of data has.

    A learning rate that the recipe holds constant stays so where the user gives another.
    """
    recipe: Settings = getattr(space_module(space), "RECIPE", IMAGES)[settings["command"]]
    own = {section: recipe.get(section, {}) for section in ("data", "weights", "strategy")}
    given, data, weights = settings["weights"], settings["data"], {**own["weights"], **settings["weights"]}
    if "lr" in given and "lr_min" not in given and own["weights"].get("lr_min", 0) == own["weights"].get("lr"):
        weights["lr_min"] = given["lr"]
    kept = READ if reads_text(space) else [name for name in data if name != "text"]
    whole = {**settings, "data": {k: own["data"].get(k) if data[k] is None else data[k] for k in kept}, "weights": weights}
    method = STRATEGIES.get(settings.get("method", ""))
    if method and method.alphas:
        whole["strategy"] = {**own["strategy"], **settings["strategy"]}
    return whole


def task_of(settings: Settings, space: str, testing: bool = False) -> ImageTask | TextTask:
    """The task of a command's settings; chunks of text are as long as DARTS' code has them in a search and in a retraining."""
    if not reads_text(space):
        return image_task(settings, testing)
    machine = {k: settings[k] for k in ("seed", "device", "autocast")}
    lengths = "normal" if settings["command"] == "retrain" else "halved"
    return TextTask(settings["data"], lengths=lengths, testing=testing, **machine)


def trainer(space: str) -> type[Retrain]:
    """What trains the evaluation network of a space."""
    return Averaged if reads_text(space) else Retrain


def by_length(strategy: Any, task: ImageTask | TextTask) -> Any:
    """The strategy; on text, one whose learning rates follow the length of each chunk."""
    return ByLength(strategy, task.streams["train"]) if isinstance(task, TextTask) else strategy


def finite(scores: Mapping[str, float] | None) -> dict[str, float]:
    """The scores that are numbers: shared weights can give a single recurrent cell states that grow without bound."""
    return {name: value for name, value in (scores or {}).items() if math.isfinite(value)}


def main_score(scores: Mapping[str, float]) -> float | None:
    """The score that a run is judged by: accuracy, or perplexity of language; None where it was not measured."""
    return next((scores[name] for name in MAIN if name in scores), None)
