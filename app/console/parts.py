"""What the pages need of the running application."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol

from litestar.params import SkipValidation

from app.answers import Answers
from app.desk import Desk
from app.effects import EffectWriter
from app.rulebook import Rulebook
from app.settings import Settings
from connectors.inbound.edge import Taken
from connectors.inbound.mapping_model import Mapping as FeedMapping
from domain.ports import Clock
from domain.principals import Principal
from domain.records import RejectionEntry
from storage.database import Database


class Replayer(Protocol):
    """Takes kept rejections in again."""

    def replay(self, mapping: FeedMapping, rejections: Iterable[RejectionEntry], now: datetime) -> Taken:
        """Take rejections of the feed of `mapping`; one that still fails is not kept twice."""
        ...


class Parts(Protocol):
    """The parts of `app.services.Services` that pages use."""

    @property
    def settings(self) -> Settings:
        """Settings of the server."""
        ...

    @property
    def clock(self) -> Clock:
        """What time it is."""
        ...

    @property
    def database(self) -> Database:
        """Where everything stands."""
        ...

    @property
    def answers(self) -> Answers:
        """Applies what is said about tasks."""
        ...

    @property
    def rulebook(self) -> Rulebook:
        """The active rules."""
        ...

    @property
    def desk(self) -> Desk:
        """What obligations are decided with."""
        ...

    @property
    def writer(self) -> EffectWriter:
        """Writes effects and makes links."""
        ...

    @property
    def edge(self) -> Replayer:
        """Takes records in."""
        ...

    @property
    def mappings(self) -> Mapping[str, FeedMapping]:
        """Mappings by feed."""
        ...

    def nudge(self) -> None:
        """Let the duty loop look at once."""
        ...


# The application gives both; their types say enough, Litestar need not check them at every request.
PartsGiven = SkipValidation[Parts]
PrincipalGiven = SkipValidation[Principal]
