from __future__ import annotations

import csv
import json
from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from supernet import OneOf, Supernet
from supernet.costs.latency.collection import collect, emit
from supernet.costs.latency.table import LatencyTable
from supernet.costs.parts import parts
from supernet.errors import InputError, RunError
from supernet.mixture import expected, one_hot


class Net(nn.Module):
    """The second layer is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.one = OneOf({"k3": nn.Conv2d(4, 4, 3, padding=1), "k5": nn.Conv2d(4, 4, 5, padding=2)}, name="one")
        self.two = OneOf({"k3": nn.Conv2d(4, 4, 3, padding=1), "k1": nn.Conv2d(4, 4, 1)}, name="two")

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.two(self.one(self.stem(x))))


@pytest.fixture
def supernet() -> Supernet:
    return Supernet(Net())


@pytest.fixture
def folder(tmp_path: Path, supernet: Supernet) -> Path:
    """What ``emit`` writes of the network."""
    found = parts(supernet, torch.zeros(1, 3, 8, 8))
    emit(found, tmp_path / "parts", name="own", settings={"width": 1.0}, shape=(3, 8, 8), space=supernet.space, batch=2)
    return tmp_path / "parts"


def measured(folder: Path, rows: dict[str, str], heads: str = "name,ms") -> Path:
    """A CSV as a tool on the device might leave it."""
    (folder / "measured.csv").write_text("\n".join([heads, *(f"{name},{values}" for name, values in rows.items())]) + "\n")
    return folder / "measured.csv"


def kernels(folder: Path) -> dict[str, int]:
    """File -> the kernel size of its convolution, by its weights' shape; 0 for the empty one."""
    import onnx

    found = {}
    for path in folder.glob("*.onnx"):
        weights = [list(w.dims) for w in onnx.load(path).graph.initializer if len(w.dims) == 4]
        found[path.stem] = (weights[0][2] * (2 if weights[0][1] == 3 else 1)) if weights else 0  # the stem's counts twice
    return found


def test_every_kind_of_part_is_written_once_as_a_file_that_runs(folder: Path) -> None:
    rows = list(csv.DictReader((folder / "manifest.csv").open()))
    assert [row["name"] for row in rows] == ["empty", "part-000", "part-001", "part-002", "part-003"]
    assert sorted(path.name for path in folder.glob("*.onnx")) == sorted(row["file"] for row in rows)
    assert {row["inputs"] for row in rows[1:]} == {"2x3x8x8", "2x4x8x8"}
    for row in rows:
        session = onnxruntime.InferenceSession(folder / row["file"], providers=["CPUExecutionProvider"])
        assert [put.shape for put in session.get_inputs()] == [[int(n) for n in row["inputs"].split("x")]]
        session.run(None, {put.name: torch.zeros(put.shape).numpy() for put in session.get_inputs()})


def test_what_is_collected_is_the_table_of_the_parts(folder: Path, supernet: Supernet) -> None:
    ms = kernels(folder)
    rows = {name: f"{k + 0.25},{10 * k}" for name, k in ms.items()}
    table = collect(measured(folder, rows, "name,ms,mJ"), machine={"processor": "a phone"})
    assert (table.space, table.settings, table.shape) == ("own", {"width": 1.0}, (3, 8, 8))
    assert table.machine == {"backend": "collected", "batch": 2, "processor": "a phone"}
    assert sorted(table.parts.values()) == [2, 3, 5, 6, 6] and table.parts["stem"] == 6  # two of them run twice
    for arch, kernel in ({"one": "k5", "two": "k3"}, 6 + 5 + 2 * 3), ({"one": "k3", "two": "k1"}, 6 + 3 + 2 * 1):
        for cost, each in (("latency", 1), ("energy", 10)):
            assert float(expected(supernet.space, one_hot(supernet.space, arch), table.table(supernet.space, cost))) == each * kernel
    table.write(folder / "table.json")
    assert LatencyTable.read(folder / "table.json") == table


def test_columns_may_be_added_to_the_manifest_itself_and_the_empty_call_is_optional(folder: Path, supernet: Supernet) -> None:
    ms = kernels(folder)
    lines = (folder / "manifest.csv").read_text().splitlines()
    added = [lines[0] + ",ms,note", *(f"{line},{ms[line.split(',')[0]]},fine" for line in lines[2:])]
    (folder / "manifest.csv").write_text("\n".join(added))
    table = collect(folder / "manifest.csv")
    assert set(table.costs) == {"latency"} and float(table.table(supernet.space)[()]) == 6


@pytest.mark.parametrize(
    ("heads", "change", "message"),
    [
        ("name,ms", {"part-001": None}, r"measured.csv has no line for part-001$"),
        ("name,ms", {"part-001": None, "part-003": None}, "no line for part-001 and 1 more parts"),
        ("name,ms", {"part-005": "1"}, "line 7 of .*: unknown part 'part-005'; did you mean 'part-00"),
        ("name,ms", {"part-002": "fast"}, "line 5 of .*: ms of part-002 must be a number of at least 0; got 'fast'"),
        ("name,ms", {"part-002": "-1"}, "at least 0; got '-1'"),
        ("name,ms", {"part-002": "nan"}, "at least 0; got 'nan'"),
        ("name,ms", {"part-002": ""}, "at least 0; got ''"),
        ("name,ms,mJ", {"part-000": "1"}, "line 3 of .*: mJ of part-000 must be a number"),
        ("name,s", {}, "needs the columns name and ms"),
        ("part,ms", {}, "needs the columns name and ms"),
    ],
)
def test_what_is_wrong_with_a_measurement_is_said_in_one_line(
    folder: Path, heads: str, change: dict[str, str | None], message: str
) -> None:
    rows = dict.fromkeys(("empty", "part-000", "part-001", "part-002", "part-003"), "1,1" if "mJ" in heads else "1") | change
    with pytest.raises(InputError, match=message) as error:
        collect(measured(folder, {name: values for name, values in rows.items() if values is not None}, heads))
    assert "\n" not in str(error.value)


def test_a_name_that_is_there_twice_is_refused(folder: Path) -> None:
    path = measured(folder, {"part-000": "1"})
    path.write_text(path.read_text() + "part-000,2\n")
    with pytest.raises(InputError, match=r"line 3 of .*: part-000 is there twice"):
        collect(path)


def test_a_manifest_that_is_none_is_refused(folder: Path, tmp_path: Path) -> None:
    path = measured(folder, {"part-000": "1"})
    with pytest.raises(InputError, match="cannot be read: it does not exist"):
        collect(path, tmp_path / "none.json")
    content = json.loads((folder / "manifest.json").read_text())
    for change, message in (
        ({"kind": "latency"}, "is not a manifest of parts: supernet profile --emit writes one"),
        ({"shape": "wide"}, "shape must be a list"),
        ({"files": []}, "the part stem has a file or a place that is not in the manifest"),
    ):
        (folder / "manifest.json").write_text(json.dumps(content | change))
        with pytest.raises(InputError, match=message):
            collect(path)


def test_a_folder_that_cannot_be_made_is_an_error_of_the_run(tmp_path: Path, supernet: Supernet) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="file cannot be made: File exists"):
        emit([], tmp_path / "file", name="own", settings={}, shape=(3,), space=supernet.space)
