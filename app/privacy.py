"""Who reads a personal value, how one is erased, and what a list may show of a record that names people.

Reading is denied but to the duty desk and to a department with an open task on a warning whose evidence carries the token; each reading,
and each refusal, is an entry of that warning's audit chain (个人信息保护法 第六条、第五十一条: no more than the task needs, and traceable).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import msgspec
import structlog
from sqlalchemy import Connection, select

from app.traces import Places, Traces, find, readable
from app.views.scope import Sight, sight
from connectors.inbound.personal import Tokens
from domain.base import Noun
from domain.errors import Forbidden, InvalidAction, NotFound, StoreUnavailable
from domain.instants import SHANGHAI
from domain.messages import both
from domain.personal import tokens_in
from domain.ports import Clock
from domain.principals import Principal
from domain.records import RejectionEntry, SignalEntry
from storage import audit
from storage.crashpoints import reach
from storage.database import Database
from storage.dialects import take_turns
from storage.intake_reads import Rejection
from storage.raw import RawStore
from storage.tables import signals
from storage.vault import Held, Vault

CHAIN = "personal"  # the audit chain of erasures: they are about no single warning
REASON_LIMIT = 200  # characters
_entry = msgspec.json.Decoder(SignalEntry)
log = structlog.get_logger(__name__)


class Reading(Noun, frozen=True, kw_only=True):
    """What stands behind a token; `value` is "" unless `state` is kept, `message` says so in words."""

    token: str
    state: Literal["kept", "erased", "unknown"]
    value: str
    field: str
    feed: str
    message: str


class Erasure(Noun, frozen=True, kw_only=True):
    """What was erased with a token, or would be: its values by feed, whole raw inputs and files, bytes of rejected records.

    `unreadable` places do not open and were left; `registered` are objects of the registry that still have the name or number.
    `notes` say in words what was not done.
    """

    token: str
    preview: bool
    values: int
    inputs: int
    files: int
    rejected: int
    unreadable: int
    registered: tuple[str, ...]
    notes: tuple[str, ...]


class Privacy:
    """Reads and erases personal values; safe to use from several threads."""

    def __init__(
        self, database: Database, vault: Vault, tokens: Tokens, raw: RawStore, inbox: Path, clock: Clock, *, elsewhere: str = ""
    ) -> None:
        """`inbox` is the watched folder: what lies in its `done` and `failed` folders is as clear as raw input.

        `elsewhere` says which places this process does not reach.
        """
        self._elsewhere = (elsewhere,) if elsewhere else ()
        self._database = database
        self._places = Places(vault, tokens, raw, inbox)
        self._clock = clock

    def read(self, principal: Principal, warning_id: str, token: str, reason: str) -> Reading:
        """Return what stands behind a token of a warning's evidence, and write down who read it and why.

        Raises:
            NotFound: no such warning, none that the principal may know of, or no such token in what it may read of it.
            Forbidden: the principal is neither the duty desk nor of a department with an open task on it.
            InvalidAction: no reason is given, or a long one.
        """
        reason = reason.strip()
        if not 0 < len(reason) <= REASON_LIMIT:
            raise InvalidAction(both("personal.no_reason", limit=REASON_LIMIT))
        found: list[Held] = []
        with self._database.write() as connection:
            seen = sight(connection, principal, warning_id, hold=True)
            allowed = may_read(principal, seen)
            if allowed:
                feeds = tokens_of(connection, seen).get(token)
                if feeds is None:
                    raise NotFound(both("personal.not_here", token=token[:40]))
                found = self._places.vault.held(connection, token, feeds)
            what = "personal_read" if allowed else "refused"
            told = self._told(reason, [one.value for one in found if one.value])
            detail = {"department": principal.department, "token": token, "reason": told}
            audit.append(connection, warning_id, self._clock.now(), principal.name, what, detail)
        if not allowed:
            raise Forbidden(both("personal.not_yours"))
        kept = next((one for one in found if one.value is not None), None)
        if kept is not None:
            return Reading(token=token, state="kept", value=kept.value or "", field=kept.field, feed=kept.feed, message="")
        gone = next(iter(found), None)
        if gone is None or gone.erased_at is None:
            return Reading(token=token, state="unknown", value="", field="", feed="", message=both("personal.unknown"))
        message = both("personal.erased", at=f"{gone.erased_at.astimezone(SHANGHAI):%Y-%m-%d}")
        return Reading(token=token, state="erased", value="", field=gone.field, feed=gone.feed, message=message)

    def erase(self, by: str, *, token: str = "", value: str = "", reason: str = "", preview: bool = False) -> Erasure:
        """Erase what is held of one personal value: 个人信息保护法 第四十七条. Tokens stay and say that it is erased.

        `app.traces.find` says what is found, and how; with `preview` it is told and nothing is erased. A raw input that names the person
        goes as a whole. A second call finishes what a crash cut short: the value, by which the rest is found, goes last.

        Raises:
            InvalidAction: neither or both of `token` and `value` are given, or `token` is none; or no reason to erase, or a long one.
            StoreUnavailable: a file cannot be deleted, or the disk does not take it.
        """
        if bool(token) == bool(value) or (token and tokens_in(token) != (token,)):
            raise InvalidAction(both("personal.one_of"))
        if len(reason) > REASON_LIMIT or not (reason or preview):
            raise InvalidAction(both("personal.no_reason_to_erase", limit=REASON_LIMIT))
        token = token or self._places.tokens.token(value)
        with self._database.read() as connection:
            found = find(connection, self._places, token, value)
        cut = preview or self._delete(found, token, by, reason)
        return Erasure(
            token=token,
            preview=preview,
            values=found.values,
            inputs=len(found.inputs),
            files=len(found.files),
            rejected=len(found.rejected),
            unreadable=found.unreadable,
            registered=found.registered,
            notes=(*_notes(found, cut=cut), *self._elsewhere),
        )

    def _delete(self, found: Traces, token: str, by: str, reason: str) -> bool:
        """Delete what was found and note it; return whether nothing of it is left in the write-ahead log.

        Raises:
            StoreUnavailable: a file cannot be deleted; the value is kept, so that a second call finds the rest.
        """
        now, vault = self._clock.now(), self._places.vault
        try:
            for digest in sorted(found.inputs):
                self._places.raw.delete(digest)
            for path in found.files:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreUnavailable(both("personal.undeletable", why=error)) from error
        reach("erase.after_raw")
        counts = {"inputs": len(found.inputs), "files": len(found.files), "rejected": len(found.rejected), "unreadable": found.unreadable}
        with self._database.write() as connection:
            take_turns(connection, CHAIN)
            for one in found.rejected:
                vault.delete_raw(connection, one, now)
            counts["values"] = vault.erase(connection, token, now, by)
            detail = {"token": token, "reason": self._told(reason, found.plain)[:REASON_LIMIT]} | counts
            audit.append(connection, CHAIN, now, by, "personal_erased", detail)
        log.info("personal.erased", token=token, **counts)
        return vault.forget()

    def _told(self, reason: str, plain: Iterable[str]) -> str:
        """Return a reason as the audit trail keeps it for good: without the values that it is about, and without numbers."""
        return self._places.tokens.scrub(reason, tuple(plain))

    def shown(self, rejection: Rejection) -> Rejection:
        """Return a rejection as lists show it: its bytes without mobile and identity numbers, or why there are none any more."""
        opened = self._places.vault.opened(rejection)
        if opened.raw_deleted_at is not None:
            return msgspec.structs.replace(opened, raw=raw_deleted(opened).encode())
        shown = self._places.tokens.scrub(readable(opened.raw))
        return msgspec.structs.replace(opened, raw=shown.encode("utf-8", "backslashreplace"))

    def replayable(self, rejection: Rejection) -> RejectionEntry:
        """Return the entry to replay, with its bytes; one whose bytes are deleted says so in its message and has none."""
        opened = self._places.vault.opened(rejection)
        return RejectionEntry(
            feed=opened.feed,
            batch=opened.batch,
            position=opened.position,
            reason=opened.reason,
            field=opened.field,
            message=raw_deleted(opened) if opened.raw_deleted_at is not None else opened.message,
            raw=opened.raw,
        )


def may_read(principal: Principal, seen: Sight) -> bool:
    """Say whether somebody who may see a warning may also read the personal values behind its tokens."""
    if principal.role == "duty":
        return True
    return bool(principal.department) and any(task.department == principal.department and task.open for task in seen.all_tasks)


def tokens_of(connection: Connection, seen: Sight) -> dict[str, set[str]]:
    """Return the tokens in the signals behind a warning, in their order; not those of signals whose text the asker may not read.

    Each with the feeds that said it here: whoever writes another feed's token into a text shall not open that feed's value.
    """
    rows = connection.execute(
        select(signals.c.feed, signals.c.body).where(signals.c.seq.in_([one.seq for one in seen.warning.evidence])).order_by(signals.c.seq)
    )
    found: dict[str, set[str]] = {}
    for feed, body in rows:
        if seen.reads_restricted or _entry.decode(body).signal.confidential != "restricted":
            for token in tokens_in(body):
                found.setdefault(token, set()).add(feed)
    return found


def raw_deleted(rejection: Rejection) -> str:
    """Return the sentence that says since when a rejection has no bytes; it has `raw_deleted_at`."""
    assert rejection.raw_deleted_at is not None
    return both("rejection.raw_deleted", at=f"{rejection.raw_deleted_at.astimezone(SHANGHAI):%Y-%m-%d}")


def _notes(found: Traces, *, cut: bool) -> Iterator[str]:
    """Yield what whoever asked for an erasure has to know of its limits."""
    if not found.everywhere:
        yield both("personal.searched_holders")
    if found.unreadable:
        yield both("personal.unreadable", count=found.unreadable)
    if found.registered:
        yield both("personal.registered", ids=", ".join(found.registered))
    if not cut:
        yield both("personal.log_held")
