"""A second, slow answer to the same question: every value and every truth is worked out again from the whole log at every record.

Shares no code with `streams`: windows are decided per signal with fractions and calendar dates, sums with `math.fsum`, and no rule is
left out because nothing that it reads has changed.
"""
# Long because: the whole language read literally in one place is what makes it an oracle that can be checked by reading.

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from domain.objects import RegulatedObject, Resolution
from domain.records import ObjectsEntry, Record, ResolutionEntry, RulesetEntry, SignalEntry
from domain.signals import ObjectRef
from rules.facts import Facts
from rules.ruleset import Expression, Indicator, Rule, RuleSet, Window
from tests.factories import make_entry

ZONE = ZoneInfo("Asia/Shanghai")
EPOCH = datetime(1970, 1, 1, tzinfo=ZoneInfo("UTC"))
SHANGHAI_EPOCH = datetime(1970, 1, 1, tzinfo=timezone(timedelta(hours=8)))
ZERO_WHEN_UNSEEN = ("count", "distinct")
SINGLE_DAYS = timedelta(days=100)  # of a daily window whose signals can still be taken back


def unseen(indicator: Indicator) -> Any:
    """Return the value where no signal was ever selected."""
    return 0 if indicator.aggregate in ZERO_WHEN_UNSEEN and not indicator.needs else None


