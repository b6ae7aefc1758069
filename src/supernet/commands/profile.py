"""The command ``profile``: its flags and what runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from supernet.commands.call import Planned
from supernet.commands.command import Command
from supernet.settings.commands import Profile
from supernet.settings.flags import Flag


class ProfileCall(Planned):
    """What is said of one call of ``profile``."""

    out: Annotated[Path | None, Flag("--out")] = Field(default=None, description="the table to write, a JSON file")
    emit: Annotated[Path | None, Flag("--emit")] = Field(
        default=None, description="write an ONNX file for each option here, to be timed on another device"
    )
    collect: Annotated[Path | None, Flag("--collect")] = Field(
        default=None, description="timings from that device: a CSV file with the columns name and ms"
    )


def run(call: ProfileCall) -> dict[str, Any]:
    """Measure how long every option of every choice takes here, and check the sums against whole networks.

    The network is the one a search on CIFAR is for; --stem, --input, --classes and --set network.NAME=VALUE change that. A
    measurement that was stopped goes on where the same command is given again.
    """
    from supernet.plan.profile import plan_profile
    from supernet.workflow.profiling import profile_run

    plan = plan_profile(call.settled(Profile), call.out, call.emit, call.collect)
    return plan.document if call.dry_run else profile_run(plan)


COMMAND = Command(run, ProfileCall, "supernet profile --space proxyless --backend onnxruntime --threads 1 --out latency.json", Profile)
