"""What there is by name, and whom to cite for it."""

from __future__ import annotations

from supernet.errors import unknown
from supernet.estimators import ESTIMATORS
from supernet.searchers import SEARCHERS, searcher_class
from supernet.spaces import SPACES
from supernet.spaces import space as space_named
from supernet.strategies import STRATEGIES
from supernet.tasks import TASKS, task_kind

KINDS = ("methods", "searchers", "estimators", "spaces", "tasks", "data", "architectures")


def catalogue(what: str) -> list[dict[str, str]]:
    """Entries {"name", "cite"} of one of ``KINDS``; raises ``InputError`` for another."""
    if what not in KINDS:
        raise unknown("list", what, KINDS)
    if what == "methods":
        return [{"name": n, "cite": m.cite} for n, m in STRATEGIES.items()] + catalogue("searchers")
    if what == "searchers":
        return [{"name": n, "cite": _cited(searcher_class(n).__module__)} for n in SEARCHERS]
    if what == "estimators":
        return [{"name": n, "cite": _cited(known.path.partition(":")[0]), "about": known.about} for n, known in ESTIMATORS.items()]
    if what == "spaces":
        return [{"name": n, "cite": space_named(n).citation} for n in SPACES]
    if what == "tasks":
        return [{"name": n, "cite": "", "about": (task_kind(n).__doc__ or "").partition("\n")[0]} for n in TASKS]
    if what == "data":
        every = {n: known for task in TASKS for n, known in task_kind(task).sets.items()}
        return [{"name": n, "cite": known.cite, "about": known.about} for n, known in every.items()]
    return [{"name": n, "cite": known.cite} for space in SPACES for n, known in space_named(space).published.items()]


def _cited(module: str) -> str:
    """The citation in a module's docstring: its last paragraph, if that names a paper."""
    from importlib import import_module

    last = (import_module(module).__doc__ or "").strip().split("\n\n")[-1]
    return " ".join(last.split()) if "http" in last else ""
