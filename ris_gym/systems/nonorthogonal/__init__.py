"""The system `nonorthogonal`. Source: arXiv 2208.05324; section numbers: the model page."""

from ris_gym.systems.nonorthogonal.records import NonOrthogonalDesign, NonOrthogonalMetrics, NonOrthogonalScene
from ris_gym.systems.nonorthogonal.system import NonOrthogonal

__all__ = ["NonOrthogonal", "NonOrthogonalDesign", "NonOrthogonalMetrics", "NonOrthogonalScene"]
