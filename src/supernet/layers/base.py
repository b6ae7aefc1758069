"""What every searchable layer promises, and the supernet: a model whose layers still have choices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from typing import Any, ClassVar

from torch import nn

from supernet.errors import InputError
from supernet.layers.arrivals import weigh_where_read
from supernet.layers.blend import keep_input
from supernet.layers.channels import ByChannel
from supernet.mixture import Mix, Mixture
from supernet.modules.convolutions import Routes
from supernet.modules.graph import Graph, asked
from supernet.modules.memo import memo
from supernet.nesting import Nesting, nested
from supernet.space import Choice, Option, SearchSpace, Taken

When = tuple[tuple[str, Option], ...]


class Searchable(nn.Module):
    """A layer that runs under the blend of the choice it names, and of the choices of others that it follows.

    ``options``: of its own choice; empty: it has none. ``name``: of the choice; None: the layer's path in the model.
    ``follows``: names of choices owned elsewhere that this layer reads too. ``limits``: further fields of ``Choice``.
    ``whole``: its options cost what they cost together, not each for itself. ``sizes_of``: where its options are sizes, of what: "input",
    "kernel", "depth" or "width". ``generates``: whether it makes weights of other parts. ``blends``: whether several of its options can
    run at once.
    """

    whole = False
    sizes_of: ClassVar[str] = "width"
    generates: ClassVar[bool] = False
    blends: ClassVar[bool] = True

    def __init__(self, options: Sequence[Option], name: str | None = None, follows: tuple[str, ...] = (), **limits: Any):
        super().__init__()
        for option in options:
            if not isinstance(option, str | int | float):
                raise InputError(f"an option of {type(self).__name__} is named by text or a number; got {option!r}")
        if len(set(options)) < len(options):
            raise InputError(f"the options of a choice must differ; got {tuple(options)}")
        if name is not None and not isinstance(name, str):
            raise InputError(f"the name of a choice is text; got {name!r}")
        self.choice = Choice(name or "", tuple(options), **limits) if options else None
        self.follows = follows
        self.mix: Mix | None = None
        self.others: tuple[Mix, ...] = ()

    @property
    def structural(self) -> bool:
        """Whether its options are parts that can run at once; else they are sizes of one."""
        return bool(self.under()) and not self.whole

    def derive(self, taken: Taken | None, *others: Taken | None) -> nn.Module:
        """The plain module that stays when ``taken`` is chosen (and ``others``, for the choices it follows)."""
        raise TypeError(f"{type(self).__name__} must say what stays of it: derive(taken, *others)")

    def under(self) -> list[tuple[nn.Module, When]]:
        """Parts of this layer that run only where some (choice, option) is taken; parts not listed always run."""
        return []

    def restrict(self, options: Sequence[Option]) -> None:
        """Forget the options not named; refuses where options are sizes of one shared weight."""
        raise InputError(f"{type(self).__name__} cannot drop options: they are sizes of one weight")

    def own(self) -> tuple[Choice, Mix]:
        """This layer's choice and the blend it runs under now; raises outside ``Supernet.forward``."""
        if self.choice is None or self.mix is None:
            name = self.choice.name if self.choice else type(self).__name__
            raise RuntimeError(f"{name or type(self).__name__} ran outside a supernet: wrap the model in Supernet and give a mixture")
        return self.choice, self.mix


def modules_by_name(layer: str, modules: Any) -> dict[Any, nn.Module]:
    """The options of a layer, whose names are given; raises ``InputError`` for what is not a dict of modules."""
    if not isinstance(modules, Mapping):
        raise InputError(f'{layer} takes a dict of modules by name, such as {{"a": module}}; got a {type(modules).__name__}')
    return {name: _module(layer, f"option {name!r}", module) for name, module in modules.items()}


def modules_in_order(layer: str, modules: Any) -> list[nn.Module]:
    """The parts of a layer, in order; raises ``InputError`` for what is not a sequence of modules."""
    if isinstance(modules, Mapping) or not isinstance(modules, Iterable):
        raise InputError(f"{layer} takes a list of modules; got a {type(modules).__name__}")
    return [_module(layer, f"number {i}", module) for i, module in enumerate(modules)]


def _module(layer: str, which: str, module: Any) -> nn.Module:
    if isinstance(module, nn.Module):
        return keep_input(module)
    hint = ": put it in nn.Sequential(...)" if isinstance(module, list | tuple) else ""
    raise InputError(f"{which} of {layer} must be a torch.nn.Module; got a {type(module).__name__}{hint}")


def searchable(model: nn.Module) -> list[Searchable]:
    """The searchable layers of ``model``, each once."""
    return [m for m in model.modules() if isinstance(m, Searchable)]


