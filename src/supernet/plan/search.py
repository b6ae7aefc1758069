"""A search before it is made: everything it is made of, checked together.

``plan_search`` refuses what the search would refuse, up to its first step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from supernet.errors import InputError
from supernet.layers.base import Supernet
from supernet.modules.sketch import megabytes
from supernet.plan.bounds import Bounded, bounded, bounds_of, untold
from supernet.plan.chosen import choose
from supernet.plan.goals import led_by_first
from supernet.plan.resolved import check_graph, computing, config_of, resolved, use_machine
from supernet.plan.scoring import OnDataOf
from supernet.plan.supernets import Trained, check_initial, check_network, network_sizes, sizes_of, sketch
from supernet.plan.ways import on_data, on_table, over_supernet
from supernet.settings.commands import Search
from supernet.settings.given import Settings
from supernet.settings.sections import Scoring
from supernet.spaces.record import Space
from supernet.tasks.kind import Kind
from supernet.ways.ahead import Ahead, Batches
from supernet.ways.on_data import OnData
from supernet.ways.on_table import OnTable
from supernet.ways.over_supernet import OverSupernet


@dataclass(frozen=True)
class SearchPlan:
    """A search whose parts go together.

    ``way``: what finds the architecture. ``kind``: of task. ``supernet``: what is searched, without storage; ``sizes``: its settings.
    ``network``: those of the network that the search is for. ``found_by``: what is said of how it was found.
    ``config``: what config.yaml of its run holds, every setting with its value; ``data``: of these, what the task reads.
    ``task``: None on a table. ``searcher``: the name of what asks for architectures, where something does.
    """

    way: OverSupernet | OnData | OnTable
    space: Space
    kind: type[Kind]
    supernet: Supernet
    sizes: Settings
    network: Settings
    bounded: Bounded
    found_by: Mapping[str, Any]
    device: str
    data: Settings
    config: Settings
    task: Kind | None = None
    searcher: str = ""

    @property
    def document(self) -> dict[str, Any]:
        """What ``--dry-run`` prints: all settings with their values, and the sizes of what would be searched."""
        sizes = {"supernet_params": sum(p.numel() for p in self.supernet.parameters()), "supernet_mb": megabytes(self.supernet)}
        sizes["size"] = self.supernet.space.size()
        return {"settings": self.config, **sizes, **({"examples": self.task.counts} if self.task else {})}

    def ahead(self) -> Ahead | None:
        """What the training takes, of the supernet or of an architecture; None where nothing is trained."""
        return self.way.ahead(Batches(self.data["batch_size"], self.task.counts["training"])) if self.task else None

    @property
    def over_supernet(self) -> OverSupernet:
        """The way over a supernet; raises ``InputError`` where the search trains none."""
        if not isinstance(self.way, OverSupernet):
            method = self.found_by["method"]
            raise InputError(f"this is a search by {method}, which trains no supernet: give the run of a method that does")
        return self.way

    def scored_as(self, given: Scoring) -> SearchPlan:
        """The same search, whose supernet scores architectures as is ``given``; raises ``InputError`` where it trains none."""
        own = given.model_dump(exclude_none=True)
        config = {**self.config, "estimator": {**self.config["estimator"], **own}}
        return replace(self, way=replace(self.over_supernet, **own), config=config)

    @property
    def remarks(self) -> Sequence[str]:
        """What is said before the search begins."""
        trains = [f"runs on {computing(self.config)}", *self.task.before_training] if self.task else []
        return [*trains, *led_by_first(self.searcher, self.way.objective)]


def plan_search(settings: Search) -> SearchPlan:
    """Read the data or the table, build everything without storage, and refuse what does not go together.

    Raises ``InputError``. Sets the number of threads, since results depend on it.
    """
    chosen = choose(settings)
    space, recipe = chosen.space, chosen.recipe
    check_graph(settings, recipe.kind, chosen.name, chosen.method is not None and chosen.method.alike)
    threads = use_machine(settings)
    task = None if settings.table.file else recipe.kind.read(recipe.data, settings)
    sizes, network = chosen.sizes, settings.network
    if task:
        sizes = sizes_of(space, chosen.method, task.sizes, settings.supernet)
        network = network_sizes(space, sizes, task.sizes, settings.network)
    supernet = sketch(space, sizes)
    check_network(space, supernet, network)
    table = chosen.table
    asked = untold(settings.limits, table.priced if table else ())
    known = bounded(asked, chosen.priced, space, recipe.kind, network, sizes, supernet.space)
    if settings.initial:
        check_initial(supernet, settings.initial)
    way: OverSupernet | OnData | OnTable
    decided: Settings = {}  # values of the method's settings
    if task is None:
        assert table, "what has no task has a table"
        way = on_table(settings, chosen, supernet.space, table, known.limits)
    else:
        scorer = OnDataOf(space, supernet.space, task, sizes, recipe.weights, settings.seed)
        if chosen.method:
            trained = Trained(
                chosen.name,
                chosen.method,
                space,
                task,
                sizes,
                settings=chosen.strategy,
                weights=recipe.weights,
                seed=settings.seed,
                limits=known.limits,
                price=settings.price,
            )
            way = over_supernet(settings, chosen, trained, scorer)
            decided = trained.tried(supernet).resolved
        else:
            way = on_data(settings, chosen, scorer, supernet.space, known.limits)
    values = resolved(settings, chosen, task, supernet.space, sizes, space.network.sized(network), way.limits, decided)
    own = {"threads": threads, "task": recipe.kind.name, "data": recipe.data, "weights": recipe.weights, "strategy": chosen.strategy}
    return SearchPlan(
        way=way,
        space=space,
        kind=recipe.kind,
        supernet=supernet,
        sizes=sizes,
        network=network,
        bounded=replace(known, bounds=bounds_of(settings.limits)),
        found_by={"method": chosen.name, "seed": settings.seed, "epochs": settings.epochs},
        device=settings.device,
        data=recipe.data,
        config=config_of(settings, own, values),
        task=task,
        searcher=chosen.asking.name,
    )
