"""A class for every pixel: the metric against scikit-learn's, masks that move with their images, folders, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from PIL import Image
from sklearn.metrics import jaccard_score
from torch.nn import functional as F

from supernet.data.augment import Augment
from supernet.data.masked import MaskedBatches
from supernet.data.segmentation import CAMVID, IGNORED, load
from supernet.errors import InputError
from supernet.report.cell_drawing import draw
from supernet.spaces import unet
from supernet.tasks.segmentation import confusion, intersection_over_union, mean_over_pixels, share_of_pixels


def test_intersection_over_union_is_scikit_learns_over_the_whole_pass_without_ignored_pixels() -> None:
    rng = torch.Generator().manual_seed(0)
    outputs, targets = torch.randn(6, 4, 5, 7, generator=rng), torch.randint(-1, 3, (6, 5, 7), generator=rng)
    total = sum(confusion(outputs[i : i + 2], targets[i : i + 2]) for i in (0, 2, 4))
    assert isinstance(total, torch.Tensor)
    counted, taken = targets >= 0, outputs.argmax(1)
    expected = jaccard_score(targets[counted], taken[counted], average="macro", labels=range(4))
    assert float(intersection_over_union(total)) == pytest.approx(expected, abs=1e-12)  # class 3 is only taken for others: 0
    assert float(share_of_pixels(total)) == pytest.approx(float((taken == targets)[counted].float().mean()))
    assert float(intersection_over_union(torch.zeros(3, 3, dtype=torch.long))) == 0


def test_the_loss_is_of_the_pixels_that_count_and_of_none_it_is_nothing() -> None:
    outputs = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    targets = torch.full((2, 4, 4), -1)
    targets[0, :2] = 1
    expected = F.cross_entropy(outputs.permute(0, 2, 3, 1)[0, :2].flatten(0, 1), targets[0, :2].flatten())
    assert mean_over_pixels(outputs, targets).item() == pytest.approx(expected.item(), rel=1e-6)
    nothing = mean_over_pixels(outputs, targets.fill_(-1))
    nothing.backward()  # type: ignore[no-untyped-call]
    assert nothing.item() == 0 and outputs.grad is not None and not outputs.grad.any()


def test_masks_are_cropped_and_flipped_with_their_images() -> None:
    masks = torch.randint(1, 200, (8, 6, 6), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    masks[:, 2, 3] = IGNORED
    images = masks[:, None].clone()
    batches = MaskedBatches(images, masks, 8, seed=1, augment=Augment(crop=2, flip=True), mean=(0.0,), std=(1 / 255,))
    x, y = next(iter(batches))
    known = y >= 0
    assert torch.equal(x[:, 0].round().long()[known], y[known]) and len({tuple(m.flatten().tolist()) for m in y}) == 8
    assert (~known).sum() > 8  # what came in from outside, and the pixels of no class
    (plain, kept) = next(iter(batches.in_order()))
    assert (kept[:, 2, 3] == -1).all() and torch.equal(kept[kept >= 0], masks.long()[kept >= 0]) and plain.shape == (8, 1, 6, 6)


def test_scenes_are_always_the_same_and_have_all_classes() -> None:
    found, again = load(), load()
    assert found.x_train.shape == (480, 1, 32, 32) and found.y_test.shape == (120, 32, 32) and len(found.classes) == 11
    assert torch.equal(found.x_train, again.x_train) and torch.equal(found.y_test, again.y_test)
    assert found.y_train.unique().tolist() == [*range(11), IGNORED]


def folder(root: Path, classes: list[str] | None = None, value: int = 1, parts: tuple[str, ...] = ("train", "test")) -> Path:
    for part in parts:
        for kind, pixels in ((part, numpy.zeros((6, 8, 3), numpy.uint8)), (f"{part}annot", numpy.eye(6, 8, dtype=numpy.uint8) * value)):
            (root / kind).mkdir(parents=True)
            for i in range(3):
                Image.fromarray(pixels).save(root / kind / f"{i}.png")
    if classes:
        (root / "classes.json").write_text(json.dumps(classes))
    return root


def test_a_folder_is_read_as_camvids_is_laid_out(tmp_path: Path) -> None:
    found = load(folder(tmp_path / "own", ["void", "road", "sky"], 2))
    assert found.classes == ("road", "sky") and found.y_train.unique().tolist() == [1, IGNORED]
    assert (found.shape, len(found.x_test)) == ((3, 6, 8), 3) and load(tmp_path / "own", 4).y_test.shape == (3, 4, 4)
    marked = load(f"camvid:{folder(tmp_path / 'cam', None, 11)}")
    assert marked.classes == tuple(CAMVID[:11]) and marked.y_train.unique().tolist() == [0, IGNORED]
    plain = load(folder(tmp_path / "plain", None, 1, ("train",)))
    assert plain.classes == ("0", "1") and "no test split" in plain.notes[0]


@pytest.mark.parametrize(
    ("classes", "value", "says"),
    [(["a", "b"], 2, "masks hold the value 2, and the classes are 0 to 1"), (["a", "void"], 1, "at least 2 classes must count")],
)
def test_what_masks_and_classes_do_not_agree_in_is_one_line(tmp_path: Path, classes: list[str], value: int, says: str) -> None:
    with pytest.raises(InputError, match=says):
        load(folder(tmp_path / "own", classes, value))


def test_a_picture_without_its_mask_is_refused(tmp_path: Path) -> None:
    (folder(tmp_path / "own") / "trainannot" / "1.png").unlink()
    with pytest.raises(InputError, match=r"1\.png does not exist: every picture needs its mask"):
        load(tmp_path / "own")
    Image.fromarray(numpy.zeros((6, 8, 3), numpy.uint8)).save(tmp_path / "own" / "trainannot" / "1.png")
    with pytest.raises(InputError, match="has mode RGB"):
        load(tmp_path / "own")


@pytest.mark.parametrize(("source", "says"), [("digit-scene", "digit-scenes"), ("none/of", "no folders train and trainannot")])
def test_a_set_that_is_not_there_is_refused(source: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        load(source)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("unet: k3e2 k3e2 | pass | k3e2", "expected 'unet: down"),
        ("unet: down(k3e2 k3e2) across(pass) up(k3e2 k3e2)", "with one more down"),
        ("unet: down(k3e2 k3e3) across(pass) up(k3e2)", "unknown option of down.1 'k3e3'"),
        ("unet: down(k3e2) across() up()", "with one more down"),
    ],
)
def test_a_notation_that_is_none_of_the_space_is_refused(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        unet.parse(text)


def test_levels_that_leave_nothing_of_an_image_are_refused() -> None:
    with pytest.raises(InputError, match="levels 6 leave images of 32x32 less than 2 pixels a side"):
        unet.supernet(shape=(1, 32, 32), levels=6)
    with pytest.raises(InputError, match="of other levels than the 3"):
        unet.network("unet: down(k3e2 k3e2) across(pass) up(skip)")
    odd = unet.network("unet: down(k3e2 skip k5e4) across(none conv) up(skip k3e4)", shape=(3, 45, 60), classes=4)
    assert odd(torch.zeros(2, 3, 45, 60)).shape == (2, 4, 45, 60)


def test_a_network_of_levels_is_drawn_level_by_level() -> None:
    choices = unet.parse("unet: down(k3e2 k5e4) across(pass) up(skip)")
    drawn = draw("unet", choices, unet.notation(choices))
    assert 'aria-label="Levels' in drawn and all(option in drawn for option in ("k3e2", "k5e4", "pass", "skip"))
