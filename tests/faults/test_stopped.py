"""Every command that takes long is stopped by SIGTERM and by SIGINT at random moments: one line says so, and it goes on to the same end.

A search by workers loses one of them, and ends as if it had not.

``SUPERNET_FAULTS`` (3) moments for each command and signal, drawn from ``SUPERNET_KILLS_SEED`` (0).
"""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from forks import Ended, Forks
from same import differences
from test_faults import FAULTS, LOST, RIGHT, SAME
from test_kills import BENCH, CASES, IMAGES, ON_TRAINED, SEED, begun, killed_to_the_end, search, trained_once

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
