"""A retraining before it is made: the network, its data and how it is trained, checked together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from supernet.errors import InputError
from supernet.modules.sketch import fitting, megabytes, sketched
from supernet.modules.weights import read
from supernet.naming.design import Design
from supernet.naming.lookup import design
from supernet.ops import AuxiliaryHead, DropPath
from supernet.plan.recipe import recipe_of
from supernet.plan.resolved import check_graph, computing, config_of, use_machine, weights_of
from supernet.plan.supernets import check_initial
from supernet.randomness import seed_everything
from supernet.settings.commands import Retrain
from supernet.settings.given import NOT_FOR_USERS, Settings, accepted, defaults
from supernet.spaces import space as space_named
from supernet.strategies.retrain import Retrain as Retraining
from supernet.strategies.weights import Weights
from supernet.task import usable
from supernet.tasks.kind import Kind
from supernet.ways.ahead import Ahead, Batches, ahead


@dataclass(frozen=True)
class RetrainPlan:
    """A training of the network of ``there`` with ``sizes`` on ``task``, from the weights in the file ``initial`` or from nothing.

    ``shared``: the file of the supernet's weights that it starts from instead.
    ``training``: settings of what trains it. ``beside``: whether what the task has to stand beside it is trained too.
    ``found_by``, ``source``: what is said of where the architecture and the data are from. ``config``: what config.yaml of its run holds,
    every setting with its value.
    """

    there: Design
    task: Kind
    sizes: Settings
    training: Mapping[str, Any]
    epochs: int
    save_every: float
    seed: int
    device: str
    initial: str | None
    shared: Path | None
    beside: bool
    found_by: Mapping[str, Any]
    source: str
    config: Settings

    def strategy(self, model: nn.Module) -> Retraining:
        """What trains a network."""
        made: Retraining = self.task.paced(self.task.trainer(model, self.task, **self.training))
        return made

    @property
    def document(self) -> dict[str, Any]:
        """What ``--dry-run`` prints: all settings with their values, the network and its costs, the number of examples."""
        described = self.there.describe(self.sizes)
        size = {"network_mb": megabytes(sketched("the network", self._network))}
        return {"settings": self.config, **{k: described[k] for k in ("params", "macs", "genotype")}, **size, "examples": self.task.counts}

    def ahead(self) -> Ahead:
        """What the training takes."""

        def begin(task: Kind) -> Retraining:
            seed_everything(self.seed)
            return replace(self, task=task).strategy(task.place(self._network()))

        return ahead(begin, self.task, Batches(self.config["data"]["batch_size"], self.task.counts["training"]))

    def _network(self) -> nn.Module:
        return self.there.network(self.sizes)

    @property
    def remarks(self) -> Sequence[str]:
        """What is said before the retraining begins."""
        return [f"runs on {computing(self.config)}", *self.task.before_training]


def plan_retrain(settings: Retrain) -> RetrainPlan:
    """Read the data, build the network without storage, and refuse what the retraining would refuse, up to its first step.

    Raises ``InputError``. Sets the number of threads, since results depend on it.
    """
    if settings.architecture is None:
        raise InputError("a retraining needs an architecture: a run, a file, a published name or a notation")
    usable(settings.device)
    there = design(settings.architecture)
    space = space_named(there.space)
    recipe = recipe_of(settings, space, there.stored.get("task"))
    trainer = recipe.kind.trainer
    accepted("retrain", trainer, settings.retrain, fixed=NOT_FOR_USERS["retrain"])
    accepted("weights", Weights, settings.weights, fixed=NOT_FOR_USERS["weights"])
    space.network.accepted(settings.network)
    check_graph(settings, recipe.kind)
    threads, task = use_machine(settings), recipe.kind.read(recipe.data, settings, testing=True)
    sizes = {**there.settings, **task.sizes, **settings.network}
    network = fitting(f"a network of {space.name}", partial(there.network, sizes))
    check_acting(network, settings.retrain)
    shared = shared_weights(there, settings, network) if settings.start == "shared" else None
    if settings.initial:
        check_initial(network, settings.initial)
    training = {"weights": partial(Weights, **{"lr_min": 0.0, **recipe.weights}), **settings.retrain}
    start = task.data.state_dict()
    trainer(network, task, **training)  # which refuses what it would refuse
    task.data.load_state_dict(start)
    own = {"threads": threads, "task": task.name, "data": recipe.data, "weights": recipe.weights}
    values = {
        "network": {**defaults(space.network.sizes), **there.sized(sizes)},
        "data": {**recipe.data, **task.decided},
        "metrics": task.scores(),
        "retrain": {**defaults(trainer, NOT_FOR_USERS["retrain"]), **settings.retrain},
        "weights": weights_of(None, recipe.weights),
    }
    return RetrainPlan(
        there,
        task,
        sizes,
        training,
        epochs=settings.epochs,
        save_every=settings.save_every,
        seed=settings.seed,
        device=settings.device,
        initial=settings.initial,
        shared=shared,
        beside=settings.beside,
        found_by=there.stored.get("found_by", {"architecture": settings.architecture}),
        source=recipe.data["source"],
        config=config_of(settings, own, values),
    )


def shared_weights(there: Design, settings: Retrain, network: nn.Module) -> Path:
    """The file with the weights of a search's supernet, where they are of ``network``; raises ``InputError`` where they are not."""
    if settings.initial:
        raise InputError("--from shared and initial are both weights to start from: give one of them")
    if there.folder is None or "supernet" not in there.stored or there.alone:
        raise InputError("--from shared starts from the weights of a supernet: give the run of a search that trained one")
    other = f"--from shared: the supernet of {there.folder} has other networks than a retraining trains"
    if not space_named(there.space).one_build:
        raise InputError(f"{other}, as in the papers of {there.space}: leave --from out, to train from nothing")
    path = there.folder / "weights.safetensors"
    given, own = read(path)[0], network.state_dict()
    unlike = next((name for name in (*own, *given) if name not in own or name not in given or own[name].shape != given[name].shape), None)
    if unlike:
        raise InputError(f"{other} ({unlike} differs): give it the sizes of the search, or leave --from out")
    return path


def check_acting(network: nn.Module, given: Settings) -> None:
    """Refuse settings of the training that act on parts which ``network`` does not have."""
    if given.get("auxiliary") and not any(isinstance(module, AuxiliaryHead) for module in network.modules()):
        raise InputError("retrain.auxiliary weighs the loss of an auxiliary head, and this network has none: ask for one with --auxiliary")
    if given.get("drop_path") and not any(isinstance(module, DropPath) for module in network.modules()):
        raise InputError("retrain.drop_path acts on networks of cells that drop paths, and this network has no such place: leave it out")
