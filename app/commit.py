"""The one place where findings become obligations: a single transaction for the risk side, the tasks, the outbox and the position.

`Commit` is what both runtimes are given (`domain.ports.Commit`). After a crash the pipeline recomputes outcomes that are committed
already; they are at or below the applied position and change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from app.desk import Desk
from app.effects import EffectWriter
from app.metrics import Metrics
from dispatch.draft import Draft
from dispatch.lifecycle import apply
from dispatch.revise import raise_level
from dispatch.route import route
from domain.findings import EarlyWarning, EpisodeEnded, Outcome, RuleHit, WarningRaised, WarningUpdated
from domain.messages import text
from domain.ports import Clock
from domain.records import Record
from domain.tasks import Action, Command
from storage import obligations, risk
from storage.crashpoints import reach
from storage.database import Database


class Commit:
    """Writes what follows from journal records, once."""

    def __init__(self, database: Database, desk: Desk, writer: EffectWriter, clock: Clock, metrics: Metrics) -> None:
        """`clock` stamps obligations: a department's time starts when it can be told, not when the record was received."""
        self._database = database
        self._desk = desk
        self._writer = writer
        self._clock = clock
        self._metrics = metrics

    def __call__(self, records: Sequence[Record], outcomes: Sequence[Outcome]) -> None:
        """Write everything in one transaction with the applied position.

        Raises:
            StoreUnavailable: nothing was written; call again with the same arguments.
        """
        if not records:
            return
        reach("commit.before")
        with self._database.write() as connection:
            if records[-1].seq <= risk.applied_position(connection):
                return
            risk.apply_records(connection, records)
            risk.apply_outcomes(connection, outcomes)
            for outcome in outcomes:
                self._oblige(connection, outcome)
            risk.set_applied(connection, records[-1].seq)
        reach("commit.after")
        self._count(outcomes)

    def _oblige(self, connection: Connection, outcome: Outcome) -> None:
        match outcome:
            case WarningRaised(warning=warning) if not warning.shadow:
                self._open(connection, warning)
            case WarningUpdated(warning=warning) if not warning.shadow:
                self._follow(connection, warning, outcome.reason)
            case EpisodeEnded(reason="withdrawn"):
                self._withdraw(connection, outcome)
            case _:
                pass  # hits alone and quiet ends oblige nobody

    def _open(self, connection: Connection, warning: EarlyWarning) -> None:
        now = self._clock.now()
        routed = route(warning, self._desk.catalogue(connection), self._desk.context(connection), now)
        self._writer.write(connection, routed.effects, now)

    def _follow(self, connection: Connection, warning: EarlyWarning, reason: str) -> None:
        """A higher level shortens what is not yet reached; whoever was told of facts that were corrected is told again."""
        case = obligations.get_case(connection, warning.id)
        if case is None or case.status not in {"open", "unrouted"}:
            return
        now = self._clock.now()
        tasks, context = obligations.tasks_of(connection, warning.id), self._desk.context(connection)
        if reason == "corrected":
            draft = Draft(case, tasks, context, now)
            draft.retell("case.corrected", text("case.corrected"))
            self._writer.write(connection, draft.done().effects, now)
        else:
            self._writer.write(connection, raise_level(case, tasks, warning.level, context, now).effects, now)

    def _withdraw(self, connection: Connection, ended: EpisodeEnded) -> None:
        case = obligations.get_case(connection, ended.warning_id)
        if case is None or case.status not in {"open", "unrouted"}:
            return
        now = self._clock.now()
        command = Command(action=Action.WITHDRAW, role="system", note=text("case.facts_withdrawn"))
        tasks = obligations.tasks_of(connection, ended.warning_id)
        self._writer.write(connection, apply(case, tasks, "", command, self._desk.context(connection), now).effects, now)

    def _count(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            if isinstance(outcome, RuleHit):
                self._metrics.hits.labels(rule=outcome.rule).inc()
            elif isinstance(outcome, WarningRaised):
                self._metrics.raised.labels(level=outcome.warning.level, matter=outcome.warning.matter).inc()