def bucket(moment: datetime, length: timedelta) -> int:
    """Return floor(t / (length / 24)), in fractions."""
    tick = timedelta(microseconds=1)
    return math.floor(Fraction((moment - EPOCH) // tick) / (Fraction(length // tick) / 24))


def period_of(t: datetime, as_of: datetime, window: Window) -> int:
    """Return how many windows before the one at `as_of` a signal at `t`, which is no later, lies: 0 for inside."""
    here, there = t.astimezone(ZONE).date(), as_of.astimezone(ZONE).date()
    if window.kind == "day":
        return (there - here).days
    if window.kind == "week":
        return ((there - timedelta(days=there.weekday())) - (here - timedelta(days=here.weekday()))).days // 7
    if window.kind in ("month", "quarter", "year"):
        months = {"month": 1, "quarter": 3, "year": 12}[window.kind]
        return (there.year * 12 + there.month - 1) // months - (here.year * 12 + here.month - 1) // months
    if window.kind == "daily":
        return (there - here) // window.length
    if window.kind == "tumbling":
        return (as_of - SHANGHAI_EPOCH) // window.length - (t - SHANGHAI_EPOCH) // window.length
    if window.kind == "session":
        return (as_of - t) // (100 * window.length)
    if window.exact:
        return (as_of - t) // window.length
    return (bucket(as_of, window.length) - bucket(t, window.length)) // 24


@dataclass
class Row:
    """One event of an indicator's log for one key: a signal came (`t` given) or was undone; `clock` is the key's newest signal then."""

    seq: int
    clock: datetime
    t: datetime | None = None
    value: Any = None
    correction: bool = False


def slope(points: list[tuple[datetime, float]], per: timedelta) -> float | None:
    """Return the least-squares slope, from the means."""
    times = [Fraction((t - EPOCH) // timedelta(microseconds=1)) for t, _ in points]
    values = [Fraction(value) for _, value in points]
    middle, level = sum(times) / len(times), sum(values) / len(values)
    below = sum((t - middle) ** 2 for t in times)
    if not below:
        return None
    rise = sum((t - middle) * (value - level) for t, value in zip(times, values, strict=True)) / below
    return float(rise * (per // timedelta(microseconds=1)))


def deviation(values: list[float]) -> float | None:
    """Return the sample standard deviation, from the squared distances to the mean."""
    if len(values) < 2:
        return None
    exact = [Fraction(value) for value in values]
    level = sum(exact) / len(exact)
    return math.sqrt(float(sum((value - level) ** 2 for value in exact) / (len(exact) - 1)))


def at_rank(values: list[float], rank: float) -> float:
    """Return the smallest value that enough others do not exceed."""
    return min(value for value in values if sum(other <= value for other in values) * 100 >= Fraction(str(rank)) * len(values))


def aggregate(indicator: Indicator, rows: list[Row], clock: datetime) -> Any:
    """Return what the rows inside come to, oldest first; `clock` is the key's newest signal."""
    how = indicator.aggregate
    if how == "count":
        return len(rows)
    if how == "since":
        return (clock - rows[0 if indicator.end == "first" else -1].t) / timedelta(seconds=1) if rows else None
    points = [(row.t, row.value) for row in rows if row.value is not None]
    given = [value for _, value in points]
    if len(given) < indicator.needs:
        return None
    if how == "distinct":
        return len(set(given))
    if how == "sum":
        return math.fsum(given)
    if how in ("new_value", "change") and len(given) < 2:
        return None
    if not given:
        return None
    return {
        "mean": lambda: math.fsum(given) / len(given),
        "percentage": lambda: sum(given) / len(given),
        "min": lambda: min(given),
        "max": lambda: max(given),
        "first": lambda: given[0],
        "last": lambda: given[-1],
        "stddev": lambda: deviation(given),
        "percentile": lambda: at_rank(given, indicator.rank),
        "trend": lambda: slope(points, indicator.per),
        "new_value": lambda: given[-1] not in given[:-1],
        "change": lambda: given[-1] != given[-2],
    }[how]()


def same_session(rows: list[Row], gap: timedelta, clock: datetime) -> list[Row]:
    """Return the last rows, each less than `gap` before the next, if the last one is less than `gap` before the clock."""
    ahead, found = clock, []
    for row in reversed(rows):
        if ahead - row.t >= gap:
            break
        ahead = row.t
        found.insert(0, row)
    return found


def is_folded(row: Row, as_of: datetime) -> bool:
    """Tell whether a daily window has only a sum of the day of a row."""
    return as_of.astimezone(ZONE).date() - row.t.astimezone(ZONE).date() >= SINGLE_DAYS


TICK = timedelta(microseconds=1)


def against_past(indicator: Indicator, rows: list[Row], as_of: datetime, begun: datetime) -> Any:
    """Return what the present period and those before it come to together."""
    window, base = indicator.window, indicator.base
    periods = [[row for row in rows if period_of(row.t, as_of, window) == back] for back in range(indicator.periods + 1)]
    values = [aggregate(base, own, as_of) for own in periods]
    whole = [period_of(begun - TICK, as_of, window) > back for back in range(indicator.periods + 1)]
    if indicator.aggregate == "flatline":
        return values[0] < indicator.below if whole[0] and values[0] is not None else None
    if indicator.aggregate == "spike":
        enough = whole[1] and len(periods[1]) >= max(1, indicator.needs)
        if not enough or values[0] is None or not values[1]:
            return None
        return values[0] / values[1] if math.isfinite(values[0] / values[1]) else None
    past = [values[back] for back in range(indicator.periods, 0, -1) if whole[back] and values[back] is not None]
    if len(past) < (indicator.needs or indicator.periods):
        return None
    return what_they_come_to(past, indicator.take, indicator.rank)


def what_they_come_to(values: list[float], take: str, rank: float) -> float | None:
    """Return one number for several."""
    return {
        "mean": lambda: math.fsum(values) / len(values),
        "median": lambda: statistics.median(values),
        "stddev": lambda: deviation(values),
        "min": lambda: min(values),
        "max": lambda: max(values),
        "first": lambda: values[0],
        "last": lambda: values[-1],
        "percentile": lambda: at_rank(values, rank),
    }[take]()


def replay_log(indicator: Indicator, log: list[Row], clock: datetime | None, at: datetime | None = None) -> Any:
    """Return the indicator's value after its log, when the key's newest signal is at `clock`; as of `at` where that is later."""
    window = indicator.window
    daily = window.kind == "daily"
    taken: list[Row] = []
    entered: dict[int, datetime] = {}  # the window's clock when a row was taken
    folded: set[int] = set()
    seen = 0
    as_of: datetime | None = None
    begun: datetime | None = None  # the earliest signal taken since there was none

    def inside(t: datetime, at: datetime | None = None) -> bool:
        return period_of(t, at or as_of, window) <= indicator.periods

    for row in log:
        if indicator.as_of == "object":
            as_of = row.clock
        ahead = row.t is not None and (as_of is None or (indicator.as_of == "own" and row.t > as_of))
        newest = row.t if ahead else as_of
        if daily and newest is not None:
            folded |= {id(each) for each in taken if newest > entered[id(each)] and is_folded(each, newest)}
        if row.t is None:
            gone = [each for each in taken if each.seq == row.seq and inside(each.t) and id(each) not in folded]
            seen -= len(gone)
            taken = [each for each in taken if each.seq != row.seq or id(each) in folded]
            if seen == 0:
                taken, as_of, begun = [], None, None
            continue
        if inside(row.t, newest) and not (daily and row.correction and is_folded(row, newest)):
            as_of = newest
            taken.append(row)
            entered[id(row)] = newest
            begun = row.t if begun is None else min(begun, row.t)
            seen += 1
    if seen == 0:
        return unseen(indicator)
    if indicator.as_of == "object":
        as_of = clock
    if at is not None:
        as_of = max(as_of, at)
    kept = sorted((row for row in taken if inside(row.t)), key=lambda row: (row.t, row.seq))
    if indicator.base is not None:
        return against_past(indicator, kept, as_of, begun)
    if window.kind == "session":
        kept = same_session(kept, window.length, as_of)
    if indicator.aggregate == "new_value" and daily and not any(row.value is not None and id(row) not in folded for row in kept):
        return None
    return aggregate(indicator, kept, clock)


@dataclass
class Fact:
    """A signal that counts, with the keys that it counts for."""

    seq: int
    entry: SignalEntry
    names: set[tuple[str, str]]
    keys: dict[Any, str]


@dataclass
class Naive:
    """The evaluator; `hits` are (seq of the record, rule, subject), `values` the last values by (key, indicator)."""

    rulesets: dict[str, RuleSet]
    active: RuleSet = field(default_factory=lambda: RuleSet(version="empty"))
    logs: dict[tuple[str, str], list[Row]] = field(default_factory=dict)
    clocks: dict[str, datetime] = field(default_factory=dict)
    objects: dict[str, RegulatedObject] = field(default_factory=dict)
    facts: dict[tuple[str, str], Fact] = field(default_factory=dict)
    waiting: dict[tuple[str, str], Fact] = field(default_factory=dict)
    truth: dict[str, set[str]] = field(default_factory=dict)
    last: dict[str, Fact | None] = field(default_factory=dict)
    cooled: dict[tuple[str, str], datetime] = field(default_factory=dict)
    hits: list[tuple[int, str, str]] = field(default_factory=list)
    now: datetime = EPOCH
    night: datetime | None = None  # the next one at which peers are compared
    peers: dict[tuple[str, str], float] = field(default_factory=dict)  # by indicator and group

    def take(self, record: Record) -> None:
        """Take in one record."""
        self.now = max(self.now, record.received_at)
        self.compare_peers()
        entry = record.entry
        if isinstance(entry, ObjectsEntry):
            self.objects.update({thing.id: thing for thing in entry.objects})
        elif isinstance(entry, RulesetEntry):
            self.activate(self.rulesets[entry.version])
        elif isinstance(entry, SignalEntry):
            self.signal(record.seq, entry)
        elif isinstance(entry, ResolutionEntry):
            self.resolve(entry)

    def compare_peers(self) -> None:
        """Work out the baselines of the last night that has passed, of all groups of registered objects."""
        if self.night is None or self.night > self.now:
            return
        while self.night + timedelta(days=1) <= self.now:
            self.night += timedelta(days=1)
        at, self.night = self.night, self.night + timedelta(days=1)
        found: dict[tuple[str, str], list[float]] = {}
        for indicator in self.active.indicators.values():
            if indicator.aggregate != "peers":
                continue
            base = self.active.indicators[indicator.input]
            for thing in self.objects.values():
                entry = make_entry(object=ObjectRef(id=thing.id), region="", matter="")
                group = self.keys_of(entry).get(indicator.by)
                value = replay_log(base, self.logs.get((thing.id, base.name), []), self.clocks.get(thing.id), at)
                if group is not None and value is not None:
                    found.setdefault((indicator.name, group), []).append(float(value))
        self.peers = {}
        for place, values in found.items():
            indicator = self.active.indicators[place[0]]
            value = what_they_come_to(sorted(values), indicator.take, indicator.rank)
            if len(values) >= (indicator.needs or 5) and value is not None:
                self.peers[place] = value

    def value(self, name: str, keys: dict[Any, str]) -> Any:
        """Return the present value of an indicator for these keys."""
        indicator = self.active.indicators[name]
        if indicator.formula is not None:
            return self.work_out(indicator.formula.text, name.split(".", maxsplit=1)[0], keys)
        key = keys.get(indicator.by)
        if indicator.aggregate == "peers":
            return self.peers.get((name, key))
        if key is None:
            return unseen(indicator)
        return replay_log(indicator, self.logs.get((key, name), []), self.clocks.get(key))

    def work_out(self, text: str, pack: str, keys: dict[Any, str]) -> Any:
        """Return what Python makes of a formula; the tests' formulas are Python too."""
        names = set(re.findall(r"[a-z]\w*", text))
        values = {name: self.value(f"{pack}.{name}", keys) for name in names}
        if any(value is None or isinstance(value, bool) for value in values.values()):
            return None
        try:
            result = float(eval(text, {}, values))  # the texts are the tests' own
        except (ZeroDivisionError, OverflowError):
            return None
        return result if math.isfinite(result) else None

    def read_by(self, rule: Rule) -> set[str]:
        """Return the indicators behind a rule's condition and what clears it, those behind a formula included."""
        found: set[str] = set()
        waiting = [name for each in (rule.when, rule.clear) if each is not None for name in each.indicators]
        while waiting:
            name = waiting.pop()
            found.add(name)
            waiting += self.active.indicators[name].inputs
        return found

    def all_values(self) -> dict[tuple[str, str], Any]:
        """Return every value that was ever seen and is not as if it had never been."""
        found = {}
        for (key, name), log in self.logs.items():
            value = replay_log(self.active.indicators[name], log, self.clocks.get(key))
            found[key, name] = value
        found.update(((group, name), value) for (name, group), value in self.peers.items())
        return found

    def keys_of(self, entry: SignalEntry) -> dict[Any, str]:
        thing = self.objects.get(entry.resolution.object_id)
        region = (thing.region if thing else "") or entry.signal.region
        keys: dict[Any, str] = {"object": entry.resolution.object_id}
        for by in {each.by for each in (*self.active.indicators.values(), *self.active.rules)} - {"object"}:
            parts = [self.part_of(part, entry, region) for part in (by if isinstance(by, tuple) else (by,))]
            if None not in parts:
                keys[by] = "|".join(parts)
        return keys

    def part_of(self, part: Any, entry: SignalEntry, region: str) -> str | None:
        """Return one part of a group's name, None where it is not told."""
        about = entry.resolution.object_id
        thing = self.objects.get(about)
        if isinstance(part, int):
            return f"region:{region[:part]}" if len(region) >= part else None
        parents = [each.object_id for each in thing.relations if each.kind == "parent"] if thing else []
        told = {
            "object": about,
            "parent": parents[0] if parents else about,
            "matter": entry.signal.matter,
            "industry": thing.industry if thing else "",
        }[part]
        return f"{part}:{told}" if told else None

    def activate(self, new: RuleSet) -> None:
        """Drop the logs of indicators that are not defined as before, and read every rule that is new or changed on what is left."""
        if new.version == self.active.version:
            return

        def meant(expression: Expression | None, ruleset: RuleSet, pack: str) -> str | None:
            """Return an expression with what its parameters stand for in their place."""
            return expression and re.sub(r"\$([\w-]+)", lambda named: ruleset.params[pack][named[1]], expression.text)

        def shape(indicator: Indicator | None, ruleset: RuleSet) -> Any:
            pack = indicator.name.split(".")[0] if indicator else ""
            return indicator and (
                indicator.aggregate, indicator.window, meant(indicator.where, ruleset, pack), meant(indicator.of, ruleset, pack),
                indicator.as_of, indicator.by, indicator.needs, indicator.rank, indicator.per, indicator.end,
                indicator.input, shape(indicator.base, ruleset), indicator.periods, indicator.take, indicator.below,
            )  # fmt: skip

        def told(rule: Rule, ruleset: RuleSet) -> Any:
            """Return everything that the truth of a rule depends on."""
            own = [each for each in (rule.when, rule.clear, *((rule.sequence.first, rule.sequence.then) if rule.sequence else ())) if each]
            read = [ruleset.indicators[name] for name in ruleset.closure([name for each in own for name in each.indicators])]
            return (
                rule.status, rule.by, rule.sector, rule.hold, rule.min_evidence, rule.effective_from, rule.effective_to,
                [meant(each, ruleset, rule.pack) for each in own],
                rule.sequence and (rule.sequence.absent, rule.sequence.within),
                [(shape(each, ruleset), meant(each.formula, ruleset, rule.pack)) for each in read],
                [told(each, ruleset) for each in ruleset.rules if each.id in rule.when.rules],
            )  # fmt: skip

        ran = {rule.id: told(rule, self.active) for rule in self.running()}
        same = {rule.id for rule in new.rules if ran.get(rule.id) == told(rule, new)}
        old, self.active = self.active, new
        compared = [each for each in new.indicators.values() if each.aggregate == "peers"]
        if not compared:
            self.night = None
        elif self.night is None:
            self.night = self.now.astimezone(ZONE).replace(hour=3, minute=0, second=0, microsecond=0)
            self.night += timedelta(days=self.night <= self.now)
        self.peers = {
            (name, group): value
            for (name, group), value in self.peers.items()
            if name in new.indicators and shape(old.indicators[name], old) == shape(new.indicators[name], new)
            and shape(old.indicators[old.indicators[name].input], old) == shape(new.indicators[new.indicators[name].input], new)
        }  # fmt: skip
        self.logs = {
            (key, name): log
            for (key, name), log in self.logs.items()
            if name in new.indicators and shape(old.indicators[name], old) == shape(new.indicators[name], new)
        }
        for subject in self.truth:
            fact = self.last.get(subject)
            if fact is None:
                self.truth[subject] &= {rule.id for rule in self.running()}
            else:
                stood = self.truth[subject]
                self.truth[subject] = {
                    rule.id
                    for rule in self.running()
                    if self.is_about(rule, subject)
                    and (rule.id in stood if rule.id in same else self.true(rule, fact, subject, stood=rule.id in stood))
                }

    def running(self) -> Iterator[Rule]:
        return (rule for rule in self.active.rules if rule.status in ("active", "shadow"))

    @staticmethod
    def is_about(rule: Rule, subject: str) -> bool:
        area = subject.removeprefix("region:") if subject.startswith("region:") else None
        return rule.by == "object" if area is None else rule.by == len(area)

    def true(self, rule: Rule, fact: Fact, subject: str, *, stood: bool) -> bool:
        """Tell whether a rule is true at a fact: for its condition, or because it `stood` and has not been cleared."""
        if rule.effective_from is not None and self.now < rule.effective_from:
            return False
        if rule.effective_to is not None and self.now >= rule.effective_to:
            return False
        keys = self.keys_of(fact.entry)
        if subject.startswith("region:"):
            keys[len(subject) - len("region:")] = subject
        values = {name: self.value(name, keys) for each in (rule.when, rule.clear) if each is not None for name in each.indicators}
        facts = Facts(fact.entry, self.objects.get(fact.entry.resolution.object_id), values)
        if rule.when.evaluate(facts) is True:
            return True
        return stood and rule.clear is not None and rule.clear.evaluate(facts) is not True

    def undo(self, fact: Fact) -> set[tuple[str, str]]:
        """Take a fact back; return the truths that this ended."""
        for name in fact.names:
            self.facts.pop(name, None)
            self.waiting.pop(name, None)
        if not fact.entry.resolution.object_id:
            return set()
        before = self.all_values()
        for key, name in list(self.logs):
            log = self.logs[key, name]
            if any(row.seq == fact.seq for row in log):
                log.append(Row(fact.seq, self.clocks[key]))
        changed = set()
        for (key, name), value in self.all_values().items():
            if value != before[key, name]:
                changed.add(name)
        ended = set()
        for subject in fact.keys.values():
            if subject not in self.truth:
                continue
            gone = self.last.get(subject) is fact
            for rule in self.running():
                if rule.id not in self.truth[subject]:
                    continue
                reads_signal = any(name != "object" and not name.startswith("object.") for name in rule.when.fields)
                judged_at = self.last.get(subject) or fact
                if (gone and reads_signal) or (changed & self.read_by(rule) and not self.true(rule, judged_at, subject, stood=True)):
                    self.truth[subject].discard(rule.id)
                    ended.add((subject, rule.id))
            if gone:
                self.last[subject] = None
        return ended

    def signal(self, seq: int, entry: SignalEntry) -> None:
        names = {(entry.feed, name) for name in (entry.signal.id, entry.signal.corrects, entry.signal.withdraws) if name}
        known = {id(fact): fact for name in names for fact in (self.facts.get(name), self.waiting.get(name)) if fact}
        replaced = sorted(known.values(), key=lambda fact: fact.seq)
        ended = set()
        for fact in replaced:
            ended |= self.undo(fact)
        if entry.signal.withdraws:
            return
        answers = {(entry.feed, name) for name in (entry.signal.id, entry.signal.corrects) if name}
        for fact in replaced:
            answers |= fact.names
            if not entry.resolution.object_id and fact.entry.resolution.method == "confirmed":
                entry = msgspec.structs.replace(entry, resolution=fact.entry.resolution)
        self.put(Fact(seq, entry, answers, {}), ended)

    def counts(self, name: tuple[str, str]) -> bool:
        """Tell whether the signal of this name is inside a window or waits for its object."""
        fact = self.facts.get(name)
        if fact is None:
            return name in self.waiting
        before = self.all_values()
        for (key, _), log in self.logs.items():
            if any(row.seq == fact.seq for row in log):
                log.append(Row(fact.seq, self.clocks[key]))
        after = self.all_values()
        for (key, _), log in self.logs.items():
            if any(row.seq == fact.seq for row in log) and log[-1] == Row(fact.seq, self.clocks[key]):
                log.pop()
        return before != after

    def resolve(self, entry: ResolutionEntry) -> None:
        name = (entry.feed, entry.signal_id)
        fact = self.facts.get(name) or self.waiting.get(name)
        if fact is None:
            return
        confirmed = Resolution(object_id=entry.object_id, method="confirmed", confidence=1.0) if entry.object_id else Resolution()
        new = msgspec.structs.replace(fact.entry, resolution=confirmed)
        if fact.entry.resolution.object_id == entry.object_id:
            fact.entry = new
            return
        ended = self.undo(fact)
        self.put(Fact(fact.seq, new, fact.names, {}), ended)

    def put(self, fact: Fact, ended: set[tuple[str, str]]) -> None:
        """Let a fact count and read every rule at it, or queue it."""
        entry = fact.entry
        if not entry.resolution.object_id:
            self.waiting.update(dict.fromkeys(fact.names, fact))
            return
        self.facts.update(dict.fromkeys(fact.names, fact))
        t = entry.signal.occurred_at
        fact.keys = self.keys_of(entry)
        facts = Facts(entry, self.objects.get(entry.resolution.object_id))
        for key in fact.keys.values():
            self.clocks[key] = max(self.clocks.get(key, EPOCH), t)
        for name, indicator in self.active.indicators.items():
            key = fact.keys.get(indicator.by)
            if indicator.formula is not None or indicator.aggregate == "peers":
                continue
            if key is not None and (indicator.where is None or indicator.where.evaluate(facts) is True):
                value = indicator.of.evaluate(facts) if indicator.of else None
                correction = bool(entry.revision or entry.signal.corrects)
                self.logs.setdefault((key, name), []).append(Row(fact.seq, self.clocks[key], t, value, correction))
        for by, subject in fact.keys.items():
            if by != "object" and not isinstance(by, int):
                continue  # no rule is about such a group
            true = self.truth.setdefault(subject, set())
            for rule in self.running():
                if rule.by != by:
                    continue
                if not self.true(rule, fact, subject, stood=rule.id in true or (subject, rule.id) in ended):
                    true.discard(rule.id)
                elif rule.id not in true:
                    true.add(rule.id)
                    quiet_since = self.cooled.get((subject, rule.id))
                    if (subject, rule.id) not in ended and (quiet_since is None or self.now - quiet_since >= rule.cooldown):
                        self.hits.append((fact.seq, rule.id, subject))
                        self.cooled[subject, rule.id] = self.now
            self.last[subject] = fact
