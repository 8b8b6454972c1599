"""Rule sets of a cluster: kept in the database under their hash, then put in force by a control record in every partition.

A record of the control topic comes first: it says what was decided, when, by whom, in one sequence for the whole deployment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path

import msgspec
from sqlalchemy import Connection

from app.approval import Approval
from app.candidate import CHECK_BYTES, CHECK_SECONDS
from app.cluster.counting import CountedBack, Counting
from app.cluster.stores import check_topics
from app.pipelines import feed_delays, load_mappings
from app.rule_folder import read_folder
from app.rulebook import stored
from app.settings import Settings
from app.stores import open_database
from app.synced import synced
from app.workshop import Died, Refused, Sound, Workshop
from connectors.kafka.intake import KafkaIntake
from connectors.kafka.layout import Name
from domain.base import Noun
from domain.errors import Conflict, FileProblems, IllegalValue, Problem
from domain.messages import both
from domain.ports import Clock, Offer
from domain.records import RulesetEntry
from rules.load import load_rules, version_of
from rules.ruleset import RuleSet
from rules.spread import Spread, changed_places, spread
from storage import risk, rule_versions
from storage.admission import storable
from storage.database import Database
from storage.datadir import DataPaths
from storage.progress import SqlProgress
from storage.rule_versions import Sent


class Published(Noun, frozen=True, kw_only=True):
    """What was put in force: the set's version, how many rules it has, tests of its own that fail, and what is odd about it.

    `fresh` are indicators that no partition counted before, `counted_from` since when all partitions know them (None: from now on).
    """

    version: str
    rules: int
    fresh: tuple[str, ...] = ()
    counted_from: datetime | None = None
    failing: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def publish(
    settings: Settings,
    folder: Path,
    by: str,
    clock: Clock,
    *,
    count_back: bool = True,
    tell: Callable[[str], None] = lambda _progress: None,
) -> Published:
    """Put the rules of `folder` in force, as `put_in_force`. Raises as that."""
    return put_in_force(settings, read_folder(folder), by, clock, count_back=count_back, tell=tell)


def put_in_force(
    settings: Settings,
    texts: Mapping[str, str],
    by: str,
    clock: Clock,
    *,
    author: str = "",
    ordered: bool = False,
    count_back: bool = True,
    tell: Callable[[str], None] = lambda _progress: None,
) -> Published:
    """Put a rule set in force in every partition; it returns once all in-sync brokers have all of these records.

    It is looked at in a child with bounds for its time and memory, as in `serve`. Then new indicators are counted back, unless
    `count_back` is false; `tell` hears how far that is. Done again after a failure it changes nothing twice. `author` stands for the set
    where a second person has to approve it ("": nobody known). With `ordered` it is done only while the order of an api for it stands.

    Who does it at the same time waits: two sets would come into the partitions in different orders, and some would run the one and some
    the other. For the same reason a set that somebody sent to some partitions and not to all is sent to all of them first. What comes
    before the new set is the newest that was sent, whether workers have come to it or not.

    Raises:
        FileProblems: the rules are wrong, or their check came to a bound.
        IllegalValue: with several partitions, rules of a sector would be judged by others than with the set in force, which have its open
            warnings.
        Conflict: rules have to be approved (`approve_rules`), and these are not yet, or were refused; or the order does not stand.
        StoreUnavailable: brokers, topics or database cannot be used, or somebody else puts rules in force just now.
    """
    begun = clock.now()
    sound = _look_at(settings, texts)
    ruleset = load_rules(texts)
    kafka = settings.kafka
    found = spread(ruleset)
    check_topics(settings)
    with closing(open_database(settings, clock)) as database, database.turn("publish"):
        with database.read() as connection:
            order, broken_off = rule_versions.order(connection), rule_versions.sent(connection)
        if ordered and (order is None or order.version != ruleset.version):
            raise Conflict(both("publish.overtaken", version=ruleset.version[:12]))
        if broken_off is not None and not broken_off.whole:
            _send(settings, broken_off, database, clock)
        with database.write() as connection:
            before = rule_versions.newest(connection)
            if before and kafka.partitions > 1 and (moved := _moved(connection, before, found)):
                raise IllegalValue(both("worker.moved_sectors", sectors=", ".join(moved), version=before))
        if before and ruleset.version != before:  # the first of all is free, as in `serve`
            approval = Approval(database, clock, needed=settings.approve_rules)
            by = _approver(approval, ruleset, sound, author) or by
        with database.write() as connection:
            risk.store_ruleset(connection, ruleset.version, texts, by)
            rule_versions.keep_failing(connection, ruleset.version, sound.failed)
        counted = Counting(settings, database, SqlProgress(database, clock), ruleset, tell).run() if count_back else CountedBack()
        entry = RulesetEntry(version=ruleset.version, by=by)
        each = tuple(msgspec.structs.replace(entry, prepared=prepared) for _, prepared in sorted(counted.prepared.items()))
        _send(settings, Sent(control=entry, each=each or (entry,)), database, clock)
        with database.write() as connection:  # not before: where nothing was sent a rollback still stands against who follows a folder
            _clear_away(connection, ruleset.version, begun)
    return Published(
        version=ruleset.version,
        rules=len(ruleset.rules),
        fresh=counted.fresh,
        counted_from=counted.since,
        failing=sound.failed,
        remarks=sound.remarks,
    )


def _look_at(settings: Settings, texts: Mapping[str, str]) -> Sound:
    """Return what the child says of a set; raises FileProblems where it cannot run, or the child came to no answer."""
    workshop = Workshop(DataPaths(settings.data), delays=feed_delays(load_mappings(settings.mappings)))
    try:
        found = workshop.look_at(texts, {}, wanted=lambda: True, count_back=False)
    finally:
        workshop.close()
    if isinstance(found, Sound):
        return found
    if isinstance(found, Refused):
        raise FileProblems(found.problems)
    how = found.how if isinstance(found, Died) else ""
    told = both("publish.check_died", how=how, seconds=CHECK_SECONDS, gib=CHECK_BYTES // 2**30)
    raise FileProblems([Problem(file=version_of(texts)[:12], line=0, column=0, message=told)])


def _send(settings: Settings, sent: Sent, database: Database, clock: Clock) -> None:
    """Write the decision into the control topic, then an activation into every partition; raises StoreUnavailable."""
    kafka = settings.kafka
    told: tuple[tuple[Name, int, tuple[RulesetEntry, ...]], ...] = (
        ("control", 1, (sent.control,)),
        ("frames", kafka.partitions, sent.each),
    )
    with database.write() as connection:
        rule_versions.keep_sent(connection, sent)
    for name, partitions, entries in told:
        topic = kafka.layout().topic(name)
        with KafkaIntake(kafka.access(), topic, partitions, clock, prepare=storable, by=sent.control.by) as intake:
            synced(intake.submit([Offer(entry=one) for one in entries]))
    with database.write() as connection:
        rule_versions.keep_sent(connection, msgspec.structs.replace(sent, whole=True))


def _clear_away(connection: Connection, version: str, begun: datetime) -> None:
    """Forget what the set `version` came in the place of, but not what people decided after this one was `begun`."""
    pin, order = rule_versions.pin(connection), rule_versions.order(connection)
    if pin is not None and pin.version != version and pin.at <= begun:
        rule_versions.drop_pin(connection)
    if order is not None and (order.version == version or order.at <= begun):
        rule_versions.drop_order(connection, order)
    rule_versions.keep_refused(connection, ())


def _approver(approval: Approval, ruleset: RuleSet, sound: Sound, author: str) -> str:
    """Return who approved a set, "" where nobody has to; raises Conflict while a second person has not, who is asked by this."""
    version = ruleset.version
    standing = approval.standing(version)
    if standing == "approved":
        return approval.approver(version)
    if not standing:
        approval.ask(version, ruleset.texts, sound, author)
    raise Conflict(both("publish.refused" if standing == "refused" else "publish.waits", version=version[:12]))


def _moved(connection: Connection, active: str, found: Spread) -> tuple[str, ...]:
    """Return the sectors that `found` has judged elsewhere than the set in force."""
    try:
        return changed_places(spread(stored(connection, active)), found)
    except FileProblems:
        return ()  # no worker of this version runs it either
