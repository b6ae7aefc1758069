"""The collapse alarm: what it sees, when it warns, and that it leaves the search alone."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import InputError, OneOf, Supernet, Task, search
from supernet.plan.search import plan_search
from supernet.run import Run
from supernet.settings.commands import Search
from supernet.settings.given import settled
from supernet.space import Architecture
from supernet.spaces import cell, nasbench201, nasbench_macro, recurrent
from supernet.stopping import Interrupted
from supernet.strategies.darts import DARTS
from supernet.strategies.early_stopping import SkipConnects
from supernet.watch.alarm import Alarm, can_skip, cells
from supernet.workflow.searching import search_run

Lines = list[dict[str, Any]]


def network(name: str = "normal.{}") -> Supernet:
    torch.manual_seed(0)
    choices = [OneOf({"skip_connect": nn.Identity(), "linear": nn.Linear(4, 4)}, name=name.format(i)) for i in range(4)]
    return Supernet(nn.Sequential(*choices, nn.BatchNorm1d(4), nn.Dropout(0.2), nn.Linear(4, 4)))


def task() -> Task:
    """The class is the largest of four inputs."""
    torch.manual_seed(1)
    x = torch.randn(12, 16, 4)
    batches = [(one, one.argmax(1)) for one in x]
    return Task(batches[:8], batches[8:], loss=F.cross_entropy)


def push(option: int, strategy: Any) -> Tensor:
    """A term that drives every alpha towards one option."""
    return -sum((alpha[option] for alpha in strategy.alphas.values()), torch.zeros(()))


def run(towards: int, alarm: Alarm | None, epochs: int = 4, net: Supernet | None = None, method: str = "darts", **more: Any) -> Any:
    watch = alarm and (lambda strategy, line: {"alarm": alarm.observe(strategy, line)})
    settings = {"alpha_lr": 0.1, "weights": {"lr": 0.1}, "regularise": [partial(push, towards)]}
    return search(net or network(), task(), method, epochs=epochs, watch=watch, **settings, **more)


def warned(history: Lines) -> list[tuple[int, str]]:
    return [(line["epoch"], text) for line in history for text in line["alarm"].get("warnings", ())]


def test_a_search_made_to_collapse_is_warned_of_once() -> None:
    found = run(0, Alarm())
    assert set(found.architecture.values()) == {"skip_connect"}
    assert [epoch for epoch, _ in warned(found.history)] == [1, 1]
    assert [text for _, text in warned(found.history)] == [
        "the normal cell would hold 4 skip-connections: DARTS+ stops at 2 (arXiv 1909.06035)",
        "collapsed: 4 of the 4 operations of the normal cell would be skip-connections, pooling or none",
    ]
    last = found.history[-1]["alarm"]
    assert last["crossed"] == ["skip-connections", "collapsed-normal"] and last["cells"]["normal"]["skip_share"] == 1.0
    entropy = [line["alarm"]["entropy"] for line in found.history]
    assert entropy == sorted(entropy, reverse=True) and entropy[-1] < 0.9


def test_a_search_that_does_not_collapse_is_not_warned_of() -> None:
    found = run(1, Alarm(curvature=True))
    assert set(found.architecture.values()) == {"linear"}
    assert not warned(found.history)
    assert all(line["alarm"]["cells"]["normal"]["skips"] == 0 and line["alarm"]["crossed"] == [] for line in found.history)


def test_skips_win_where_the_other_operation_destroys_what_is_needed_and_the_alarm_says_so() -> None:
    class Noise(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.size = nn.Parameter(torch.full((4,), 3.0))

        def forward(self, x: Tensor) -> Tensor:
            return self.size * torch.randn_like(x)

    torch.manual_seed(0)
    blocks = [OneOf({"straight": nn.Identity(), "noise": Noise()}) for _ in range(3)]
    alarm = Alarm()
    found = search(
        Supernet(nn.Sequential(*blocks, nn.Linear(4, 4))),
        task(),
        "darts",
        epochs=15,
        alpha_lr=0.1,
        weights={"lr": 0.1},
        watch=lambda strategy, line: {"alarm": alarm.observe(strategy, line)},
    )
    assert set(found.architecture.values()) == {"straight"}
    assert any(text.startswith("collapsed: 3 of the 3 operations of the architecture") for _, text in warned(found.history))


def test_warnings_wait_until_the_alphas_learn() -> None:
    strategy = DARTS(network(), task(), warmup=2)
    for alpha in strategy.alphas.values():
        alpha.data.copy_(torch.tensor([5.0, 0.0]))
    alarm = Alarm(gap=False)
    assert alarm.observe(strategy, {})["crossed"] == []
    strategy.epoch(2, 4, {})
    assert len(alarm.observe(strategy, {})["warnings"]) == 2


def test_a_threshold_crossed_again_is_warned_of_again() -> None:
    strategy, alarm, counts = DARTS(network(), task()), Alarm(gap=False), []
    for skip in (5.0, 6.0, -5.0, 5.0):
        for alpha in strategy.alphas.values():
            alpha.data.copy_(torch.tensor([skip, 0.0]))
        counts.append(len(alarm.observe(strategy, {}).get("warnings", ())))
    assert counts == [2, 0, 0, 2]


def test_the_skip_threshold_is_where_darts_plus_stops() -> None:
    for skips in range(5):
        strategy = DARTS(network(), task())
        for i, alpha in enumerate(strategy.alphas.values()):
            alpha.data.copy_(torch.tensor([5.0 if i < skips else -5.0, 0.0]))
        stopped = SkipConnects()(strategy, 1, 10) is not None
        assert ("skip-connections" in Alarm(gap=False).observe(strategy, {})["crossed"]) == stopped


def test_a_supernet_that_loses_most_of_its_score_when_discretised_is_warned_of() -> None:
    strategy = DARTS(network("block{}"), task())
    alarm = Alarm()
    record = alarm.observe(strategy, {"validation": {"accuracy": 0.99, "loss": 0.1}})
    assert record["gap"] == pytest.approx(0.99 - record["discretised"]) and record["discretised"] < 0.45
    assert any("less than half" in text for text in record["warnings"])
    near = alarm.observe(strategy, {"validation": {"accuracy": record["discretised"], "loss": 0.1}})
    assert near["gap"] == 0 and "gap" not in near["crossed"]


@pytest.mark.parametrize("every", [1, 2])
def test_growth_of_the_curvature_is_warned_of_where_robust_darts_stops(every: int) -> None:
    values = [0.1 + 0.002 * max(0, e - 20) ** 1.5 for e in range(50)]
    records = [{"learning": True, "cells": {}, **({} if e % 2 else {"eigenvalue": v})} for e, v in enumerate(values)]
    alarm = Alarm(every=every)
    first = next(e for e in range(50) if "curvature" in alarm.crossed(records[: e + 1]))
    assert first == 30 and "since epoch 19: RobustDARTS stops at 1.3" in alarm.crossed(records[:31])["curvature"]
    staged = [{**record, "stage": i // 25} for i, record in enumerate(records)]
    assert not any("curvature" in alarm.crossed(staged[: e + 1]) for e in range(36)), "a new stage has alphas of its own"


@pytest.mark.parametrize("method", ["darts", "darts-2nd", "gdas", "snas"])
def test_a_search_with_the_alarm_is_the_same_search(method: str) -> None:
    nets = [network(), network()]
    plain, watched = (run(1, alarm, 2, net, method) for alarm, net in zip((None, Alarm(curvature=True)), nets, strict=True))
    assert {"gap", "eigenvalue"} <= set(watched.history[0]["alarm"])
    for a, b in zip(plain.history, watched.history, strict=True):
        assert all(a[name] == b[name] for name in a if name != "measured")
    assert all(torch.equal(t, nets[1].state_dict()[n]) for n, t in nets[0].state_dict().items())
    assert plain.architecture == watched.architecture and plain.scores == watched.scores


def test_a_killed_and_resumed_search_records_and_warns_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = run(0, Alarm(curvature=True), 5).history

    def part(last: int, resume: bool) -> None:
        with Run(tmp_path / "r", {}, resume) as folder:
            alarm = Alarm(curvature=True, past=folder.history)

            def watch(strategy: Any, line: dict[str, Any]) -> dict[str, Any]:
                if int(strategy.done) == last:
                    raise KeyboardInterrupt
                return {"alarm": alarm.observe(strategy, line)}

            more: dict[str, Any] = {"weights": {"lr": 0.1}, "regularise": [partial(push, 0)]}
            search(network(), task(), "darts", epochs=5, out=folder, alpha_lr=0.1, watch=watch, **more)

    for last, resume in ((2, False), (3, True)):
        with pytest.raises(Interrupted):
            part(last, resume)
    part(-1, True)
    lines = [json.loads(line) for line in (tmp_path / "r" / "history.jsonl").read_text().splitlines()]
    assert [line["alarm"] for line in lines] == [line["alarm"] for line in whole]


def test_only_every_nth_epoch_is_observed() -> None:
    history = run(1, Alarm(every=2)).history
    assert [bool(line["alarm"]) for line in history] == [True, False, True, False]
    with pytest.raises(InputError, match="every must be at least 1"):
        Alarm(every=0)


def architecture(operation: str) -> Architecture:
    """The DARTS cells that keep the first two inputs of each node, with one operation throughout the normal cell."""
    space = cell.supernet(channels=2, cells=3).space
    return {n: (0, 1) if c.pick else operation if n.startswith("normal") else "max_pool_3x3" for n, c in space.items()}


def test_cells_are_counted_apart_over_the_edges_that_are_kept() -> None:
    net = cell.supernet(channels=2, cells=3)
    arch = architecture("sep_conv_3x3") | {"normal.2<0": "skip_connect", "normal.5<4": "skip_connect"}  # the second is not kept
    assert cells(net, arch) == {
        "normal": {"operations": 8, "skips": 1, "pooling": 0, "none": 0, "skip_share": 0.125},
        "reduce": {"operations": 8, "skips": 0, "pooling": 8, "none": 0, "skip_share": 0.0},
    }


def test_a_reduction_cell_of_pooling_alone_is_not_a_collapse() -> None:
    """The published cell of DARTS V2 has only pooling and skip-connections in it."""
    net = cell.supernet(channels=2, cells=3)
    for operation, collapsed in (("sep_conv_3x3", False), ("max_pool_3x3", True)):
        record = {"learning": True, "cells": cells(net, architecture(operation))}
        assert ("collapsed-normal" in Alarm().crossed([record])) == collapsed and "collapsed-reduce" not in Alarm().crossed([record])


def test_skips_are_known_by_their_name_or_their_module() -> None:
    assert can_skip(nasbench201.supernet(channels=2, cells=1)) and can_skip(nasbench_macro.supernet(channels=2)) and can_skip(network())
    macro = cells(nasbench_macro.supernet(channels=2), {str(i): "id" for i in range(8)})
    assert macro["all"]["skips"] == 5, "three layers stride, where an identity is a convolution"
    plain = Supernet(nn.Sequential(OneOf({"k3": nn.Conv1d(1, 1, 3), "k5": nn.Conv1d(1, 1, 5)})))
    activations = Supernet(nn.Sequential(OneOf({"relu": nn.ReLU(), "identity": nn.Identity()})))
    assert not can_skip(plain) and not can_skip(activations) and not can_skip(recurrent.supernet(tokens=20, hidden=8))
    blocks = [OneOf({"a": nn.MaxPool1d(3, 1, 1), "b": nn.Conv1d(1, 1, 3)}), OneOf({"a": nn.Identity(), "b": nn.Conv1d(1, 1, 3)})]
    assert cells(Supernet(nn.Sequential(*blocks)), {"0": "a", "1": "a"})["all"] == {
        **{"operations": 2, "skips": 1, "pooling": 1, "none": 0, "skip_share": 0.5}
    }


SMALL = ("data.limit=96", "supernet.channels=2", "supernet.cells=1", "data.batch_size=32", "threads=1", "epochs=2", "space=nasbench201")


@pytest.mark.parametrize(
    ("method", "sets", "kinds"),
    [("darts", (), {"gap"}), ("darts", ("alarm.gap=false",), set()), pytest.param("pc-darts", (), {"gap"}, marks=pytest.mark.slow)],
)
def test_the_alarm_of_a_command_is_on_by_default_and_in_its_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], method: str, sets: tuple[str, ...], kinds: set[str]
) -> None:
    settings = settled(Search, None, [*SMALL, *sets, f"method={method}", "strategy.alpha_lr=0.5"], {})
    search_run(plan_search(settings), tmp_path / "r")
    lines = [json.loads(line) for line in (tmp_path / "r" / "history.jsonl").read_text().splitlines()]
    assert all({"gap", "eigenvalue"} & set(line["alarm"]) == kinds for line in lines)
    assert set(lines[0]["mixture"]["1<0"]) == set(nasbench201.OPERATIONS), "options by name"
    html, err = (tmp_path / "r" / "report.html").read_text(), capsys.readouterr().err
    assert "Collapse alarm" in html and "Mean entropy" in html and ("discretising the supernet" in html) == (kinds != set())
    assert [f"warning: epoch {epoch}: {text}" for epoch, text in warned(lines)] == [t for t in err.splitlines() if t.startswith("warning")]
    assert all(text.split(":")[0] in html for _, text in warned(lines))


@pytest.mark.parametrize(("method", "sets"), [("darts", ("alarm.every=0",)), ("one-shot", ("trials=2",))])
def test_there_is_none_where_it_is_off_or_nothing_is_learnt_of_the_options(tmp_path: Path, method: str, sets: tuple[str, ...]) -> None:
    search_run(plan_search(settled(Search, None, [*SMALL, *sets, f"method={method}"], {})), tmp_path / "r")
    assert '"alarm"' not in (tmp_path / "r" / "history.jsonl").read_text()
    assert "Collapse alarm" not in (tmp_path / "r" / "report.html").read_text()
