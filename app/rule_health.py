"""What is known of the rules that run, for `rules.health` to judge: hits, verdicts, feeds, windows, and what a reading costs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, func, select

from app.metrics import Sample
from app.rules_shown import RulesShown
from app.views.rules import verdicts_of
from app.views.summary import decode_entry
from connectors.inbound.mapping_model import Mapping as FeedMapping
from domain.errors import FileProblems, NotFound
from domain.instants import EPOCH
from domain.partitions import MOST_IN_FRAME, Place
from rules.evaluation import Run
from rules.expressions import Term
from rules.facts import Facts
from rules.health import KINDS, PATIENCE, Ailment, Life, ailments, overlaps
from rules.ruleset import Rule, RuleSet
from rules.syntax import Junction, Unary
from storage.database import Database
from storage.tables import activations, feeds, hits, signals, warning_events

FRESH: Final = timedelta(seconds=30)  # for which an answer stands
DAY: Final = timedelta(hours=24)
JUDGED_WITHIN: Final = timedelta(days=90)
LATELY: Final = 100_000  # records, in which a source is looked for
LATELY_FRAMES: Final = 2_000  # the same of each partition of a cluster
SAMPLE: Final = 100  # signals that the cost of a reading is measured on
ROUNDS: Final = 3  # of which the quickest counts: what disturbs only makes slower

Found = Mapping[str, tuple[Ailment, ...]]


class RuleHealth:
    """Judges the active set; an answer stands for `FRESH`, so that a scrape, a page and a command cost the database one look."""

    def __init__(
        self,
        database: Database,
        rulebook: RulesShown,
        mappings: Mapping[str, FeedMapping],
        complete: Callable[[], Mapping[str, datetime]],
        too_late: Callable[[], Mapping[str, tuple[int, datetime]]],
        partitions: int = 0,
    ) -> None:
        """`complete` says from when on each rule knows the whole of what it reads, `too_late` what `Pipeline.too_late` does.

        Of a cluster `partitions` says into how many the numbers of records are divided; 0 is one sequence.
        """
        self._database = database
        self._rulebook = rulebook
        self._mappings = mappings
        self._complete = complete
        self._too_late = too_late
        self._partitions = partitions
        self._answer: tuple[str, datetime, Found] = ("", EPOCH, {})
        self._cost: tuple[str, Mapping[str, float]] = ("", {})

    def samples(self, now: datetime) -> list[Sample]:
        """Return how many rules have each ailment, for the metrics. Raises as `found`."""
        ailing = Counter(each.kind for those in self.found(now).values() for each in those)
        return [Sample("fengsui_rules_ailing", float(ailing[kind]), (kind,)) for kind in KINDS]

    def found(self, now: datetime) -> Found:
        """Return what is wrong, by rule; rules in good health have an empty tuple.

        Raises:
            StoreUnavailable: the database cannot be read.
        """
        ruleset = self._rulebook.current()
        if ruleset is None:
            return {}
        version, at, answer = self._answer
        if version == ruleset.version and at <= now < at + FRESH:
            return answer
        before = self._running_before(now - PATIENCE)
        with self._database.read() as connection:
            lives = self._lives(connection, ruleset, before, now)
        answer = {rule.id: ailments(rule, lives[rule.id]) for rule in ruleset.rules}
        self._answer = (ruleset.version, now, answer)
        return answer

    def _running_before(self, then: datetime) -> frozenset[str]:
        """Return the rules that ran at an instant."""
        with self._database.read() as connection:
            query = select(activations.c.version).where(activations.c.at <= then).order_by(activations.c.seq.desc()).limit(1)
            version = connection.scalar(query)
        if version is None:
            return frozenset()
        try:
            ruleset = self._rulebook.load(version)
        except (NotFound, FileProblems):  # written for an earlier Fengsui: as if it had not been
            return frozenset()
        return frozenset(rule.id for rule in ruleset.rules if rule.status in {"active", "shadow"})

    def _lives(self, connection: Connection, ruleset: RuleSet, before: frozenset[str], now: datetime) -> dict[str, Life]:
        counted = {row.rule: row for row in connection.execute(_hits(now))}
        known_as = {name: rule.id for rule in ruleset.rules for name in rule.ids}  # the past of a renamed rule is its own
        subjects: dict[str, set[str]] = {}
        for row in connection.execute(select(hits.c.rule, hits.c.subject).where(hits.c.at > now - PATIENCE, hits.c.at <= now).distinct()):
            if row.rule in known_as:
                subjects.setdefault(known_as[row.rule], set()).add(row.subject)
        alike = overlaps({rule: frozenset(those) for rule, those in subjects.items()})
        verdicts = _verdicts(connection, known_as, now)
        silent, heard = self._feeds(connection, now)
        cost, complete, too_late = self._costs(connection, ruleset), self._complete(), self._too_late()
        late = {rule.id: [too_late[name] for name in rule.ids if name in too_late] for rule in ruleset.rules}
        return {
            rule.id: Life(
                now=now,
                since_long=not before.isdisjoint(rule.ids),
                hits_day=sum(counted[name].day for name in rule.ids if name in counted),
                hits=sum(counted[name].all for name in rule.ids if name in counted),
                confirmed=verdicts.get((rule.id, "confirmed"), 0),
                unfounded=verdicts.get((rule.id, "unfounded"), 0),
                micros=cost.get(rule.id, 0.0),
                alike=alike.get(rule.id, {}),
                silent=tuple(source for source in rule.feeds if source in silent),
                unheard=tuple(source for source in rule.feeds if source not in heard) if not before.isdisjoint(rule.ids) else (),
                warm_at=complete.get(rule.id),
                too_late=sum(count for count, _ in late[rule.id]),
                last_too_late=max((last for _, last in late[rule.id]), default=None),
            )
            for rule in ruleset.rules
        }

    def _feeds(self, connection: Connection, now: datetime) -> tuple[set[str], set[str]]:
        """Return the sources all of whose feeds are silent, and those that something was received of lately."""
        rows: set[tuple[str, str]] = set()
        for last, span in self._newest(connection):
            newer = (signals.c.seq > last - span, signals.c.seq <= last, signals.c.received_at > now - PATIENCE)
            rows |= {
                (row.source, row.feed) for row in connection.execute(select(signals.c.source, signals.c.feed).where(*newer).distinct())
            }
        carried: dict[str, set[str]] = {}
        for source, feed in sorted(rows):
            carried.setdefault(source, set()).add(feed)
        quiet = {row.feed for row in connection.execute(select(feeds.c.feed).where(feeds.c.silent_since.is_not(None)))}
        for feed in quiet:
            if feed in self._mappings:
                carried.setdefault(self._mappings[feed].source, set()).add(feed)
        return {source for source, those in carried.items() if those <= quiet}, {source for source, _ in rows}

    def _newest(self, connection: Connection) -> Iterator[tuple[int, int]]:
        """Yield the last number of each sequence of signals, and how many numbers before it are looked at."""
        if not self._partitions:
            yield connection.scalar(select(func.max(signals.c.seq))) or 0, LATELY
        for partition in range(self._partitions):
            first, end = Place(partition, 0, 0).seq(), Place(partition + 1, 0, 0).seq()
            last = connection.scalar(select(func.max(signals.c.seq)).where(signals.c.seq >= first, signals.c.seq < end))
            if last is not None:  # frames are counted, however few records they have
                yield last, min(LATELY_FRAMES * MOST_IN_FRAME, last - first + 1)

    def _costs(self, connection: Connection, ruleset: RuleSet) -> Mapping[str, float]:
        """Return the microseconds of one reading of each rule's condition, measured once for each set, on the newest signals."""
        if self._cost[0] == ruleset.version:
            return self._cost[1]
        bodies = connection.scalars(select(signals.c.body).order_by(signals.c.seq.desc()).limit(SAMPLE)).all()
        if not bodies:
            return {}
        facts = [Facts(decode_entry(body), None, {}) for body in bodies]
        found = {rule.id: _micros(rule, facts) for rule in ruleset.rules}
        self._cost = (ruleset.version, found)
        return found


