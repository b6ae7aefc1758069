"""Every method on a device: whether it computes there what it computes on the CPU, how long a step takes, and how much memory it needs.

    python benchmarks/device.py --device cuda [--minutes 8] [--out device.json]
    python benchmarks/device.py --device cpu --methods darts,gdas --rounds 2

Each method trains a supernet on random images: of the space that is named as the method is, else of the first that takes it. Columns are
measured one after another, each of all methods, so that a table of all exists early; what --minutes do not suffice for is said so.

``step``: the median time of a step in single precision and the peak memory of the device meanwhile (of the CPU: all that this process
holds; see benchmarks/step.py). ``correct``: by how much what a step leaves behind differs from a plain step on the CPU, as a share of the
largest number of the same tensor, or of 1: both in double precision, to 1e-8; on a device without it both in single precision, to 1e-2.
What is drawn meanwhile is drawn on the CPU. ``plain``: nothing is shared between edges, and nothing is in channels_last. ``bfloat16``,
``float16``: mixed precision. ``compiled``: graphs of PyTorch's compiler (of methods whose steps are alike), on CUDA as CUDA graphs; the
first step, in which they are made, takes minutes. The demo runs on the device too, with an epoch a training.

An error stands in the place of its number; all are listed below the table, and the exit code is then 1.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from step import Contiguous
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from supernet import InputError, Task
from supernet.memory import forget_peak, peak_memory
from supernet.native.kernels import Kernels, use
from supernet.plan.supernets import sizes_of
from supernet.randomness import seed_everything
from supernet.spaces import SPACES
from supernet.spaces import space as space_named
from supernet.strategies import STRATEGIES
from supernet.tree import tensors

IMAGES = {"shape": (3, 32, 32), "classes": 10, "stem": "cifar"}
DEMO = Path(__file__).parents[1] / "examples" / "demo.py"
TIMED: dict[str, dict[str, Any]] = {
    "step": {},
    "plain": {"plain": True},
    "bfloat16": {"autocast": torch.bfloat16},
    "float16": {"autocast": torch.float16},
    "compiled": {"kernels": "compiled"},
}
COMPILING = 120.0  # seconds that the first graph is given at least
COLUMNS = ["step", "correct", *list(TIMED)[1:]]
Measured = dict[str, Any]


class DrawnAlike(TorchDispatchMode):
    """What is drawn for a tensor is drawn on the CPU, in the order of its elements, wherever and however it lies."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        given = [x for x in tree_leaves(args) if isinstance(x, Tensor)]
        if torch.Tag.nondeterministic_seeded not in func.tags or not given:
            return func(*args, **kwargs)
        kwargs.pop("device", None)
        drawn = func(*tree_map_only(Tensor, lambda x: x.cpu().contiguous(), args), **kwargs)
        if func._schema.name.endswith("_"):
            return given[0].copy_(drawn)
        return tree_map_only(Tensor, lambda x: x.to(given[0].device), drawn)


def made(method: str, given: argparse.Namespace, device: str, images: int, plain: bool = False, autocast: Any = None) -> Any:
    """A method past its warm-up, on the supernet of the first space that it takes, always with the same weights and batches."""
    reasons = []
    for name in sorted(SPACES, key=lambda name: name.split("-")[0] != method.split("-")[0]):
        try:
            if "classification" in space_named(name).tasks:
                return _on(name, method, given, device, images, plain, autocast)
        except InputError as error:
            reasons.append(error)
    raise reasons[0]


def _on(name: str, method: str, given: argparse.Namespace, device: str, images: int, plain: bool, autocast: Any) -> Any:
    seed_everything(0)
    space, known = space_named(name), STRATEGIES[method].load(name)
    sizes = sizes_of(space, known, space.supernet.taken(IMAGES), space.supernet.taken(given.sizes))
    batches = [(torch.randn(images, *sizes["shape"]), torch.randint(sizes["classes"], (images,))) for _ in range(2)]
    task = (Contiguous if plain else Task)(batches, batches, loss=F.cross_entropy, device=device, autocast=autocast)
    again = {"build": lambda **more: space.supernet(**{**sizes, **more})} if space.builds_again(known.needs) else {}
    strategy: Any = known(task.place(space.supernet(**sizes)), task, seed=0, **again)
    strategy.epoch(5, 6, {})
    strategy.supernet.share = not plain
    return strategy


def timed(method: str, given: argparse.Namespace, kernels: Kernels = "torch", **kind: Any) -> Measured:
    """Seconds of a step, median of rounds after one that is not counted, and MB at the peak, of the CPU those of this whole process."""
    strategy, spent = made(method, given, given.device, given.batch_size, **kind), []
    if kernels == "compiled" and not strategy.alike:
        return {"unlike": True}
    use(kernels, given.device)
    forget_peak(given.device)
    try:
        with strategy.training():
            for _ in range(given.rounds + 1):
                began = time.perf_counter()
                strategy.step(strategy.task.data)
                finish(given.device)
                spent.append(time.perf_counter() - began)
    finally:
        use("torch")
    return {"seconds": statistics.median(spent[1:]), "mb": peak_memory(given.device)}


def finish(device: str) -> None:
    """Wait until the device has done what it was asked."""
    if device != "cpu":
        torch.get_device_module(device).synchronize()


