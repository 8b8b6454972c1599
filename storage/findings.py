"""Warnings, their story and rule hits as rows; what the pipeline said, before any department heard of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, and_, bindparam, insert, or_, select, update

from domain.findings import EarlyWarning, EpisodeEnded, Outcome, RuleBlind, RuleHit, WarningRaised, WarningUpdated
from storage.dialects import insert_new, take_turns, upsert
from storage.tables import blinds, hits, warning_events, warnings

_warning = msgspec.json.Decoder(EarlyWarning)
_plain = (
    "id", "subject", "object_id", "matter", "sector", "region", "level", "current_level", "score", "raised_at", "updated_at", "episode",
    "ruleset", "kind", "coverage", "namespace", "shadow",
)  # fmt: skip
_INSERT_EVENT = insert(warning_events)
_INSERT_HITS = upsert(hits).on_conflict_do_nothing()
_INSERT_BLIND = upsert(blinds).on_conflict_do_nothing()
_BODY = select(warnings.c.body).where(warnings.c.id == bindparam("key"))
_CHANGE = update(warnings).where(warnings.c.id == bindparam("of_id"))
_Place = tuple[str, str, bool]  # subject, matter, shadow: one warning at a time is open for it


class WarningEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One step in a warning's story on the risk side; `detail` is what changed, by name."""

    at: datetime
    kind: str
    actor: str
    detail: Mapping[str, Any]


class StoredWarning(msgspec.Struct, frozen=True, kw_only=True):
    """A warning with the state of its episode: `risk_state` is open or ended, then `ended_reason` says why."""

    warning: EarlyWarning
    risk_state: str
    ended_reason: str


def apply_outcomes(connection: Connection, outcomes: Sequence[Outcome]) -> None:
    """Write what the pipeline found; the same outcomes again change nothing but the texts of updates.

    A hit is tied to the warning that is open for its subject and matter once all of `outcomes` are written.
    """
    found: list[RuleHit] = []
    touched: dict[_Place, str] = {}
    for outcome in outcomes:
        match outcome:
            case RuleHit():
                found.append(outcome)
            case WarningRaised(warning=warning):
                _raise(connection, warning)
                touched[_place(warning)] = warning.id
            case WarningUpdated(warning=warning, reason=reason):
                _change(connection, warning, reason)
                touched[_place(warning)] = warning.id
            case EpisodeEnded():
                _end(connection, outcome)
            case RuleBlind():
                connection.execute(_INSERT_BLIND, _blind(outcome))
    if found:
        _write_hits(connection, found, touched)


def _blind(found: RuleBlind) -> dict[str, object]:
    plain = {name: getattr(found, name) for name in ("rule", "subject", "at", "feed", "signal", "matter", "shadow")}
    return plain | {"sources": msgspec.json.encode(found.sources).decode()}


def _place(warning: EarlyWarning) -> _Place:
    return warning.subject, warning.matter, warning.shadow


def _columns(warning: EarlyWarning) -> dict[str, object]:
    return {name: getattr(warning, name) for name in _plain} | {"body": msgspec.json.encode(warning).decode()}


def _raise(connection: Connection, warning: EarlyWarning) -> None:
    if insert_new(connection, warnings, _columns(warning) | {"risk_state": "open", "ended_reason": ""}):
        _tell(connection, warning.id, warning.raised_at, "raised", {"level": warning.level, "score": warning.score, "rules": warning.rules})


def _change(connection: Connection, warning: EarlyWarning, reason: str) -> None:
    columns = _columns(warning)
    if connection.execute(_CHANGE, columns | {"of_id": warning.id}).rowcount == 0:
        connection.execute(insert(warnings).values(**columns, risk_state="open", ended_reason=""))
    if reason != "rescored":  # the score drifts with every decay; the story tells what happened
        detail = {"level": warning.level, "current_level": warning.current_level, "score": warning.score}
        _tell(connection, warning.id, warning.updated_at, reason, detail)


def _end(connection: Connection, ended: EpisodeEnded) -> None:
    still_open = and_(warnings.c.id == ended.warning_id, warnings.c.risk_state == "open")
    if connection.execute(update(warnings).where(still_open).values(risk_state="ended", ended_reason=ended.reason)).rowcount == 1:
        _tell(connection, ended.warning_id, ended.at, "ended", {"reason": ended.reason})


