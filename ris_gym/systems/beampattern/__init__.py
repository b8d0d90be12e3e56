"""Max-min beampattern gain of a surface under an SINR constraint (arXiv 2111.13511)."""

from ris_gym.systems.beampattern.records import BeampatternDesign, BeampatternMetrics, BeampatternScene
from ris_gym.systems.beampattern.system import Beampattern

__all__ = ["Beampattern", "BeampatternDesign", "BeampatternMetrics", "BeampatternScene"]
