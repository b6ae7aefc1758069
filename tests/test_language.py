"""Numbers from https://github.com/quark0/darts/tree/master/rnn, run on the same values."""

from __future__ import annotations

import math
import signal
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from oracles import assert_signature, fractions, sines
from supernet.data.text import Text, load
from supernet.data.text_streams import Chunk, TextStream
from supernet.derive import derive
from supernet.errors import InputError
from supernet.estimators.shared import SharedWeights
from supernet.mixture import one_hot
from supernet.naming.lookup import design
from supernet.run import Run
from supernet.search import search
from supernet.spaces import lstm, recurrent
from supernet.stopping import Interrupted
from supernet.strategies.averaged import Averaged
from supernet.strategies.by_length import ByLength
from supernet.strategies.clipped_darts import ClippedDARTS
from supernet.strategies.darts import DARTS
from supernet.strategies.one_shot import OneShot
from supernet.strategies.weights import Weights
from supernet.tasks.language import LanguageModelling, Prediction
from supernet.train import fit

EDGES = [f"{i}<{j}" for i in range(1, 9) for j in range(i)]
NO_DROPOUT = dict.fromkeys(("input_dropout", "cell_input_dropout", "hidden_dropout", "output_dropout"), 0.0)
PLAIN = partial(Weights, lr=20.0, lr_min=20.0, momentum=0.0, decay=5e-7, clip=0.25)


def fill(module: nn.Module) -> None:
    """The rule of ``oracles.fill`` for matrices that the official code stores as (in, out)."""
    for name, p in module.named_parameters():
        turned = "first" in name or "matrices" in name
        v = 2 * fractions(p.numel(), float(p.numel())) - 1
        rows = p.shape[1] if turned else p.shape[0]
        v = 0.1 * v if p.dim() == 1 else (math.sqrt(3 * rows / p.numel()) * v).view(rows, -1)
        p.data.copy_(v.t() if turned else v)


class Strands(TextStream):
    """One given chunk, over and over."""

    def __init__(self, tokens: Tensor, targets: Tensor):
        super().__init__(torch.zeros(10).long(), 1)
        self.chunk = Chunk(tokens, targets)

    def __iter__(self) -> Any:
        yield self.chunk


def official() -> tuple[Strands, Strands]:
    """The training and the validation chunk of the numbers below."""
    k = torch.arange(12)
    strand = [[(7 * (3 * t + b)) % 11 for b in range(3)] for t in range(4)]
    train = Strands(torch.tensor(strand), ((5 * k + 3) % 11).view(4, 3))
    return train, Strands((3 * k % 11).view(4, 3), ((2 * k + 1) % 11).view(4, 3))


def official_search(method: Any, **settings: Any) -> tuple[Any, Any, Any]:
    train, validation = official()
    task = LanguageModelling(train, validation)
    net = recurrent.supernet(tokens=11, hidden=6, **NO_DROPOUT).double()
    fill(net)
    strategy = method(net, task, **{"weights": PLAIN, **settings})
    with torch.no_grad():
        for name, row in zip(EDGES, sines(36, 5), strict=True):
            strategy.alphas[name].copy_(row)
    return strategy, train.chunk, validation.chunk


def stacked(strategy: Any, grads: Any) -> Tensor:
    found = dict(zip(strategy.alphas, grads, strict=True))
    return torch.stack([found[name] for name in EDGES])


def test_loss_and_alpha_gradient_are_those_of_the_official_code() -> None:
    strategy, chunk, _ = official_search(DARTS)
    loss = strategy.objective(chunk, strategy.mixture(strategy.relax))
    grads = torch.autograd.grad(loss, list(strategy.alphas.values()))
    assert loss.item() == pytest.approx(2.37072849731, rel=1e-10)
    assert_signature(stacked(strategy, grads), {"sum": 0.0, "abs": 0.04518864196, "sq": 4.92759034e-05, "wsum": -2.435390283e-05})


SECOND = {"sum": 0.0, "abs": 0.1312236765, "sq": 0.0005602270476, "wsum": -8.110954817e-05, "last": 2.413242841e-05}


def second_order(**settings: Any) -> tuple[Any, Tensor]:
    strategy, train, validation = official_search(ClippedDARTS, **settings)
    strategy.task.slowness = 0.0
    before = [p.detach().clone() for p in strategy.weights.parameters]
    grads = stacked(strategy, strategy._finite_difference(train, validation))
    assert all(torch.equal(a, b) for a, b in zip(before, strategy.weights.parameters, strict=True))
    return strategy, grads


def test_second_order_gradient_is_that_of_the_official_code() -> None:
    assert_signature(second_order()[1], SECOND)


