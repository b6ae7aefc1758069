"""The command ``search``: a plan to a run with an architecture, its costs and a report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from supernet.decided import undecided
from supernet.plan.search import SearchPlan
from supernet.report.page import write_report
from supernet.run import Run
from supernet.workflow.finishing import finish


def search_run(plan: SearchPlan, out: Path, resume: bool = False) -> dict[str, Any]:
    """Search as planned, write the run and its report, return the JSON of the command.

    Its "validation" is the task's first metric or a table's score, and None where that is not finite.
    """
    plan.bounded.warn_elsewhere()
    with Run(out, plan.config, resume) as run:
        found = plan.way.find(run)
        result = finish(plan, run, found, run.seconds())
        for sentence in undecided(result.get("decided", {})):
            print(f"undecided: {sentence}", file=sys.stderr)
        space = found.supernet.space if found.supernet else {}
        write_report(run.folder, {name: choice.options for name, choice in space.items()})
    return result
