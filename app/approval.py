"""Two pairs of eyes (双人复核): a candidate waits until somebody else than its author approves it; switched off by default."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from app.workshop import Sound
from domain.errors import Forbidden, InvalidAction, NotFound
from domain.messages import both
from domain.ports import Clock
from storage import risk, rule_versions
from storage.database import Database
from storage.rule_versions import Candidate

REASON_LIMIT = 500  # characters
log = structlog.get_logger(__name__)


class Approval:
    """What people decide about candidates; every decision stands in the audit chain `rules`."""

    def __init__(self, database: Database, clock: Clock, *, needed: bool) -> None:
        """`needed` says whether candidates wait at all."""
        self._database = database
        self._clock = clock
        self.needed = needed

    def standing(self, version: str) -> str:
        """Return how it stands with a version: approved, pending, refused, or "" for one that nobody was asked about."""
        if not self.needed:
            return "approved"
        with self._database.read() as connection:
            known = rule_versions.candidate(connection, version)
        return known.state if known is not None and known.state != "replaced" else ""

    def ask(self, version: str, texts: Mapping[str, str], found: Sound, author: str) -> None:
        """Have a sound candidate wait for people; `author` "" where it came by the folder."""
        numbers = {"rules": found.rules, "indicators": found.indicators, "tests": found.tests}
        report = numbers | {"failed": list(found.failed), "remarks": list(found.remarks)}
        new = Candidate(version=version, author=author, found_at=self._clock.now(), state="pending", report=report)
        with self._database.write() as connection:
            risk.store_ruleset(connection, version, texts, author or "folder")
            rule_versions.propose(connection, new)
        log.warning("rules.waits_for_approval", version=version, failed_tests=len(found.failed))

    def waiting(self) -> Candidate | None:
        """Return the candidate that waits."""
        with self._database.read() as connection:
            return next(iter(rule_versions.waiting(connection)), None)

    def approver(self, version: str) -> str:
        """Return who approved a version, "" where nobody had to."""
        with self._database.read() as connection:
            known = rule_versions.candidate(connection, version) if self.needed else None
        return known.decided_by if known is not None and known.state == "approved" else ""

    def approve(self, version: str, by: str, reason: str) -> str:
        """Approve a candidate; return approved, or vouched where nobody stood for it yet: then another one has to approve it.

        Raises:
            NotFound: no candidate of this version waits.
            Forbidden: the author cannot approve it.
        """
        known, now = self._pending(version), self._clock.now()
        if known.author == by:
            raise Forbidden(both("rules.own_candidate", by=by))
        with self._database.write() as connection:
            if not known.author:
                rule_versions.vouch(connection, known.version, by, now)
                return "vouched"
            rule_versions.decide(connection, known.version, "approved", by, now, _reason(reason))
        return "approved"

    def refuse(self, version: str, by: str, reason: str) -> None:
        """Refuse a candidate, with the reason; the old set runs on.

        Raises:
            NotFound: no candidate of this version waits.
            InvalidAction: no reason was given.
        """
        known = self._pending(version)
        if not _reason(reason):
            raise InvalidAction(both("rules.reason_wanted"))
        with self._database.write() as connection:
            rule_versions.decide(connection, known.version, "refused", by, self._clock.now(), _reason(reason))

    def _pending(self, version: str) -> Candidate:
        known = self.waiting()
        if known is None or not version or not known.version.startswith(version):
            raise NotFound(both("rules.nothing_waits", version=version[:12], waiting=known.version[:12] if known is not None else "–"))
        return known


def _reason(reason: str) -> str:
    return " ".join(reason.split())[:REASON_LIMIT]
