"""The system `multifunctional`. Source: arXiv 2412.01251; section numbers: the model page."""

from ris_gym.systems.multifunctional.records import (
    MultiFunctionalDesign,
    MultiFunctionalMetrics,
    MultiFunctionalScene,
)
from ris_gym.systems.multifunctional.system import MultiFunctional

__all__ = ["MultiFunctional", "MultiFunctionalDesign", "MultiFunctionalMetrics", "MultiFunctionalScene"]
