"""CIFAR's pickled batches: read as published, and nothing in them can run."""

from __future__ import annotations

import os
import pickle
import re
import struct
from pathlib import Path

import numpy
import pytest
import torch

from supernet.data import images
from supernet.errors import InputError

TEN = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def pixels(seed: int, n: int = 4) -> numpy.ndarray:
    return numpy.random.default_rng(seed).integers(0, 256, (n, 3072), dtype=numpy.uint8)


def short(text: bytes) -> bytes:
    return b"U" + bytes([len(text)]) + text


def python2_batch(data: numpy.ndarray, labels: list[int]) -> bytes:
    """The bytes that Python 2 and the numpy of its time wrote: protocol 2, byte strings throughout."""
    array = (b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + short(b"b") + b"\x87R"
             + b"(K\x01" + b"".join(b"J" + struct.pack("<i", n) for n in data.shape) + b"\x86"
             + b"cnumpy\ndtype\n" + short(b"u1") + b"K\x00K\x01\x87R(K\x03" + short(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
             + b"\x89T" + struct.pack("<i", data.nbytes) + data.tobytes() + b"tb")
    return (b"\x80\x02}(" + short(b"data") + array + short(b"labels") + b"](" + b"".join(b"K" + bytes([y]) for y in labels) + b"e"
            + short(b"batch_label") + short(b"testing batch 1 of 1") + b"u.")


def write_ten(folder: Path, protocol: int = 4) -> Path:
    folder = folder / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for i, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
        batch = {"data": pixels(i), "labels": [2 * i % 10, 2 * i % 10 + 1, 9, 0], "batch_label": name, "filenames": ["a", "b", "c", "d"]}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=protocol))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": TEN, "num_vis": 3072}, protocol=protocol))
    return folder


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_pickle_protocol_gives_the_images_in_the_order_of_the_batches(tmp_path: Path, protocol: int) -> None:
    write_ten(tmp_path, protocol)
    loaded = images.load(tmp_path)
    assert loaded.name == "cifar10" and loaded.classes == tuple(TEN) and loaded.shape == (3, 32, 32) and loaded.notes == ()
    assert loaded.x_train.shape == (20, 3, 32, 32) and loaded.x_train.dtype == torch.uint8 and loaded.y_train.dtype == torch.int64
    assert numpy.array_equal(loaded.x_train[4:8].reshape(4, -1).numpy(), pixels(1))
    assert numpy.array_equal(loaded.x_test.reshape(4, -1).numpy(), pixels(5))
    assert loaded.y_train[:8].tolist() == [0, 1, 9, 0, 2, 3, 9, 0]


def test_batches_that_python_2_wrote_are_read(tmp_path: Path) -> None:
    folder = write_ten(tmp_path)
    (folder / "test_batch").write_bytes(python2_batch(pixels(77, 3), [7, 0, 9]))
    loaded = images.load(folder)
    assert numpy.array_equal(loaded.x_test.reshape(3, -1).numpy(), pixels(77, 3)) and loaded.y_test.tolist() == [7, 0, 9]


def test_cifar100_has_its_fine_labels(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    for i, name in enumerate(("train", "test")):
        batch = {b"data": pixels(i, 100), b"fine_labels": [(7 * k + i) % 100 for k in range(100)], b"coarse_labels": [1] * 100}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": [f"class {i}" for i in range(100)]}, protocol=2))
    for loaded in (images.load("cifar100", tmp_path), images.load(folder), images.load(tmp_path)):
        assert loaded.name == "cifar100" and len(loaded.classes) == 100
        assert loaded.y_train[:4].tolist() == [0, 7, 14, 21] and loaded.y_test[:4].tolist() == [1, 8, 15, 22]


class Malicious:
    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_malicious_pickle_is_refused_and_does_not_run(tmp_path: Path, protocol: int) -> None:
    folder = write_ten(tmp_path)
    content = {"data": pixels(0), "labels": [0, 0, 0, 0], "filenames": Malicious(tmp_path / "ran")}
    (folder / "data_batch_3").write_bytes(pickle.dumps(content, protocol=protocol))
    with pytest.raises(InputError, match=r"data_batch_3: refused: it asks for '(posix|nt|os)\.mkdir") as error:
        images.load(folder)
    assert "\n" not in str(error.value) and not (tmp_path / "ran").exists()


@pytest.mark.parametrize("call", [b"cbuiltins\neval\n", b"cnumpy\nload\n", b"cnumpy.core.multiarray\nfromfile\n", b"c_codecs\ndecode\n"])
def test_only_the_names_of_arrays_are_known_to_the_unpickler(tmp_path: Path, call: bytes) -> None:
    folder = write_ten(tmp_path)
    (folder / "test_batch").write_bytes(call + b"(Vx\ntR.")
    with pytest.raises(InputError, match="refused"):
        images.load(folder)


def damage_truncated(folder: Path) -> None:
    whole = (folder / "data_batch_2").read_bytes()
    (folder / "data_batch_2").write_bytes(whole[: len(whole) // 2])


def damage_not_a_pickle(folder: Path) -> None:
    (folder / "data_batch_2").write_text("<html>404</html>")


def damage_empty(folder: Path) -> None:
    (folder / "data_batch_2").write_bytes(b"")


def damaged(**changed: object) -> object:
    def damage(folder: Path) -> None:
        batch = {"data": pixels(0), "labels": [0, 1, 2, 3], **changed}
        (folder / "data_batch_2").write_bytes(pickle.dumps({k: v for k, v in batch.items() if v is not None}, protocol=4))
    return damage


@pytest.mark.parametrize(("damage", "said"), [
    (damage_truncated, "truncated"),
    (damage_not_a_pickle, "not a CIFAR batch"),
    (damage_empty, "truncated"),
    (damaged(labels=[0, 1, 2]), "3 labels for 4 images"),
    (damaged(labels=[0, 1, 2, 10]), "label 10 is out of range; labels go from 0 to 9"),
    (damaged(labels=[0, 1, 2, -1]), "label -1 is out of range"),
    (damaged(labels=["a", "b", "c", "d"]), "label 'a' is no class; the classes are airplane, automobile"),
    (damaged(labels=[[0], [1, 2], [3], [4]]), "labels are not a list of whole numbers"),
    (damaged(labels=None), "no 'labels'"),
    (damaged(data=None), "no 'data'"),
    (damaged(data=pixels(0)[:, :100]), "shape"),
    (damaged(data=pixels(0).astype(float)), "must be bytes"),
    (damaged(data=[1, 2]), "must be bytes"),
    (lambda folder: (folder / "data_batch_2").unlink(), "is missing; get cifar-10-python.tar.gz from the CIFAR page"),
])
def test_a_damaged_batch_is_named_in_one_line(tmp_path: Path, damage: object, said: str) -> None:
    folder = write_ten(tmp_path)
    damage(folder)  # type: ignore[operator]
    with pytest.raises(InputError, match=re.escape(said)) as error:
        images.load(tmp_path)
    assert str(folder / "data_batch_2") in str(error.value) and "\n" not in str(error.value)


def test_a_missing_list_of_classes_is_named(tmp_path: Path) -> None:
    folder = write_ten(tmp_path)
    (folder / "batches.meta").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(InputError, match=r"batches\.meta"):
        images.load(folder)