def test_a_look_ahead_that_is_not_clipped_is_plain_second_order() -> None:
    loose = partial(PLAIN, clip=1e6)
    plain, train, validation = official_search(DARTS, order=2, weights=loose)
    expected = plain._finite_difference(train, validation)
    for official_code in (False, True):
        clipped, train, validation = official_search(ClippedDARTS, official=official_code, weights=loose)
        found = clipped._finite_difference(train, validation)
        same = all(torch.allclose(a, b, rtol=1e-9) for a, b in zip(found, expected, strict=True))
        assert same is not official_code  # the official code multiplies by 1e6 / norm there
    with pytest.raises(InputError, match="needs weights that are clipped"):
        official_search(ClippedDARTS, weights=partial(PLAIN, clip=None))
    with pytest.raises(InputError, match="made of finite differences"):
        official_search(ClippedDARTS, hessian="exact")


def made_text(n: int = 3000) -> Text:
    """A text of eleven tokens that can be learnt."""
    tokens = (torch.arange(n) ** 2 // 7) % 11
    return Text("made", "word", tuple(map(str, range(11))), tokens[: n // 2], tokens[n // 2 : n * 3 // 4], tokens[n * 3 // 4 :])


def made_task(n: int = 3000, **settings: Any) -> LanguageModelling:
    return LanguageModelling.of(made_text(n), **{"batch": 8, "steps": 10, "evaluation_batch": 4, "testing": True, **settings})


def made_supernet(**settings: Any) -> Any:
    torch.manual_seed(0)
    return recurrent.supernet(**{"tokens": 11, "hidden": 12, "nodes": 3, **NO_DROPOUT, **settings})


def test_perplexity_is_that_of_the_whole_split_read_in_order() -> None:
    task, net = made_task(evaluation_batch=3), made_supernet(nodes=2)
    mixture = one_hot(net.space, net.space.sample(Random(0)))
    found = task.evaluate(net, "validation", mixture)
    assert net.training
    tokens = made_text().validation
    strands = tokens[: len(tokens) // 3 * 3].view(3, -1).t()
    net.eval()
    with torch.no_grad():
        logits = net(mixture, strands[:-1]).logits
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), strands[1:].flatten())
    assert found["loss"] == pytest.approx(float(expected), rel=1e-5)
    assert found["perplexity"] == pytest.approx(math.exp(found["loss"]))


def test_evaluation_disturbs_neither_training_nor_the_next_evaluation() -> None:
    task, net = made_task(), made_supernet()
    strategy = DARTS(net, task, weights=PLAIN)
    for _ in range(3):
        strategy.step(task.data)
    before = task.data.state_dict()
    mixture = strategy.mixture(strategy.relax)
    assert task.evaluate(net, "validation", mixture) == task.evaluate(net, "validation", mixture)
    after = task.data.state_dict()
    assert all(torch.equal(before[n]["hidden"], after[n]["hidden"]) for n in ("train", "validation"))


def test_every_run_of_a_chunk_starts_from_the_same_hidden_state_and_the_next_from_the_last() -> None:
    task, net = made_task(lengths="fixed"), made_supernet().eval()
    mixture = one_hot(net.space, net.space.sample(Random(0)))
    network, first = partial(net, mixture), task.data.next("train")
    one, two = task.predict(network, first), task.predict(network, first)
    assert torch.equal(one.logits, two.logits)
    second = task.data.next("train")
    assert torch.equal(second.hidden, first.after) and not second.hidden.requires_grad
    together = net(mixture, torch.cat([first.tokens, second.tokens])).logits
    assert torch.allclose(torch.cat([two.logits, task.predict(network, second).logits]), together, atol=1e-6)


def test_regularisers_count_for_training_chunks_only() -> None:
    task = made_task(slowness=2.0, activation=3.0)
    outputs = torch.randn(10, 8, 4)
    prediction = Prediction(torch.randn(10, 8, 11), outputs, outputs * 2)
    train, validation = task.data.next("train"), task.data.next("validation")
    train.targets = validation.targets
    extra = 3 * (outputs * 2).pow(2).mean() + 2 * (outputs[1:] - outputs[:-1]).pow(2).mean()
    assert float(task.loss(prediction, train) - task.loss(prediction, validation)) == pytest.approx(float(extra), rel=1e-4)
    single = Prediction(torch.randn(1, 8, 11), outputs[:1], outputs[:1])
    assert task.loss(single, Chunk(torch.zeros(1, 8).long(), torch.zeros(1, 8).long(), training=True)).isfinite()


METHODS = {
    "darts": lambda net, task: DARTS(net, task, weights=PLAIN, alpha_lr=3e-3),
    "second order": lambda net, task: ByLength(ClippedDARTS(net, task, weights=PLAIN), task.data._loaders["train"]),
    "one-shot": lambda net, task: OneShot(net, task, weights=PLAIN),
}


@pytest.mark.parametrize("method", [pytest.param(m, marks=pytest.mark.slow if m == "second order" else ()) for m in METHODS])
def test_a_search_that_was_killed_goes_on_as_if_it_had_not_been(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start() -> tuple[Any, LanguageModelling]:
        task, net = made_task(1600), made_supernet(nodes=2, hidden_dropout=0.25)
        return METHODS[method](net, task), task

    whole, task = start()
    with Run(tmp_path / "whole") as run:
        history = fit(whole, task.data, 2, run)
    killed, task = start()
    step, count = killed.step, 0

    def stopping(data: Any) -> Any:
        nonlocal count
        count += 1
        if count == 14:
            signal.raise_signal(signal.SIGINT)
        return step(data)

    monkeypatch.setattr(killed, "step", stopping)
    with Run(tmp_path / "killed") as run, pytest.raises(Interrupted):
        fit(killed, task.data, 2, run)
    resumed, task = start()
    torch.manual_seed(99)
    with Run(tmp_path / "killed", resume=True) as run:
        rest = fit(resumed, task.data, 2, run)
    assert [line["loss"] for line in rest] == [line["loss"] for line in history]
    for a, b in zip(whole.supernet.state_dict().values(), resumed.supernet.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_search_learns_derives_and_hands_over_a_network_that_agrees(tmp_path: Path) -> None:
    task, net = made_task(), made_supernet(hidden=16)
    found = search(net, task, DARTS(net, task, weights=PLAIN, alpha_lr=3e-3), epochs=3, calibration=3, out=tmp_path / "run")
    losses = [line["validation"]["loss"] for line in found.history]
    assert losses[-1] < losses[0]
    assert [set(line["validation"]) for line in found.history] == [{"loss", "perplexity"}] * 3
    assert found.scores["perplexity"] == pytest.approx(math.exp(found.scores["loss"]))
    plain = derive(net, found.architecture, *task.example)
    mixture = one_hot(net.space, net.space.check(found.architecture))
    assert task.evaluate(plain) == task.evaluate(net, "validation", mixture)
    assert recurrent.network(found.architecture, tokens=11, hidden=16)(*task.example).logits.shape[-1] == 11


def test_shared_weights_score_an_architecture_the_same_each_time() -> None:
    task, net = made_task(evaluation_batch=8), made_supernet(batch_statistics=True)
    estimate, arch = SharedWeights(net, task, batches=4), net.space.sample(Random(1))
    assert estimate(arch) == estimate(arch)
    assert math.isfinite(estimate(arch)["loss"])


def test_short_chunks_take_shorter_steps() -> None:
    task, net = made_task(lengths="halved", slowness=0.0), made_supernet()
    stream = task.data._loaders["train"]
    while stream.length() == 10:
        next(iter(stream))
    assert stream.scale == 0.5
    strategy = ByLength(DARTS(net, task, weights=PLAIN), stream)
    seen = []
    loss = task.loss
    task.loss = lambda outputs, chunk: (chunk.training and seen.append((len(chunk.tokens), strategy.weights.lr))) or loss(outputs, chunk)  # type: ignore[func-returns-value, method-assign]
    strategy.step(task.data)
    strategy.step(task.data)
    assert seen[0] == (5, 10.0) and seen[1] == (10, 20.0)
    assert strategy.weights.lr == 20.0 and strategy.architecture() and strategy.facts()["learning_rate"] == 20.0


def test_chunks_of_one_accumulated_step_carry_the_hidden_state() -> None:
    task, net = made_task(lengths="fixed"), made_supernet()
    strategy = DARTS(net, task, weights=partial(PLAIN, accumulate=2), warmup=1)
    ran: list[Chunk] = []
    predict = task.predict
    task.predict = lambda network, chunk: ran.append(chunk) or predict(network, chunk)  # type: ignore[func-returns-value, method-assign]
    strategy.step(task.data)
    assert len(ran) == 2 and ran[0].hidden is None
    assert ran[1].hidden is not None and torch.equal(ran[1].hidden, ran[0].after)


def lstm_strategy(task: LanguageModelling, **settings: Any) -> Averaged:
    torch.manual_seed(0)
    model = lstm.network(tokens=11, hidden=8, embedding_dropout=0.0, **NO_DROPOUT)
    return Averaged(model, task, weights=partial(PLAIN, lr=2.0, lr_min=2.0), **settings)


def test_averaging_begins_when_validation_stops_improving_and_is_what_stays() -> None:
    task = made_task()
    strategy = lstm_strategy(task, patience=2)
    for done, loss in enumerate([3.0, 2.0, 1.9, 2.1], start=1):
        strategy.epoch(done, 9, {"validation": {"loss": loss}})
        assert not strategy.facts()["averaging"]
    strategy.epoch(5, 9, {"validation": {"loss": 2.05}})  # above 2.0, the best of all but the last two
    assert strategy.facts()["averaging"]
    mean = [torch.zeros_like(p) for p in strategy.weights.parameters]
    for _ in range(4):
        strategy.step(task.data)
        mean = [m + p.detach() / 4 for m, p in zip(mean, strategy.weights.parameters, strict=True)]
    own = [p.detach().clone() for p in strategy.weights.parameters]
    averaged = strategy.evaluate()
    assert all(torch.equal(p, o) for p, o in zip(strategy.weights.parameters, own, strict=True))
    assert averaged != task.evaluate(strategy.model)
    strategy.epoch(9, 9, {"validation": {"loss": 2.0}})
    assert all(torch.allclose(p, m, atol=1e-6) for p, m in zip(strategy.weights.parameters, mean, strict=True))
    assert task.evaluate(strategy.model)["loss"] == pytest.approx(averaged["loss"], rel=1e-6)


def test_averaged_training_resumes_exactly_and_improves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start() -> tuple[Averaged, LanguageModelling]:
        task = made_task(lengths="normal")
        strategy = lstm_strategy(task, patience=1)
        strategy.losses = [0.0, 0.0]  # nothing will be as good: averaging begins after the first epoch
        return strategy, task

    def evaluated(strategy: Averaged) -> Any:
        return lambda: {"validation": strategy.evaluate()}

    whole, task = start()
    history = fit(whole, task.data, 6, evaluate=evaluated(whole))
    assert history[-1]["validation"]["perplexity"] < history[0]["validation"]["perplexity"]
    killed, task = start()
    step, count = killed.step, 0

    def stopping(data: Any) -> Any:
        nonlocal count
        count += 1
        if count == 5 * killed.steps(data) + 3:
            signal.raise_signal(signal.SIGINT)
        return step(data)

    monkeypatch.setattr(killed, "step", stopping)
    with Run(tmp_path) as run, pytest.raises(Interrupted):
        fit(killed, task.data, 6, run, evaluate=evaluated(killed))
    resumed, task = start()
    with Run(tmp_path, resume=True) as run:
        rest = fit(resumed, task.data, 6, run, evaluate=evaluated(resumed))
    assert [line["validation"] for line in rest] == [line["validation"] for line in history]
    assert any(line["averaging"] for line in rest[:-1])
    for a, b in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_averaging_says_what_it_lacks() -> None:
    task = made_task()
    with pytest.raises(InputError, match="patience must be at least 1"):
        lstm_strategy(task, patience=0)
    with pytest.raises(InputError, match="begins by the validation loss"):
        lstm_strategy(task).epoch(1, 9, {})


def test_a_cell_learns_shakespeare_better_than_letter_frequencies() -> None:
    text = load("shakespeare", seed=0).limited(12_000)
    task = LanguageModelling.of(text, batch=16, steps=10)
    torch.manual_seed(0)
    genotype = design("darts-rnn-v1").plan
    model = recurrent.network(genotype, tokens=len(text.vocabulary), hidden=48, embedding_dropout=0.0, **NO_DROPOUT)
    strategy = Averaged(model, task, weights=partial(PLAIN, lr=10.0, lr_min=10.0))
    fit(strategy, task.data, 1, evaluate=lambda: {"validation": strategy.evaluate()})
    counts = torch.bincount(text.train, minlength=len(text.vocabulary)).double()
    frequencies = -(counts / counts.sum()).log()[text.validation].mean()
    assert strategy.evaluate()["loss"] < float(frequencies)


def test_evaluation_is_a_mean_over_tokens_whatever_the_lengths_of_the_chunks() -> None:
    tokens = torch.arange(48) % 11
    losses = {}
    for steps in (5, 23):  # 23 steps are the whole text; in chunks of 5 the last is shorter
        torch.manual_seed(0)
        task = LanguageModelling(TextStream(tokens, 2, steps), TextStream(tokens, 2, steps, training=False))
        net = recurrent.supernet(tokens=11, hidden=16)
        losses[steps] = task.evaluate(net, "validation", one_hot(net.space, net.space.sample(Random(0))))["loss"]
        assert task.examples("validation") == 46
    assert losses[5] == pytest.approx(losses[23], rel=1e-5)
