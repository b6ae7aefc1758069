"""Kinds of task by name. All that depends on what is learnt stands in the file of its kind; nothing else asks which task it is.

Each is a class (see ``tasks.kind.Kind``) that reads its data, knows its networks' inputs, its loss and its metrics, and what goes with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from supernet.errors import InputError
from supernet.places import at, named
from supernet.spaces import space as space_named

if TYPE_CHECKING:
    from supernet.tasks.kind import Kind

TASKS = {
    "classification": "supernet.tasks.classification:Classification",
    "multi-label": "supernet.tasks.multi_label:MultiLabel",
    "regression": "supernet.tasks.regression:Regression",
    "segmentation": "supernet.tasks.segmentation:Segmentation",
    "tabular-classification": "supernet.tasks.tabular_classification:TabularClassification",
    "language": "supernet.tasks.language:LanguageModelling",
}


def task_kind(name: str) -> type[Kind]:
    """The class of a task; raises ``InputError`` with the nearest name where there is none."""
    found: type[Kind] = at(named(TASKS, name, "task"))
    return found


def labels() -> dict[str, str]:
    """What the tasks call those of their metrics that have a label, by name."""
    return {name: metric.label for task in TASKS for name, metric in task_kind(task).scored.items() if metric.label}


def kind_for(space: str, name: str | None = None) -> type[Kind]:
    """The kind of task named, or the first that a space is for; raises ``InputError`` for one that it is not for."""
    able = space_named(space).tasks
    found = task_kind(able[0] if name is None else name)
    if found.name not in able:
        raise InputError(f"the networks of {space} are for {', '.join(able)}, not for {found.name}")
    return found
