"""Figure 4 of the survey "From Coexistence to Reciprocity" under several settings, when sensing pays, policies of `vehicular`."""

from agents.figures.vehicular.extensions import FIGURE as EXTENSIONS
from agents.figures.vehicular.fig4 import FIG4, SETTINGS
from agents.figures.vehicular.pays import FIGURE as PAYS
from agents.figures.vehicular.policies import FIGURE as POLICIES

FIGURES = (FIG4, SETTINGS, PAYS, POLICIES, EXTENSIONS)
