"""Exported files compute what the model computes, alone and at any batch size."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, load_model
from torch import Tensor, nn

import supernet
from supernet.errors import InputError, RunError
from supernet.export import Exported, export, try_export
from supernet.modules.weights import checksum
from supernet.version import VERSION

SHAPE = (1, 10, 14)  # one channel, not square


class Convolutions(nn.Module):
    """What cells are made of: batch norm, a dilated depthwise convolution, pooling, concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6))
        self.dilated = nn.Conv2d(6, 6, 3, padding=2, dilation=2, groups=6)
        self.pool = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        self.head = nn.Linear(18, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        x = torch.cat([self.dilated(x), self.pool(x), x], 1)
        return self.head(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))


class Tied(nn.Module):
    """A recurrent language model: time comes before the batch, and the decoder is the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.mix = nn.Linear(12, 6)
        self.decoder = nn.Linear(6, 11)
        self.decoder.weight = self.embedding.weight

    def forward(self, tokens: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        for x in self.embedding(tokens).unbind(0):
            hidden = self.mix(torch.cat([x, hidden], 1)).tanh()
        return self.decoder(hidden), hidden


class Nested(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> tuple[Any, ...]:
        return x + y, None, [x * 2, {"b": y - 1, "a": x - 3}]


class DependsOnData(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if x.sum() > 0 else x


class SingularValues(nn.Module):  # ONNX has no such operator
    def forward(self, x: Tensor) -> Tensor:
        return torch.linalg.svdvals(x)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    model = Convolutions()
    for _ in range(3):  # statistics that are not the initial zeros and ones
        model(torch.randn(8, *SHAPE) * 2 + 1)
    return model.train()


@pytest.fixture(scope="module")
def exported(model: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Exported]:
    folder = tmp_path_factory.mktemp("export") / "new" / "folder"
    return export(model, torch.randn(2, *SHAPE), folder, architecture={"space": "darts"}, metadata={"seed": 3})


@pytest.fixture(scope="module")
def expected(model: nn.Module) -> tuple[Tensor, Tensor]:
    x = torch.randn(7, *SHAPE)
    with torch.no_grad():
        return x, copy.deepcopy(model).eval()(x)


def test_every_format_is_written_and_its_difference_reported(exported: dict[str, Exported]) -> None:
    assert list(exported) == ["onnx", "torch", "safetensors"]
    assert all(0 <= e.difference <= 1e-4 for e in exported.values())
    files = {p.name for p in exported["onnx"].path.parent.iterdir()}
    assert files == {"model.onnx", "model.pt2", "model.safetensors", "model.json"}


def test_onnx_runs_without_this_package_or_torch(exported: dict[str, Exported], expected: tuple[Tensor, Tensor], tmp_path: Path) -> None:
    x, y = expected
    np.save(tmp_path / "x.npy", x.numpy())
    program = (
        "import sys\n"
        "sys.modules['supernet'] = sys.modules['torch'] = None  # as if they were not installed\n"
        "import numpy, onnxruntime\n"
        "session = onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])\n"
        "y, = session.run(['output'], {'input': numpy.load('x.npy')})\n"
        "numpy.save('y.npy', y)\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run([sys.executable, "-c", program, str(exported["onnx"].path)], cwd=tmp_path, env=environment, check=True)
    torch.testing.assert_close(torch.from_numpy(np.load(tmp_path / "y.npy")), y, rtol=1e-4, atol=1e-5)


def test_torch_program_runs_at_other_batch_sizes(exported: dict[str, Exported], expected: tuple[Tensor, Tensor]) -> None:
    x, y = expected
    program = torch.export.load(exported["torch"].path).module()
    with torch.no_grad():
        torch.testing.assert_close(program(x), y)
        torch.testing.assert_close(program(x[:1]), y[:1])


def test_weights_load_into_a_new_model(exported: dict[str, Exported], expected: tuple[Tensor, Tensor]) -> None:
    x, y = expected
    fresh = Convolutions()
    fresh.load_state_dict(load_file(exported["safetensors"].path))
    with torch.no_grad():
        torch.testing.assert_close(fresh.eval()(x), y)


def test_description_holds_architecture_metadata_and_input_shape(exported: dict[str, Exported]) -> None:
    about = json.loads(exported["safetensors"].path.with_name("model.json").read_text())
    assert about == {
        "format": 1,
        "architecture": {"space": "darts"},
        "metadata": {"seed": 3},
        "inputs": [{"name": "input", "shape": ["batch", 1, 10, 14], "dtype": "float32"}],
        "outputs": [{"name": "output", "shape": ["batch", 4], "dtype": "float32"}],
        "aliases": {},
        "supernet": VERSION,
        "checksum": checksum(load_file(exported["safetensors"].path)),
    }


def test_every_file_says_itself_what_is_beside_it(exported: dict[str, Exported]) -> None:
    beside = json.loads(exported["onnx"].path.with_name("model.json").read_text())
    session = onnxruntime.InferenceSession(exported["onnx"].path, providers=["CPUExecutionProvider"])
    assert json.loads(session.get_modelmeta().custom_metadata_map["supernet"]) == beside
    with safe_open(str(exported["safetensors"].path), framework="pt") as file:
        assert json.loads(file.metadata()["supernet"]) == beside
    extra = {"supernet.json": ""}
    torch.export.load(exported["torch"].path, extra_files=extra)
    assert json.loads(extra["supernet.json"]) == beside


def test_the_description_stands_beside_a_single_format_too(model: nn.Module, tmp_path: Path) -> None:
    export(model, torch.randn(2, *SHAPE), tmp_path, ("safetensors",))
    assert {p.name for p in tmp_path.iterdir()} == {"model.safetensors", "model.json"}


def test_files_have_the_permissions_of_any_other_file(exported: dict[str, Exported], tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    written = [each.path for each in exported.values()]
    assert {p.stat().st_mode for p in (*written, written[0].with_name("model.json"))} == {(tmp_path / "plain").stat().st_mode}


@pytest.mark.parametrize("form", [pytest.param("torch", marks=pytest.mark.slow), "safetensors"])
def test_a_full_disk_is_an_error_in_one_line_and_leaves_nothing(form: str, tmp_path: Path) -> None:
    program = (
        "import resource, sys, torch\n"
        "from supernet import RunError, export\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"  # as a disk that is full after 2,000 bytes
        "try:\n"
        "    export(torch.nn.Linear(40, 40), torch.randn(2, 40), 'out', (sys.argv[1],))\n"
        "except RunError as error:\n"
        "    print(error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(supernet.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", program, form], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, (done.returncode, done.stderr[-300:])
    assert done.stdout == "cannot write to out: File too large\n" and not list((tmp_path / "out").iterdir())


def test_model_of_the_caller_is_left_as_it_was(model: nn.Module, exported: dict[str, Exported], tmp_path: Path) -> None:
    before = copy.deepcopy(model.state_dict())
    export(model, torch.randn(2, *SHAPE), tmp_path, ("safetensors",))
    assert all(m.training for m in model.modules())
    assert all(p.requires_grad for p in model.parameters())
    assert all(torch.equal(x, before[name]) for name, x in model.state_dict().items())


def test_tied_weights_are_stored_once_and_stay_tied(tmp_path: Path) -> None:
    model = Tied()
    example = (torch.randint(0, 11, (5, 2)), torch.zeros(2, 6))
    found = export(model, example, tmp_path, batch_dimension=(1, 0))
    stored = load_file(found["safetensors"].path)
    assert "embedding.weight" in stored and "decoder.weight" not in stored
    assert json.loads((tmp_path / "model.json").read_text())["aliases"] == {"decoder.weight": "embedding.weight"}
    fresh = Tied()
    load_model(fresh, found["safetensors"].path)
    assert fresh.decoder.weight is fresh.embedding.weight
    assert torch.equal(fresh.decoder.weight, model.embedding.weight)

    session = onnxruntime.InferenceSession(found["onnx"].path, providers=["CPUExecutionProvider"])
    assert [(i.name, i.shape) for i in session.get_inputs()] == [("input_0", [5, "batch"]), ("input_1", ["batch", 6])]


def test_views_of_one_tensor_are_stored_apart(tmp_path: Path) -> None:
    model = nn.Linear(4, 2)
    both = torch.randn(4, 4)
    model.register_buffer("upper", both[:2])
    model.register_buffer("rows", both[1:3])
    model.register_buffer("turned", both.t())
    export(model, torch.randn(1, 4), tmp_path, ("safetensors",))
    stored = load_file(tmp_path / "model.safetensors")
    assert torch.equal(stored["upper"], both[:2]) and torch.equal(stored["rows"], both[1:3]) and torch.equal(stored["turned"], both.t())


def test_nested_outputs_keep_their_order(tmp_path: Path) -> None:
    found = export(Nested(), (torch.randn(1, 4), torch.randn(1, 4)), tmp_path, ("onnx", "torch"))
    session = onnxruntime.InferenceSession(found["onnx"].path, providers=["CPUExecutionProvider"])
    x, y = np.full((2, 4), 5, np.float32), np.full((2, 4), 7, np.float32)
    outputs = session.run([f"output_{i}" for i in range(4)], {"input_0": x, "input_1": y})
    assert [float(o[0, 0]) for o in outputs] == [12, 10, 6, 2]


def test_try_export_says_why_or_nothing(model: nn.Module, capfd: pytest.CaptureFixture[str]) -> None:
    assert try_export(model, torch.randn(1, *SHAPE)) is None
    broken = [(DependsOnData(), (2, 3), "data-dependent"), (SingularValues(), (2, 3, 3), "svd"), (model, (2, 3, 9, 9), "fails")]
    for network, shape, part in broken:
        reason = try_export(network, torch.randn(shape))
        assert reason and part in reason and "\n" not in reason
    assert capfd.readouterr() == ("", "")


def test_model_with_a_fixed_batch_size_is_refused(tmp_path: Path) -> None:
    class Fixed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.arange(x.shape[0] * 4.0).reshape(len(x), 4) if x.shape[0] == 3 else x

    with pytest.raises(InputError, match="free batch size"):
        export(Fixed(), torch.randn(2, 4), tmp_path, ("torch",))


def test_a_file_that_computes_something_else_is_refused_with_the_figure(tmp_path: Path) -> None:
    class Drifting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(4))
            self.outside = [torch.zeros(())]  # state that no file holds

        def forward(self, x: Tensor) -> Tensor:
            self.outside[0] = self.outside[0] + 1
            return x * self.weight + self.outside[0]

    with pytest.raises(RunError, match=r"model.safetensors differs from the model by \d"):
        export(Drifting(), torch.randn(2, 4), tmp_path, ("safetensors",))
    assert not list(tmp_path.iterdir())  # nothing is left, not even temporary files


def test_missing_packages_name_the_extra(model: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'supernet\[export\]'"):
        export(model, torch.randn(1, *SHAPE), tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"formats": ("onx",)}, "did you mean 'onnx'"),
        ({"formats": ()}, "formats must be a list"),
        ({"example": torch.randn(1, 3, 9, 9)}, "the model fails on inputs"),
        ({"example": "image"}, "tensor or a tuple of tensors"),
        ({"example": torch.tensor(1.0)}, "has no dimension 0"),
        ({"example": (torch.randn(2, 3), torch.randn(3, 3))}, "share one batch size"),
        ({"metadata": {"when": object()}}, "JSON"),
    ],
)
def test_wrong_arguments_are_explained(model: nn.Module, tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        export(model, **{"example": torch.randn(1, *SHAPE), "folder": tmp_path, "formats": ("safetensors",), **arguments})


def test_a_file_in_place_of_the_folder_is_refused(model: nn.Module, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="is not a folder"):
        export(model, torch.randn(1, *SHAPE), tmp_path / "taken", ("safetensors",))
