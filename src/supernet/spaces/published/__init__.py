"""Published cells as data, by name, each with its paper and the repository that it was read from.

Cells of images carry what their repository's evaluation network does otherwise than DARTS': batch norm behind pooling (GDAS, DrNAS)
and the second batch norm of the ImageNet auxiliary head (P-DARTS).
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from supernet.spaces.record import Published


def published_cells() -> dict[str, Published]:
    """Those of ``cells.json``, for the space ``darts``."""
    data, found = _read("cells.json"), {}
    papers = {key: "{authors} {year}: {title}, {url}".format(**paper) for key, paper in data["papers"].items()}
    for name, cell in data["cells"].items():
        source = data["repositories"][cell["repository"]]
        settings = {"auxiliary_norm": source["auxiliary_norm"], "pool_norm": source["pool_norm"]}
        found[name] = Published(cell["genotype"], papers[cell["paper"]], settings, source["url"], cell["name"])
    return found


def published_recurrent() -> dict[str, Published]:
    """Those of ``recurrent.json``, for the space ``darts-rnn``."""
    return {name: Published(c["genotype"], c["paper"], {}, c["repository"], c["original"]) for name, c in _read("recurrent.json").items()}


def _read(file: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(files(__package__).joinpath(file).read_text(encoding="utf-8"))
    return data
