"""The commands, one file each: the models of its settings and of its call, from whose fields its flags are made, and what runs it."""

from __future__ import annotations

from supernet.commands import compare, describe, draw, evaluate, export, list, profile, rank, report, retrain, search, specialise
from supernet.commands.command import Command

COMMANDS: dict[str, Command] = {
    "search": search.COMMAND,
    "retrain": retrain.COMMAND,
    "evaluate": evaluate.COMMAND,
    "describe": describe.COMMAND,
    "export": export.COMMAND,
    "draw": draw.COMMAND,
    "report": report.COMMAND,
    "compare": compare.COMMAND,
    "profile": profile.COMMAND,
    "rank": rank.COMMAND,
    "specialise": specialise.COMMAND,
    "list": list.COMMAND,
}
