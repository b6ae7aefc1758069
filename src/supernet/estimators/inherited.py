"""Score an architecture by training its network for a few epochs from the trained weights of another, its parent or the nearest.

Real et al. 2017, section 3.3 (weight inheritance), https://arxiv.org/abs/1703.01041; Elsken et al. 2019 (LEMONADE), section 3.1, on
weights that keep the function, https://arxiv.org/abs/1804.09081
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import partial
from random import Random

import torch
from torch import nn

from supernet.errors import InputError
from supernet.estimators.scratch import FromScratch
from supernet.estimators.states import InMemory, States
from supernet.modules.inheritance import inherit, overlaid
from supernet.searchers.lineage import Lineage, Origin
from supernet.space import Architecture, SearchSpace
from supernet.strategies.retrain import Retrain
from supernet.task import Task

EXAMPLES = 32  # by which a new block becomes an identity


class Inherited:
    """(architecture, fidelity) -> loss and metrics on the validation stream, after training ``build(architecture)`` on inherited weights.

    ``lineage``: follows the searcher that asks, and says of whom an architecture takes over; one that it does not know, or that takes over
    from none, is trained from nothing. ``states``: keeps what was trained for others, as long as it lives. A training goes on with the
    batches behind those of the parent's, its optimiser and schedule begin anew. The rest as of ``FromScratch``. An estimate depends on the
    architecture, the fidelity and its ``origin``, which a process other than the one that asks is given.
    Raises ``InputError`` where networks of the space have no weights in common.
    """

    def __init__(
        self,
        build: Callable[[Architecture], nn.Module],
        task: Task,
        *,
        epochs: int = 1,
        steps: int | None = None,
        seed: int = 0,
        strategy: Callable[[nn.Module, Task], Retrain] = Retrain,
        lineage: Lineage | None = None,
        states: States | None = None,
    ):
        self.build, self.task = build, task
        self.lineage, self.states = lineage or Lineage(SearchSpace()), states or InMemory()
        self.training = FromScratch(build, task, epochs=epochs, steps=steps, seed=seed, strategy=strategy)
        if self.lineage.space:
            self._check()

    def __call__(self, architecture: Architecture, fidelity: float = 1.0, origin: Origin | None = None) -> dict[str, float]:
        origin = origin or self.lineage.origin(architecture)
        if origin is None:
            return self.training(architecture, fidelity)
        self.states.drop(origin.number, origin.kept)
        training = copy(self.training)
        training.build = partial(self._grown, origin)
        with training.apart():
            strategy = training.trained(architecture, fidelity)
            self.states.save(origin.number, {"network": strategy.model.state_dict(), "data": self.task.data.state_dict()})
            return strategy.evaluate("validation")

    def _grown(self, origin: Origin, architecture: Architecture) -> nn.Module:
        """The network at the start of its training, and the data where its parent's training left them."""
        network = self.build(architecture)
        if origin.parent is None:
            return network
        number, taken = origin.parent
        state, parent = self.states.load(number), self.build(taken)
        parent.load_state_dict(state["network"])
        self.task.data.load_state_dict(state["data"])
        network = self.task.place(network)
        inherit(network, self.task.place(parent), *self.task.sample(EXAMPLES))
        return network

    def _check(self) -> None:
        """Refuse networks that hand nothing on, by one and its child."""
        rng = Random(0)
        parent = self.lineage.space.sample(rng)
        with torch.device("meta"):
            network, other = self.build(self.lineage.space.mutate(parent, rng)), self.build(parent)
            if not sum(overlaid(network, other).values()):
                raise InputError("networks of this space hand no weights on to each other: score them by --estimator scratch")
