"""A network's weights as a file, bound to the network that they are of: its structure, a checksum of the tensors, outputs to compare.

Names and shapes alone do not tell two networks apart: two edges of a cell that change places have the same. The file is
safetensors (https://huggingface.co/docs/safetensors); what binds it stands in its metadata, as one JSON text.
"""

from __future__ import annotations

import copy
import json
import math
import sys
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

from supernet.errors import InputError, RunError
from supernet.modules.modes import evaluating

KEY = "supernet"  # of the metadata
FORMAT = 1  # of what stands there
IN_TRAINING = ("training", "p", "momentum")  # attributes that change nothing in evaluation mode
VALUES = 64  # of each output, at most, are stored
TOLERANCE = 1e-3  # of an output's scale: other processors and versions of PyTorch round otherwise


def state(network: nn.Module) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a network on the CPU, each that several names share once; and the names left out, by the names that hold them."""
    kept: dict[str, Tensor] = {}
    aliases: dict[str, str] = {}
    first: dict[tuple[Any, ...], str] = {}
    for name, x in network.state_dict().items():
        place = (x.device, x.data_ptr(), x.dtype, tuple(x.shape), x.stride()) if x.numel() else (name,)
        holder = first.setdefault(place, name)
        if holder == name:
            kept[name] = x.detach().cpu().clone(memory_format=torch.contiguous_format)  # a clone: parts of one storage are refused
        else:
            aliases[name] = holder
    return kept, aliases


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """A digest of names, types, shapes and values."""
    digest = sha256()
    for name in sorted(tensors):
        x = tensors[name].detach().cpu().contiguous()
        digest.update(json.dumps([name, str(x.dtype), list(x.shape)]).encode())
        digest.update(x.reshape(-1).view(torch.uint8).numpy().tobytes() if x.numel() else b"")
    return digest.hexdigest()


def structure(network: nn.Module) -> str:
    """A digest of what a network is made of: its modules by path and kind, their plain attributes, which of them and which tensors are one.

    So it knows which inputs a node adds up, and in which order. Not counted are values of tensors, and what acts in training alone.
    """
    seen: dict[int, str] = {}
    parts = []
    for path, module in network.named_modules(remove_duplicate=False):
        one = seen.setdefault(id(module), path)
        if one != path:
            parts.append([path, one])
            continue
        code = {"code": module.code} if isinstance(module, fx.GraphModule) else {}
        attributes = code | {k: _plain(v) for k, v in vars(module).items() if not k.startswith("_") and k not in IN_TRAINING}
        own = [(n, x) for held in (module._parameters, module._buffers) for n, x in held.items()]
        tensors = [[n, None if x is None else [seen.setdefault(id(x), f"{path}.{n}"), list(x.shape)]] for n, x in own]
        parts.append([path, type(module).__name__, sorted(attributes.items()), sorted(tensors)])
    return sha256(json.dumps(parts).encode()).hexdigest()


def _plain(value: Any, depth: int = 8) -> Any:
    """Plain data as it is; of anything else, what it is called."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Mapping) and depth:
        return [[_plain(k, depth - 1), _plain(v, depth - 1)] for k, v in value.items()]
    if isinstance(value, Sequence) and depth:
        return [_plain(v, depth - 1) for v in value]
    if isinstance(value, Tensor):
        return ["tensor", list(value.shape)]
    return getattr(value, "__name__", type(value).__name__)


def pack(network: nn.Module, *example: Any) -> bytes:
    """The weights of ``network`` as a safetensors file. It is left as it was. ``example``: its inputs; sizes and kinds are kept.

    Of a network that takes other inputs than tensors, whose outputs are no numbers or random, no outputs are stored.
    """
    tensors, _ = state(network)
    about: dict[str, Any] = {"format": FORMAT, "structure": structure(network), "checksum": checksum(tensors)}
    if example and all(isinstance(x, Tensor) and x.numel() for x in example):
        about |= _answers(network, [_kind(x) for x in example])
    return save(tensors, metadata={KEY: json.dumps(about, sort_keys=True)})


def _answers(network: nn.Module, inputs: list[dict[str, Any]]) -> dict[str, Any]:
    """What a network gives for inputs drawn from a seed, twice the same; else nothing."""
    twin = copy.deepcopy(network).cpu()
    try:
        answers = [answer(twin, inputs) for _ in range(2)]
    except Exception:  # a network of the user's that takes no drawn inputs, or works on its device alone
        return {}
    values = [v for output in answers[0] for v in output]
    known = bool(values) and all(map(math.isfinite, values)) and differ(*answers) <= TOLERANCE
    return {"inputs": inputs, "outputs": answers[0]} if known else {}