def _tell(connection: Connection, warning_id: str, at: datetime, kind: str, detail: Mapping[str, Any]) -> None:
    add_warning_event(connection, warning_id, WarningEvent(at=at, kind=kind, actor="system", detail=detail))


def add_warning_event(connection: Connection, warning_id: str, event: WarningEvent) -> None:
    """Append one step to the story of a warning."""
    detail = msgspec.json.encode(event.detail).decode()
    row = {"warning_id": warning_id, "at": event.at, "kind": event.kind, "actor": event.actor, "detail": detail}
    connection.execute(_INSERT_EVENT, row)


def add_once(connection: Connection, warning_id: str, event: WarningEvent) -> None:
    """Append one step to the story of a warning unless the same one, of the same instant, is there."""
    take_turns(connection, f"story {warning_id}")
    detail = msgspec.json.encode(event.detail).decode()
    same = (warning_events.c.warning_id == warning_id, warning_events.c.kind == event.kind, warning_events.c.at == event.at)
    if connection.scalar(select(warning_events.c.id).where(*same, warning_events.c.detail == detail)) is None:
        add_warning_event(connection, warning_id, event)


def _write_hits(connection: Connection, found: Sequence[RuleHit], touched: Mapping[_Place, str]) -> None:
    subjects = sorted({hit.subject for hit in found if not hit.signal_only})
    standing: dict[_Place, str] = {}
    for start in range(0, len(subjects), 500):
        of_these = and_(warnings.c.subject.in_(subjects[start : start + 500]), warnings.c.risk_state == "open")
        rows = connection.execute(select(warnings.c.subject, warnings.c.matter, warnings.c.shadow, warnings.c.id).where(of_these))
        standing |= {(row.subject, row.matter, row.shadow): row.id for row in rows}
    standing |= touched
    rows_of_hits = [
        {
            "seq": hit.seq,
            "rule": hit.rule,
            "subject": hit.subject,
            "at": hit.at,
            "shadow": hit.shadow,
            "warning_id": None if hit.signal_only or hit.suppressed else standing.get((hit.subject, hit.matter, hit.shadow)),
            "message": hit.message,
            "values": msgspec.json.encode(hit.values).decode(),
            "suppressed": hit.suppressed or None,
        }
        for hit in found
    ]
    connection.execute(_INSERT_HITS, rows_of_hits)


def get_warning(connection: Connection, warning_id: str) -> EarlyWarning | None:
    """Return the warning of this id as the pipeline last saw it, None where there is none."""
    body = connection.scalar(_BODY, {"key": warning_id})
    return None if body is None else _warning.decode(body)


def list_warnings(
    connection: Connection,
    *,
    risk_state: str = "",
    level: str = "",
    object_id: str = "",
    shadow: bool = False,
    before: tuple[datetime, str] | None = None,
    limit: int = 50,
) -> list[StoredWarning]:
    """Return warnings, newest first, then by id; "" means any. `before` is (raised_at, id) of the last one of the page before."""
    query = _stored().where(warnings.c.shadow == shadow)
    for column, wanted in ((warnings.c.risk_state, risk_state), (warnings.c.level, level), (warnings.c.object_id, object_id)):
        if wanted:
            query = query.where(column == wanted)
    if before is not None:
        at, last = before
        query = query.where(or_(warnings.c.raised_at < at, and_(warnings.c.raised_at == at, warnings.c.id > last)))
    rows = connection.execute(query.order_by(warnings.c.raised_at.desc(), warnings.c.id).limit(limit))
    return [_as_stored(row) for row in rows]


def _stored() -> Any:
    return select(warnings.c.body, warnings.c.risk_state, warnings.c.ended_reason)


def _as_stored(row: Row[Any]) -> StoredWarning:
    return StoredWarning(warning=_warning.decode(row.body), risk_state=row.risk_state, ended_reason=row.ended_reason)


def story(connection: Connection, warning_id: str) -> list[WarningEvent]:
    """Return what happened to a warning on the risk side, in order."""
    query = select(warning_events).where(warning_events.c.warning_id == warning_id).order_by(warning_events.c.id)
    return [
        WarningEvent(at=row.at, kind=row.kind, actor=row.actor, detail=msgspec.json.decode(row.detail)) for row in connection.execute(query)
    ]
