"""Language modelling in the commands: the task, recipe and strategy that a space asks for, and the LSTM beside a retrained cell."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import nn

from supernet.data import text
from supernet.data.text_streams import TextStream
from supernet.language import LanguageModelling
from supernet.report.page import write_report
from supernet.run import FORMAT, Run, seed_everything
from supernet.settings import Settings, taken
from supernet.spaces import lstm, space_module
from supernet.spaces.recurrent_network import token_macs
from supernet.strategies import STRATEGIES
from supernet.strategies.averaged import Averaged
from supernet.strategies.by_length import ByLength
from supernet.strategies.retrain import Retrain
from supernet.workflow.classification import IMAGES, ImageTask, dtype_of, image_task

MAIN = ("accuracy", "perplexity", "validation")  # the score of a run is the first of these that was measured
READ = ("source", "limit", "batch_size", "text")  # of the section ``data``, what matters to a text


class TextTask(LanguageModelling):
    """Language modelling on a text read by name or path, a single file cut alike for every seed.

    ``settings``: the ``data`` section of a command. ``lengths``: of training chunks. Only a retraining gets the test split (``testing``).
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        *,
        lengths: str,
        seed: int,
        device: str = "cpu",
        autocast: str | None = None,
        testing: bool = False,
    ):
        own = settings["text"]
        found = text.load(settings["source"], level=own["level"], min_count=own["min_count"])
        self.text = found = found if settings["limit"] is None else found.limited(settings["limit"])
        make = partial(TextStream, batch=settings["batch_size"], steps=own["steps"])
        rest = partial(make, training=False, evaluation_batch=own["evaluation_batch"])
        super().__init__(
            make(found.train, lengths=lengths, seed=seed),
            rest(found.validation),
            rest(found.test) if testing else None,
            slowness=own["slowness"],
            activation=own["activation"],
            device=device,
            autocast=dtype_of(autocast),
            seed=seed,
        )
        for note in found.notes:
            print(f"note: {note}", file=sys.stderr)

    @property
    def sizes(self) -> Settings:
        """What a supernet and a network for this data are built with."""
        return {"tokens": len(self.text.vocabulary)}

    @property
    def about(self) -> Settings:
        """What a trained network's outputs stand for."""
        return {"level": self.text.level, "tokens": len(self.text.vocabulary)}


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


def fitted(settings: Settings, task: ImageTask | TextTask, section: str) -> Settings:
    """The settings of a supernet or a network, with the sizes that the data asks for where they are not set."""
    return {**task.sizes, **settings[section]}


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


def keep_vocabulary(run: Run, task: ImageTask | TextTask) -> None:
    """Write what the tokens stand for, by number, into the run of a language model."""
    if isinstance(task, TextTask):
        run.write_json("vocabulary.json", list(task.text.vocabulary))


def lstm_beside(
    run: Run, cell: Mapping[str, Any], task: ImageTask | TextTask, seed: int, train: Callable[[nn.Module, Run], dict[str, dict[str, float]]]
) -> dict[str, Any]:
    """A plain LSTM as large as a cell's network, trained like it in the folder ``lstm`` of ``run``: its sizes and metrics.

    ``cell``: what ``describe`` says of it. ``train(model, run)``: trains, writes the weights, gives the metrics by split. The task must
    be where it was before the cell.
    """
    sizes = {**taken(lstm.network, cell["settings"]), "hidden": lstm.hidden_for(cell["params"], cell["settings"]["tokens"])}
    with run.sub("lstm", {"architecture": "lstm", "network": sizes, **{k: run.config[k] for k in ("seed", "epochs", "data")}}) as sub:
        seed_everything(seed)
        model = task.place(lstm.network(**sizes))
        scores = train(model, sub)
        costs = {"params": lstm.size(sizes["hidden"], sizes["tokens"]), "macs": token_macs(model)}
        flat = {f"{part}_{name}": value for part, metrics in scores.items() for name, value in metrics.items()}
        stored = {"format": FORMAT, "space": "lstm", "settings": sizes, "choices": None, "scores": flat, "costs": costs}
        sub.write_json("architecture.json", stored)
        write_report(sub.folder)
    return {**costs, "hidden": sizes["hidden"], **scores}
