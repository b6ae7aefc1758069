"""Give a network the weights of another, so that it computes the same wherever it holds all that the other does.

Wei et al. 2016 (Network Morphism), sections 3 and 4, https://arxiv.org/abs/1603.01670; Chen et al. 2016 (Net2Net), section 2,
https://arxiv.org/abs/1511.05641; Elsken et al. 2019 (LEMONADE), section 3.1, https://arxiv.org/abs/1804.09081

What is new of a layer's outputs keeps the weights that it was built with, and what reads it starts at zeros. (Net2Net copies channels
instead, for which it has to know who reads them; zeros are a rule of each layer alone, and hold over residual sums, depthwise
convolutions and norms.) A kernel grows by zeros around it. A block that is new begins as an identity: by a last layer of zeros, as in a
residual block, else by convolutions that pass channels on and norms that take themselves back. What shrinks keeps the leading channels
and the centre of kernels. Where neither has all of the other, the weights are a better start than none and nothing is equal.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_leaves

from supernet.modules.modes import evaluating

Weighted = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear
AFFINE = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, _BatchNorm)
CLOSE = 1e-5  # by how much outputs may differ, as a share of the largest, where a new block passes on what it is given


class Inherited(NamedTuple):
    """``taken``: the share of the network's parameters that came from the other. ``gap``: the largest difference of the outputs of both in
    evaluation mode, as a share of the largest output; 0 but for rounding where the function was kept, infinite of other shapes.
    """

    taken: float
    gap: float


class Changed(NamedTuple):
    """A part of the network that the other has not: its name, and whether the other has something else there."""

    name: str
    replaces: bool


@torch.no_grad()
def inherit(network: nn.Module, other: nn.Module, *example: Any) -> Inherited:
    """Give ``network``, in place, what it can take of ``other``: layers by their names, of other sizes too.

    ``example``: inputs of one forward pass, by which a new block becomes an identity where it can. Convolutions (with groups, dilation and
    bias), linear layers, batch norms with their statistics and embeddings may differ in size; of all other modules tensors of one name and
    shape are taken.
    """
    changed: list[Changed] = []
    taken = overlaid(network, other, changed)
    with evaluating(network), evaluating(other):
        for part in changed:
            _begin_neutral(network, other, part, example)
        gap = _gap(network(*example), other(*example))
    numbers = [parameter.numel() for parameter in network.parameters()]
    return Inherited(sum(taken.values()) / max(sum(numbers), 1), gap)


@torch.no_grad()
def overlaid(network: nn.Module, other: nn.Module, changed: list[Changed] | None = None) -> dict[int, int]:
    """Give ``network`` what fits of ``other``, without a pass: how many numbers each parameter took, by its id.

    ``changed``: is filled with what is new.
    """
    return {id(tensor): count for tensor, count in _overlaid(network, other, "", [] if changed is None else changed)}


def _overlaid(own: nn.Module, other: nn.Module, name: str, changed: list[Changed]) -> Iterator[tuple[Tensor, int]]:
    """Take over ``other`` and what it holds, part by part; each parameter with how many of its numbers were taken."""
    if type(own) is not type(other):
        changed.append(Changed(name, True))
        return
    take: Callable[[Any, Any], Iterator[tuple[Tensor, int]]] = next((rule for kind, rule in RULES if isinstance(own, kind)), _same_shapes)
    yield from take(own, other)
    theirs = dict(other.named_children())
    for last, child in own.named_children():
        path = f"{name}.{last}" if name else last
        if last in theirs:
            yield from _overlaid(child, theirs[last], path, changed)
        else:
            changed.append(Changed(path, False))


def _weighted(own: Weighted, other: Weighted) -> Iterator[tuple[Tensor, int]]:
    """Of a convolution, weight (outputs, inputs / groups, *kernel), or a linear layer: the old outputs read old inputs alone."""
    rows = min(len(own.weight), len(other.weight))
    before = other.weight.to(own.weight)
    own.weight[:rows] = 0
    (wide, theirs), count = (_per_group(layer) for layer in (own, other)), 0
    inside, within = _centred(own.weight, before)
    for first, last in _segments(rows, wide[0], theirs[0]):
        start, begin = first // wide[0] * wide[1], first // theirs[0] * theirs[1]  # of the inputs of its group
        low, high = max(start, begin), min(start + wide[1], begin + theirs[1])
        if low < high:
            cut = before[first:last, low - begin : high - begin][within]
            own.weight[first:last, low - start : high - start][inside] = cut
            count += cut.numel()
    yield own.weight, count
    if own.bias is not None:
        own.bias[:rows] = 0 if other.bias is None else other.bias[:rows]
        yield own.bias, rows


def _per_group(layer: Weighted) -> tuple[int, int]:
    """Outputs and inputs of each group."""
    groups = layer.groups if not isinstance(layer, nn.Linear) else 1
    return len(layer.weight) // groups, layer.weight.shape[1]


def _segments(rows: int, *lengths: int) -> Iterator[tuple[int, int]]:
    """The runs of ``rows`` outputs that are of one group in both layers."""
    borders = sorted({rows, *(border for length in lengths for border in range(0, rows, length))})
    yield from itertools.pairwise(borders)


def _centred(own: Tensor, other: Tensor) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where the centre that two kernels share lies in each, behind all outputs and inputs."""
    pairs = [(mine, theirs, min(mine, theirs)) for mine, theirs in zip(own.shape[2:], other.shape[2:], strict=True)]
    every = (slice(None), slice(None))
    return (*every, *(_middle(size, cut) for size, _, cut in pairs)), (*every, *(_middle(size, cut) for _, size, cut in pairs))


