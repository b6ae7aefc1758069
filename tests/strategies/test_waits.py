"""How often a step makes the host wait for the device: what stands between a GPU and its speed, counted without one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest
import test_contract
import test_retraining_contract
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from far_device import FAR, FarDevice
from supernet import Supernet, Task
from supernet.data.batches import Batches
from supernet.strategies import STRATEGIES
from supernet.strategies.one_shot import OneShot

# A step reads what it needs of the device in one transfer: the slopes by a mixture, which the alphas on the CPU learn from. Where it is
# none, nothing learns from a mixture. Where it is more:
WAITS = {
    **dict.fromkeys(("one-shot", "path-dropout", "ofa", "smash", "spos", "fairnas", "bignas"), 0),
    "darts-2nd": 4,  # the slopes of the validation loss, of two finite differences, and the size of these
    **dict.fromkeys(("drnas", "beta-darts", "fair-darts"), 2),  # a term of the alphas, on the CPU, is added to the loss
    "attentive": 2,  # the losses of the candidates, for each network between the largest and the smallest
    "single-path": 6,  # the norms of rings, then of halves under them; slopes by each, and these on their way back to the weights
    "enas": 0,
}


def far_made(name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Task]:
    """A method as the contract makes it, on the far device."""
    monkeypatch.setattr(test_contract, "Task", partial(test_contract.Task, device=FAR))
    monkeypatch.setattr(test_contract, "cells", placed(test_contract.cells))
    monkeypatch.setattr(test_contract, "Supernet", placed(Supernet))
    return test_contract.made(name)


def placed(make: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    return lambda *given, **settings: make(*given, **settings).to(FAR)


def waits_of_a_step(strategy: Any, data: Any, device: FarDevice) -> list[str]:
    """What the host waited for in one step."""
    device.waits.clear()
    with strategy.training():
        measured = strategy.step(data)
    assert all(value.device == FAR for value in measured.values()), "what a step measures stays on the device"
    return device.waits


def staged(name: str) -> bool:
    """Whether a method builds several supernets, which takes its time."""
    return "stages" in STRATEGIES[name].load().needs


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if staged(n) else ()) for n in STRATEGIES])
def test_a_step_waits_for_the_device_once_or_as_often_as_is_said(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with FarDevice() as device:
        strategy, task = far_made(name, monkeypatch)
        strategy.epoch(5, 6, {})  # after any warm-up
        waits = waits_of_a_step(strategy, task.data, device)
        assert len(waits) == WAITS.get(name, 1), "\n".join(waits)


@pytest.mark.parametrize("name", ["darts", "darts-2nd", "gdas", "single-path", "sdarts-adv", "one-shot"])
def test_scaled_losses_make_a_step_wait_no_oftener(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain_precision(monkeypatch)
    with FarDevice() as device:
        monkeypatch.setattr(test_contract, "Task", partial(Task, autocast=torch.float16))
        strategy, task = far_made(name, monkeypatch)
        strategy.epoch(5, 6, {})
        waits = waits_of_a_step(strategy, task.data, device)
        assert strategy.weights.scaling.on and len(waits) == WAITS.get(name, 1), "\n".join(waits)


@pytest.mark.parametrize("space", ["nasbench201", "darts-rnn", "lstm"])
def test_a_step_of_retraining_never_waits(space: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain_precision(monkeypatch)
    monkeypatch.setattr(test_retraining_contract, "Task", partial(Task, device=FAR))
    monkeypatch.setattr(test_retraining_contract, "LanguageModelling", partial(test_retraining_contract.LanguageModelling, device=FAR))
    monkeypatch.setattr(test_retraining_contract, "network", placed(test_retraining_contract.network))
    with FarDevice() as device:
        strategy, task, _ = test_retraining_contract.made(space)
        strategy.epoch(0, 3, {})
        assert not (waits := waits_of_a_step(strategy, task.data, device)), "\n".join(waits)


def plain_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """The far device runs in single precision whatever is asked for: PyTorch knows no mixed one of it."""
    monkeypatch.setattr("supernet.task.check_precision", lambda device, autocast: None)
    monkeypatch.setattr(Task, "precision", lambda task: nullcontext())


def planted(x: Tensor) -> dict[str, Callable[[], Any]]:
    """What makes the host wait, by its name."""
    return {
        "item": lambda: x.sum().item(),
        "float": lambda: float(x.sum()),
        "truth": lambda: bool(x.sum() > 0),
        "nonzero": lambda: x.nonzero(),
        "mask": lambda: x[x > 0],
        "equal": lambda: torch.equal(x, x + 1),
        "is_nonzero": lambda: torch.is_nonzero(x.sum()),
        "cpu": lambda: x.cpu(),
        "to": lambda: x.to("cpu"),
        "tolist": lambda: x.tolist(),
        "copy": lambda: torch.zeros(3).copy_(x),
        "tensor": lambda: torch.tensor([1.0, 2.0], device=x.device),
        "list": lambda: x[[0, 2]],
        "blocking": lambda: torch.ones(3).to(x.device),
    }


@pytest.mark.parametrize("how", planted(torch.zeros(3)))
def test_what_makes_the_host_wait_is_seen_in_a_step(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = OneShot.step

    def step(self: OneShot, data: Any) -> dict[str, Tensor]:
        planted(next(iter(self.supernet.parameters())).detach().flatten()[:3])[how]()
        return before(self, data)

    with FarDevice() as device:
        strategy, task = far_made("one-shot", monkeypatch)
        strategy.epoch(0, 6, {})
        monkeypatch.setattr(OneShot, "step", step)
        assert len(waits_of_a_step(strategy, task.data, device)) == 1


def test_what_a_device_refuses_is_refused() -> None:
    with FarDevice() as device:
        x = torch.ones(3, device=FAR)
        assert not (x + 1).mul_(2).to(FAR).requires_grad and (x + torch.tensor(1.0)).device == FAR and not device.waits
        for call, error in (
            (lambda: x + torch.ones(3), RuntimeError),
            (lambda: x.double(), TypeError),
            (lambda: x.bernoulli_(0.5, generator=torch.Generator()), RuntimeError),
        ):
            with pytest.raises(error):
                call()
        assert x.tolist() == [1, 1, 1] and len(device.waits) == 1


def test_batches_held_on_the_device_never_wait() -> None:
    with FarDevice() as device:
        x, y = torch.zeros(16, 3, 8, 8, dtype=torch.uint8), torch.zeros(16, dtype=torch.long)
        held = Batches(x, y, 4, augment=test_retraining_contract.Augment(2, True, 4), mean=(0.5,) * 3, std=(0.25,) * 3).to(FAR)
        task = Task(held, loss=F.cross_entropy, device=FAR)
        task.data.next("train")
        device.waits.clear()
        for _ in range(2):
            images, _ = task.data.next("train")
        assert images.device == FAR and not device.waits, device.waits
