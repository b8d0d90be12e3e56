"""Figures 2, 3 and 4 and Remarks 2 and 3 of arXiv 2111.13511."""

from agents.figures.beampattern.fig2 import FIGURE as FIG2
from agents.figures.beampattern.fig3 import FIGURE as FIG3
from agents.figures.beampattern.fig4 import FIGURE as FIG4
from agents.figures.beampattern.remarks import FIGURE as REMARKS

FIGURES = (FIG2, FIG3, FIG4, REMARKS)