def _kind(x: Tensor) -> dict[str, Any]:
    """What is drawn in place of an input: numbers of the normal distribution, or whole numbers from 0 to its largest."""
    kind: dict[str, Any] = {"shape": list(x.shape), "dtype": str(x.dtype).removeprefix("torch.")}
    return kind if x.is_floating_point() else {**kind, "below": int(x.max()) + 1}


def drawn(inputs: Sequence[Mapping[str, Any]]) -> list[Tensor]:
    """The inputs that ``_kind`` describes, always the same."""
    generator = torch.Generator().manual_seed(0)
    found = []
    for kind in inputs:
        dtype = getattr(torch, kind["dtype"])
        if "below" in kind:
            found.append(torch.randint(max(kind["below"], 1), kind["shape"], generator=generator).to(dtype))
        else:
            found.append(torch.randn(kind["shape"], generator=generator).to(dtype))
    return found


@torch.no_grad()
def answer(network: nn.Module, inputs: Sequence[Mapping[str, Any]]) -> list[list[float]]:
    """Some values of each output of a network on the CPU for drawn inputs, in evaluation mode; its modes are put back."""
    with evaluating(network):
        outputs = tree_leaves(network(*drawn(inputs)))
    flat = [x.flatten() for x in outputs if isinstance(x, Tensor) and x.numel()]
    return [[float(v) for v in x[:: -(-len(x) // VALUES)]] for x in flat]


def differ(there: Sequence[Sequence[float]], here: Sequence[Sequence[float]]) -> float:
    """The largest difference of two answers, as a share of the output's largest value; infinite where they have other sizes."""
    if [len(x) for x in there] != [len(x) for x in here]:
        return math.inf
    worst = 0.0
    for x, y in zip(there, here, strict=True):
        scale = max(map(abs, x)) or 1.0
        for a, b in zip(x, y, strict=True):
            worst = max(worst, abs(a - b) / scale) if math.isfinite(b) else math.inf
    return worst


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a weights file and what binds them, empty for a file without; raises ``RunError`` where it is damaged."""
    try:
        with safe_open(str(path), framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a mapping
            about = json.loads((file.metadata() or {}).get(KEY, "{}"))
    except Exception as error:  # the library raises errors of its own, and those of the machine
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RunError(f"{path} cannot be read ({reason}): it is cut short or damaged; take a copy, or train again") from error
    if not isinstance(about, dict) or (about and about.get("checksum") != checksum(tensors)):
        raise RunError(f"{path} is damaged: its tensors are not those that were written; take a copy, or train again")
    return tensors, about


def fill(network: nn.Module, path: Path) -> None:
    """Load the weights of a file into the network that they are of.

    Raises ``RunError`` where the file is damaged, does not fit, or is of another network: one that gives other outputs than were
    stored, or, where none were, one of another structure. Of a file that does not say what it is of, names and shapes are all
    that is checked, which is said on standard error.
    """
    given, about = read(path)
    own = network.state_dict()
    pointers = {t.data_ptr() for n, t in own.items() if n in given}  # tensors that share memory were written once
    wrong = [n for n, t in own.items() if (n not in given and t.data_ptr() not in pointers) or (n in given and given[n].shape != t.shape)]
    if wrong := wrong or sorted(given.keys() - own.keys()):
        raise RunError(f"{path} does not fit the network that is to take its weights ({wrong[0]}): they are of another network")
    network.load_state_dict(given, strict=False)
    if not about:
        print(f"note: {path} does not say which network it is of (an earlier version wrote it): names and shapes fit", file=sys.stderr)
        return
    alike = about.get("structure") == structure(network)
    if "outputs" not in about:
        if not alike:
            raise RunError(f"{path} is of another network: names and shapes are the same, what the parts are or how they are joined is not")
        return
    try:
        off = differ(about["outputs"], answer(network, about["inputs"]))
    except Exception as error:  # the network is the user's
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RunError(f"the network that is to take the weights of {path} fails on inputs of the stored sizes: {reason}") from error
    if off > TOLERANCE:
        why = "this machine computes otherwise" if alike else "it has other parts, or joins them otherwise"
        raise RunError(f"{path} is of another network: outputs differ by {off:.1%} of their scale from those stored with it ({why})")


def warm_start(model: torch.nn.Module, path: str | Path) -> list[str]:
    """Load the tensors of a safetensors file whose names and shapes ``model`` has; returns the names it lacks.

    Raises ``InputError`` where the file cannot be read or nothing fits.
    """
    try:
        given, _ = read(Path(path))
    except RunError as error:
        raise InputError(str(error)) from error
    own = model.state_dict()
    fitting = {n: t for n, t in given.items() if n in own and own[n].shape == t.shape}
    if not fitting:
        raise InputError(f"none of the {len(given)} tensors of {path} fits the model by name and shape")
    model.load_state_dict(fitting, strict=False)
    return sorted(own.keys() - fitting.keys())
