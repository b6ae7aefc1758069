"""Weights are bound to the network that they are of, and damage is noticed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from supernet.errors import RunError
from supernet.modules.weights import KEY, fill, pack, read, structure


class Node(nn.Module):
    """Adds up two edges; which inputs they read is a plain attribute."""

    def __init__(self, reads: tuple[int, int]):
        super().__init__()
        self.edges, self.reads = nn.ModuleList(nn.Conv2d(2, 2, 3, padding=1) for _ in reads), reads

    def forward(self, x: Tensor) -> Tensor:
        states = [x, x.flip(3) ** 2]
        return self.edges[0](states[self.reads[0]]) + self.edges[1](states[self.reads[1]])


class Noisy(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) + torch.randn(())


class Words(nn.Module):
    """Takes text; a scale that no tensor shows."""

    def __init__(self, scale: float):
        super().__init__()
        self.scale, self.embedding = scale, nn.Embedding(4, 2)

    def forward(self, text: str) -> Tensor:
        return self.scale * self.embedding(torch.tensor([len(text) % 4]))


def written(network: nn.Module, path: Path, *example: object) -> Path:
    path.write_bytes(pack(network, *example))
    return path


def test_weights_come_back_into_a_network_built_alike(tmp_path: Path) -> None:
    network, x = Node((1, 0)).train(), torch.randn(3, 2, 5, 5)
    path, other = written(network, tmp_path / "w", x[:2]), Node((1, 0))
    fill(other, path)
    assert torch.equal(other(x), network(x)) and network.training and other.training


def test_weights_of_edges_that_read_other_inputs_are_refused(tmp_path: Path) -> None:
    path = written(Node((1, 0)), tmp_path / "w", torch.randn(2, 2, 5, 5))
    with pytest.raises(RunError, match=r"is of another network: outputs differ by .*joins them otherwise"):
        fill(Node((0, 1)), path)


def test_weights_without_stored_outputs_are_bound_by_structure(tmp_path: Path) -> None:
    path = written(Words(2.0), tmp_path / "w", "text")
    fill(Words(2.0), path)
    with pytest.raises(RunError, match="is of another network: names and shapes are the same"):
        fill(Words(3.0), path)


def test_a_network_of_another_name_that_computes_the_same_takes_the_weights(tmp_path: Path) -> None:
    class Moved(Node):
        """The same in another file, with a note."""

        note = 0

        def forward(self, x: Tensor) -> Tensor:
            self.note += 1
            return super().forward(x)

    path = written(Node((1, 0)), tmp_path / "w", torch.randn(2, 2, 5, 5))
    fill(Moved((1, 0)), path)


def test_random_outputs_are_not_stored_to_be_compared(tmp_path: Path) -> None:
    path = written(Noisy(3, 2), tmp_path / "w", torch.randn(2, 3))
    assert "outputs" not in read(path)[1]
    fill(Noisy(3, 2), path)


def test_the_file_depends_on_the_network_alone() -> None:
    torch.manual_seed(0)
    network = Node((1, 0))
    before = torch.get_rng_state()
    one = pack(network, torch.randn(2, 2, 5, 5))
    torch.set_rng_state(before)
    again = pack(network, torch.zeros(2, 2, 5, 5))
    assert one == again and torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:5],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: b"\xff" * 8 + data[8:],
        lambda data: data[:-3] + bytes([data[-3] ^ 1]) + data[-2:],
        lambda data: data[:9] + b"\x00" + data[10:],
    ],
    ids=["empty", "five bytes", "half", "a byte short", "header of 2^64 bytes", "a flipped bit", "a broken header"],
)
def test_damaged_weights_are_one_line(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(damage(pack(nn.Linear(20, 20), torch.randn(2, 20))))
    with pytest.raises(RunError, match=r"weights\.safetensors (cannot be read|is damaged)") as error:
        fill(nn.Linear(20, 20), path)
    assert "\n" not in str(error.value)


def test_any_flipped_bit_of_the_tensors_is_noticed(tmp_path: Path) -> None:
    data = pack(nn.Linear(3, 2), torch.randn(2, 3))
    start = 8 + int.from_bytes(data[:8], "little")
    for place in range(start, len(data)):
        (tmp_path / "w").write_bytes(data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :])
        with pytest.raises(RunError, match="is damaged"):
            read(tmp_path / "w")


def test_weights_of_an_earlier_version_are_loaded_and_said_to_be_unbound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = nn.Linear(3, 2)
    save_file(network.state_dict(), tmp_path / "w")
    other = nn.Linear(3, 2)
    fill(other, tmp_path / "w")
    assert torch.equal(other.weight, network.weight)
    assert "does not say which network it is of" in capsys.readouterr().err
    with pytest.raises(RunError, match="does not fit the network"):
        fill(nn.Linear(2, 2), tmp_path / "w")


def test_structure_sees_wiring_and_not_what_acts_in_training_alone() -> None:
    one = nn.Sequential(nn.Conv2d(1, 2, 3, dilation=2), nn.BatchNorm2d(2, momentum=0.1), nn.Dropout(0.1))
    two = nn.Sequential(nn.Conv2d(1, 2, 3, dilation=2), nn.BatchNorm2d(2, momentum=0.2), nn.Dropout(0.2)).eval()
    assert structure(one) == structure(two)
    assert structure(one) != structure(nn.Sequential(nn.Conv2d(1, 2, 3, dilation=1), *one[1:]))
    tied, apart = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    tied[1].weight = tied[0].weight
    assert structure(tied) != structure(apart)


def test_what_binds_is_one_entry_of_the_metadata(tmp_path: Path) -> None:
    from safetensors import safe_open

    path = written(nn.Linear(3, 2), tmp_path / "w", torch.randn(2, 3))
    with safe_open(str(path), framework="pt") as file:
        metadata = file.metadata()
    about = json.loads(metadata[KEY])
    assert list(metadata) == [KEY] and about["inputs"] == [{"shape": [2, 3], "dtype": "float32"}]
    assert set(load_file(path)) == {"weight", "bias"}
