"""Path dropout: what is dropped, of what batch norms take their statistics, and what decays."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import OneOf, Supernet, Task
from supernet.mixture import Mixture
from supernet.strategies.path_dropout import PathDropout


def task(examples: int = 8) -> Task:
    g = torch.Generator().manual_seed(0)
    batches = [(torch.randn(examples, 4, generator=g), torch.randint(4, (examples,), generator=g)) for _ in range(4)]
    return Task(batches, batches, loss=F.cross_entropy)


def net(*more: nn.Module) -> Supernet:
    torch.manual_seed(0)
    return Supernet(nn.Sequential(OneOf({f"o{i}": nn.Linear(4, 4) for i in range(3)}, name="one"), *more))


def test_the_rate_grows_linearly_and_is_that_all_options_are_dropped() -> None:
    strategy, dropped = PathDropout(net(), task(), rate=0.512), dict.fromkeys((0, 2), 0)
    ran: list[Mixture] = []
    strategy.supernet.register_forward_pre_hook(lambda module, given: ran.append(given[0]))
    for done, found in dropped.items():
        strategy.epoch(done, 4, {})
        ran.clear()
        for _ in range(1000):
            strategy.outputs(next(strategy.lessons_on(None))[0], (torch.zeros(1, 4), torch.zeros(1)), None)
        dropped[done] = found + sum(3 - len(mixture["one"].runs) for mixture in ran)
    p = (0.512 / 2) ** (1 / 3)
    assert dropped[0] == 0 and abs(dropped[2] / 1000 - (3 * p - p**3)) < 0.1  # where all are dropped, one is drawn


def test_batch_norms_take_the_statistics_of_parts_of_a_batch() -> None:
    strategy, given = PathDropout(net(nn.BatchNorm1d(4)), task(11), ghost=4), next(iter(task(11).data.each("train")))
    mixture = next(strategy.lessons_on(given))[0]
    sizes: list[int] = []
    strategy.supernet.register_forward_pre_hook(lambda module, given: sizes.append(len(given[1])))
    whole: Tensor = strategy.outputs(mixture, given, None)
    assert sizes == [6, 5] and whole.shape == (11, 4)
    torch.testing.assert_close(whole[6:], strategy.supernet(mixture, given[0][6:]))


def test_what_is_dropped_does_not_decay() -> None:
    strategy = PathDropout(net(), task(), rate=0.9, weights={"decay": 0.5})
    strategy.epoch(9, 10, {})
    moved = []
    for _ in range(8):
        before = {name: p.clone() for name, p in strategy.supernet.named_parameters()}
        ran: list[Mixture] = []
        hook = strategy.supernet.register_forward_pre_hook(lambda module, given, ran=ran: ran.append(given[0]))
        strategy.step(strategy.task.data)
        hook.remove()
        changed = {int(name.split(".")[-2]) for name, p in strategy.supernet.named_parameters() if not torch.equal(p, before[name])}
        assert changed == set(ran[0]["one"].runs)
        moved.append(len(changed))
    assert min(moved) < 3
