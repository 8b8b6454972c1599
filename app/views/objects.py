"""One regulated object from all sides (全景): registry entry, signals, relations, warnings, scores."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

import msgspec
from sqlalchemy import Connection, select

from app.views.scope import decode_warning, within
from app.views.titles import Titles
from domain.base import Noun
from domain.errors import NotFound
from domain.findings import Contribution
from domain.identifiers import check_of
from domain.messages import both
from domain.objects import RegulatedObject
from domain.principals import Principal
from storage import intake_reads, registry
from storage.duty_tables import cases
from storage.tables import blinds, signals, warnings

PAGE = 50  # signals on one page
_MOST_WARNINGS = 200
_MOST_BLIND = 20


class RelationView(Noun, frozen=True, kw_only=True):
    """A relation to another object, with its name where the registry has it."""

    kind: str
    object_id: str
    name: str


class SignalView(Noun, frozen=True, kw_only=True):
    """One signal about the object; `hidden` where the asker may not read its text. `confidence` in [0, 1] is that of the match."""

    seq: int
    feed: str
    id: str
    source: str
    kind: str
    occurred_at: datetime
    received_at: datetime
    severity: int
    value: float | None
    unit: str
    text: str
    hidden: bool
    status: str
    method: str
    confidence: float
    code_check: str  # of the code that the record names its object by: right, wrong, or none


class ObjectWarning(Noun, frozen=True, kw_only=True):
    """A warning about the object in the asker's scope; `score` and `contributions` as they were last stored."""

    id: str
    matter: str
    matter_title: str
    level: str
    current_level: str
    score: float
    raised_at: datetime
    episode: int
    status: str
    open: bool
    contributions: tuple[Contribution, ...]


class BlindView(Noun, frozen=True, kw_only=True):
    """A rule that could not be decided about the object at `at`, since nothing was heard of `sources`.

    `signal` of `feed` is what it was about.
    """

    rule: str
    at: datetime
    feed: str
    signal: str
    sources: tuple[str, ...]


class ObjectPage(Noun, frozen=True, kw_only=True):
    """The page of one object. `next` is the `after` of the following page of signals, 0 on the last one.

    `blind` is the newest that could not be decided first, also where the feeds have come back since; rules on trial are left out.
    `code_check`: right, wrong, or none where the code is of no kind that carries a check digit.
    """

    object: RegulatedObject
    code_check: Literal["right", "wrong", "none"]
    relations: tuple[RelationView, ...]
    listed_by: tuple[str, ...]
    signals: tuple[SignalView, ...]
    next: int
    open_warnings: tuple[ObjectWarning, ...]
    former_warnings: tuple[ObjectWarning, ...]
    blind: tuple[BlindView, ...] = ()


def object_page(connection: Connection, principal: Principal, object_id: str, *, after: int = 0, limit: int = PAGE) -> ObjectPage:
    """Return an object with one page of its signals, newest first; `after` is the `seq` of the last one of the page before.

    A department sees every object's data, warnings only in its scope, and no text of signals that are marked restricted.

    Raises:
        NotFound: the registry has no such object.
    """
    thing = registry.get_object(connection, object_id)
    if thing is None:
        raise NotFound(both("object.not_found", id=object_id))
    titles = Titles(connection)
    titles.load_subjects(relation.object_id for relation in thing.relations)
    found = intake_reads.signals_of_object(connection, object_id, before=_place(connection, object_id, after), limit=limit + 1)
    about = _warnings(connection, principal, object_id, titles)
    return ObjectPage(
        object=thing,
        code_check="none" if thing.code_valid is None else ("right" if thing.code_valid else "wrong"),
        relations=tuple(
            RelationView(kind=one.kind, object_id=one.object_id, name=titles.subject(one.object_id, one.object_id))
            for one in thing.relations
        ),
        listed_by=tuple(titles.department(unit) for unit in thing.listed_by),
        signals=tuple(_signal(one, principal) for one in found[:limit]),
        next=found[limit - 1].seq if len(found) > limit else 0,
        open_warnings=tuple(one for one in about if one.open),
        former_warnings=tuple(one for one in about if not one.open),
        blind=tuple(_blind(connection, object_id)),
    )


def _blind(connection: Connection, object_id: str) -> Iterator[BlindView]:
    query = (
        select(blinds).where(blinds.c.subject == object_id, ~blinds.c.shadow).order_by(blinds.c.at.desc(), blinds.c.rule, blinds.c.signal)
    )
    for row in connection.execute(query.limit(_MOST_BLIND)):
        sources = tuple(msgspec.json.decode(row.sources))
        yield BlindView(rule=row.rule, at=row.at, feed=row.feed, signal=row.signal, sources=sources)


def _place(connection: Connection, object_id: str, after: int) -> tuple[datetime, int] | None:
    if not after:
        return None
    occurred_at = connection.scalar(select(signals.c.occurred_at).where(signals.c.seq == after, signals.c.object_id == object_id))
    if occurred_at is None:
        raise NotFound(both("object.no_signal", seq=after, id=object_id))
    return occurred_at, after


def _signal(one: intake_reads.StoredSignal, principal: Principal) -> SignalView:
    said = one.entry.signal
    hidden = said.confidential == "restricted" and not principal.sees_all
    return SignalView(
        seq=one.seq,
        feed=one.entry.feed,
        id=said.id,
        source=said.source,
        kind=said.kind,
        occurred_at=said.occurred_at,
        received_at=one.received_at,
        severity=said.severity,
        value=said.value,
        unit=said.unit,
        text="" if hidden else said.text,
        hidden=hidden,
        status=one.status,
        method=one.method,
        confidence=one.confidence,
        code_check=check_of(said.object.code),
    )


def _warnings(connection: Connection, principal: Principal, object_id: str, titles: Titles) -> list[ObjectWarning]:
    query = (
        select(warnings.c.body, cases.c.status, cases.c.matter)
        .join(cases, cases.c.warning_id == warnings.c.id)
        .where(warnings.c.object_id == object_id, within(principal))
        .order_by(warnings.c.raised_at.desc(), warnings.c.id)
        .limit(_MOST_WARNINGS)
    )
    found = []
    for row in connection.execute(query):
        warning = decode_warning(row.body)
        found.append(
            ObjectWarning(
                id=warning.id,
                matter=row.matter,
                matter_title=titles.matter(row.matter),
                level=warning.level,
                current_level=warning.current_level,
                score=warning.score,
                raised_at=warning.raised_at,
                episode=warning.episode,
                status=row.status,
                open=row.status in {"open", "unrouted"},
                contributions=warning.contributions,
            )
        )
    return found
