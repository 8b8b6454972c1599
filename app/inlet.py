"""What takes records in, whatever the process around it: the routes of the intake and the second chances of records both need it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from connectors.inbound.edge import Edge
from connectors.inbound.mapping_model import Mapping as FeedMapping
from domain.ports import Clock, Intake


class Inlet(Protocol):
    """The parts between a record's bytes and the log."""

    @property
    def clock(self) -> Clock:
        """What time it is."""
        ...

    @property
    def edge(self) -> Edge:
        """From bytes to the log."""
        ...

    @property
    def intake(self) -> Intake:
        """The log itself."""
        ...

    @property
    def mappings(self) -> Mapping[str, FeedMapping]:
        """The feeds' contracts, by feed."""
        ...
