"""The command ``profile``: its settings, its flags and what runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from supernet.commands.call import Planned
from supernet.commands.command import Command
from supernet.settings.flags import Flag, Section
from supernet.settings.given import Settings
from supernet.settings.quantities import BatchSize, CountOrNone, Seed, Threads
from supernet.settings.sections import CELLS, CHANNELS, CLASSES, SHAPE, STEM, Device, Open, Text


class Profile(Section):
    """Settings of a measurement of latencies."""

    command: Literal["profile"] = "profile"
    space: Annotated[Text | None, Flag("--space")] = Field(default=None, description="a search space (supernet list spaces)")
    task: Text | None = Field(default=None, description="what the networks are for; none: the first task that the space is for")
    backend: Annotated[Text, Flag("--backend")] = Field(default="torch", description="what runs networks: torch, onnxruntime or openvino")
    threads: Annotated[Threads, Flag("--threads")] = Field(default=1, description="CPU threads")
    batch_size: Annotated[BatchSize, Flag("--batch-size")] = Field(default=1, description="examples at once")
    device: Annotated[Device, Flag("--device")] = Field(default="cpu", description="where it runs: cpu, cuda, cuda:1, mps")
    seed: Annotated[Seed, Flag("--seed")] = Field(default=0, description="fixes which networks are measured")
    processor: Text | None = Field(default=None, description="with --collect: the name of the device")
    networks: Annotated[CountOrNone, Field(le=1_000_000)] | None = Field(
        default=None,
        description="networks measured whole to fit, 20, and as many again to judge; 0: none; with predictor: measured in all, 200",
    )
    predictor: Literal["mlp", "boosting"] | None = Field(
        default=None, description="a model of whole networks in the place of a table of options: mlp or boosting"
    )
    network: Annotated[Open, CHANNELS, CELLS, STEM, SHAPE, CLASSES] = Field(
        default={}, description="of the network whose parts are measured: those of a CIFAR-sized one"
    )


PROFILE: Settings = Profile().model_dump()


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
    from supernet.workflow.profiling import plan_of, profile_run

    return (plan_of if call.dry_run else profile_run)(call.settled(Profile), call.out, call.emit, call.collect)


COMMAND = Command(run, ProfileCall, "supernet profile --space proxyless --backend onnxruntime --threads 1 --out latency.json", Profile)
