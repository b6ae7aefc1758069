"""Once-for-All's predictor of accuracy: a perceptron over the choices of ``ofa-mobilenetv3`` and the size of images.

Cai et al. 2020, section 3.4, https://arxiv.org/abs/1908.09791; features and the file ``acc_predictor.pth`` of its tutorial,
https://github.com/mit-han-lab/once-for-all
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from supernet.errors import InputError
from supernet.space import Architecture, SearchSpace

UNITS, DEEPEST = 5, 4
KERNELS, EXPANSIONS, RESOLUTIONS = (3, 5, 7), (3, 4, 6), tuple(range(112, 225, 16))
FEATURES = UNITS * DEEPEST * (len(KERNELS) + len(EXPANSIONS)) + len(RESOLUTIONS)


def features(architecture: Mapping[str, Any], pixels: int) -> Tensor:
    """The kernels of all blocks, their expansions, and the pixels of a side, one-hot each; a block that does not run is zeros: (128,).

    Raises ``InputError`` for pixels that are none of ``RESOLUTIONS``, and for an architecture that does not decide a block.
    """
    if pixels not in RESOLUTIONS:
        raise InputError(f"the predictor knows images of {', '.join(map(str, RESOLUTIONS))} pixels; got {pixels}")
    found = torch.zeros(FEATURES)
    try:
        for i in range(UNITS):
            for j in range(int(architecture[f"depth.{i}"])):
                at, block = DEEPEST * i + j, f"block.{i}.{j}"
                found[len(KERNELS) * at + KERNELS.index(architecture[f"{block}.kernel"])] = 1
                found[UNITS * DEEPEST * len(KERNELS) + len(EXPANSIONS) * at + EXPANSIONS.index(architecture[f"{block}.expansion"])] = 1
    except KeyError as error:
        raise InputError(f"the predictor is of ofa-mobilenetv3, and the architecture does not decide {error.args[0]}") from error
    found[RESOLUTIONS.index(pixels) - len(RESOLUTIONS)] = 1
    return found


class AccuracyPredictor:
    """The accuracy on ImageNet, from 0 to 1, of a network of ``ofa-mobilenetv3`` of width 1.2.

    ``weights``: of its linear layers, by name as in ``nn.Sequential`` with a ReLU between two. ``pixels``: of images where no choice
    named ``resolution`` says them. Raises ``InputError`` for weights that are not of such a perceptron.
    """

    def __init__(self, weights: Mapping[str, Tensor], pixels: int = 224):
        self.pixels = pixels
        sizes = [weights[name].shape for name in weights if name.endswith("weight")]
        layers = [layer for outputs, inputs in sizes for layer in (nn.Linear(inputs, outputs), nn.ReLU())]
        self.model = nn.Sequential(*layers[:-1]).eval()
        try:
            self.model.load_state_dict(dict(weights))
            with torch.no_grad():
                self.model(torch.zeros(1, FEATURES)).view(1)
        except RuntimeError as error:
            raise InputError(f"the weights are not of a perceptron from {FEATURES} features to one number") from error

    @classmethod
    def read(cls, path: str | Path, pixels: int = 224) -> AccuracyPredictor:
        """From the authors' ``.pth``, or its tensors by name in a ``.npz``; nothing in them is run. Raises ``InputError``."""
        try:
            if Path(path).suffix == ".npz":
                with np.load(path, allow_pickle=False) as arrays:
                    weights = {name: torch.from_numpy(arrays[name]) for name in arrays}
            else:
                weights = torch.load(path, map_location="cpu", weights_only=True)
            return cls({name: tensor.float() for name, tensor in weights.items()}, pixels)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        except Exception as error:  # what the readers make of a file that is no such thing
            raise InputError(f"{path} is not a predictor's weights by name, in a .pth or .npz file") from error

    @torch.no_grad()
    def predict(self, space: SearchSpace, architecture: Architecture) -> float:
        """The accuracy of one architecture; raises ``InputError`` for one of another space."""
        taken: Mapping[str, Any] = space.check(architecture)
        return float(self.model(features(taken, taken.get("resolution", self.pixels))))
