"""What tasks on examples in memory have in common: images, or rows of a table, split and normalised; kinds say what is learnt of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from supernet.data.augment import Augment, default_augment
from supernet.data.batches import KNOWN, Batches, mean_std
from supernet.data.images import ImageSet
from supernet.data.split import split
from supernet.errors import InputError
from supernet.metrics import Metric
from supernet.ranks import ALONE, Ranks
from supernet.settings.given import Settings
from supernet.settings.sections import Machine
from supernet.task import usable
from supernet.tasks.kind import Kind, arguments, say


class Images(Kind):
    """A task on a set read by name or path, of images or of rows of a table; the latter are not augmented.

    ``found``: the set. ``settings``: the ``data`` section of a command. ``validation``: the fraction that validates; 0: the test split
    is what is watched. ``cutout`` None: 16 pixels as in DARTS, half the side of images below 32. ``metrics``: where those of the kind
    need something of the data.
    """

    reads: ClassVar[tuple[str, ...]] = ("source", "limit", "batch_size", "validation", "size", "crop", "flip", "cutout")
    batches: ClassVar[type[Batches]] = Batches

    def __init__(
        self,
        found: ImageSet,
        settings: Mapping[str, Any],
        *,
        seed: int,
        metrics: Mapping[str, Metric] | None = None,
        device: str = "cpu",
        autocast: torch.dtype | None = None,
        ranks: Ranks = ALONE,
        testing: bool = False,
    ):
        check_shared(settings["batch_size"], ranks)
        there = usable(device)
        augment = augmentation(found, settings)
        kept, held = split(self.strata(found.y_train), settings["validation"], settings["limit"], seed)
        mean, std = KNOWN.get(found.name) or mean_std(found.x_train[kept])

        def make(x: Tensor, y: Tensor, **how: Any) -> Batches:
            return self.batches(x, y, settings["batch_size"], mean=mean, std=std, **how).near(there)

        self.sizes = {"classes": len(found.classes), "shape": found.shape}
        self.about = {"classes": list(found.classes)}
        self.preprocessing = preprocessing(found, mean, std)
        self.decided = {k: v for k, v in vars(augment).items() if k in self.reads} if augment else {}
        self.counts = {"training": len(kept), "validation": len(held), **({"test": len(found.y_test)} if testing else {})}
        super().__init__(
            make(found.x_train[kept], found.y_train[kept], seed=seed, augment=augment),
            make(found.x_train[held], found.y_train[held], seed=seed + 1, augment=augment) if len(held) else None,
            make(found.x_test, found.y_test, train=False) if testing else None,
            loss=self.wrong,
            metrics=metrics or self.scored,
            device=device,
            autocast=autocast,
            ranks=ranks,
        )
        few = f"the batch size {settings['batch_size']} is above the {len(kept)} training examples: all of them are one batch"
        self.before_training = [few] if len(kept) < settings["batch_size"] else []
        say(found.notes)

    @classmethod
    def read(cls, data: Settings, machine: Machine, testing: bool = False) -> Images:
        return cls(cls.load(data), data, testing=testing, **arguments(machine))

    @classmethod
    @abstractmethod
    def load(cls, settings: Mapping[str, Any]) -> ImageSet:
        """The set of the section ``data``."""

    @classmethod
    @abstractmethod
    def strata(cls, labels: Tensor) -> int | Tensor:
        """The classes whose proportions every split keeps; of images without one, how many there are."""

    @staticmethod
    @abstractmethod
    def wrong(outputs: Tensor, targets: Tensor, /) -> Tensor:
        """The mean loss: ()."""


def check_shared(batch_size: int, ranks: Ranks) -> None:
    """Raise ``InputError`` for batches that ranks cannot share equally."""
    if batch_size % ranks.count:
        raise InputError(f"a batch is shared by all {ranks.count} ranks equally: give --batch-size a multiple of that; got {batch_size}")


def augmentation(found: ImageSet, settings: Mapping[str, Any]) -> Augment | None:
    """What is done to training images, by the settings of ``data`` and what is usual for the set; None for a table."""
    if found.columns:
        return None
    side = min(found.shape[1:])
    usual = default_augment(found.name, side)
    crop = usual.crop if settings["crop"] is None else settings["crop"]
    cutout = settings.get("cutout", 0)  # of a task that reads it
    cutout = min(16, side // 2) if cutout is None else cutout
    return Augment(crop, usual.flip if settings["flip"] is None else settings["flip"], cutout)


def preprocessing(found: ImageSet, mean: tuple[float, ...], std: tuple[float, ...]) -> Settings:
    """What is done to an input before a network sees it: ``(values / scale - mean) / std``, by channel or column."""
    if found.columns:
        return {"layout": "NC", "columns": list(found.columns), "scale": 1, "mean": list(mean), "std": list(std)}
    grey, whole = found.shape[0] == 1, not found.x_train.is_floating_point()
    colours = {"colours": "L" if grey else "RGB"} if found.shape[0] in (1, 3) else {}
    kind = {"layout": "NCHW", "size": list(found.shape[1:]), **colours, "scale": 255 if whole else 1}
    return {**kind, "mean": list(mean), "std": list(std)}
