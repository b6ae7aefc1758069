"""The command ``retrain``: what runs it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from supernet.commands.call import Resumable
from supernet.commands.command import Command
from supernet.settings.commands import Retrain


def run(call: Resumable) -> dict[str, Any]:
    """Train the evaluation network of an architecture, from nothing or from shared weights."""
    from supernet.plan.retrain import plan_retrain
    from supernet.workflow.retraining import retrain_run

    name = re.sub(r"[^\w.-]+", "-", Path(call.flags["architecture"]).name)[:40].strip("-") or "network"
    folder = call.out or Path("runs") / f"{name}-retrained"
    settings = call.settled(Retrain, config=call.stored(folder))
    return call.carried_out(folder, lambda: plan_retrain(settings), retrain_run)


COMMAND = Command(run, Resumable, "supernet retrain runs/first --data digits --epochs 30 --out runs/final", Retrain)
