"""The command ``specialise``: networks for several bounds out of a trained supernet, each a folder with weights and an exported file."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from supernet.decided import undecided
from supernet.errors import InputError, RunError
from supernet.plan.scoring import Asking
from supernet.plan.search import SearchPlan
from supernet.plan.specialise import SpecialisePlan, Wanted
from supernet.report.page import write_report, write_specialised
from supernet.run import REPEAT, Run
from supernet.settings.given import Settings
from supernet.stopping import Interrupted
from supernet.trained.specialise import specialise
from supernet.trying import Found
from supernet.workflow.delivery import export_run, load
from supernet.workflow.finishing import finish, keeps_bounds
from supernet.workflow.trained import TrainedRun


def specialise_run(trained: TrainedRun, plan: SpecialisePlan, out: Path) -> list[dict[str, Any]]:
    """Search for each network that is wanted, write its folder in ``out``, and what they are together; the JSON of the command."""
    networks, asking = plan.networks, plan.asking
    limits = [each.bounded.limits for each in networks if each.bounded.limits]
    how: dict[str, Any] = {"trials": asking.trials, "seed": asking.seed, "calibration": trained.calibration, "kept": trained.kept}
    began = time.monotonic()
    try:
        found = specialise(trained, limits, searcher=asking.name, examples=trained.examples, **how, **asking.settings)
    except Interrupted:
        raise Interrupted(f"stopped; what was scored is kept in {trained.kept}: the same command goes on") from None
    seconds = (time.monotonic() - began) / max(len(found), 1)
    entries = [_delivered(trained, each, one, asking, out / each.name, seconds) for each, one in zip(networks, found, strict=True)]
    about = {"command": "specialise", "run": str(trained.folder)}
    with Run(out, about, resume=(out / "config.yaml").exists(), goes_on=REPEAT) as whole:
        whole.write_json("specialised.json", entries)
    write_specialised(entries, str(trained.folder), trained.task.judged, out)
    return entries


def _delivered(trained: TrainedRun, wanted: Wanted, found: Found, asking: Asking, folder: Path, seconds: float) -> dict[str, Any]:
    """Write the folder of a network, with its weights, report and exported file; its entry in the JSON."""
    plan, task = trained.plan, trained.task
    wanted.bounded.warn_elsewhere()
    own = replace(found, built=trained.built, data={"preprocessing": task.preprocessing, **task.about})
    source = {"specialised": str(trained.folder), "searcher": asking.name}
    with Run(folder, _config(plan, wanted, asking), resume=(folder / "config.yaml").exists(), goes_on=REPEAT) as run:
        task.keep(run)
        assert own.network
        run.write_weights(own.network, *task.example)
        result = finish(replace(plan, bounded=wanted.bounded, found_by={**plan.found_by, **source}), run, own, seconds)
        for sentence in undecided(result.get("decided", {})):
            print(f"undecided: {wanted.name}: {sentence}", file=sys.stderr)
        exported = result.get("exported") or _exported(folder, plan)
        write_report(folder)
    entry = {"bound": dict(wanted.said), **{name: result[name] for name in ("choices", "genotype", "params", "macs")}}
    entry |= {"latency_ms": result["latency"]} if "latency" in result else {}
    entry |= {name: result[name] for name in ("energy",) if name in result}
    measured = result["measured"].get("latency")
    entry |= {"measured": {"latency": measured}} if measured else {}
    entry |= {"decided": result["decided"]} if "decided" in result else {}
    return {**entry, "validation": result["validation"], "exported": exported, "holds": keeps_bounds(result), "out": str(folder)}


def _config(plan: SearchPlan, wanted: Wanted, asking: Asking) -> Settings:
    """The settings of the search, with those by which the network was found."""
    searcher = {"name": asking.name, **asking.settings}
    config = {**plan.config, "limits": wanted.asked.model_dump(), "searcher": searcher, "trials": asking.trials}
    return dict(json.loads(json.dumps(config)))


def _exported(folder: Path, plan: SearchPlan) -> str | None:
    """Write the network as ONNX from its own weights, checked against them; None where that cannot be done, and why."""
    try:
        written: Mapping[str, Any] = export_run(folder, load(folder), plan.kind, plan.data, folder / "exported", ("onnx",))
        return str(written["onnx"]["path"])
    except (InputError, RunError) as error:
        print(f"warning: {folder.name} was not exported: {error}", file=sys.stderr)
        return None
