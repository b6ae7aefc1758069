"""What is done with a finished run: load its network, evaluate, export, draw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from supernet.derive import derive
from supernet.errors import InputError, RunError
from supernet.export import export
from supernet.files.records import read_architecture
from supernet.files.whole import write_whole
from supernet.layers.base import Supernet
from supernet.modules.weights import fill
from supernet.naming.design import Design
from supernet.naming.lookup import design
from supernet.report.cell_drawing import draw
from supernet.settings.given import Settings
from supernet.settings.sections import Machine
from supernet.spaces import space as space_named
from supernet.tasks import kind_for
from supernet.tasks.kind import Kind
from supernet.workflow.description import description


def load(run: str | Path, model: nn.Module | None = None, *example: Any) -> nn.Module:
    """The network of a run, with its weights, in evaluation mode.

    Of a retraining: its network. Of a search over a supernet: the derived network with the supernet's weights. Of a search by scores of
    untrained networks whose best were trained: the one that was found, at the sizes of the search. ``model``, ``example``:
    for a search over a module of one's own, that module (built anew) and inputs for one forward pass.
    What was trained as a plain module is that module. Raises ``InputError`` where the run is not finished or kept no weights, ``RunError``
    where its weights are damaged or of another network.
    """
    folder = Path(run)
    if not (folder / "weights.safetensors").exists():
        unfinished = "it is not finished, or it only compared architectures: retrain what it found"
        reason = unfinished if folder.is_dir() else "there is no such folder"
        raise InputError(f"{folder} has no weights.safetensors: {reason}")
    if model is not None:
        stored = read_architecture(folder / "architecture.json")
        network = model if stored["choices"] is None else derive(Supernet(model), stored["choices"], *example)
    else:
        there = design(str(folder))
        network = there.network() if "trained" in there.stored else _derived(folder, there)
    fill(network, folder / "weights.safetensors")
    return network.eval()


def _derived(folder: Path, there: Design) -> nn.Module:
    build, sizes = space_named(there.space).supernet, there.stored.get("supernet")
    if not isinstance(sizes, dict) or there.choices is None:
        raise InputError(f"{folder / 'architecture.json'} does not say which supernet its weights are from")
    if there.alone:
        network: nn.Module = space_named(there.space).network(there.choices, **space_named(there.space).network.taken(sizes))
        return network
    sizes = {**build.usual(), **build.accepted(sizes)}
    supernet = build(**sizes)
    return derive(supernet, there.choices, kind_for(there.space, there.stored.get("task")).drawn(sizes, 2))


def evaluate_run(
    folder: Path, network: nn.Module, kind: type[Kind], data: Settings, split_name: str, batch_size: int | None, machine: Machine
) -> dict[str, Any]:
    """The metrics of a run's network on a split of ``data``; ``batch_size`` None: what is usual of the task."""
    task = kind.read(kind.evaluated(data, batch_size), machine, testing=True)
    task.check_kept(folder)
    if not task.data.has(split_name):
        raise InputError(f"the run kept no {split_name} data: --split test")
    network = task.place(network)
    metrics = task.evaluate(network, split_name)
    n = task.examples(split_name)
    return {"split": split_name, **metrics, "n": n}


def export_run(run: Path, network: nn.Module, kind: type[Kind], data: Settings, out: Path, formats: tuple[str, ...]) -> dict[str, Any]:
    """Export the network of a run on ``data``, with all that is known of it in each file.

    Each format is checked against the network's outputs.
    """
    there = design(str(run))
    example, how = kind.drawn(there.stored["settings"], 2, data), {"batch_dimension": kind.dimension}
    written = export(network, example, out, formats, architecture=there.stored, metadata=description(run, there), **how)
    return {name: {"path": str(file.path), "difference": file.difference} for name, file in written.items()}


def draw_design(text: str, out: Path) -> str:
    """Write the drawing of an architecture as SVG; returns what was written."""
    there = design(text)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(out, draw(there.space, there.choices or {}, there.notation, there.settings))
    except OSError as error:
        raise RunError(f"{out} cannot be written: {error.strerror or error}") from error
    return f"wrote {out}"
