"""Figures 2 to 7 of arXiv 2508.00379 and the statements of its text."""

from agents.figures.active_crb.fig2 import FIGURE as FIG2
from agents.figures.active_crb.fig3 import FIGURE as FIG3
from agents.figures.active_crb.fig4 import FIGURE as FIG4
from agents.figures.active_crb.fig5 import FIGURE as FIG5
from agents.figures.active_crb.fig6 import FIGURE as FIG6
from agents.figures.active_crb.fig7 import FIGURE as FIG7
from agents.figures.active_crb.gaps import FIGURE as GAPS
from agents.figures.active_crb.remarks import FIGURE as REMARKS

FIGURES = (FIG2, FIG3, FIG4, FIG5, FIG6, FIG7, REMARKS, GAPS)
