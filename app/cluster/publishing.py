"""Rule sets of a cluster: kept in the database under their hash, then put in force by a control record in every partition.

A record of the control topic comes first: it says what was decided, when, by whom, in one sequence for the whole deployment.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from app.approval import Approval
from app.candidate import SHOWN
from app.cluster.counting import CountedBack, Counting
from app.cluster.stores import check_topics
from app.pipelines import feed_delays, load_mappings
from app.rulebook import read_folder, stored
from app.settings import Settings
from app.stores import open_database
from app.synced import synced
from app.workshop import Sound
from connectors.kafka.intake import KafkaIntake
from connectors.kafka.layout import Name
from domain.base import Noun
from domain.errors import Conflict, FileProblems, IllegalValue
from domain.messages import both
from domain.ports import Clock, Offer
from domain.records import RulesetEntry
from models.registry import REGISTRY
from rules.load import check, load_rules
from rules.ruleset import RuleSet
from rules.spread import Spread, changed_places, spread
from storage import risk, rule_versions
from storage.admission import storable
from storage.progress import SqlProgress
from streams.ruletest import run_cases


class Published(Noun, frozen=True, kw_only=True):
    """What was put in force: the set's version, how many rules it has, and tests of its own that fail.

    `fresh` are indicators that no partition counted before, `counted_from` since when all partitions know them (None: from now on).
    """

    version: str
    rules: int
    fresh: tuple[str, ...] = ()
    counted_from: datetime | None = None
    failing: tuple[str, ...] = ()


def publish(
    settings: Settings,
    folder: Path,
    by: str,
    clock: Clock,
    *,
    count_back: bool = True,
    tell: Callable[[str], None] = lambda _progress: None,
) -> Published:
    """Put the rules of `folder` in force in every partition; it returns once all in-sync brokers have all of these records.

    Before that new indicators are counted back, unless `count_back` is false; `tell` hears how far that is. Done again after a failure it
    changes nothing twice.

    Raises:
        FileProblems: the rules are wrong.
        IllegalValue: with several partitions, rules of a sector would be judged by others than with the set in force, which have its open
            warnings.
        Conflict: rules have to be approved (`approve_rules`), and these are not yet, or were refused.
        StoreUnavailable: brokers, topics or database cannot be used.
    """
    texts = read_folder(folder)
    ruleset = load_rules(texts)
    results = list(run_cases(ruleset, REGISTRY))
    failing = tuple(f"{one.case.file}:{one.case.line} {one.case.name}" for one in results if not one.passed)
    kafka = settings.kafka
    found = spread(ruleset)
    check_topics(settings)
    database = open_database(settings, clock)
    try:
        with database.write() as connection:
            active = risk.active_ruleset(connection)
            if active and kafka.partitions > 1 and (moved := _moved(connection, active, found)):
                raise IllegalValue(both("worker.moved_sectors", sectors=", ".join(moved), version=active))
        if active and ruleset.version != active:  # the first of all is free, as in `serve`
            by = _approver(settings, Approval(database, clock, needed=settings.approve_rules), ruleset, len(results), failing) or by
        with database.write() as connection:
            risk.store_ruleset(connection, ruleset.version, texts, by)
            rule_versions.keep_failing(connection, ruleset.version, failing)
        counted = Counting(settings, database, SqlProgress(database, clock), ruleset, tell).run() if count_back else CountedBack()
    finally:
        database.close()
    entry = RulesetEntry(version=ruleset.version, by=by)
    each = [RulesetEntry(version=ruleset.version, by=by, prepared=prepared) for _, prepared in sorted(counted.prepared.items())]
    told: tuple[tuple[Name, int, list[RulesetEntry]], ...] = (("control", 1, [entry]), ("frames", kafka.partitions, each or [entry]))
    for name, partitions, entries in told:
        with KafkaIntake(kafka.access(), kafka.layout().topic(name), partitions, clock, prepare=storable, by=by) as intake:
            synced(intake.submit([Offer(entry=one) for one in entries]))
    return Published(
        version=ruleset.version,
        rules=len(ruleset.rules),
        fresh=counted.fresh,
        counted_from=counted.since,
        failing=failing,
    )


def _approver(settings: Settings, approval: Approval, ruleset: RuleSet, tests: int, failing: tuple[str, ...]) -> str:
    """Return who approved a set, "" where nobody has to; raises Conflict while a second person has not, who is asked by this."""
    version = ruleset.version
    standing = approval.standing(version)
    if standing == "approved":
        return approval.approver(version)
    if not standing:
        _, remarks = check(ruleset.texts, feed_delays=feed_delays(load_mappings(settings.mappings)))
        shown = tuple(str(remark) for remark in remarks[:SHOWN])
        numbers = Sound(rules=len(ruleset.rules), indicators=len(ruleset.indicators), tests=tests, failed=failing[:SHOWN], remarks=shown)
        approval.ask(version, ruleset.texts, numbers, author="")
    raise Conflict(both("publish.refused" if standing == "refused" else "publish.waits", version=version[:12]))


def _moved(connection: Connection, active: str, found: Spread) -> tuple[str, ...]:
    """Return the sectors that `found` has judged elsewhere than the set in force."""
    try:
        return changed_places(spread(stored(connection, active)), found)
    except FileProblems:
        return ()  # no worker of this version runs it either
