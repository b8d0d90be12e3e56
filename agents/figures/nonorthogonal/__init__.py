"""Figures 4 to 6 and 8 to 14 of arXiv 2208.05324, what goes beyond its Section V, and the moving user."""

from agents.figures.nonorthogonal.division import FIG8, FIG9, FIG10
from agents.figures.nonorthogonal.localisation import FIG4, FIG5, FIG6
from agents.figures.nonorthogonal.remarks import FIGURE as REMARKS
from agents.figures.nonorthogonal.tracking import FIGURE as TRACKING
from agents.figures.nonorthogonal.tradeoff import FIG12, FIG13, FIG14
from agents.figures.nonorthogonal.weight import FIG11

FIGURES = (FIG4, FIG5, FIG6, FIG8, FIG9, FIG10, FIG11, FIG12, FIG13, FIG14, REMARKS, TRACKING)
