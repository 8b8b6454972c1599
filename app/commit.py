"""The one place where findings become obligations: a single transaction for the risk side, the tasks, the outbox and the position.

`Commit` is what a runtime over the journal is given, `PartitionedCommit` one over partitions (`domain.ports`). After a crash the
pipeline recomputes outcomes that are committed already; they are at or below the applied position and change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

import msgspec
import structlog
from sqlalchemy import Connection

from app.desk import Desk
from app.effects import EffectWriter
from app.metrics import Metrics
from dispatch.draft import Context
from dispatch.effects import Applied
from dispatch.revise import attention, facts_withdrawn, follow, inferred
from dispatch.route import route, unroutable
from domain.catalogue import Catalogue
from domain.errors import Conflict, InvalidAction, NotFound
from domain.findings import EarlyWarning, EpisodeEnded, Outcome, RuleBlind, RuleHit, WarningRaised, WarningUpdated
from domain.messages import both, text
from domain.ports import Clock, Grant, Letter
from domain.records import Record
from domain.tasks import Task, WarningCase
from storage import letters as mail
from storage import obligations, progress, risk
from storage.crashpoints import reach
from storage.database import Database

# Routing is total: a warning that lacks an item, a department or a policy gets a case that says so. These are what a defect in it, or
# data that nobody thought of, can still raise, since it does no I/O; the stores' errors are not among them and stop the commit.
DEFECTS: Final = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError, Conflict, InvalidAction, NotFound)
Decide = Callable[[WarningCase, tuple[Task, ...], Context, datetime], Applied]
Tell = Callable[[Grant, int, Sequence[Outcome]], Sequence[Letter]]
log = structlog.get_logger(__name__)


class Consequences:
    """What follows from records and outcomes, written inside somebody's transaction."""

    def __init__(self, desk: Desk, writer: EffectWriter, clock: Clock, metrics: Metrics) -> None:
        """`clock` stamps obligations: a department's time starts when it can be told, not when the record was received."""
        self._desk = desk
        self._writer = writer
        self._clock = clock
        self._metrics = metrics

    def write(self, connection: Connection, records: Sequence[Record], outcomes: Sequence[Outcome], after: int | None = None) -> None:
        """Write everything; records at or below `after` (the applied position of the journal where it is left out) leave no row."""
        counts = risk.write_rows(connection, records, after)
        risk.apply_outcomes(connection, outcomes)
        if obliging := [outcome for outcome in outcomes if _about(outcome)]:
            now = self._clock.now()
            self._writer.write(connection, self._decide(connection, obliging, now), now)
        risk.add_counts(connection, counts)

    def _decide(self, connection: Connection, outcomes: Sequence[Outcome], now: datetime) -> list[Applied]:
        """Return what follows from outcomes, each decided upon what those before it made of its case."""
        context, catalogue = self._desk.context(connection), self._desk.catalogue(connection)
        opened = {_about(outcome) for outcome in outcomes if isinstance(outcome, WarningRaised)}
        cases = obligations.hold_cases(connection, {_about(outcome) for outcome in outcomes} - opened)
        found: list[Applied] = []
        for outcome in outcomes:
            name = _about(outcome)
            if isinstance(outcome, WarningRaised):
                applied = self._open(outcome.warning, catalogue, context, now)
            elif name in cases:
                applied = self._change(_decision(outcome), *cases[name], context, now)
            else:
                continue  # it was never routed (a rule on trial)
            cases[name] = applied.case, applied.tasks
            found.append(applied)
        return found

    def _open(self, warning: EarlyWarning, catalogue: Catalogue, context: Context, now: datetime) -> Applied:
        try:
            return route(warning, catalogue, context, now)
        except DEFECTS as error:
            self._alarm(warning.id, error)
            return unroutable(warning, context, now, text("route.failed", error=_named(error)))

    def _change(self, decide: Decide, case: WarningCase, tasks: tuple[Task, ...], context: Context, now: datetime) -> Applied:
        """Return what `decide` makes of a change of a case."""
        try:
            return decide(case, tasks, context, now)
        except DEFECTS as error:
            self._alarm(case.id, error)
            return attention(case, tasks, text("case.not_followed", error=_named(error)), context, now)

    def _alarm(self, warning_id: str, error: Exception) -> None:
        self._metrics.loop_errors.labels(loop="routing").inc()
        log.critical("routing.failed", warning=warning_id, exc_info=error)

    def count(self, outcomes: Sequence[Outcome]) -> None:
        """Count what was committed."""
        for outcome in outcomes:
            if isinstance(outcome, RuleHit) and outcome.suppressed:
                self._metrics.suppressed.labels(filter=outcome.suppressed).inc()
            elif isinstance(outcome, RuleHit):
                self._metrics.hits.labels(rule=outcome.rule).inc()
            elif isinstance(outcome, RuleBlind):
                self._metrics.blind.labels(rule=outcome.rule).inc()
            elif isinstance(outcome, WarningRaised):
                self._metrics.raised.labels(level=outcome.warning.level, matter=outcome.warning.matter).inc()


