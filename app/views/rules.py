"""Rules and their health: what is active, what hits, what never did, and what is wrong with a set that was refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, select

from domain.base import Noun
from domain.errors import Problem
from rules.ruleset import Rule, RuleSet
from storage.tables import hits, rulesets

DAY, MONTH = timedelta(hours=24), timedelta(days=30)


class RuleView(Noun, frozen=True, kw_only=True):
    """One rule; `hits_day` and `hits_month` count the last 24 hours and 30 days, `points` 0 marks one that only records its hits."""

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


class RulesPage(Noun, frozen=True, kw_only=True):
    """The active set, "" where none is yet, and the problems of the newest one that was refused."""

    version: str
    activated_at: datetime | None
    activated_by: str
    rules: tuple[RuleView, ...]
    problems: tuple[Problem, ...]


def rules_page(connection: Connection, ruleset: RuleSet | None, problems: Sequence[Problem], now: datetime) -> RulesPage:
    """Return the rules of the active set in the order of their files; `problems` are those of a refused one."""
    counted = _counted(connection, now) if ruleset is not None else {}
    row = connection.execute(select(rulesets).where(rulesets.c.version == ruleset.version)).one_or_none() if ruleset is not None else None
    return RulesPage(
        version=ruleset.version if ruleset is not None else "",
        activated_at=row.activated_at if row is not None else None,
        activated_by=row.by if row is not None else "",
        rules=tuple(_view(rule, counted) for rule in ruleset.rules) if ruleset is not None else (),
        problems=tuple(problems),
    )


def _counted(connection: Connection, now: datetime) -> dict[str, Row[Any]]:
    last = func.max(hits.c.at, type_=hits.c.at.type).label("last")
    day = func.count().filter(hits.c.at > now - DAY).label("day")
    month = func.count().filter(hits.c.at > now - MONTH).label("month")
    rows = connection.execute(select(hits.c.rule, last, day, month).where(hits.c.at <= now).group_by(hits.c.rule))
    return {row.rule: row for row in rows}


def _view(rule: Rule, counted: Mapping[str, Row[Any]]) -> RuleView:
    """Return a rule with its hits, those under the id that it had before among them."""
    rows = [counted[name] for name in (rule.id, rule.renamed_from) if name in counted]
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
    )
