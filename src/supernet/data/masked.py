"""Batches of images and masks that are moved together."""

from __future__ import annotations

from torch import Tensor

from supernet.data.batches import Batches, seeded


class MaskedBatches(Batches):
    """As ``Batches``, of masks (N, H, W), uint8, 255 for what does not count: (images, masks (B, H, W), int64, -1 for what does not count).

    What crops and flips an image does so to its mask; what comes in from outside the image does not count.
    """

    def _batch(self, chosen: Tensor, turn: int, at: int) -> tuple[Tensor, Tensor]:
        x, _ = super()._batch(chosen, turn, at)
        masks = (self.y[chosen] + 1)[:, None]  # 255 becomes 0, which is also what stands around an image
        if self.augment is not None and self.train:
            drawn = self.augment.draw(len(x), x.shape[2], x.shape[3], seeded(self.seed, turn, 1, at))
            masks = self.augment.move(masks, drawn.to(x.device, non_blocking=True))
        return x, masks[:, 0].long() - 1
