"""The system `active_crb`. Source: arXiv 2508.00379; section numbers: the model page."""

from ris_gym.systems.active_crb.records import ActiveCrbDesign, ActiveCrbMetrics, ActiveCrbScene
from ris_gym.systems.active_crb.system import ActiveCrb

__all__ = ["ActiveCrb", "ActiveCrbDesign", "ActiveCrbMetrics", "ActiveCrbScene"]
