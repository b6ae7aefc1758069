"""Who makes the estimates of a search: this process, or workers at the same time."""

from __future__ import annotations

from functools import partial

from supernet.errors import InputError, without_effect
from supernet.explore.workers import ALONE, Crew, Several, processes
from supernet.launched import launched
from supernet.settings.commands import Search


def crew_of(settings: Search, decides: bool) -> Crew:
    """As is asked for; ``decides``: whether the method has an opinion, so that nothing is estimated but its baseline.

    Raises ``InputError`` where that would change nothing, or where an estimate depends on what others gave.
    """
    workers = settings.estimator.workers or 1
    if workers == 1:
        return ALONE
    if decides and not settings.baseline.name:
        raise without_effect("--workers", f"{settings.method} decides by itself, and no architecture is scored for a searcher")
    if settings.estimator.stop:
        raise InputError("--workers: estimator.stop compares each training with all before it: leave one of the two out")
    if launched():
        raise InputError("--workers: the ranks that torchrun began score each architecture together: leave one of the two out")
    return Several(partial(processes, workers))
