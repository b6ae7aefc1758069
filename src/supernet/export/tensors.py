"""safetensors (https://huggingface.co/docs/safetensors): the weights alone, for whoever has the model's source."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from safetensors.torch import load, save
from torch import Tensor, nn

from supernet.errors import InputError
from supernet.export.examples import Runs
from supernet.modules.weights import state


def state_of(model: nn.Module) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a model, each shared one once, and its other names, as aliases."""
    for name, x in model.state_dict().items():
        if not isinstance(x, Tensor):
            raise InputError(f"the model's state has {name!r}, which is no tensor; safetensors holds tensors only")
    return state(model)


def safetensors_bytes(model: nn.Module, tensors: Mapping[str, Tensor], aliases: Mapping[str, str], about: str) -> tuple[bytes, Runs]:
    """The file of ``state_of``, with ``about`` in its metadata under ``supernet``, and a copy of the model that holds what was stored."""
    content = save(dict(tensors), metadata={"format": "pt", **aliases, "supernet": about})  # as safetensors.torch.load_model reads it
    empty = copy.deepcopy(model)
    for x in empty.state_dict().values():
        x.fill_(float("nan") if x.is_floating_point() else 0)
    stored = load(content)
    empty.load_state_dict({**stored, **{name: stored[holder] for name, holder in aliases.items()}})
    return content, empty
