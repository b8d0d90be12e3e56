"""The system `vehicular`: tracking and serving a platoon whose vehicles carry surfaces (model page reciprocity, part A)."""

from ris_gym.systems.vehicular.records import VehicularDesign, VehicularMetrics, VehicularScene
from ris_gym.systems.vehicular.system import Vehicular

__all__ = ["Vehicular", "VehicularDesign", "VehicularMetrics", "VehicularScene"]
