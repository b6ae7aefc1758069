"""Image classification: from the settings of a command to a task."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch.nn import functional as F

from supernet.data import images
from supernet.data.augment import Augment, default_augment
from supernet.data.batches import KNOWN, Batches, mean_std
from supernet.data.split import split
from supernet.errors import unknown
from supernet.settings import Settings
from supernet.task import Task

IMAGES: Settings = {  # the recipe of a space that has none of its own, by command and section
    "search": {"data": {"source": "digits", "batch_size": 64}},
    "retrain": {"data": {"source": "digits", "batch_size": 96}},
}


class ImageTask(Task):
    """Image classification on a set read by name or path. ``held``: the fraction that validates; 0: the test split is what is watched.

    ``settings``: the ``data`` section of a command; ``cutout`` None: 16 pixels as in DARTS, half the side of images below 32.
    Only a retraining gets the test split (``testing``).
    """

    def __init__(self, settings: Mapping[str, Any], *, seed: int, device: str = "cpu", autocast: str | None = None, testing: bool = False):
        found = images.load(settings["source"], size=settings["size"])
        usual = default_augment(found.name, min(found.shape[1:]))
        crop = usual.crop if settings["crop"] is None else settings["crop"]
        cutout = min(16, min(found.shape[1:]) // 2) if settings["cutout"] is None else settings["cutout"]
        augment = Augment(crop, usual.flip if settings["flip"] is None else settings["flip"], cutout)
        kept, held = split(found.y_train, settings["validation"], settings["limit"], seed)
        mean, std = KNOWN.get(found.name) or mean_std(found.x_train[kept])
        make = partial(Batches, size=settings["batch_size"], mean=mean, std=std)
        self.set, self.shape, self.classes = found, found.shape, len(found.classes)
        self.mean, self.std = mean, std
        self.decided: Settings = {"crop": augment.crop, "flip": augment.flip, "cutout": augment.cutout}  # of the section ``data``
        self.counts = {"training": len(kept), "validation": len(held), **({"test": len(found.y_test)} if testing else {})}
        super().__init__(
            make(found.x_train[kept], found.y_train[kept], seed=seed, augment=augment),
            make(found.x_train[held], found.y_train[held], seed=seed + 1, augment=augment) if len(held) else None,
            make(found.x_test, found.y_test, train=False) if testing else None,
            loss=F.cross_entropy,
            device=device,
            autocast=dtype_of(autocast),
        )
        notes = list(found.notes)
        if len(kept) < settings["batch_size"]:
            notes.append(f"the batch size {settings['batch_size']} is above the {len(kept)} training images: all of them are one batch")
        for note in notes:
            print(f"note: {note}", file=sys.stderr)

    @property
    def sizes(self) -> Settings:
        """What a supernet and a network for this data are built with."""
        return {"classes": self.classes, "shape": self.shape}

    @property
    def about(self) -> Settings:
        """What a trained network's outputs stand for."""
        return {"classes": list(self.set.classes)}

    @property
    def preprocessing(self) -> Settings:
        """What is done to an image before a network sees it: ``(pixels / scale - mean) / std``, by channel."""
        grey, whole = self.shape[0] == 1, not self.set.x_train.is_floating_point()
        colours = {"colours": "L" if grey else "RGB"} if self.shape[0] in (1, 3) else {}
        kind = {"layout": "NCHW", "size": list(self.shape[1:]), **colours, "scale": 255 if whole else 1}
        return {**kind, "mean": list(self.mean), "std": list(self.std)}


def dtype_of(name: str | None) -> torch.dtype | None:
    """The dtype of mixed precision; raises ``InputError`` for another name."""
    able = {"bfloat16": torch.bfloat16}  # float16 would need its losses scaled
    if name is None:
        return None
    if name not in able:
        raise unknown("autocast", name, able)
    return able[name]


def use_threads(settings: Settings) -> None:
    """Use the threads asked for; write down how many there are, since results depend on it."""
    if settings["threads"]:
        torch.set_num_threads(settings["threads"])
    settings["threads"] = torch.get_num_threads()


def image_task(settings: Settings, testing: bool = False) -> ImageTask:
    """The task of a command's settings."""
    machine = {k: settings[k] for k in ("seed", "device", "autocast")}
    return ImageTask(settings["data"], **machine, testing=testing)
