"""Gradient search: learn a logit per option (``alphas``) beside the weights. Methods are named settings of this class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Annotated, Any, ClassVar

import torch
from torch import Generator, Tensor, nn

from supernet import relaxations
from supernet.costs.price import FREE, Pricing, widened
from supernet.data.streams import Data
from supernet.errors import InputError, without_effect
from supernet.layers.base import Supernet
from supernet.mixture import Mix, Mixture
from supernet.relaxations import Relaxation
from supernet.settings.quantities import Share
from supernet.space import Architecture, Choice
from supernet.strategies.alphas import Alphas
from supernet.strategies.base import SupernetStrategy
from supernet.strategies.early_stopping import Stop, Stops
from supernet.strategies.learning import Learning
from supernet.strategies.regularisers import Named, Regulariser, regulariser
from supernet.strategies.rules import FILL, strongest, unbounded
from supernet.strategies.rules import within as changed_until
from supernet.strategies.weights import Weights, over
from supernet.task import Task
from supernet.train import moves


class Gradient(SupernetStrategy):
    """Steps alphas and weights by turns, or together: see ``Learning``, of which all further keywords are settings.

    ``relax``, ``relax_weights``: from logits to the blend of the alpha step and of the weight step (the same unless given).
    ``weights``: how the weights are trained, made from the supernet; or settings of ``Weights`` that differ from the method's
    ``recipe``. ``penalty``: what is paid for the cost of the blend, see ``Pricing``. ``regularise``: terms that depend on the alphas
    alone, added to their loss. ``stops``: rules that are asked after each epoch; the architecture that one answers ends the search.
    Both by name or made: see ``regularisers`` and ``early_stopping``.
    ``rule``: from beliefs to the architecture. ``within(architecture)``: by how much it exceeds its bounds, at most 0 where they
    hold; what the rule gives is changed until they do, and until they leave no room, see ``rules.within``; ``fill``: None is ``FILL``.
    Raises ``InputError`` for settings that exclude each other and for data that lacks the stream.
    """

    decides: ClassVar[bool] = True
    by_alphas: ClassVar[bool] = True
    alike: ClassVar[bool] = True
    by_blends: ClassVar[bool] = True  # whether the alphas learn by the gradient of what is blended; else by the scores of what is drawn
    has_curvature: ClassVar[bool] = True  # whether the loss is smooth in the alphas
    stage: int | None = None  # of a search in stages, from 0

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        relax: Relaxation,
        *,
        relax_weights: Relaxation | None = None,
        weights: Callable[[nn.Module], Weights] | Mapping[str, Any] | None = None,
        penalty: Pricing = FREE,
        regularise: Sequence[Regulariser | Named] = (),
        stops: Sequence[Stop | str] = (),
        rule: Callable[..., Architecture] = strongest,
        within: Callable[[Architecture], float] = unbounded,
        fill: Share | None = None,
        seed: int = 0,
        **learning: Annotated[Any, Learning],
    ):
        if fill is not None and within is unbounded:
            raise without_effect("fill", "it is of the room that a bound leaves, and there is none")
        self.learning = Learning(**learning)
        stream = self.learning.turns.stream
        if not task.data.has(stream):
            raise InputError(f"alphas learn on the {stream} data, and the task has none: give Task a {stream} loader or alphas_on='train'")
        if not penalty.fits(of_reward=self.pricing["form"] == "reward"):
            kind = "rewards: use the form 'reward'" if self.pricing["form"] == "reward" else "losses: use another form than 'reward'"
            raise InputError(f"{type(self).__name__} prices {kind}")
        self.task, self.price, self.rule, self.excess, self.fill = task, penalty, rule, within, FILL if fill is None else fill
        self.regularise, self.stop = [regulariser(r) for r in regularise], Stops(stops)
        if self.stop.needs_curvature and not self.has_curvature:
            raise InputError("gates that are open or shut have no curvature: leave out the stopping rule")
        self.relax, self.relax_weights = relax, relax_weights or relax
        self.rng = Generator().manual_seed(seed)
        self.make_weights: Callable[[nn.Module], Weights]
        self.make_weights = weights if callable(weights) else partial(self.trainer, **over(self.recipe, weights))
        self.done, self.of = 0.0, 1
        self.found: Architecture | None = None  # by a rule that stopped the search
        self.space = supernet.space  # that the price is of; the supernet of a later stage may have fewer options
        self.begin(supernet)

    @classmethod
    def logits(cls, choice: Choice) -> int:
        """An alpha for each option of a choice that takes one."""
        return len(choice.options) if choice.pick is None else 0

    @property
    def resolved(self) -> dict[str, Any]:
        """The values of settings that may be left open."""
        return {"alphas_on": self.learning.turns.stream, "fill": self.fill}

    def begin(self, supernet: Supernet) -> None:
        """Turn to ``supernet``: its alphas and both optimisers are made anew."""
        sizes = [layer.choice.name for layer in supernet.layers if layer.choice and not layer.blends]
        if sizes and self.by_blends:
            raise InputError(f"the sizes of {sizes[0]!r} cannot be blended: take a method that draws architectures, such as one-shot")
        self.supernet = supernet
        self.weights = self.make_weights(supernet).scaled_for(self.task)
        like = next(supernet.parameters())
        self.device = like.device
        counts = {name: count for name, choice in supernet.space.items() if (count := self.logits(choice))}
        if not counts:
            raise InputError(
                f"{type(self).__name__} has nothing to learn: every choice keeps several of its options, which its alphas are not for; "
                "use pc-darts, which has alphas for inputs too, or one-shot"
            )
        first = {name: (1e-3 * torch.randn(count, generator=self.rng)).to(like.dtype) for name, count in counts.items()}
        self.alphas = Alphas({name: nn.Parameter(logits) for name, logits in first.items()}, self.learning, self.weights.scaling)

    # The seams that a method overrides: what one choice's blend is made of, one step on the alphas, the blend of a weight step.

    def blend(self, choice: Choice, relax: Relaxation) -> Mix:
        """The blend of one choice, on the CPU; of one without alphas, all of its options."""
        if choice.name not in self.alphas:
            return relaxations.everything(torch.zeros(len(choice.options)), self.rng)
        return relax(self.alphas[choice.name], self.rng)

    def alpha_step(self, train: Any, validation: Any) -> None:
        """Step the alphas by the gradient of the validation loss (``train``: for methods that look ahead).

        The supernet is run as it is, so that its batch norms count the validation batch, as in the official code of DARTS.
        """
        self.alphas.apply(self.slopes(self.blended(self.relax), validation), self.task.ranks)

    def slopes(self, mixture: Mixture, batch: Any) -> list[Tensor | None]:
        """The gradient by the alphas of what they descend, on one batch under a blend; None of those that take no part."""
        loss = self.descended(self.objective(batch, self.moved(mixture)), mixture)
        return list(self.weights.scaling.gradients(loss, list(self.alphas.values()), allow_unused=True))

    def weight_mixture(self, batch: Any) -> Mixture:
        """The blend under which the weights learn a step, ``batch`` being its first; asks no gradient of the alphas."""
        with torch.no_grad():
            return self.mixture(self.relax_weights)

    def priced(self, mixture: Mixture) -> Mixture:
        """The blend that is paid for when ``mixture`` runs: itself; with hard gates, the probabilities behind them."""
        return mixture

    def descended(self, loss: Tensor, mixture: Mixture) -> Tensor:
        """What the alphas descend: the loss, priced, with every regulariser added. ``mixture``: on the CPU, where costs are."""
        paid, space = self.priced(mixture), self.supernet.space
        loss = self.price(loss, paid if space is self.space else widened(paid, space, self.space), self.space)
        for term in self.regularise:
            loss = loss + term(self)
        return loss

    @property
    def alphas_learn(self) -> bool:
        """Whether the alphas learn in this epoch."""
        return self.done >= self.learning.waits(self.of)

    @property
    def joint_alphas(self) -> list[Tensor]:
        """The alphas that a step together with the weights moves in this epoch."""
        return list(self.alphas.values()) if self.alphas_learn else []

    def step(self, data: Data) -> dict[str, Tensor]:
        """One step of the search; the measured are those of the last step on the weights."""
        return self.learning.turns.step(self, data)

    def batches(self, data: Data) -> Iterator[Any]:
        """The training batches of one step, each pulled when the one before has been run: text goes on from where that ended."""
        return (data.next("train") for _ in range(self.weights.accumulate))

    def steps(self, data: Data) -> int:
        """How many steps make one pass of the training data."""
        return max(data.steps("train") // (self.learning.turns.weight_steps * self.weights.accumulate), 1)

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

        self.weights.step(losses(), self.task.ranks)
        return measured

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

    def epoch(self, done: int, of: int, metrics: dict[str, Any]) -> bool:
        """Before the first epoch (``done`` = 0) and after each: set the schedules; True where a rule stops the search."""
        self.move(done, of)
        if done and self.found is None:
            self.found = self.task.ranks.told(self.stop(self, done, of))
        return self.found is not None

    def schedule(self, done: float, of: int) -> None:
        """Set the schedules within an epoch; a search in stages counts ``done`` and ``of`` from its stage, as ``move`` does."""
        self.move(done, of)

    def move(self, done: float, of: int) -> None:
        """Set the schedules for ``done`` of ``of`` epochs of this stage, and adapt the price by the share that has passed."""
        self.price.epoch(self.space, self.unbounded(), share=max(done - self.done, 0.0) / of if self.alphas_learn else 0.0)
        self.done, self.of = done, of
        self.weights.epoch(done, of)

    @property
    def risen(self) -> float:
        """How far a schedule is that begins with the first of the search's moves and ends with the last: from 0 to 1."""
        return min(self.done / (self.of - 1 / moves(self.of)), 1.0)

    def belief(self) -> dict[str, list[float]]:
        """The probability of every option by its alpha."""
        return {n: p.detach().softmax(-1).tolist() for n, p in self.alphas.items()}

    def unbounded(self) -> Architecture:
        """What would be derived now without regard to bounds."""
        return self.rule(self.supernet.space, self.belief())

    def architecture(self) -> Architecture:
        """What would be derived now; after a stop, what it found."""
        return self.found or changed_until(self.supernet.space, self.belief(), self.excess, self.rule, self.fill)

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
        paid = self.price.facts(self.space, self.unbounded())
        found = {"learning_rate": self.weights.lr, "mixture": named, "architecture": self.architecture()}
        return {**found, "price": paid} if paid else found

    def state_dict(self) -> dict[str, Any]:
        return {
            "supernet": self.supernet.state_dict(),
            "alphas": self.alphas.state_dict(),
            "weights": self.weights.state_dict(),
            "rng": self.rng.get_state(),
            "done": self.done,
            "of": self.of,
            "found": self.found,
            "stop": self.stop.state_dict(),
            "price": self.price.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.supernet.load_state_dict(state["supernet"])
        self.alphas.load_state_dict(state["alphas"])
        self.weights.load_state_dict(state["weights"])
        self.rng.set_state(state["rng"])
        self.done, self.of, self.found = state["done"], state["of"], state["found"]
        self.stop.load_state_dict(state["stop"])
        self.price.load_state_dict(state["price"])
