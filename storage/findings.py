"""Warnings, their story and rule hits as rows; what the pipeline said, before any department heard of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, and_, bindparam, insert, or_, select, update

from domain.findings import EarlyWarning, EpisodeEnded, Outcome, RuleBlind, RuleHit, WarningRaised, WarningUpdated
from storage.dialects import insert_rows, parts, take_turns, upsert
from storage.tables import blinds, hits, to_us, warning_events, warnings

_warning = msgspec.json.Decoder(EarlyWarning)
_plain = (
    "id", "subject", "object_id", "matter", "sector", "region", "level", "current_level", "score", "raised_at", "updated_at", "episode",
    "ruleset", "kind", "coverage", "namespace", "shadow",
)  # fmt: skip
_INSERT_EVENT = insert(warning_events)
_INSERT_BLIND = upsert(blinds).on_conflict_do_nothing()
_BODY = select(warnings.c.body).where(warnings.c.id == bindparam("key"))
_BODIES = select(warnings.c.body).where(warnings.c.id.in_(bindparam("keys", expanding=True)))
_IDS = select(warnings.c.id).where(warnings.c.id.in_(bindparam("keys", expanding=True)))
_RAISE = upsert(warnings).on_conflict_do_nothing().returning(warnings.c.id)
_END = (
    update(warnings)
    .where(warnings.c.id.in_(bindparam("keys", expanding=True)), warnings.c.risk_state == "open")
    .values(risk_state="ended", ended_reason=bindparam("reason"))
    .returning(warnings.c.id)
)
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
    raised = [one.warning for one in outcomes if isinstance(one, WarningRaised)]
    changed = [one.warning for one in outcomes if isinstance(one, WarningUpdated)]
    new = _raise(connection, raised)
    _change(connection, changed)
    ended = _end(connection, [one for one in outcomes if isinstance(one, EpisodeEnded)])
    _tell(connection, outcomes, new, ended)
    blind = [_blind(one) for one in outcomes if isinstance(one, RuleBlind)]
    if blind:
        connection.execute(_INSERT_BLIND, blind)
    hits_found = [one for one in outcomes if isinstance(one, RuleHit)]
    if hits_found:
        _write_hits(connection, hits_found, {_place(warning): warning.id for warning in (*raised, *changed)})


def _blind(found: RuleBlind) -> dict[str, object]:
    plain = {name: getattr(found, name) for name in ("rule", "subject", "at", "feed", "signal", "matter", "shadow")}
    return plain | {"sources": msgspec.json.encode(found.sources).decode()}


def _place(warning: EarlyWarning) -> _Place:
    return warning.subject, warning.matter, warning.shadow


def _columns(warning: EarlyWarning) -> dict[str, object]:
    return {name: getattr(warning, name) for name in _plain} | {"body": msgspec.json.encode(warning).decode()}


def _raise(connection: Connection, raised: Sequence[EarlyWarning]) -> set[str]:
    """Write new warnings; return the ids of those that were not there."""
    rows = [_columns(warning) | {"risk_state": "open", "ended_reason": ""} for warning in raised]
    return set(connection.scalars(_RAISE, rows)) if rows else set()


def _change(connection: Connection, changed: Sequence[EarlyWarning]) -> None:
    """Write what warnings are now, the last of several about one."""
    latest = {warning.id: _columns(warning) for warning in changed}
    if latest and connection.execute(_CHANGE, [row | {"of_id": id_} for id_, row in latest.items()]).rowcount != len(latest):
        known = {id_ for some in parts(list(latest)) for id_ in connection.scalars(_IDS, {"keys": some})}
        new = [row | {"risk_state": "open", "ended_reason": ""} for id_, row in latest.items() if id_ not in known]
        connection.execute(insert(warnings), new)


def _end(connection: Connection, ended: Sequence[EpisodeEnded]) -> set[str]:
    """Note the ends of episodes; return the ids of those that were open until now."""
    found: set[str] = set()
    for reason in dict.fromkeys(one.reason for one in ended):
        for some in parts(list(dict.fromkeys(one.warning_id for one in ended if one.reason == reason))):
            found |= set(connection.scalars(_END, {"keys": some, "reason": reason}))
    return found


def _tell(connection: Connection, outcomes: Sequence[Outcome], new: set[str], ended: set[str]) -> None:
    """Go on with the stories of warnings, in the order in which things happened."""
    rows: list[dict[str, object]] = []
    for one in outcomes:
        match one:
            case WarningRaised(warning=warning) if warning.id in new:
                detail: dict[str, object] = {"level": warning.level, "score": warning.score, "rules": warning.rules}
                rows.append(_event(warning.id, WarningEvent(at=warning.raised_at, kind="raised", actor="system", detail=detail)))
            case WarningUpdated(warning=warning, reason=reason) if reason != "rescored":  # that drifts; the story tells what happened
                detail = {"level": warning.level, "current_level": warning.current_level, "score": warning.score}
                rows.append(_event(warning.id, WarningEvent(at=warning.updated_at, kind=reason, actor="system", detail=detail)))
            case EpisodeEnded() if one.warning_id in ended:
                ended.discard(one.warning_id)
                rows.append(_event(one.warning_id, WarningEvent(at=one.at, kind="ended", actor="system", detail={"reason": one.reason})))
    if rows:
        connection.execute(_INSERT_EVENT, rows)


def _event(warning_id: str, event: WarningEvent) -> dict[str, object]:
    detail = msgspec.json.encode(event.detail).decode()
    return {"warning_id": warning_id, "at": event.at, "kind": event.kind, "actor": event.actor, "detail": detail}


def add_warning_event(connection: Connection, warning_id: str, event: WarningEvent) -> None:
    """Append one step to the story of a warning."""
    connection.execute(_INSERT_EVENT, _event(warning_id, event))


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
    for some in parts(subjects):
        of_these = and_(warnings.c.subject.in_(some), warnings.c.risk_state == "open")
        rows = connection.execute(select(warnings.c.subject, warnings.c.matter, warnings.c.shadow, warnings.c.id).where(of_these))
        standing |= {(row.subject, row.matter, row.shadow): row.id for row in rows}
    standing |= touched
    rows_of_hits = [
        {
            "seq": hit.seq,
            "rule": hit.rule,
            "subject": hit.subject,
            "at": to_us(hit.at),
            "shadow": hit.shadow,
            "warning_id": None if hit.signal_only or hit.suppressed else standing.get((hit.subject, hit.matter, hit.shadow)),
            "message": hit.message,
            "values": msgspec.json.encode(hit.values).decode(),
            "suppressed": hit.suppressed or None,
        }
        for hit in found
    ]
    insert_rows(connection, hits, rows_of_hits)


def get_warning(connection: Connection, warning_id: str) -> EarlyWarning | None:
    """Return the warning of this id as the pipeline last saw it, None where there is none."""
    body = connection.scalar(_BODY, {"key": warning_id})
    return None if body is None else _warning.decode(body)


def get_warnings(connection: Connection, ids: Collection[str]) -> dict[str, EarlyWarning]:
    """Return warnings by their ids, as `get_warning` does; unknown ones are left out."""
    bodies = [body for some in parts(sorted(ids)) for body in connection.scalars(_BODIES, {"keys": some})]
    return {warning.id: warning for warning in map(_warning.decode, bodies)}


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
