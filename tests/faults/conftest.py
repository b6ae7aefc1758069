"""What tests of faults have in common: processes to fork from, counts of how faults ended, and a benchmark table."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
from forks import Forks


@pytest.fixture(scope="session")
def forks() -> Iterator[tuple[Forks, Forks]]:
    """What is not stopped, and what is killed, in processes whose sets have another order."""
    both = Forks(1), Forks(2)
    yield both
    for one in both:
        one.close()


@pytest.fixture(scope="session")
def counts(request: pytest.FixtureRequest) -> Iterator[Counter[tuple[str, str]]]:
    """How often each kind of fault ended how; printed at the end."""
    found: Counter[tuple[str, str]] = Counter()
    yield found
    with request.config.pluginmanager.get_plugin("capturemanager").global_and_fixture_disabled():
        print("\n" + "\n".join(f"{fault:24} {end:26} {count:4}" for (fault, end), count in sorted(found.items())), flush=True)


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a benchmark table of the NAS-Bench-201 space, made up."""
    folder = tmp_path_factory.mktemp("kills")
    ops = numpy.array(list(itertools.product(range(5), repeat=6)), dtype=numpy.uint8)
    names = numpy.array(["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"])
    score = 50 + 5.0 * (ops == 3).sum(1) + numpy.random.default_rng(0).normal(0, 1, len(ops))
    edges = numpy.array([[0, 1], [0, 2], [1, 2], [0, 3], [1, 3], [2, 3]], dtype=numpy.uint8)
    shorter = {name: score + numpy.random.default_rng(1).normal(0, spread, len(ops)) for name, spread in (("val12", 2), ("val4", 4))}
    columns = {name: column.astype("float32") for name, column in {"val200_v11": score, "test200_v11": score, **shorter}.items()}
    numpy.savez(folder / "t.npz", ops=ops, op_names=names, edges=edges, **columns)
    return folder
