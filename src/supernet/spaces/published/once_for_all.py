"""The networks that Once-for-All specialised for devices, as data: Cai et al. 2020, https://arxiv.org/abs/1908.09791

``once_for_all.json`` has them by the names of their repository, https://github.com/mit-han-lab/once-for-all (``ofa_specialized``): the
device and its latency, the accuracy on ImageNet, the epochs of fine-tuning. ``width``: where it is not the space's own.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from supernet.spaces.record import Published

CITATION = (
    "Cai, Gan, Wang, Zhang, Han 2020: Once-for-All: Train One Network and Specialize It for Efficient Deployment, "
    "https://arxiv.org/abs/1908.09791"
)
REPOSITORY = "https://github.com/mit-han-lab/once-for-all"


def mobilenetv3(space: str) -> dict[str, Published]:
    """Those over MobileNetV3, for ``space``, by name."""
    return _networks("mobilenetv3", space)


def proxyless(space: str) -> dict[str, Published]:
    """Those over ProxylessNAS' blocks, for ``space``, by name."""
    return _networks("proxyless", space)


def _networks(family: str, space: str) -> dict[str, Published]:
    data: dict[str, dict[str, Any]] = json.loads(files(__package__).joinpath("once_for_all.json").read_text(encoding="utf-8"))
    found = {}
    for name, known in data[family].items():
        settings = {"shape": (3, known["pixels"], known["pixels"]), **({"width": known["width"]} if "width" in known else {})}
        found[f"ofa-{name}"] = Published(f"{space}: {known['blocks']}", CITATION, settings, REPOSITORY, name)
    return found
