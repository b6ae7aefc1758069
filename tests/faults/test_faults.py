"""Runs on disks that are too small, or cannot be written: one line says what is wrong, and once all is well they go on to the same end.

``SUPERNET_FAULTS`` (3) disks for each command, of sizes drawn from ``SUPERNET_KILLS_SEED`` (0); a table is printed at the end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
from forks import Ended, Forks
from same import differences
from test_kills import BENCH, IMAGES, MACHINE, SEED, killed_to_the_end, retrain, search

FAULTS = int(os.environ.get("SUPERNET_FAULTS", 3))
RIGHT, LINE, SAME, LOST = "the right result", "one line", "recovered bit-identical", "LOST"
RUNS = {
    "search darts": search("darts", f"{BENCH} {IMAGES} --epochs 2"),
    "search one-shot": search("one-shot", f"{BENCH} {IMAGES} --epochs 2 --trials 6"),
    "search evolution": search("evolution", f"--space nasbench201 --table ../t.npz --trials 300 {MACHINE}"),
    "retrain": retrain(epochs=2),
}

pytestmark = pytest.mark.slow
Counts = Counter[tuple[str, str]]
Wholes = Callable[[str], tuple[Path, Ended]]


@pytest.fixture(scope="module")
def counts(request: pytest.FixtureRequest) -> Iterator[Counts]:
    """How often each kind of fault ended how; printed at the end."""
    found: Counts = Counter()
    yield found
    with request.config.pluginmanager.get_plugin("capturemanager").global_and_fixture_disabled():
        print("\n" + "\n".join(f"{fault:24} {end:26} {count:4}" for (fault, end), count in sorted(found.items())), flush=True)


@pytest.fixture(scope="module")
def whole(forks: tuple[Forks, Forks], place: Path) -> Wholes:
    """Name -> the folder of a run that nothing happened to, and how it ended."""
    known: dict[str, tuple[Path, Ended]] = {}

    def of(name: str) -> tuple[Path, Ended]:
        if name not in known:
            folder = place / f"faultless-{name.replace(' ', '-')}"
            folder.mkdir()
            known[name] = folder, forks[0].run(RUNS[name], folder)
            assert known[name][1].code == 0, known[name][1].said
        return known[name]

    return of


@contextmanager
def disk(at: Path, kilobytes: int) -> Iterator[None]:
    """A disk of its own in a folder that is made for it; the test is skipped where this user may not mount one."""
    at.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", at], capture_output=True).returncode:
        pytest.skip("a disk of a given size can be mounted by root alone")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", at], check=True)


def changed(at: Path, how: str) -> None:
    """Mount a disk anew, in another way."""
    subprocess.run(["mount", "-o", f"remount,{how}", at], check=True)


def in_one_line(ended: Ended) -> bool:
    """Whether a command ended with one line that says what is wrong."""
    said = ended.said.strip().splitlines()
    return ended.code in (1, 2) and bool(said) and said[-1].startswith("error: ") and "Traceback" not in ended.said


@pytest.mark.parametrize("name", RUNS)
def test_a_full_disk_is_one_line_and_with_room_the_run_goes_on_to_the_same_end(
    name: str, forks: tuple[Forks, Forks], whole: Wholes, tmp_path: Path, place: Path, counts: Counts
) -> None:
    (folder, expected), rng = whole(name), Random(f"{SEED} full {name}")
    most = sum(path.stat().st_size for path in folder.rglob("*")) // 1024
    for number in range(FAULTS):
        own = tmp_path / str(number)
        shutil.copy(place / "t.npz", tmp_path)
        with disk(own / "run", max(16, rng.randrange(max(17, most)))):
            ended = forks[1].run(RUNS[name], own)
            end = LINE if in_one_line(ended) else RIGHT if not differences(folder, own, expected, ended) else LOST
            counts["full disk", end] += 1
            assert end != LOST, ended.said
            changed(own / "run", "size=1g")
            if end == LINE:
                _, ended = killed_to_the_end(forks[1], RUNS[name], own, [], rng, 0)
                differs = differences(folder, own, expected, ended)
                counts["full disk, then room", LOST if differs else SAME] += 1
                assert not differs


@pytest.mark.parametrize("name", RUNS)
def test_a_disk_that_cannot_be_written_is_one_line_and_changes_nothing(
    name: str, forks: tuple[Forks, Forks], whole: Wholes, tmp_path: Path, place: Path, counts: Counts
) -> None:
    (folder, expected), rng = whole(name), Random(f"{SEED} read-only {name}")
    shutil.copy(place / "t.npz", tmp_path)
    own = tmp_path / "own"
    with disk(own / "run", 1_000_000):
        for after in (0.0, expected.seconds * rng.random()):
            forks[1].run(RUNS[name], own, after)
            resume = ["--resume"] if (own / "run" / "config.yaml").exists() else []
            changed(own / "run", "ro")
            ended = forks[1].run([*RUNS[name], *resume], own)
            changed(own / "run", "rw")
            counts["read-only disk", LINE if in_one_line(ended) else LOST] += 1
            assert in_one_line(ended), ended.said
            shutil.copytree(own / "run", tmp_path / f"kept-{after}")
            _, ended = killed_to_the_end(forks[1], RUNS[name], own, [], rng, 0)
            differs = differences(folder, own, expected, ended)
            counts["read-only, then not", LOST if differs else SAME] += 1
            assert not differs
            for path in (own / "run").iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