def _middle(size: int, cut: int) -> slice:
    return slice((size - cut) // 2, (size - cut) // 2 + cut)


def _norm(own: _BatchNorm, other: _BatchNorm) -> Iterator[tuple[Tensor, int]]:
    """Of a batch norm: affine, and the statistics."""
    n = min(own.num_features, other.num_features)
    for mine, theirs in ((own.running_mean, other.running_mean), (own.running_var, other.running_var)):
        if mine is not None and theirs is not None:
            mine[:n] = theirs[:n]
    if own.num_batches_tracked is not None and other.num_batches_tracked is not None:
        own.num_batches_tracked.copy_(other.num_batches_tracked)
    if own.affine and other.affine:
        own.weight[:n], own.bias[:n] = other.weight[:n], other.bias[:n]
        yield from ((own.weight, n), (own.bias, n))


def _embedding(own: nn.Embedding, other: nn.Embedding) -> Iterator[tuple[Tensor, int]]:
    """Of an embedding, weight (words, features): what is new keeps its own."""
    rows, columns = (min(sizes) for sizes in zip(own.weight.shape, other.weight.shape, strict=True))
    own.weight[:rows, :columns] = other.weight[:rows, :columns]
    yield own.weight, rows * columns


def _same_shapes(own: nn.Module, other: nn.Module) -> Iterator[tuple[Tensor, int]]:
    """Of any other module: the tensors of one name and shape that it holds itself."""
    for mine, theirs in ((own._parameters, other._parameters), (own._buffers, other._buffers)):
        for name, tensor in mine.items():
            held = theirs.get(name)
            if tensor is not None and held is not None and tensor.shape == held.shape:
                tensor.copy_(held)
                if mine is own._parameters:
                    yield tensor, tensor.numel()


RULES: tuple[tuple[Any, Callable[[Any, Any], Iterator[tuple[Tensor, int]]]], ...] = (
    ((nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear), _weighted),
    (_BatchNorm, _norm),
    (nn.Embedding, _embedding),
)


def _begin_neutral(network: nn.Module, other: nn.Module, part: Changed, example: Sequence[Any]) -> None:
    """Let a part that is new give what stood there before, or else what it is given; leave it as it was built where it cannot."""
    module = network.get_submodule(part.name)
    inputs, _ = _around(network, part.name, example)
    wanted = _around(other, part.name, example)[1] if part.replaces else inputs[0] if inputs else None
    if not inputs or not isinstance(wanted, Tensor):
        return
    built = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    for begin in (_close, _pass_on):
        begin(module, inputs)
        if _gap(module(*inputs), wanted) <= CLOSE:
            return
        module.load_state_dict(built)


def _around(network: nn.Module, name: str, example: Sequence[Any]) -> tuple[tuple[Any, ...], Any]:
    """What a part of a network is given and gives in one pass; nothing where it does not run."""
    seen: list[tuple[tuple[Any, ...], Any]] = []
    hook = network.get_submodule(name).register_forward_hook(lambda _, inputs, output: seen.append((inputs, output)))
    try:
        network(*example)
    finally:
        hook.remove()
    return seen[0] if seen else ((), None)


def _close(module: nn.Module, inputs: Sequence[Any]) -> None:
    """Let the last layer with weights give zeros, as the norm behind a residual block does: Goyal et al. 2017, section 5.1,
    https://arxiv.org/abs/1706.02677
    """
    held = [part for part in module.modules() if isinstance(part, AFFINE) and part.weight is not None]
    for tensor in held[-1].parameters() if held else ():
        tensor.zero_()


def _pass_on(module: nn.Module, inputs: Sequence[Any]) -> None:
    """Let convolutions pass channels on as they are, and norms take themselves back by the statistics of what they are given."""

    def undo(norm: _BatchNorm, given: tuple[Tensor, ...]) -> None:
        if norm.running_mean is None or norm.running_var is None or norm.weight is None:
            return
        values = given[0].transpose(0, 1).flatten(1)
        norm.running_mean.copy_(values.mean(1))
        norm.running_var.copy_(values.var(1, unbiased=False))
        norm.weight.copy_((norm.running_var + norm.eps).sqrt())
        norm.bias.copy_(norm.running_mean)

    hooks = []
    for part in module.modules():
        if isinstance(part, nn.Conv1d | nn.Conv2d | nn.Conv3d):
            nn.init.dirac_(part.weight, part.groups)
        elif isinstance(part, nn.Linear):
            nn.init.eye_(part.weight)
        elif isinstance(part, _BatchNorm):
            hooks.append(part.register_forward_pre_hook(undo))
        if isinstance(part, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear) and part.bias is not None:
            part.bias.zero_()
    try:
        module(*inputs)
    finally:
        for hook in hooks:
            hook.remove()


def _gap(found: Any, wanted: Any) -> float:
    """The largest difference, as a share of the largest number; of channels that ``found`` has beyond those of ``wanted`` none counts."""
    largest = 0.0
    for own, other in zip(tree_leaves(found), tree_leaves(wanted), strict=False):
        if not isinstance(own, Tensor):
            continue
        if own.dim() > 1 and own.shape[1] > other.shape[1]:
            own = own[:, : other.shape[1]]
        if own.shape != other.shape:
            return float("inf")
        largest = max(largest, float((own - other).abs().max() / other.abs().max().clamp(min=1e-12)))
    return largest
