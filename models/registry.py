"""The detectors that rule files may name: one literal table per kind, no scanning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from domain.ports import Detector, VectorDetector
from models.fast import Fast
from models.forest import Forest

# over the points of one series: `{anomaly: pressure, detector: fast}`
REGISTRY: Final[Mapping[str, Callable[[], Detector]]] = MappingProxyType({"fast": Fast})

# over the indicator vectors of peers
VECTOR_REGISTRY: Final[Mapping[str, Callable[[], VectorDetector]]] = MappingProxyType({"forest": Forest})
