"""Who reads a personal value, how one is erased, and what a list may show of a record that names people.

Reading is denied but to the duty desk and to a department with an open task on a warning whose evidence carries the token; each reading,
and each refusal, is an entry of that warning's audit chain (个人信息保护法 第六条、第五十一条: no more than the task needs, and traceable).
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
import structlog
from sqlalchemy import Connection, select

from app.views.scope import Sight, sight
from connectors.inbound.personal import Tokens
from domain.base import Noun
from domain.errors import Forbidden, InvalidAction, NotFound
from domain.instants import SHANGHAI
from domain.messages import both
from domain.personal import tokens_in
from domain.ports import Clock
from domain.principals import Principal
from domain.records import RejectionEntry, SignalEntry
from storage import audit, intake_reads
from storage.database import Database
from storage.intake_reads import Rejection
from storage.raw import RawStore
from storage.tables import signals
from storage.vault import Vault

CHAIN = "personal"  # the audit chain of erasures: they are about no single warning
REASON_LIMIT = 200  # characters
_PAGE = 500  # rejections that are looked through at once
_UNPACKED = 256 * 2**20  # bytes of a workbook that are looked through
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
    """What was erased with a token: its values by feed, whole raw inputs and files that named the person, bytes of rejected records."""

    token: str
    values: int
    inputs: int
    files: int
    rejected: int


class Privacy:
    """Reads and erases personal values; safe to use from several threads."""

    def __init__(self, database: Database, vault: Vault, tokens: Tokens, raw: RawStore, inbox: Path, clock: Clock) -> None:
        """`inbox` is the watched folder: what lies in its `done` and `failed` folders is as clear as raw input."""
        self._database = database
        self._vault = vault
        self._tokens = tokens
        self._raw = raw
        self._inbox = inbox
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
        detail = {"department": principal.department, "token": token, "reason": reason}
        with self._database.write() as connection:
            seen = sight(connection, principal, warning_id)
            allowed = may_read(principal, seen)
            if allowed and token not in tokens_of(connection, seen):
                raise NotFound(both("personal.not_here", token=token[:40]))
            what = "personal_read" if allowed else "refused"
            audit.append(connection, warning_id, self._clock.now(), principal.name, what, detail)
            found = self._vault.held(connection, token) if allowed else []
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

    def erase(self, by: str, *, token: str = "", value: str = "", reason: str = "") -> Erasure:
        """Erase what is held of one personal value, wherever it is: 个人信息保护法 第四十七条. Tokens stay and say that it is erased.

        A raw input that names the person goes as a whole. What a sender sends again later is kept again. A second call finishes what a
        crash cut short: the value, by which the rest is found, goes last.

        Raises:
            InvalidAction: neither or both of `token` and `value` are given, or `token` is none.
        """
        if bool(token) == bool(value) or (token and tokens_in(token) != (token,)):
            raise InvalidAction(both("personal.one_of"))
        token = token or self._tokens.token(value)
        now = self._clock.now()
        with self._database.read() as connection:
            plain = {one.value for one in self._vault.held(connection, token) if one.value} | ({value} if value else set())
            named = {batch for batch in _batches(connection, token) if batch}
            rejected = [one for one in self._rejections(connection) if self._mentions(one.raw, token, plain)]
        named |= {one.batch for one in rejected}
        named |= {digest for digest in self._raw.digests() if digest not in named and self._mentions(self._raw.get(digest), token, plain)}
        inputs = sum(self._raw.delete(digest) for digest in sorted(named))
        files = [path for path in _taken_files(self._inbox) if self._mentions(path.read_bytes(), token, plain)]
        for path in files:
            path.unlink(missing_ok=True)
        with self._database.write() as connection:
            for one in rejected:
                self._vault.delete_raw(connection, one, now)
            values = self._vault.erase(connection, token, now, by)
            done = Erasure(token=token, values=values, inputs=inputs, files=len(files), rejected=len(rejected))
            audit.append(connection, CHAIN, now, by, "personal_erased", msgspec.structs.asdict(done) | {"reason": reason[:REASON_LIMIT]})
        self._vault.forget()
        log.info("personal.erased", token=token, values=values, inputs=inputs, rejected=len(rejected))
        return done

    def _rejections(self, connection: Connection) -> Iterator[Rejection]:
        """Yield every rejection whose bytes are kept, with them."""
        before = 0
        while found := intake_reads.list_rejections(connection, before=before, limit=_PAGE):
            yield from (self._vault.opened(one) for one in found if one.sealed is not None and not one.raw)
            before = found[-1].seq

    def _mentions(self, data: bytes, token: str, plain: set[str]) -> bool:
        """Say whether bytes name the person: the value as it was written, or a number written in another way."""
        needles = [form for value in sorted(plain) for form in _written(value)]
        for part in _parts(data):
            if any(needle in part for needle in needles):
                return True
            if any(token in self._tokens.scrub(part.decode(encoding, "replace")) for encoding in ("utf-8", "gb18030")):
                return True
        return False

    def shown(self, rejection: Rejection) -> Rejection:
        """Return a rejection as lists show it: its bytes without mobile and identity numbers, or why there are none any more."""
        opened = self._vault.opened(rejection)
        if opened.raw_deleted_at is not None:
            return msgspec.structs.replace(opened, raw=raw_deleted(opened).encode())
        try:
            readable = opened.raw.decode("utf-8")
        except UnicodeDecodeError:
            readable = opened.raw.decode("gb18030", "backslashreplace")
        return msgspec.structs.replace(opened, raw=self._tokens.scrub(readable).encode("utf-8", "replace"))

    def replayable(self, rejection: Rejection) -> RejectionEntry:
        """Return the entry to replay, with its bytes; one whose bytes are deleted says so in its message and has none."""
        opened = self._vault.opened(rejection)
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


def tokens_of(connection: Connection, seen: Sight) -> tuple[str, ...]:
    """Return the tokens in the signals behind a warning, in their order; not those of signals whose text the asker may not read."""
    rows = connection.execute(
        select(signals.c.body).where(signals.c.seq.in_([one.seq for one in seen.warning.evidence])).order_by(signals.c.seq)
    )
    found: dict[str, None] = {}
    for body in rows.scalars():
        if seen.reads_restricted or _entry.decode(body).signal.confidential != "restricted":
            found.update(dict.fromkeys(tokens_in(body)))
    return tuple(found)


def raw_deleted(rejection: Rejection) -> str:
    """Return the sentence that says since when a rejection has no bytes; it has `raw_deleted_at`."""
    assert rejection.raw_deleted_at is not None
    return both("rejection.raw_deleted", at=f"{rejection.raw_deleted_at.astimezone(SHANGHAI):%Y-%m-%d}")


def _batches(connection: Connection, token: str) -> list[str]:
    """Return the raw inputs that signals with this token came from; reads every signal, as a person asks rarely."""
    rows = connection.execute(select(signals.c.body).where(signals.c.body.contains(token, autoescape=True)))
    return [_entry.decode(body).batch for body in rows.scalars()]


def _taken_files(inbox: Path) -> list[Path]:
    """Return what lies in the `done` and `failed` folders of every feed."""
    return sorted(path for name in ("done", "failed") for path in inbox.glob(f"*/{name}/*") if path.is_file() and not path.is_symlink())


def _written(value: str) -> tuple[bytes, ...]:
    """Return how a value may stand in a file: in the usual encodings, and escaped as JSON allows."""
    escaped = json.dumps(value)[1:-1].encode()
    return tuple(dict.fromkeys((value.encode("utf-8", "replace"), value.encode("gb18030", "replace"), escaped, escaped.upper())))


def _parts(data: bytes) -> Iterator[bytes]:
    """Yield the bytes themselves, or what a workbook (a zip file) unpacks to, up to a limit."""
    if not data.startswith(b"PK\x03\x04"):
        yield data
        return
    left = _UNPACKED
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.infolist():
                with archive.open(member) as stream:
                    part = stream.read(left)
                left -= len(part)
                yield part
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError):
        yield data  # no workbook after all, or one that nobody can read
