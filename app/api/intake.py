"""The door for signals and raw records, and what became of those that were not taken."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody, RawBody

from app import second_chances
from app.api import bodies
from app.api.given import DoorGiven, PrincipalGiven, ServicesGiven
from app.api.parameters import (
    AfterRecord,
    BeforeRecord,
    FeedPath,
    FeedQuery,
    KindQuery,
    Limit,
    NamedQuery,
    ReasonQuery,
    RejectionStatusQuery,
    SignalPath,
)
from app.api.problems import TOO_LARGE
from app.api.roles import ADMINS, DUTY, FEEDS, OVERSEERS
from app.second_chances import CANONICAL
from app.synced import offer, synced
from app.views import feeds
from app.views.aside import Aside
from app.views.feeds import FeedView
from app.views.filters import check_rejection_filters
from connectors.inbound.canonical import TOLERANCE
from connectors.inbound.edge import Taken
from domain.base import Noun
from domain.errors import Forbidden, InvalidAction, NotFound, SignalRejected
from domain.instants import rfc3339
from domain.messages import both, in_each, text
from domain.principals import Principal
from domain.records import FeedEntry
from rules.problems import nearest
from storage import intake_reads

SHOWN = 1000  # results that an answer lists one by one; all of them are counted, rejections come first


class Answer(Noun, frozen=True, kw_only=True):
    """What became of the records of one request, synced to disk; `results` lists rejections first, then remarks, at most 1,000 records.

    `unresolved` of the accepted and revised ones wait in the confirm queue: nobody knows yet which object they are about.
    """

    feed: str
    records: int
    accepted: int
    revisions: int
    duplicates: int
    rejected: int
    skipped: int
    unresolved: int
    reasons: dict[str, int]
    results: list[dict[str, Any]]


class Confirmation(Noun, frozen=True, kw_only=True):
    """Which object an unresolved signal is about; `object_id` "" says that it is none of the registered ones."""

    object_id: str
    reason: str = ""


class Completeness(Noun, frozen=True, kw_only=True):
    """Up to when a feed has sent everything."""

    until: Annotated[datetime, msgspec.Meta(tz=True)]


def answer_of(taken: Taken) -> Answer:
    """Return the answer for one input, or for rejections that were taken again."""
    ordered = sorted(taken.results, key=lambda result: (result.status != "rejected", not result.message))[:SHOWN]
    names = ("position", "status", "id", "seq", "reason", "field", "message")
    return Answer(
        feed=taken.feed,
        records=taken.records,
        accepted=taken.accepted,
        revisions=taken.revisions,
        duplicates=taken.duplicates,
        rejected=taken.rejected,
        skipped=taken.skipped,
        unresolved=taken.unresolved,
        reasons=taken.reasons(),
        results=[{name: value for name in names if (value := getattr(result, name)) not in {"", 0}} for result in ordered],
    )


@post(
    "/v1/signals",
    summary=both("operation.post_signals"),
    operation_class=bodies.SIGNALS,
    opt={"roles": FEEDS},
    status_code=202,
    sync_to_thread=True,
)
def post_signals(services: DoorGiven, principal: PrincipalGiven, request: Request[Any, Any, Any], body: RawBody) -> Answer:
    """Take canonical signals: one, an array, NDJSON, or CloudEvents; 202 means that they are on the disk.

    The feed comes from the credential; the body never names it (decision 1).
    """
    feed = principal.feed or CANONICAL
    mapping = services.mappings.get(feed)  # a feed with a mapping keeps its contract whichever form its records come in
    with services.metrics.answer_seconds.time():
        taken = services.edge.take_signals(
            feed,
            body,
            request.headers.get("content-type", ""),
            services.clock.now(),
            revisable=mapping is not None and mapping.revisable,
            tolerance=mapping.future if mapping is not None else TOLERANCE,
        )
    return _within_limits(taken)


@post(
    "/v1/feeds/{feed:str}/records",
    summary=both("operation.post_records"),
    operation_class=bodies.RECORDS,
    opt={"roles": FEEDS},
    status_code=202,
    sync_to_thread=True,
)
def post_records(services: DoorGiven, principal: PrincipalGiven, request: Request[Any, Any, Any], feed: FeedPath, body: RawBody) -> Answer:
    """Take raw records of a feed through its mapping; 202 means that they are on the disk, with what was rejected and why."""
    _own(principal, feed)
    mapping = services.mappings.get(feed)
    if mapping is None:
        raise _unknown(feed, services.mappings)
    with services.metrics.answer_seconds.time():
        taken = services.edge.take(mapping, body, request.headers.get("content-type", ""), services.clock.now())
    return _within_limits(taken)


def _within_limits(taken: Taken) -> Answer:
    """Return the answer for an input; raises SignalRejected where it was over a limit and nothing of it was taken."""
    if taken.too_large:
        raise SignalRejected(TOO_LARGE, taken.too_large)
    return answer_of(taken)


def _own(principal: Principal, feed: str) -> None:
    if principal.role == "feed" and principal.feed != feed:
        raise Forbidden(both("api.other_feed", feed=principal.feed))


def _unknown(feed: str, legal: Iterable[str]) -> NotFound:
    """Return the refusal of a feed that is none of `legal`, with these and the nearest."""
    known = sorted(legal)
    closest = nearest(feed, known)

    def say(language: str) -> str:
        near = text("intake.near", language, near=closest) if closest else ""
        return text("api.unknown_feed", language, value=feed, legal=", ".join(known), near=near)

    return NotFound(in_each(say))


@post(
    "/v1/feeds/{feed:str}/complete",
    summary=both("operation.post_complete"),
    operation_class=bodies.COMPLETENESS,
    opt={"roles": FEEDS},
    status_code=202,
    sync_to_thread=True,
)
def post_complete(services: DoorGiven, principal: PrincipalGiven, feed: FeedPath, data: JSONBody[Completeness]) -> Response[dict[str, Any]]:
    """Take a feed's word that it has sent everything up to an instant: it speaks, and there is nothing more to wait for before that.

    An input without records says the same of everything but the feed's usual delay.
    """
    _own(principal, feed)
    if feed not in services.mappings and principal.feed != feed:
        raise _unknown(feed, services.mappings)
    now = services.clock.now()
    mapping = services.mappings.get(feed)
    limit = now + (mapping.future if mapping is not None else TOLERANCE)
    if data.until > limit:
        raise InvalidAction(both("intake.future", value=rfc3339(data.until), limit=rfc3339(limit)))
    until = data.until.astimezone(UTC)
    [receipt] = synced(offer(services.intake, [FeedEntry(feed=feed, mark="complete", until=until)]))
    return Response({"feed": feed, "until": rfc3339(until), "seq": receipt.seq}, status_code=202)


@get("/v1/feeds", summary=both("operation.list_feeds"), opt={"roles": OVERSEERS}, sync_to_thread=True)
def list_feeds(services: ServicesGiven) -> list[FeedView]:
    """Return every feed with its counters, last times and state: speaking, silent, or never seen."""
    with services.database.read() as connection:
        return feeds.list_feeds(connection, services.mappings)


@get("/v1/quarantine", summary=both("operation.list_quarantine"), opt={"roles": OVERSEERS}, sync_to_thread=True)
def list_quarantine(services: ServicesGiven) -> Aside:
    """Return what was set aside because nothing survived it: records that brought the engine down, files that brought a reader down."""
    return services.aside()


@get("/v1/feeds/{feed:str}/rejections", summary=both("operation.list_rejections"), opt={"roles": OVERSEERS}, sync_to_thread=True)
def list_rejections(
    services: ServicesGiven,
    feed: FeedPath,
    reason: ReasonQuery = "",
    status: RejectionStatusQuery = "open",
    limit: Limit = 200,
    before: BeforeRecord = 0,
) -> list[dict[str, Any]]:
    """Return rejected records with reason and raw text, newest first; `before` is the `seq` of the last one of the page before.

    Mobile and identity numbers in `raw` are tokens; after its retention `raw` says since when it is deleted.
    """
    check_rejection_filters(reason, status)
    with services.database.read() as connection:
        known = {CANONICAL, *services.mappings, *(one.feed for one in intake_reads.feeds_status(connection))}
        if feed not in known:
            raise _unknown(feed, known)
        found = intake_reads.list_rejections(connection, feed=feed, reason=reason, status=status, before=before, limit=limit)
    rows = [msgspec.structs.asdict(services.privacy.shown(one)) for one in found]
    return [{name: value for name, value in row.items() if name != "sealed"} | {"raw": row["raw"].decode()} for row in rows]


@post(
    "/v1/feeds/{feed:str}/rejections/replay",
    summary=both("operation.replay_rejections"),
    opt={"roles": ADMINS},
    status_code=200,
    sync_to_thread=True,
)
def replay_rejections(services: ServicesGiven, feed: FeedPath) -> Answer:
    """Take all open rejections of a feed again, oldest first, after its mapping was mended; what fails again stays as it is."""
    with services.database.read() as connection:
        kept = intake_reads.list_rejections(connection, feed=feed, status="open", limit=100_000)[::-1]
    return answer_of(second_chances.replay(services, feed, kept))


@get("/v1/unresolved", summary=both("operation.list_unresolved"), opt={"roles": OVERSEERS}, sync_to_thread=True)
def list_unresolved(
    services: ServicesGiven,
    named: NamedQuery = True,
    feed: FeedQuery = "",
    kind: KindQuery = "",
    limit: Limit = 100,
    after: AfterRecord = 0,
) -> list[dict[str, Any]]:
    """Return the signals that wait for somebody to say which object they are about, oldest first; those that name nobody when asked for."""
    with services.database.read() as connection:
        found = intake_reads.unresolved_signals(connection, named=named, feed=feed, kind=kind, after=after, limit=limit)
    return [msgspec.to_builtins(one) for one in found]


@post(
    "/v1/unresolved/{feed:str}/{signal_id:path}",
    summary=both("operation.confirm"),
    operation_class=bodies.CONFIRMATION,
    opt={"roles": DUTY},
    status_code=202,
    sync_to_thread=True,
)
def confirm(
    services: ServicesGiven,
    principal: PrincipalGiven,
    feed: FeedPath,
    signal_id: SignalPath,
    data: JSONBody[Confirmation],
) -> Response[dict[str, str]]:
    """Say which object an unresolved signal is about; it counts from here on, with its own time. "" says: none that is registered."""
    identity = signal_id.removeprefix("/")
    second_chances.confirm(services, feed, identity, data.object_id, by=principal.name, reason=data.reason)
    return Response({"feed": feed, "signal": identity, "object": data.object_id}, status_code=202)
