"""What goes wrong around a run: full disks, disks that cannot be written, damaged files, two processes on one folder.

Each command ends with the right result or with one line that says what is wrong, and, once all is well again, goes on to the same end.
``SUPERNET_FAULTS`` (3) disks and damages of each kind, drawn from ``SUPERNET_KILLS_SEED`` (0); a table is printed at the end.
"""

from __future__ import annotations

import json
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
from same import differences, result
from test_kills import BENCH, IMAGES, MACHINE, SEED, killed_to_the_end, retrain, search

from supernet.run import BEFORE

FAULTS = int(os.environ.get("SUPERNET_FAULTS", 3))
RIGHT, LINE, SAME, EDITED = "the right result", "one line", "recovered bit-identical", "text taken as edited"
LOST, WRONG = "LOST", "SILENTLY WRONG"
RUNS = {
    "search darts": search("darts", f"{BENCH} {IMAGES} --epochs 2"),
    "search one-shot": search("one-shot", f"{BENCH} {IMAGES} --epochs 2 --trials 6"),
    "search evolution": search("evolution", f"--space nasbench201 --table ../t.npz --trials 300 {MACHINE}"),
    "retrain": retrain(epochs=2),
}
READERS = {"describe": "describe run --json", "evaluate": "evaluate run --data digits --split test --json"}
TEXTS = (".yaml", ".json", ".jsonl", ".html")  # that hold no checksum of themselves

pytestmark = pytest.mark.slow
Counts = Counter[tuple[str, str]]
Wholes = Callable[[str], tuple[Path, Ended]]


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


def damage(path: Path, how: str, rng: Random) -> None:
    """Cut a file short, or turn one of its bits."""
    content = bytearray(path.read_bytes())
    if how == "cut short":
        path.write_bytes(content[: rng.randrange(len(content))])
    else:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(content)


def files(folder: Path) -> list[Path]:
    """Those that hold something, below a folder."""
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.stat().st_size)


@pytest.mark.parametrize("how", ["cut short", "bit turned"])
@pytest.mark.parametrize("name", RUNS)
def test_an_unfinished_run_with_a_damaged_file_goes_on_to_the_same_end_or_says_so(
    name: str, how: str, forks: tuple[Forks, Forks], whole: Wholes, tmp_path: Path, place: Path, counts: Counts
) -> None:
    (folder, expected), rng = whole(name), Random(f"{SEED} {how} {name}")
    shutil.copy(place / "t.npz", tmp_path)
    left = tmp_path / "left"
    while not (left / "run" / "history.jsonl").exists():
        shutil.rmtree(left, ignore_errors=True)
        left.mkdir()
        if not forks[1].run(RUNS[name], left, expected.seconds * rng.uniform(0.4, 0.95)).killed:
            break
    for number, file in enumerate(files(left / "run") * FAULTS):
        own = tmp_path / f"{number}"
        shutil.copytree(left, own)
        damage(own / "run" / file, how, rng)
        ended = forks[1].run([*RUNS[name], "--resume"], own)
        if file.name == BEFORE:  # nobody reads it while the last checkpoint is whole, nor writes it where nothing is left to train
            shutil.copy(folder / "run" / file, own / "run" / file)
        wrong = "" if in_one_line(ended) else "; ".join(differences(folder, own, expected, ended))
        end = LINE if in_one_line(ended) else SAME if not wrong else LOST if ended.code else EDITED if file.suffix in TEXTS else WRONG
        counts[f"unfinished, {how}", end] += 1
        assert end not in (LOST, WRONG), f"{file}: {wrong}: {ended.said}"
        shutil.rmtree(own)


@pytest.mark.parametrize("how", ["cut short", "bit turned"])
@pytest.mark.parametrize("name", ["search darts", "retrain"])
def test_a_finished_run_with_a_damaged_file_gives_what_it_gave_or_says_so(
    name: str, how: str, forks: tuple[Forks, Forks], whole: Wholes, tmp_path: Path, counts: Counts
) -> None:
    (folder, _), rng = whole(name), Random(f"{SEED} finished {how} {name}")
    own = tmp_path / "own"
    for words in (text.split() for text in READERS.values()):
        shutil.copytree(folder, own, dirs_exist_ok=True)
        expected = forks[0].run(words, own)
        assert expected.code == 0, expected.said
        for file in files(own / "run") * FAULTS:
            shutil.rmtree(own)
            shutil.copytree(folder, own)
            damage(own / "run" / file, how, rng)
            ended = forks[1].run(words, own)
            right = ended.code == 0 and result(json.loads(ended.output)) == result(json.loads(expected.output))
            end = RIGHT if right else LINE if in_one_line(ended) else LOST if ended.code else EDITED if file.suffix in TEXTS else WRONG
            counts[f"finished, {how}", end] += 1
            assert end not in (LOST, WRONG), f"{words[0]}, {file}: {ended.said}"


def test_of_two_processes_on_a_folder_one_writes_and_the_other_says_so(
    forks: tuple[Forks, Forks], whole: Wholes, tmp_path: Path, counts: Counts
) -> None:
    name = "search darts"
    folder, expected = whole(name)
    own = tmp_path / "own"
    own.mkdir()
    first = forks[0].begin(RUNS[name], own)
    ends = []
    while not (own / "run" / ".lock").exists():
        pass
    for number in range(FAULTS):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "run").symlink_to(own / "run")
        ends.append(forks[1].run([*RUNS[name], "--resume"], tmp_path / str(number)))
    ended = first()
    for other in ends:
        counts["two processes", LINE if in_one_line(other) else RIGHT if not other.code else LOST] += 1
    assert all(in_one_line(other) or not other.code for other in ends)
    assert not differences(folder, own, expected, ended)
