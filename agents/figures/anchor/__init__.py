"""The figure of the system `anchor` (model page reciprocity, 11A and part B)."""

from agents.figures.anchor.hit_rate import FIGURE

FIGURES = (FIGURE,)