def correct(method: str, given: argparse.Namespace) -> Measured:
    """By how much a step on the device differs from one on the CPU; raises ``ArithmeticError`` where by too much."""
    double = not given.device.startswith("mps")
    torch.set_default_dtype(torch.float64 if double else torch.float32)
    try:
        found, expected = (_after_a_step(method, given, device, plain) for device, plain in ((given.device, False), ("cpu", True)))
    finally:
        torch.set_default_dtype(torch.float32)
    off = max(float((a - b).abs().max()) / max(float(b.abs().max()), 1.0) for a, b in zip(found, expected, strict=True) if a.numel())
    if not off <= (most := 1e-8 if double else 1e-2):
        raise ArithmeticError(f"differs from the CPU by {off:.1e}, more than {most:.0e}")
    return {"difference": off}


def _after_a_step(method: str, given: argparse.Namespace, device: str, plain: bool) -> list[Tensor]:
    strategy = made(method, given, device, 4, plain)
    with strategy.training(), DrawnAlike():
        strategy.step(strategy.task.data)
    return [x.cpu().double() for x in tensors(strategy.state_dict())]


def demo(device: str, seconds: float) -> Measured:
    """The demo, an epoch a training; raises ``RuntimeError`` with its last words where it fails, ``TimeoutExpired`` where it is late."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(DEMO), "--out", f"{folder}/demo", "--device", device, "--epochs", "1"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    if done.returncode:
        raise RuntimeError((done.stderr.strip() or "no word").splitlines()[-1])
    return {"seconds": time.perf_counter() - began}


class Clock:
    """Begins nothing that would not end in time, by what took longest of its column so far."""

    def __init__(self, minutes: float):
        self.ends, self.longest = time.monotonic() + 60 * minutes, {"compiled": COMPILING}

    def measured(self, column: str, what: Callable[[], Measured]) -> Measured:
        """What ``what`` gives, or {"error": ...}; {} where there is no time for it."""
        began = time.monotonic()
        if began + self.longest.get(column, 0.0) > self.ends:
            return {}
        try:
            return what()
        except subprocess.TimeoutExpired:
            return {}
        except Exception as error:  # whatever a method raises on this device is its result
            return {"error": f"{type(error).__name__}: {(str(error).strip() or 'no word').splitlines()[0]}"}
        finally:
            self.longest[column] = max(self.longest.get(column, 0.0), time.monotonic() - began)


def measure(given: argparse.Namespace) -> dict[str, dict[str, Measured]]:
    """Method -> column -> what was measured; written to ``--out`` after each."""
    clock, found = Clock(given.minutes), {method: dict[str, Measured]() for method in given.methods}
    for column in given.columns:
        for method in given.methods:
            call = correct if column == "correct" else timed
            print(f"{column} of {method}", file=sys.stderr, flush=True)
            found[method][column] = clock.measured(column, lambda: call(method, given, **TIMED.get(column, {})))  # noqa: B023  # called here
            write(given, found)
        if column == "correct" and given.demo:
            found["demo"] = {"step": clock.measured("demo", lambda: demo(given.device, clock.ends - time.monotonic()))}
    write(given, found)
    return found


def write(given: argparse.Namespace, found: dict[str, dict[str, Measured]]) -> None:
    """All that was measured so far, into ``--out``."""
    if given.out:
        given.out.write_text(json.dumps({**described(given), "measured": found}, indent=2))


def described(given: argparse.Namespace) -> dict[str, Any]:
    """On what it was measured."""
    name = torch.get_device_module(given.device).get_device_name() if given.device.startswith(("cuda", "xpu")) else given.device
    sizes = {"batch": given.batch_size, "rounds": given.rounds}
    return {"torch": torch.__version__, "device": name, "threads": torch.get_num_threads(), **sizes}


def cell(column: str, row: dict[str, Measured]) -> str:
    """What the table says of one measurement."""
    if not (found := row.get(column, {})):
        return "no time"
    if "error" in found:
        return "error"
    if "unlike" in found:
        return "other paths each step"
    if "difference" in found:
        return f"{found['difference']:.0e}"
    faster = row["step"].get("seconds", float("nan")) / found["seconds"] if column != "step" else 1.0
    ratio = "" if column == "step" else f", {faster:.2f} times as fast"
    return f"{found['seconds'] * 1000:.0f} ms{ratio}" + (f", {found['mb']:.0f} MB" if "mb" in found else "")


def table(given: argparse.Namespace, found: dict[str, dict[str, Measured]]) -> Iterator[str]:
    """The lines of a table in markdown, and of the errors below it."""
    yield ", ".join(f"{name} {value}" for name, value in described(given).items())
    yield f"\n| method | {' | '.join(given.columns)} |"
    yield "|---" * (1 + len(given.columns)) + "|"
    for method in given.methods:
        yield f"| {method} | {' | '.join(cell(column, found[method]) for column in given.columns)} |"
    if "demo" in found:
        yield f"\ndemo: {cell('step', found['demo'])}"
    yield from (f"\n{method}, {column}: {error}" for method, column, error in errors(found))


def errors(found: dict[str, dict[str, Measured]]) -> Iterator[tuple[str, str, str]]:
    """Method, column and what went wrong, of every measurement that failed."""
    for method, row in found.items():
        yield from ((method, column, measured["error"]) for column, measured in row.items() if "error" in measured)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--methods", type=lambda text: text.split(","), default=list(STRATEGIES), help="names with commas; all")
    parser.add_argument("--columns", type=lambda text: text.split(","), default=COLUMNS, help=f"of {','.join(COLUMNS)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--sizes", type=json.loads, default={}, help='settings of the supernets that have them: {"channels": 8}')
    parser.add_argument("--no-demo", dest="demo", action="store_false")
    parser.add_argument("--out", type=Path, help="a JSON file")
    given = parser.parse_args()
    found = measure(given)
    print("\n".join(table(given, found)))
    return int(any(True for _ in errors(found)))


if __name__ == "__main__":
    sys.exit(main())