class Supernet(nn.Module):
    """A model with open choices, run under a mixture: ``supernet(mixture, *inputs)``.

    ``space`` lists the choices. Unnamed choices take their layer's path as name; layers that share a name share the
    choice. A choice nested in an option matters only where that option is taken.
    ``outside``: choices that no layer has, which layers may follow.
    ``share``: compute pure operations that several edges ask of one state once per forward pass (exact).
    Raises ``InputError`` for a model without choices, or whose choices share a name and differ.
    """

    def __init__(self, model: nn.Module, *outside: Choice, share: bool = True):
        super().__init__()
        self.model, self.outside, self.share = model, outside, share
        self.layers, self.routes, self.graph, self.arrivals_known = searchable(model), Routes(model), Graph(), False
        for path, module in model.named_modules():
            if isinstance(module, Searchable) and module.choice and not module.choice.name:
                module.choice = replace(module.choice, name=path or "choice")
        places: dict[str, list[Nesting]] = {}
        _note_places(model, (), places, set())
        choices = nested([*(layer.choice for layer in self.layers if layer.choice), *outside], places)
        for layer in self.layers:
            if layer.choice and not layer.choice.when:
                found = choices[layer.choice.name]
                layer.choice = replace(layer.choice, when=found.when, together=found.together)
        self.space = SearchSpace([*(layer.choice for layer in self.layers if layer.choice), *outside])
        wide = [layer for layer in self.layers if layer.choice and isinstance(layer, ByChannel) and layer.axes().gives]
        self.widths = {name for layer in wide if layer.choice for name in (layer.choice.name, *layer.follows)}
        if not self.space:
            raise InputError("the model has no choices: put OneOf, SomeOf, UpTo or an elastic layer in its __init__")
        if missing := [name for layer in self.layers for name in layer.follows if name not in self.space]:
            raise InputError(f"a layer follows the choice {missing[0]!r}, and no layer has it: give that width to the layer that makes it")

    def forward(self, mixture: Mixture, *inputs: Any, **named: Any) -> Any:
        if not self.arrivals_known and any(mixture[name].blended for name in self.widths):
            self.arrivals_known = True
            weigh_where_read(self.model, lambda: self(everything(self), *inputs, **named))
        alike = asked() and all(len(mixture[name].runs) == len(choice.options) for name, choice in self.space.items())
        with self.blending(mixture), memo(self.share), self.routes.taken():
            return self.graph(self.model, alike, *inputs, **named)

    @contextmanager
    def blending(self, mixture: Mixture) -> Iterator[None]:
        """Set every layer's blend, and put the previous ones back."""
        before = [(layer.mix, layer.others) for layer in self.layers]
        for layer in self.layers:  # by their dicts: torch looks at what is assigned to a module, which takes long
            mix = mixture[layer.choice.name] if layer.choice else None
            vars(layer).update(mix=mix, others=tuple(mixture[name] for name in layer.follows))
        try:
            yield
        finally:
            for layer, (mix, others) in zip(self.layers, before, strict=True):
                vars(layer).update(mix=mix, others=others)

    def restrict(self, options: Mapping[str, Sequence[Option]]) -> Supernet:
        """A supernet in which the named choices keep only these options; this one is left as it is."""
        model = deepcopy(self.model)
        for layer in searchable(model):
            if layer.choice and layer.choice.name in options:
                layer.restrict(tuple(o for o in layer.choice.options if o in options[layer.choice.name]))
        return Supernet(model, *self.outside, share=self.share)


def everything(supernet: Supernet) -> Mixture:
    """The blend that runs every part at once, each at its largest size."""
    structural = {layer.choice.name for layer in supernet.layers if layer.choice and layer.structural}
    every = {name: tuple(range(len(choice.options))) for name, choice in supernet.space.items()}
    return {name: Mix(None, runs if name in structural else runs[-1:]) for name, runs in every.items()}


def placed(module: nn.Module) -> Iterator[tuple[str, nn.Module, When]]:
    """The children of ``module``, parts in a list one by one, each with the pairs of which any must be taken for it to run; (): none."""
    waiting = _conditions_of_parts(module)
    for name, child in module._modules.items():
        if child is None:
            continue
        if isinstance(child, nn.ModuleList) and any(id(part) in waiting for part in child):
            for i, part in enumerate(child):
                yield f"{name}.{i}", part, (waiting.get(id(part)) or [()]).pop(0)
        else:
            yield name, child, (waiting.get(id(child)) or [()]).pop(0)


def _conditions_of_parts(module: nn.Module) -> dict[int, list[When]]:
    """By the id of each part of ``module``: the pairs of which any must be taken, for each place that it has there."""
    places: dict[int, list[When]] = {}
    for part, pairs in module.under() if isinstance(module, Searchable) else ():
        places.setdefault(id(part), []).append(pairs)
    children = [m for c in module._modules.values() for m in (c if isinstance(c, nn.ModuleList) else (c,))]
    for i, conditions in places.items():
        always = sum(id(child) == i for child in children) - len(conditions)
        conditions[:0] = [()] * always  # the first blocks of an UpTo run at every depth, and may be one module
    return places


def _note_places(module: nn.Module, chain: Nesting, places: dict[str, list[Nesting]], seen: set[tuple[int, Nesting]]) -> None:
    """Note where each choice occurs: below which (choice, option) pairs, from the outside in."""
    if (id(module), chain) in seen:
        return
    seen.add((id(module), chain))
    if isinstance(module, Searchable) and module.choice:
        places.setdefault(module.choice.name, []).append(chain)
    for _, child, pairs in placed(module):
        _note_places(child, (*chain, pairs) if pairs else chain, places, seen)
