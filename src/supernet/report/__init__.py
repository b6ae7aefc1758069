"""Reports and drawings: what a person looks at after a search, made from the plain files of a run."""

from __future__ import annotations

from supernet.report.cell_drawing import draw, draw_cell, draw_chain, draw_choices, draw_genotype, draw_graph, draw_recurrent
from supernet.report.page import write_comparison, write_report

__all__ = [
    "draw",
    "draw_cell",
    "draw_chain",
    "draw_choices",
    "draw_genotype",
    "draw_graph",
    "draw_recurrent",
    "write_comparison",
    "write_report",
]
