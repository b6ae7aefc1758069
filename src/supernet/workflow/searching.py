"""The command ``search``: a plan to a run with an architecture, its costs and a report."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from supernet.plan.search import plan_search
from supernet.report.page import write_report
from supernet.run import Run, check_folder, check_writable
from supernet.settings.given import Settings
from supernet.workflow.finishing import finish


def search_run(settings: Settings, out: Path, resume: bool = False) -> dict[str, Any]:
    """Search as ``settings`` say, write the run and its report, return the JSON of the command.

    Its "validation" is the task's first metric or a table's score, and None where that is not finite.
    """
    check_folder(out, {}, resume)
    began = time.monotonic()
    plan = plan_search(settings)
    plan.bounded.warn_elsewhere()
    with Run(out, plan.config, resume) as run:
        found = plan.way.find(run)
        result = finish(plan, run, found, time.monotonic() - began)
        space = found.supernet.space if found.supernet else {}
        write_report(run.folder, {name: choice.options for name, choice in space.items()})
    return result


def plan_of(settings: Settings, out: Path | None = None, resume: bool = False) -> dict[str, Any]:
    """What ``--dry-run`` prints. Refuses what the search would refuse, up to its first step, and the folder ``out`` where it is given."""
    plan = plan_search(settings)
    if out:
        check_folder(out, plan.config, resume)
        check_writable(out)
    return plan.document
