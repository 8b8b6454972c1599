"""What the pages need of the running application."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from litestar.params import SkipValidation

from app.answers import Answers
from app.desk import Desk
from app.effects import EffectWriter
from app.metrics import Metrics
from app.rule_health import RuleHealth
from app.rules_shown import RulesShown
from app.second_chances import Workings
from app.services import Asked
from app.settings import Settings
from app.views.aside import Aside
from domain.ports import ObjectLookup
from domain.principals import Principal


class Parts(Workings, Protocol):
    """The parts of `app.services.Services` that pages use."""

    @property
    def settings(self) -> Settings:
        """Settings of the server."""
        ...

    @property
    def metrics(self) -> Metrics:
        """What is counted."""
        ...

    @property
    def answers(self) -> Answers:
        """Applies what is said about tasks."""
        ...

    @property
    def rulebook(self) -> RulesShown:
        """The active rules."""
        ...

    @property
    def asking(self) -> Asked:
        """Answers why a rule did not hit."""
        ...

    @property
    def health(self) -> RuleHealth:
        """What is wrong with the active rules."""
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
    def lookup(self) -> ObjectLookup:
        """The registry of objects."""
        ...

    @property
    def aside(self) -> Callable[[], Aside]:
        """Return what was set aside."""
        ...

    def nudge(self) -> None:
        """Let the duty loop look at once."""
        ...


# The application gives both; their types say enough, Litestar need not check them at every request.
PartsGiven = SkipValidation[Parts]
PrincipalGiven = SkipValidation[Principal]
