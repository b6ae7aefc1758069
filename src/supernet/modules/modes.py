"""Training and evaluation mode, and what passes in training mode write: whoever changes it puts it back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """``module`` is in evaluation mode meanwhile; every part of it gets its own mode back."""
    with _in_mode(module, False):
        yield


@contextmanager
def training(module: nn.Module) -> Iterator[None]:
    """``module`` is in training mode meanwhile, as its own ``train`` sets it; every part of it gets its own mode back."""
    with _in_mode(module, True):
        yield


@contextmanager
def kept_buffers(module: nn.Module) -> Iterator[None]:
    """Around passes in training mode that are to leave no trace: every buffer, such as a running mean, is put back as it was."""
    before = [(buffer, buffer.clone()) for buffer in module.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in before:
                buffer.copy_(value)


@contextmanager
def by_batch(module: nn.Module) -> Iterator[None]:
    """Evaluation mode, but batch norms take the statistics of each batch, and their averages stay as they were."""
    with evaluating(module), kept_buffers(module):
        for part in module.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                part.train()
        yield


@contextmanager
def _in_mode(module: nn.Module, mode: bool) -> Iterator[None]:
    before = [(part, part.training) for part in module.modules()]
    module.train(mode)
    try:
        yield
    finally:
        for part, own in before:
            part.training = own
