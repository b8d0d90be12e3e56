"""Figures 2 to 8 of arXiv 2412.01251 and the statements of its text."""

from agents.figures.multifunctional.fig2 import FIGURE as FIG2
from agents.figures.multifunctional.fig3 import FIGURE as FIG3
from agents.figures.multifunctional.fig4 import FIGURE as FIG4
from agents.figures.multifunctional.fig5 import FIGURE as FIG5
from agents.figures.multifunctional.fig6 import FIGURE as FIG6
from agents.figures.multifunctional.fig7 import FIGURE as FIG7
from agents.figures.multifunctional.fig8 import FIGURE as FIG8
from agents.figures.multifunctional.remarks import FIGURE as REMARKS

FIGURES = (FIG2, FIG3, FIG4, FIG5, FIG6, FIG7, FIG8, REMARKS)
