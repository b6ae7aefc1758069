"""Built-in search spaces, by name: one file a space, which ends in its record (``supernet.spaces.record.Space``)."""

from __future__ import annotations

from supernet.places import at, named
from supernet.spaces.record import Space

SPACES = {  # name -> module:record
    "darts": "supernet.spaces.cell:DARTS",
    "darts-rnn": "supernet.spaces.recurrent:DARTS_RNN",
    "nasbench201": "supernet.spaces.nasbench201:NASBENCH201",
    "nasbench-macro": "supernet.spaces.nasbench_macro:NASBENCH_MACRO",
    "fbnet": "supernet.spaces.fbnet:FBNET",
    "proxyless": "supernet.spaces.proxyless:PROXYLESS",
    "single-path": "supernet.spaces.single_path:SINGLE_PATH",
    "densenas": "supernet.spaces.densenas:DENSENAS",
    "spos": "supernet.spaces.spos:SPOS",
    "spos-bits": "supernet.spaces.spos_bits:SPOS_BITS",
    "spos-channels": "supernet.spaces.spos_channels:SPOS_CHANNELS",
    "fairnas": "supernet.spaces.fairnas:FAIRNAS",
    "fashion-bench": "supernet.spaces.fashion_bench:FASHION_BENCH",
    "mobile-small": "supernet.spaces.mobile_small:MOBILE_SMALL",
    "mlp": "supernet.spaces.mlp:MLP",
    "ofa-mobilenetv3": "supernet.spaces.ofa_mobilenetv3:OFA_MOBILENETV3",
    "ofa-proxyless": "supernet.spaces.ofa_proxyless:OFA_PROXYLESS",
    "ofa-resnet50d": "supernet.spaces.ofa_resnet50d:OFA_RESNET50D",
    "unet": "supernet.spaces.unet:UNET",
    "enas-micro": "supernet.spaces.enas_micro:ENAS_MICRO",
    "enas-rnn": "supernet.spaces.enas_recurrent:ENAS_RNN",
    "nasnet": "supernet.spaces.nasnet:NASNET",
    "enas-macro": "supernet.spaces.enas_macro:ENAS_MACRO",
    "one-shot-cell": "supernet.spaces.one_shot_cell:ONE_SHOT_CELL",
    "smash": "supernet.spaces.smash:SMASH",
}


def space(name: str) -> Space:
    """The built-in space of that name; raises ``InputError`` with the nearest name where there is none."""
    found: Space = at(named(SPACES, name, "space"))
    return found
