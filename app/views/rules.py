"""Rules and their health: what is active, what hits, what never did, and what is wrong with a set that was refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, or_, select

from domain.base import Noun
from domain.errors import Problem
from rules.health import Ailment
from rules.overrides import OVERRIDES, read_override
from rules.problems import Problems
from rules.ruleset import Rule, RuleSet
from storage.tables import blinds, hits, rulesets, warning_events, warnings

DAY, MONTH = timedelta(hours=24), timedelta(days=30)


class _Conclusion(msgspec.Struct):
    id: str


class _Concluded(msgspec.Struct):
    """What a stored warning says was inferred, and nothing else of it."""

    inferred: tuple[_Conclusion, ...] = ()


_concluded = msgspec.json.Decoder(_Concluded).decode


class TrialView(Noun, frozen=True, kw_only=True):
    """What a rule on trial came to in 30 days, beside the active ones.

    It hit `subjects` subjects and would have been a part of `warnings` warnings; `beside` of the subjects had a delivered warning in the
    rule's field as well, of which `confirmed` were found true (属实) and `unfounded` not (不属实).
    """

    subjects: int
    warnings: int
    beside: int
    confirmed: int
    unfounded: int


class RuleView(Noun, frozen=True, kw_only=True):
    """One rule; `hits_day` and `hits_month` count the last 24 hours and 30 days, `points` 0 marks one that only records its hits.

    `blind_month` counts how often in 30 days it could not be decided, since feeds were silent.

    `health` is what is wrong with it (`rules.health`), `trial` is None unless it is on trial.
    """

    id: str
    pack: str
    title: str
    status: str
    sector: str
    points: float
    at_least: str
    when: str
    basis: tuple[str, ...]
    plan: str
    owner: str
    file: str
    line: int
    hits_day: int
    hits_month: int
    last_hit: datetime | None
    never_fired: bool
    blind_month: int = 0
    health: tuple[Ailment, ...] = ()
    trial: TrialView | None = None


class InferenceView(Noun, frozen=True, kw_only=True):
    """One inference of the active set, and in how many open warnings it stands, those of what is on trial among them."""

    id: str
    title: str
    status: str
    sector: str
    when: str
    say: str
    basis: tuple[str, ...]
    plan: str
    file: str
    line: int
    standing: int


class FilterView(Noun, frozen=True, kw_only=True):
    """One tuning filter, the rules that it is for, and how often it kept a hit back in 30 days."""

    id: str
    rules: tuple[str, ...]
    reason: str
    owner: str
    when: str
    until: datetime
    kept_back: int
    file: str
    line: int


class OverrideView(Noun, frozen=True, kw_only=True):
    """The parameters of a region, as `pack.name = value`, up to the day `until` in Asia/Shanghai."""

    region: str
    params: tuple[str, ...]
    reason: str
    until: date
    file: str


class RulesPage(Noun, frozen=True, kw_only=True):
    """The active set, "" where none is yet, which of its own tests fail, and the problems of the newest one that was refused."""

    version: str
    activated_at: datetime | None
    activated_by: str
    rules: tuple[RuleView, ...]
    problems: tuple[Problem, ...]
    failing: tuple[str, ...] = ()
    inferences: tuple[InferenceView, ...] = ()
    filters: tuple[FilterView, ...] = ()
    overrides: tuple[OverrideView, ...] = ()


def rules_page(
    connection: Connection,
    ruleset: RuleSet | None,
    problems: Sequence[Problem],
    now: datetime,
    health: Mapping[str, tuple[Ailment, ...]] = MappingProxyType({}),
    failing: tuple[str, ...] = (),
) -> RulesPage:
    """Return the rules of the active set in the order of their files; `problems` are those of a refused one, `health` is by rule."""
    counted = _counted(connection, now) if ruleset is not None else {}
    undecided = _undecided(connection, now)
    row = connection.execute(select(rulesets).where(rulesets.c.version == ruleset.version)).one_or_none() if ruleset is not None else None
    return RulesPage(
        version=ruleset.version if ruleset is not None else "",
        activated_at=row.activated_at if row is not None else None,
        activated_by=row.by if row is not None else "",
        rules=tuple(_view(connection, rule, counted, undecided, health.get(rule.id, ()), now) for rule in ruleset.rules)
        if ruleset is not None
        else (),
        problems=tuple(problems),
        failing=failing,
        inferences=_inferences(connection, ruleset) if ruleset is not None else (),
        filters=_filters(connection, ruleset, now) if ruleset is not None else (),
        overrides=tuple(_overrides(ruleset)) if ruleset is not None else (),
    )


def _inferences(connection: Connection, ruleset: RuleSet) -> tuple[InferenceView, ...]:
    if not ruleset.inferences:
        return ()
    bodies = connection.scalars(select(warnings.c.body).where(warnings.c.risk_state == "open"))
    standing = Counter(each.id for body in bodies for each in _concluded(body).inferred)
    names = [name for name in InferenceView.__struct_fields__ if name != "standing"]
    return tuple(InferenceView(**{name: getattr(each, name) for name in names}, standing=standing[each.id]) for each in ruleset.inferences)


def _filters(connection: Connection, ruleset: RuleSet, now: datetime) -> tuple[FilterView, ...]:
    lately = (hits.c.at > now - MONTH, hits.c.at <= now, hits.c.suppressed.is_not(None))
    counted = select(hits.c.suppressed, func.count().label("times")).where(*lately).group_by(hits.c.suppressed)
    kept = {row.suppressed: row.times for row in connection.execute(counted)}
    known = {each.id: each for rule in ruleset.rules for each in rule.suppressions}
    return tuple(
        FilterView(
            id=each.id,
            rules=tuple(rule.id for rule in ruleset.rules if any(one.id == each.id for one in rule.suppressions)),
            reason=each.reason,
            owner=each.owner,
            when=each.when.text,
            until=each.until,
            kept_back=kept.get(each.id, 0),
            file=each.file,
            line=each.line,
        )
        for each in known.values()
    )


def _overrides(ruleset: RuleSet) -> Iterator[OverrideView]:
    for file, text in ruleset.texts.items():
        found = read_override(file, text, Problems(), None) if file.startswith(OVERRIDES) else None
        if found is not None:
            params = tuple(f"{pack}.{name} = {value}" for pack, given in found.params.items() for name, value in given.items())
            yield OverrideView(region=found.region, params=params, reason=found.reason, until=found.until, file=file)


def _counted(connection: Connection, now: datetime) -> dict[str, Row[Any]]:
    last = func.max(hits.c.at, type_=hits.c.at.type).label("last")
    day = func.count().filter(hits.c.at > now - DAY).label("day")
    month = func.count().filter(hits.c.at > now - MONTH).label("month")
    rows = connection.execute(select(hits.c.rule, last, day, month).where(hits.c.at <= now).group_by(hits.c.rule))
    return {row.rule: row for row in rows}


def _undecided(connection: Connection, now: datetime) -> dict[str, int]:
    """Return how often in a month each rule could not be decided."""
    lately = (blinds.c.at > now - MONTH, blinds.c.at <= now)
    return {
        row.rule: row.times
        for row in connection.execute(select(blinds.c.rule, func.count().label("times")).where(*lately).group_by(blinds.c.rule))
    }


def _trial(connection: Connection, rule: Rule, now: datetime) -> TrialView | None:
    if rule.status != "shadow":
        return None
    mine = (hits.c.rule.in_(rule.ids), hits.c.at > now - MONTH, hits.c.at <= now)
    own = connection.execute(select(hits.c.subject, hits.c.warning_id).where(*mine).distinct()).all()
    subjects = sorted({row.subject for row in own})
    field = or_(warnings.c.sector == rule.sector, warnings.c.matter == rule.sector)
    real: dict[str, str] = {}  # id → subject
    for start in range(0, len(subjects), 500):
        of_these = warnings.c.subject.in_(subjects[start : start + 500])
        query = select(warnings.c.id, warnings.c.subject).where(of_these, field, ~warnings.c.shadow, warnings.c.raised_at > now - MONTH)
        real |= {row.id: row.subject for row in connection.execute(query)}
    found = list(verdicts_of(connection, sorted(real)).values())
    return TrialView(
        subjects=len(subjects),
        warnings=len({row.warning_id for row in own if row.warning_id is not None}),
        beside=len(set(real.values())),
        confirmed=found.count("confirmed"),
        unfounded=found.count("unfounded"),
    )


def verdicts_of(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    """Return what the departments found last, by warning, of those of `ids` that they answered."""
    found: dict[str, str] = {}
    for start in range(0, len(ids), 500):
        mine = (warning_events.c.kind == "outcome", warning_events.c.warning_id.in_(ids[start : start + 500]))
        query = select(warning_events.c.warning_id, warning_events.c.detail).where(*mine).order_by(warning_events.c.id)
        found |= {row.warning_id: msgspec.json.decode(row.detail)["verdict"] for row in connection.execute(query)}
    return found


def _view(
    connection: Connection,
    rule: Rule,
    counted: Mapping[str, Row[Any]],
    undecided: Mapping[str, int],
    health: tuple[Ailment, ...],
    now: datetime,
) -> RuleView:
    """Return a rule with its hits, those under the id that it had before among them."""
    rows = [counted[name] for name in rule.ids if name in counted]
    return RuleView(
        id=rule.id,
        pack=rule.pack,
        title=rule.title,
        status=rule.status,
        sector=rule.sector,
        points=rule.points,
        at_least=rule.at_least,
        when=rule.when.text,
        basis=rule.basis,
        plan=rule.plan,
        owner=rule.owner,
        file=rule.file,
        line=rule.line,
        hits_day=sum(row.day for row in rows),
        hits_month=sum(row.month for row in rows),
        last_hit=max((row.last for row in rows), default=None),
        never_fired=not rows,
        blind_month=sum(undecided.get(name, 0) for name in rule.ids),
        health=health,
        trial=_trial(connection, rule, now),
    )