def _about(outcome: Outcome) -> str:
    """Return the warning that an outcome obliges somebody about, "" for none: hits alone, blind rules and quiet ends."""
    match outcome:
        case WarningRaised(warning=warning) | WarningUpdated(warning=warning) if not warning.shadow:
            return warning.id
        case EpisodeEnded(reason="withdrawn"):
            return outcome.warning_id
        case _:
            return ""


def _decision(outcome: Outcome) -> Decide:
    """Return what decides about a change of a case."""
    match outcome:
        case WarningUpdated(warning=warning, reason="inferred"):
            return partial(inferred, warning.inferred)
        case WarningUpdated(warning=warning):
            return partial(follow, warning.level, outcome.reason)
        case _:
            return facts_withdrawn


class Commit:
    """`domain.ports.Commit`: writes what follows from journal records, once."""

    def __init__(self, database: Database, consequences: Consequences) -> None:
        """Write into `database`."""
        self._database = database
        self._consequences = consequences

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
            self._consequences.write(connection, records, outcomes)
            risk.set_applied(connection, records[-1].seq)
        reach("commit.after")
        self._consequences.count(outcomes)


class PartitionedCommit:
    """`domain.ports.PartitionCommit`: the same for one partition of a cluster, fenced by its grant.

    The `seq` of records is theirs alone in the whole cluster: it is a key of the tables.
    """

    def __init__(
        self, database: Database, consequences: Consequences, clock: Clock, *, tell: Tell = lambda _grant, _upto, _found: ()
    ) -> None:
        """Write into `database`; `clock` stamps the progress; `tell` writes letters for others about what was found."""
        self._database = database
        self._consequences = consequences
        self._clock = clock
        self._tell = tell

    def __call__(
        self, grant: Grant, upto: int, records: Sequence[Record], outcomes: Sequence[Outcome], letters: Sequence[Letter] = ()
    ) -> Grant:
        """Write everything that follows from the messages up to offset `upto` in one transaction with the partition's progress.

        Raises:
            Fenced: the partition is somebody else's by now; nothing was written.
            Conflict: some of the messages are done already: the call before went through; go on behind what `Progress.standing` says.
            StoreUnavailable: call again with the same arguments.
        """
        reach("commit.before")
        with self._database.write() as connection:
            done = progress.hold(connection, grant)
            if upto <= done:
                return msgspec.structs.replace(grant, offset_done=done)
            if done != grant.offset_done:
                place = {"partition": grant.partition, "topic": grant.topic}
                raise Conflict(both("partition.done", **place, done=done, offset=grant.offset_done))
            self._consequences.write(connection, records, outcomes, after=0)
            mail.add(connection, grant, [*letters, *self._tell(grant, upto, outcomes)])
            moved = progress.move(connection, grant, upto, self._clock.now())
        reach("commit.after")
        self._consequences.count(outcomes)
        return moved


def _named(error: Exception) -> str:
    """Return what a reader of the case needs of an error: the trace is in the log."""
    return f"{type(error).__name__}: {error}"