def _micros(rule: Rule, facts: list[Facts]) -> float:
    """Return what a reading takes that has to look at everything: each part by itself, since `and` and `or` stop at what decides."""
    parts = list(_parts(rule.when.term)) if rule.when.term is not None else [rule.when.evaluate]
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for one in facts:
            for part in parts:
                part(one)
        best = min(best, time.perf_counter() - began)
    return best / len(facts) * 1e6


def _parts(term: Term) -> Iterator[Run]:
    """Yield the evaluations of the parts of a condition that are no `and`, `or` or `not` of others."""
    if isinstance(term.node, Junction) or (isinstance(term.node, Unary) and term.node.operator == "not"):
        for part in term.parts:
            yield from _parts(part)
    else:
        yield term.run


def _hits(now: datetime) -> Any:
    day = func.count().filter(hits.c.at > now - DAY).label("day")
    return select(hits.c.rule, day, func.count().label("all")).where(hits.c.at <= now).group_by(hits.c.rule)


def _verdicts(connection: Connection, known_as: Mapping[str, str], now: datetime) -> dict[tuple[str, str], int]:
    """Return how many warnings of each rule were found how, of those answered within `JUDGED_WITHIN`; `known_as` is a rule by its ids."""
    answered = (warning_events.c.kind == "outcome", warning_events.c.at > now - JUDGED_WITHIN, warning_events.c.at <= now)
    ids = sorted(connection.scalars(select(warning_events.c.warning_id).where(*answered).distinct()))
    verdict = verdicts_of(connection, ids)
    found: dict[tuple[str, str], int] = {}
    for start in range(0, len(ids), 500):
        own = select(hits.c.rule, hits.c.warning_id).where(hits.c.warning_id.in_(ids[start : start + 500])).distinct()
        for rule, warning in dict.fromkeys((known_as.get(row.rule, row.rule), row.warning_id) for row in connection.execute(own)):
            key = (rule, verdict[warning])
            found[key] = found.get(key, 0) + 1
    return found
