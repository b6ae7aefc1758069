"""What is asked of devices: only of the one that a run is on, and nothing that it may not have."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from supernet import OneOf, Supernet, Task
from supernet.memory import peak_memory, room
from supernet.mixture import one_hot
from supernet.randomness import drawing_apart, random_states, set_random_states


class WithoutFloat64(TorchDispatchMode):
    """Refuses float64 as Apple's GPUs do."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if any(isinstance(x, torch.Tensor) and x.dtype == torch.float64 for x in tree_leaves(found)):
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64")
        return found


def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a CUDA device that nothing has used and nobody may."""

    def refuse(*given: Any) -> Any:
        raise AssertionError("a run on the CPU has no business there")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for name in ("max_memory_allocated", "get_rng_state", "get_rng_state_all", "current_device"):
        monkeypatch.setattr(torch.cuda, name, refuse)


def test_a_run_on_the_cpu_asks_nothing_of_another_device(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere(monkeypatch)
    assert peak_memory() > 10 and peak_memory("cpu") > 10
    assert "cuda" not in random_states()
    with drawing_apart("cpu"):
        torch.rand(3)


def test_peak_memory_is_that_of_the_device_or_of_the_computer_where_it_keeps_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: asked.append(device) or 3 * 2**20)
    assert peak_memory("cuda:1") == 3 and asked == [torch.device("cuda:1")]
    assert peak_memory("mps") == peak_memory("cpu")


def test_what_a_process_may_hold_on_a_device_is_what_it_has_there_and_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (5 * 2**20, 9 * 2**20))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 2 * 2**20)
    assert room("cuda:1") == 7 and 10 < peak_memory() < room() == pytest.approx(room("mps"), rel=0.1)


@pytest.mark.parametrize("device", ["cuda:1", "mps", "xpu"])
def test_what_is_drawn_apart_is_put_back_on_every_device(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"state": 7}

    class Module:
        def get_rng_state(self, *where: Any) -> int:
            assert where == (() if device == "mps" else (torch.device(device),))
            return there["state"]

        def set_rng_state(self, state: int, *where: Any) -> None:
            there["state"] = state

    monkeypatch.setattr(torch, "get_device_module", lambda kind: Module())
    own = torch.get_rng_state()
    with pytest.raises(OSError), drawing_apart(device):
        torch.rand(3)
        there["state"] = 9
        raise OSError
    assert there["state"] == 7 and torch.equal(torch.get_rng_state(), own)


def test_states_of_more_devices_than_there_are_are_set_where_they_can(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", given.extend)
    set_random_states({**random_states(), "cuda": [torch.zeros(2), torch.ones(2)]})
    assert len(given) == 1 and torch.equal(given[0], torch.zeros(2))


def test_a_network_is_evaluated_on_a_device_without_float64() -> None:
    g = torch.Generator().manual_seed(0)
    batches = [(torch.randn(n, 4, generator=g), torch.randint(3, (n,), generator=g)) for n in (8, 8, 3)]
    task = Task(batches, batches, loss=F.cross_entropy)
    net = Supernet(nn.Sequential(OneOf({"a": nn.Linear(4, 4), "b": nn.Identity()}), nn.Linear(4, 3)))
    mixture = one_hot(net.space, {"0": "a"})
    with WithoutFloat64():
        metrics = task.evaluate(net, "validation", mixture)
    x, y = torch.cat([b[0] for b in batches]), torch.cat([b[1] for b in batches])
    with torch.no_grad():
        outputs = net(mixture, x)
    assert metrics["loss"] == pytest.approx(float(F.cross_entropy(outputs, y)), rel=1e-6)
    assert metrics["accuracy"] == pytest.approx(float((outputs.argmax(1) == y).float().mean()), rel=1e-6)
