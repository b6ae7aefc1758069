"""Every command that takes long is stopped by SIGTERM and by SIGINT at random moments: one line says so, and it goes on to the same end.

A search by workers loses one of them, and ends as if it had not; one on ranks loses one, and goes on.

``SUPERNET_FAULTS`` (3) moments for each command and signal, drawn from ``SUPERNET_KILLS_SEED`` (0).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from forks import Ended, Forks
from same import differences
from test_faults import FAULTS, LOST, RIGHT, SAME
from test_kills import BENCH, CASES, IMAGES, ON_TRAINED, SEED, begun, killed_to_the_end, search, trained_once

import supernet

NAMES = (
    *("search darts", "search one-shot, then evolution", "search evolution on a table", "search random from scratch"),
    *("retrain with nothing", "compare on data", "compare on a table", "profile with torch", *ON_TRAINED),
)
START = 0.03  # seconds until a command has begun to listen

pytestmark = pytest.mark.slow


def stopped(ended: Ended) -> bool:
    """Whether a command says at its end, in one line, that it was stopped."""
    said = ended.said.strip().splitlines()
    return ended.code in (1, 130) and bool(said) and "stopped" in said[-1] and "Traceback" not in ended.said


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("name", NAMES)
def test_stopped_it_says_so_in_one_line_and_goes_on_to_the_same_end(
    name: str, by: int, forks: tuple[Forks, Forks], place: Path, tmp_path: Path, counts: Counter[tuple[str, str]]
) -> None:
    words, rng = CASES[name], Random(f"{SEED} {by} {name}")
    trained = trained_once(forks[0], place) if name in ON_TRAINED else None
    (tmp_path / "t.npz").symlink_to(place / "t.npz")
    whole = begun(tmp_path / "whole", trained)
    expected = forks[0].run(words, whole)
    assert expected.code == 0, expected.said
    kind = f"stopped by {signal.Signals(by).name}"
    for number in range(FAULTS):
        folder = begun(tmp_path / f"{number}", trained)
        ended = forks[1].run(words, folder, rng.uniform(START, expected.seconds), by)
        assert stopped(ended) or not ended.code, f"{ended.code}: {ended.said}"
        if ended.code:
            _, ended = killed_to_the_end(forks[1], words, folder, [], rng, 0)
            end = SAME
        else:
            end = RIGHT
        differs = differences(whole, folder, expected, ended)
        counts[kind, LOST if differs else end] += 1
        assert not differs


@pytest.mark.parametrize("name", ["random", "evolution"])
def test_a_search_that_loses_a_worker_ends_as_if_it_had_not(
    name: str, forks: tuple[Forks, Forks], tmp_path: Path, counts: Counter[tuple[str, str]]
) -> None:
    words, rng = search(name, f"{BENCH} {IMAGES} --trials 8 --workers 2"), Random(f"{SEED} workers {name}")
    whole = begun(tmp_path / "whole", None)
    expected = forks[0].run(words, whole)
    assert expected.code == 0, expected.said
    for number in range(FAULTS):
        folder = begun(tmp_path / f"{number}", None)
        ended = forks[1].run(words, folder, rng.uniform(START, expected.seconds), part="popen_loky")
        differs = set(differences(whole, folder, expected, ended)) - {"run/report.html"}  # which says that one was lost
        counts["killed worker", LOST if differs else RIGHT] += 1
        assert not differs


def on_two_ranks(words: list[str], folder: Path, kill_after: float | None = None, which: int = 0) -> Ended:
    """A command by torchrun on two ranks; one of them is killed after so many seconds, or as soon as it is there."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "supernet"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": str(Path(supernet.__file__).parents[1])}
    began = time.monotonic()
    with (folder / f"{folder.name}.out").open("w+") as output, (folder / f"{folder.name}.err").open("w+") as said:
        begins = subprocess.Popen([*torchrun, *words], cwd=folder, env=environment, stdout=output, stderr=said)
        while kill_after is not None and begins.poll() is None:
            ranks = sorted(map(int, Path(f"/proc/{begins.pid}/task/{begins.pid}/children").read_text().split()))
            if len(ranks) == 2 and time.monotonic() >= began + kill_after:
                os.kill(ranks[which], signal.SIGKILL)
                break
            time.sleep(0.01)
        code, seconds = begins.wait(120), time.monotonic() - began
        texts = [(file.seek(0), file.read())[1] for file in (output, said)]
    return Ended(code, seconds, *texts)


@pytest.mark.parametrize("name", ["spos", "darts"])
def test_ranks_of_which_one_is_killed_go_on_to_the_same_end(name: str, tmp_path: Path, counts: Counter[tuple[str, str]]) -> None:
    words, rng = search(name, f"{BENCH} {IMAGES} --epochs 40"), Random(f"{SEED} ranks {name}")
    whole = begun(tmp_path / "whole", None)
    expected = on_two_ranks(words, whole)
    assert expected.code == 0, expected.said
    for number in range(FAULTS):
        folder = begun(tmp_path / f"{number}", None)
        ended = on_two_ranks(words, folder, rng.uniform(START, expected.seconds), number % 2)
        killed = ended.code != 0
        if killed:
            assert "internal error" not in ended.said and "supernet/cli.py" not in ended.said, ended.said  # torchrun has words of its own
            ended = on_two_ranks([*words, *(["--resume"] if (folder / "run" / "config.yaml").exists() else [])], folder)
        differs = differences(whole, folder, expected, ended)
        counts["killed rank", LOST if differs else SAME if killed else RIGHT] += 1
        assert not differs
