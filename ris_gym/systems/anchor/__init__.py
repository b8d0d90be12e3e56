"""The system `anchor`: a device that localises itself by choosing a surface's codewords. Source: the model page, part B."""

from ris_gym.systems.anchor.records import AnchorDesign, AnchorMetrics, AnchorScene
from ris_gym.systems.anchor.system import Anchor

__all__ = ["Anchor", "AnchorDesign", "AnchorMetrics", "AnchorScene"]
