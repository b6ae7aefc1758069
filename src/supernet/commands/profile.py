"""The command ``profile``: its flags and what runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from supernet.commands.call import Planned
from supernet.commands.command import Command
from supernet.errors import without_effect
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

    settings = call.settled(Profile)
    check_acting(call, settings)
    plan = plan_profile(settings, call.out, call.emit, call.collect)
    return plan.document if call.dry_run else profile_run(plan)


def check_acting(call: ProfileCall, settings: Profile) -> None:
    """Refuse what would have no effect: how to measure here where another device measures, and what is of the other way round."""
    if call.emit or call.collect:
        given = {f"--{name}": call.flags[name] for name in ("backend", "threads", "device", "seed")}
        for name, value in {**given, "networks": settings.networks, "predictor": settings.predictor}.items():
            if value is not None:
                raise without_effect(name, "with --emit and --collect nothing is measured here")
    if settings.processor and not call.collect:
        raise without_effect("processor", "it names the device whose timings --collect reads")
    if call.out and call.emit and not call.collect:
        raise without_effect("--out", "--emit writes no table; --collect makes one of what the device has measured")


COMMAND = Command(run, ProfileCall, "supernet profile --space proxyless --backend onnxruntime --threads 1 --out latency.json", Profile)
