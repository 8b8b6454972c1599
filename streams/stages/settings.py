"""What an operator may set of the risk engine."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import msgspec

from domain.base import Noun


class PipelineSettings(Noun, frozen=True, kw_only=True):
    """What an operator may set; equal settings are part of what makes a replay equal.

    `quiet` is how long a subject stays without a level before its episode ends, `quiet_by_sector` overrides it. `waiting_limit` bounds
    the unresolved signals that are kept, `waiting_before` those that are remembered while indicators are counted back (0: as many).
    `model_points` is the most that the objects' model adds to a score, for certainty, and with 0
    objects are not compared at all; at `model_threshold` it adds nothing. `model_fitted` objects at most are learnt from each night.
    `lateness` is how late the data of a feed may be, by feed: whether something did not happen is not decided earlier.
    """

    namespace: str = "live"
    quiet: timedelta = timedelta(hours=72)
    quiet_by_sector: Mapping[str, timedelta] = msgspec.field(default_factory=dict)
    waiting_limit: int = 100_000
    waiting_before: int = 0
    model_points: float = 15.0
    model_threshold: float = 0.99
    model_half_life: timedelta = timedelta(days=14)
    model_fitted: int = 4096
    lateness: Mapping[str, timedelta] = msgspec.field(default_factory=dict)
