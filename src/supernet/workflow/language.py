"""Language modelling in the commands: the task, and the LSTM beside a retrained cell."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import nn

from supernet.data import text
from supernet.data.text_streams import TextStream
from supernet.language import LanguageModelling
from supernet.randomness import seed_everything
from supernet.records import FORMAT
from supernet.report.page import write_report
from supernet.run import Run
from supernet.settings import Settings, taken
from supernet.spaces import lstm
from supernet.spaces.recurrent_network import token_macs
from supernet.workflow.classification import ImageTask, dtype_of


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
        self.decided: Settings = {"text": {**own, "level": found.level}}  # of the section ``data``
        self.counts = {"training": len(found.train), "validation": len(found.validation), **({"test": len(found.test)} if testing else {})}
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

    @property
    def preprocessing(self) -> Settings:
        """What a network reads: the numbers of tokens, time first, as they stand in the vocabulary."""
        return {"layout": "TB", "level": self.text.level}


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
    alike = {k: run.config[k] for k in ("seed", "epochs", "data")}
    with run.sub("lstm", {"architecture": "lstm", "network": sizes, "metrics": task.scores(), **alike}) as sub:
        seed_everything(seed)
        model = task.place(lstm.network(**sizes))
        scores = train(model, sub)
        costs = {"params": lstm.size(sizes["hidden"], sizes["tokens"]), "macs": token_macs(model)}
        flat = {f"{part}_{name}": value for part, metrics in scores.items() for name, value in metrics.items()}
        stored = {"format": FORMAT, "space": "lstm", "settings": sizes, "choices": None, "scores": flat, "costs": costs}
        sub.write_json("architecture.json", stored)
        write_report(sub.folder)
    return {**costs, "hidden": sizes["hidden"], **scores}
