"""What a dry run tells of memory and time, and what is said where a run comes to an end of the memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from command_line import called, document
from supernet.data.text_streams import TextStream
from supernet.errors import InputError, out_of_memory
from supernet.ranks import ALONE
from supernet.strategies.gradient import Gradient
from supernet.ways import ahead as telling
from supernet.ways.ahead import Ahead, Took
from unmeasured import plain

BENCH = ("--space", "nasbench201", "--channels", 4, "--cells", 1, "--data", "digits", "--limit-data", 64, "--batch-size", 16)
BENCH += ("--threads", 1)
TEXT = ("--space", "darts-rnn", "--limit-data", 2000, "--batch-size", 8, "--set", "supernet.hidden=4", "--set", "network.hidden=4")
TEXT += ("--set", "supernet.nodes=2", "--set", "data.text.steps=5")
NONE = "|none~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|skip_connect~2|"
CPU = "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 64 bytes."


@pytest.mark.parametrize(
    ("words", "examples"),
    [
        (("search", "darts", *BENCH), 32),
        pytest.param(("search", "random", *BENCH, "--trials", 2), 32, marks=pytest.mark.slow),
        (("search", "darts", *TEXT), 1777),
        (("retrain", NONE, *BENCH[2:]), 64),
    ],
    ids=["supernet", "scratch", "text", "retrain"],
)
def test_a_dry_run_tells_memory_time_and_the_batch_size_that_fits(words: tuple[object, ...], examples: int, tmp_path: Path) -> None:
    planned = document(*words, "--out", tmp_path / "r", "--dry-run")
    told = planned["measured"]
    assert 50 < told["peak_memory_mb"] < told["memory_mb"] and 0 < told["seconds_per_step"] <= told["seconds_per_epoch"]
    assert told["batch_size_that_fits"] == planned["examples"]["training"] == examples
    assert 0 < planned.get("supernet_mb", planned.get("network_mb")) < 10 and not (tmp_path / "r").exists()


def test_a_text_is_read_from_its_start_as_fewer_strands() -> None:
    stream = TextStream(torch.arange(200), 8, 5)
    next(iter(stream))
    few = next(iter(stream.of_size(2)))
    assert few.tokens.tolist() == [[i, 100 + i] for i in range(5)] and stream.of_size(9).batch == 8 and stream.at == 5


def test_where_nothing_is_trained_nothing_is_told() -> None:
    assert "measured" not in document("search", "random", *BENCH, "--estimator", "snip", "--dry-run")


@pytest.mark.parametrize(("size", "fits", "megabytes"), [(64, 1000, 740.0), (96, 680, 1060.0), (1, 1000, 110.0)])
def test_memory_and_time_follow_the_line_that_two_sizes_give(
    size: int, fits: int, megabytes: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps of 100 MB and 10 MB an example, which take 1 s and 0.1 s an example."""
    asked: list[int] = []

    def took(begin: Any, task: Any, examples: int) -> Took:
        asked.append(examples)
        return Took(examples, 100.0 + 10 * examples, (1 + examples) / 10, steps=5)

    class Streams:
        def state_dict(self) -> dict[str, Any]:
            return {}

        def load_state_dict(self, state: Any) -> None: ...

    class Only:
        device, ranks, data = torch.device("cpu"), ALONE, Streams()

    monkeypatch.setattr(telling, "took", took)
    monkeypatch.setattr(telling, "room", lambda device: 2 * 7680.0 if size == 96 else 1e6)
    told = telling.ahead(lambda task: None, Only(), telling.Batches(size, 1000, processes=2 if size == 96 else 1))  # type: ignore[type-var]
    assert told.megabytes == pytest.approx(megabytes) and told.seconds == pytest.approx((1 + size) / 10) and told.fits == fits
    assert asked == [2, 2, 8] and told.measured["seconds_per_epoch"] == pytest.approx((1 + size) / 2, rel=0.01)


def test_batches_that_do_not_fit_are_said_with_those_that_do() -> None:
    told = Ahead(512, 1.0, 10, megabytes=9216.0, room=8192.0, fits=96)
    assert told.short == "batches of 512 take about 9.0 GB, and there are 8.0 GB: --batch-size 96 fits"
    assert not Ahead(96, 1.0, 10, 4096.0, 8192.0, fits=96).short
    assert Ahead(96, 1.0, 10, 9216.0, 8192.0, fits=0).short.endswith("make the network smaller, such as by --channels or --cells")


SHORT = ("search", "darts", *BENCH, "--epochs", 2)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a search prints that nothing happened to."""
    return document(*SHORT, "--out", tmp_path_factory.mktemp("ahead") / "whole")


@pytest.mark.parametrize(
    ("again", "advice"),
    [
        pytest.param(
            True,
            "a smaller --batch-size needs less; begin again so, or go on with --resume where there is more memory",
            marks=pytest.mark.slow,
        ),
        (False, "--batch-size 8 fits; begin again so, or go on with --resume where there is more memory"),
    ],
)
def test_a_run_out_of_memory_says_which_batch_size_fits_and_goes_on_to_the_same_end(
    again: bool, advice: str, whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, steps = Gradient.step, 0

    def failing(self: Gradient, data: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 3 or (again and steps > 3):
            raise RuntimeError(CPU)
        return step(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(Gradient, "step", failing)
        code, out, said = called(*SHORT, "--out", tmp_path / "run")
    assert code == 1 and not out and "Traceback" not in said
    assert said.splitlines()[-1].startswith("error: out of memory: ") and said.strip().endswith(advice)
    ended = document(*SHORT, "--out", tmp_path / "run", "--resume")
    assert {**plain(ended), "out": ""} == {**plain(whole), "out": ""}


def test_memory_that_ends_beneath_another_error_is_known() -> None:
    try:
        try:
            raise RuntimeError(CPU)
        except RuntimeError as error:
            raise InputError("the loss cannot be taken") from error
    except InputError as error:
        assert out_of_memory(error)
    assert out_of_memory(MemoryError()) and out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert not out_of_memory(RuntimeError("shapes differ")) and not out_of_memory(InputError("out of memory"))


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError(CPU)])
def test_every_command_that_is_out_of_memory_ends_in_one_line(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*given: Any) -> Any:
        raise InputError("the network cannot be built") from error

    monkeypatch.setattr("supernet.naming.supernets.describe_space", fails)
    code, out, said = called("describe", "--space", "nasbench201")
    assert (code, out, said) == (1, "", "error: out of memory: a smaller --batch-size needs less\n")
