"""Built-in search spaces, by name.

Every module has the same verbs: ``supernet(**settings)``, ``network(architecture, **settings)`` (the papers' evaluation
network), ``parse(text)``, ``notation(architecture)``, and ``NAME``, ``CITATION``, ``SEARCH`` and ``EVALUATION`` (the
default settings of the two builds).
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from supernet.errors import unknown

SPACES = {
    "darts": "supernet.spaces.cell",
    "darts-rnn": "supernet.spaces.recurrent",
    "nasbench201": "supernet.spaces.nasbench201",
    "nasbench-macro": "supernet.spaces.nasbench_macro",
    "fbnet": "supernet.spaces.fbnet",
    "proxyless": "supernet.spaces.proxyless",
    "single-path": "supernet.spaces.single_path",
    "densenas": "supernet.spaces.densenas",
}


def space_module(name: str) -> ModuleType:
    """The module of a built-in space; raises ``InputError`` with the nearest name where there is none."""
    if name not in SPACES:
        raise unknown("space", name, SPACES)
    return import_module(SPACES[name])
