"""Gradient search: learn a logit per option (``alphas``) beside the weights. Methods are named settings of this class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import chain
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn

from supernet import relaxations
from supernet.costs.price import widened
from supernet.data.streams import Data
from supernet.derivation import strongest
from supernet.derivation import within as changed_until
from supernet.errors import InputError, without_effect
from supernet.layers.base import Supernet
from supernet.mixture import Mix, Mixture
from supernet.modes import training
from supernet.quantities import Amount, Betas, Count, Positive, RateOrNone
from supernet.relaxations import Relaxation
from supernet.space import Architecture, Choice, SearchSpace
from supernet.strategies.early_stopping import Stop, stop_rule
from supernet.strategies.regularisers import Named, Regulariser, regulariser
from supernet.strategies.weights import Reduce, Weights, alone, over
from supernet.task import Task

Penalty = Callable[[Tensor, Mixture, SearchSpace], Tensor]


def no_penalty(loss: Tensor, mixture: Mixture, space: SearchSpace) -> Tensor:
    """The loss itself."""
    return loss


class Gradient:
    """Alternates a step on the alphas (validation batch) and steps on the weights (training batches).

    ``relax``, ``relax_weights``: from logits to the blend of the alpha step and of the weight step (the same unless given).
    ``relax_inputs``: the blend of a choice that keeps several of its options; ``everything`` has no alphas.
    ``weights``: how the weights are trained, made from the supernet; or settings of ``Weights`` that differ from the method's
    ``recipe``. ``alpha_optimiser``: from the alphas; else Adam with ``alpha_lr``, ``alpha_betas``, ``alpha_decay``.
    ``alpha_clip``: the largest norm of all the alphas' gradients together.
    ``warmup``: first epochs without alpha steps, below 1 a fraction of all. ``inner_steps``: weight steps per alpha step.
    ``alphas_on``: the stream of the alpha step, "validation" (unless given) or "train". ``single_level``: one loss of one training
    batch steps both; it excludes ``inner_steps`` and "validation".
    ``penalty(loss, mixture, space)``: prices the alphas' loss by what the blend costs; a ``Price`` (or ``Prices``) may adapt after each
    epoch. ``regularise``: terms that depend on the alphas alone, added to it too. ``stops``: asked after each epoch; one that answers
    with an architecture ends the search with it. Both by name or made: see ``regularisers`` and ``early_stopping``.
    ``rule``: from beliefs to the architecture. ``within(architecture)``: by how much it exceeds its bounds, at most 0 where they
    hold; what the rule gives is changed until they do. ``reduce``: averages gradients over ranks; every rank must be given the same
    ``seed``. Raises ``InputError`` for settings that exclude each other and for data that lacks the stream.
    """

    trainer: ClassVar[Callable[..., Weights]] = Weights  # what ``weights`` are settings of
    recipe: ClassVar[Mapping[str, Any]] = {}  # the paper's settings of it
    pricing: ClassVar[Mapping[str, Any]] = {"form": "hinge", "weight": 1.0}  # the paper's settings of ``Price``
    by_alphas: ClassVar[bool] = True  # whether the architecture is read off the alphas

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        relax: Relaxation,
        *,
        relax_weights: Relaxation | None = None,
        relax_inputs: Relaxation = relaxations.everything,
        weights: Callable[[nn.Module], Weights] | Mapping[str, Any] | None = None,
        alpha_lr: RateOrNone = 3e-4,
        alpha_betas: Betas = (0.5, 0.999),
        alpha_decay: Amount = 1e-3,
        alpha_optimiser: Callable[[Iterable[Tensor]], torch.optim.Optimizer] | None = None,
        alpha_clip: Positive | None = None,
        warmup: Amount = 0,
        inner_steps: Count = 1,
        alphas_on: str | None = None,
        single_level: bool = False,
        penalty: Penalty = no_penalty,
        regularise: Sequence[Regulariser | Named] = (),
        stops: Sequence[Stop | str] = (),
        rule: Callable[..., Architecture] = strongest,
        within: Callable[[Architecture], float] | None = None,
        seed: int = 0,
        reduce: Reduce = alone,
    ):
        if inner_steps < 1:
            raise InputError(f"inner_steps must be at least 1; got {inner_steps}")
        if alphas_on not in (None, "validation", "train"):
            raise InputError(f"alphas_on must be 'validation' or 'train'; got {alphas_on!r}")
        if single_level and (inner_steps > 1 or alphas_on == "validation"):
            idle = "inner_steps" if inner_steps > 1 else "alphas_on"
            raise without_effect(idle, "with single_level one loss of training data steps alphas and weights")
        alphas_on = alphas_on or ("train" if single_level else "validation")
        if not task.data.has(alphas_on):
            give = f"give Task a {alphas_on} loader or alphas_on='train'"
            raise InputError(f"alphas learn on the {alphas_on} data, and the task has none: {give}")
        if not warmup >= 0 or not (alpha_clip is None or alpha_clip > 0):
            raise InputError(f"warmup must be at least 0 and alpha_clip above 0, or none; got {warmup} and {alpha_clip}")
        if hasattr(penalty, "of_reward") and penalty.of_reward != (self.pricing["form"] == "reward"):
            kind = "rewards: use the form 'reward'" if self.pricing["form"] == "reward" else "losses: use another form than 'reward'"
            raise InputError(f"{type(self).__name__} prices {kind}")
        self.task, self.price, self.rule, self.excess, self.reduce = task, penalty, rule, within, reduce
        self.regularise, self.stops = [regulariser(r) for r in regularise], [stop_rule(s) for s in stops]
        self.relax, self.relax_weights, self.relax_inputs = relax, relax_weights or relax, relax_inputs
        self.warmup, self.inner_steps, self.alphas_on, self.single_level = warmup, inner_steps, alphas_on, single_level
        self.alpha_clip = alpha_clip
        self.rng = Generator().manual_seed(seed)
        self.make_weights: Callable[[nn.Module], Weights]
        self.make_weights = weights if callable(weights) else partial(self.trainer, **over(self.recipe, weights))
        self.make_alpha_optimiser = alpha_optimiser or adam(alpha_lr, alpha_betas, alpha_decay)
        self.done, self.of = 0, 1
        self.found: Architecture | None = None  # by a rule that stopped the search
        self.space = supernet.space  # that the price is of; the supernet of a later stage may have fewer options
        self.begin(supernet)

    @staticmethod
    def logits(choice: Choice) -> int:
        """How many alphas a choice has."""
        return len(choice.options)

    def begin(self, supernet: Supernet) -> None:
        """Turn to ``supernet``: its alphas and both optimisers are made anew."""
        self.supernet = supernet
        self.weights = self.make_weights(supernet)
        like = next(supernet.parameters())
        self.device = like.device
        self.alphas = {
            name: nn.Parameter((1e-3 * torch.randn(self.logits(c), generator=self.rng)).to(like.dtype))
            for name, c in supernet.space.items()
            if c.pick is None or self.relax_inputs is not relaxations.everything
        }
        if not self.alphas:
            raise InputError(
                f"{type(self).__name__} has nothing to learn: every choice keeps several of its options, which its alphas are not for; "
                "use pc-darts, which has alphas for inputs too, or one-shot"
            )
        self.alpha_optimiser = self.make_alpha_optimiser(list(self.alphas.values()))

    # The seams that a method overrides: what one choice's blend is made of, one step on the alphas, the blend of a weight step.

    def blend(self, choice: Choice, relax: Relaxation) -> Mix:
        """The blend of one choice, on the CPU."""
        if choice.pick is not None:
            relax = self.relax_inputs
        logits = self.alphas[choice.name] if choice.name in self.alphas else torch.zeros(len(choice.options))
        return relax(logits, self.rng)

    def alpha_step(self, train: Any, validation: Any) -> None:
        """Step the alphas by the gradient of the validation loss (``train``: for methods that look ahead).

        The supernet is run as it is, so that its batch norms count the validation batch, as in the official code of DARTS.
        """
        mixture = self.blended(self.relax)
        loss = self.penalty(self.objective(validation, self.moved(mixture)), mixture, self.supernet.space)
        self.apply_alphas(torch.autograd.grad(loss, list(self.alphas.values()), allow_unused=True))

    def weight_mixture(self, batch: Any) -> Mixture:
        """The blend under which the weights learn a step, ``batch`` being its first; asks no gradient of the alphas."""
        with torch.no_grad():
            return self.mixture(self.relax_weights)

    def priced(self, mixture: Mixture) -> Mixture:
        """The blend that is paid for when ``mixture`` runs: itself; with hard gates, the probabilities behind them."""
        return mixture

    def penalty(self, loss: Tensor, mixture: Mixture, space: SearchSpace) -> Tensor:
        """What the alphas descend: the loss, priced, with every regulariser added. ``mixture``: on the CPU, where costs are."""
        paid = self.priced(mixture)
        loss = self.price(loss, paid if space is self.space else widened(paid, space, self.space), self.space)
        for term in self.regularise:
            loss = loss + term(self)
        return loss

    @property
    def warm(self) -> bool:
        """Whether the alphas learn in this epoch."""
        return self.done >= (self.warmup * self.of if self.warmup < 1 else self.warmup)

    def step(self, data: Data) -> dict[str, Tensor]:
        """One alpha step and ``inner_steps`` weight steps; the measured are those of the last."""
        if self.single_level:
            return self.joint_step(self.batches(data))
        measured: dict[str, Tensor] = {}
        for i in range(self.inner_steps):
            batches = self.batches(data)
            first = next(batches)
            if i == 0 and self.warm:
                self.alpha_step(first, data.next(self.alphas_on))
            measured = self.weight_step(chain([first], batches))
        return measured

    def batches(self, data: Data) -> Iterator[Any]:
        """The training batches of one step, each pulled when the one before has been run: text goes on from where that ended."""
        return (data.next("train") for _ in range(self.weights.accumulate))

    def training(self) -> AbstractContextManager[None]:
        """What is trained is in training mode meanwhile."""
        return training(self.supernet)

    def steps(self, data: Data) -> int:
        """How many steps make one pass of the training data."""
        return max(data.steps("train") // (self.inner_steps * self.weights.accumulate), 1)

    def weight_step(self, batches: Iterable[Any]) -> dict[str, Tensor]:
        """Step the weights by the mean gradient over ``batches``; nothing is asked of the alphas."""
        rest = iter(batches)
        first = next(rest)
        network = partial(self.supernet, self.weight_mixture(first))
        measured: dict[str, Tensor] = {}

        def losses() -> Iterator[Tensor]:
            for batch in chain([first], rest):
                outputs = self.task.predict(network, batch)
                loss = self.task.loss(outputs, batch)
                measured.update(loss=loss.detach(), **self.task.measure(outputs, batch))
                yield loss

        self.weights.step(losses(), self.reduce)
        return measured

    @property
    def joint_alphas(self) -> list[Tensor]:
        """The alphas that a single-level step moves in this epoch."""
        return list(self.alphas.values()) if self.warm else []

    def joint_step(self, batches: Iterable[Any]) -> dict[str, Tensor]:
        """Step alphas and weights by the mean gradient of one loss over ``batches``, all under one blend."""
        mixture, alphas = self.blended(self.relax), self.joint_alphas
        total: list[Tensor | None] = [None] * (len(alphas) + len(self.weights.parameters))
        measured: dict[str, Tensor] = {}
        for batch in batches:
            grads, measured = self.joint_gradients(batch, mixture, [*alphas, *self.weights.parameters])
            total = [new if old is None else old if new is None else old + new for old, new in zip(total, grads, strict=True)]
        if alphas:
            self.apply_alphas(total[: len(alphas)])
        self.weights.apply(total[len(alphas) :], self.reduce)
        return measured

    def joint_gradients(self, batch: Any, mixture: Mixture, learnt: list[Tensor]) -> tuple[Sequence[Tensor | None], dict[str, Tensor]]:
        """One batch's part of the mean gradient, priced where the alphas learn, and what is measured. The blend's graph stays."""
        outputs = self.task.predict(partial(self.supernet, self.moved(mixture)), batch)
        loss = self.task.loss(outputs, batch)
        total = self.penalty(loss, mixture, self.supernet.space) if self.warm else loss
        if not total.requires_grad:  # a path that is frozen
            return [None] * len(learnt), {"loss": loss.detach(), **self.task.measure(outputs, batch)}
        grads = torch.autograd.grad(
            total / self.weights.accumulate, learnt, allow_unused=True, retain_graph=self.weights.accumulate > 1
        )
        return grads, {"loss": loss.detach(), **self.task.measure(outputs, batch)}

    def mixture(self, relax: Relaxation) -> Mixture:
        """Every choice's blend, on the device."""
        return self.moved(self.blended(relax))

    def blended(self, relax: Relaxation) -> Mixture:
        """Every choice's blend, on the CPU."""
        return {name: self.blend(choice, relax) for name, choice in self.supernet.space.items()}

    def moved(self, mixture: Mixture) -> Mixture:
        """A blend on the device of the supernet, moved in one tensor."""
        held = {name: mix.weights for name, mix in mixture.items() if mix.weights is not None}
        if self.device.type == "cpu" or not held:
            return mixture
        together = torch.cat(list(held.values())).to(self.device, non_blocking=True)
        moved = torch.split(together, [len(w) for w in held.values()])
        return mixture | {name: mixture[name]._replace(weights=w) for name, w in zip(held, moved, strict=True)}

    def objective(self, batch: Any, mixture: Mixture, network: Callable[..., Any] | None = None) -> Tensor:
        """The loss of one batch under a mixture."""
        return self.task.loss(self.task.predict(partial(network or self.supernet, mixture), batch), batch)

    def apply_alphas(self, grads: Sequence[Tensor | None]) -> None:
        """Step the alphas; those that took no part in the loss stay."""
        for p, g in zip(self.alphas.values(), grads, strict=True):
            p.grad = g
        self.reduce([p.grad for p in self.alphas.values() if p.grad is not None])
        if self.alpha_clip is not None:
            nn.utils.clip_grad_norm_(self.alphas.values(), self.alpha_clip)
        self.alpha_optimiser.step()

    def epoch(self, done: int, of: int, metrics: dict[str, Any]) -> bool:
        """Before the first epoch (``done`` = 0) and after each: set the schedules; True where a rule stops the search."""
        if hasattr(self.price, "epoch"):
            self.price.epoch(self.space, self.unbounded(), share=1 / of if done > 0 and self.warm else 0.0)
        self.done, self.of = done, of
        self.weights.epoch(done, of)
        for stop in self.stops if done else ():
            self.found = self.found or stop(self, done, of)
        return self.found is not None

    def belief(self) -> dict[str, list[float]]:
        """The probability of every option by its alpha."""
        return {n: p.detach().softmax(-1).tolist() for n, p in self.alphas.items()}

    def unbounded(self) -> Architecture:
        """What would be derived now without regard to bounds."""
        return self.rule(self.supernet.space, self.belief())

    def architecture(self) -> Architecture:
        """What would be derived now; after a stop, what it found."""
        if self.excess is None or self.found:
            return self.found or self.unbounded()
        return changed_until(self.supernet.space, self.belief(), self.excess, self.rule)

    @torch.no_grad()
    def evaluate(self, stream: str = "validation") -> dict[str, float]:
        """Loss and metrics of the supernet under its present blend; draws nothing from the search's generator."""
        state = self.rng.get_state()
        metrics = self.task.evaluate(self.supernet, stream, self.mixture(self.relax_weights))
        self.rng.set_state(state)
        return metrics

    def facts(self) -> dict[str, Any]:
        """What a history line records of this strategy."""
        space = self.supernet.space
        named = {
            n: {str(o): round(p, 6) for o, p in zip(space[n].options, probabilities, strict=True)}
            for n, probabilities in self.belief().items()
        }
        price = {"price": self.price.facts(self.space, self.unbounded())} if hasattr(self.price, "facts") else {}
        return {"learning_rate": self.weights.lr, "mixture": named, "architecture": self.architecture(), **price}

    def state_dict(self) -> dict[str, Any]:
        return {
            "supernet": self.supernet.state_dict(),
            "alphas": {n: p.detach().clone() for n, p in self.alphas.items()},
            "weights": self.weights.state_dict(),
            "alpha_optimiser": self.alpha_optimiser.state_dict(),
            "rng": self.rng.get_state(),
            "done": self.done,
            "of": self.of,
            "found": self.found,
            "stops": [stop.state_dict() if hasattr(stop, "state_dict") else {} for stop in self.stops],
            "price": self.price.state_dict() if hasattr(self.price, "state_dict") else {},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.supernet.load_state_dict(state["supernet"])
        with torch.no_grad():
            for n, p in self.alphas.items():
                p.copy_(state["alphas"][n])
        self.weights.load_state_dict(state["weights"])
        self.alpha_optimiser.load_state_dict(state["alpha_optimiser"])
        self.rng.set_state(state["rng"])
        self.done, self.of, self.found = state["done"], state["of"], state["found"]
        for stop, memory in zip(self.stops, state["stops"], strict=True):
            if hasattr(stop, "load_state_dict"):
                stop.load_state_dict(memory)
        if hasattr(self.price, "load_state_dict"):
            self.price.load_state_dict(state["price"])


def adam(lr: float, betas: tuple[float, float], decay: float) -> Callable[[Iterable[Tensor]], torch.optim.Optimizer]:
    """Adam of the alphas; raises ``InputError`` for settings out of range."""
    if not 0 < lr < float("inf") or not 0 <= decay < float("inf") or not all(0 <= beta < 1 for beta in betas):
        raise InputError(f"alpha_lr must be above 0, alpha_betas in [0, 1), alpha_decay at least 0; got {lr}, {tuple(betas)} and {decay}")
    return partial(torch.optim.Adam, lr=lr, betas=betas, weight_decay=decay)
