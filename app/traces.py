"""Where a personal value still stands: bytes are read as any sender may have written them and compared as tokens compare values."""

from __future__ import annotations

import hashlib
import html
import io
import re
import zipfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from sqlalchemy import Connection, select

from connectors.inbound.charsets import decode_text
from connectors.inbound.folder import DONE, FAILED
from connectors.inbound.personal import Tokens, canonical, fold
from domain.errors import NotFound, StoreCorrupt
from domain.names import normalise_name
from domain.personal import PersonalValue
from domain.records import SignalEntry
from storage import intake_reads
from storage.intake_reads import Rejection
from storage.raw import RawStore
from storage.registry import objects_by_code, objects_by_name
from storage.tables import signals
from storage.vault import Vault

_PAGE = 500  # rejections that are looked through at once
_UNPACKED = 256 * 2**20  # bytes of a workbook that are looked through
_IDENTIFYING = 7  # characters, a digit among them: such a value is one person's; names and ages are those of many
_SHORTEST = 2  # characters of a value that is looked for in bytes at all
_MARKED = (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_entry = msgspec.json.Decoder(SignalEntry)


@dataclass(frozen=True, slots=True)
class Places:
    """Everything that can be read again and whatever erasing needs of it."""

    vault: Vault
    tokens: Tokens
    raw: RawStore
    inbox: Path


@dataclass(slots=True)
class Traces:
    """Where one person's value stands: `values` by feed, raw inputs by hash, rejected records, taken files, objects of the registry.

    `plain` are its spellings, as far as they are known. `everywhere`: looked for in all bytes, not only with the feeds that hold it.
    `unreadable` of the places could not be looked into.
    """

    plain: set[str]
    everywhere: bool
    values: int = 0
    inputs: set[str] = field(default_factory=set)
    rejected: list[Rejection] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    registered: tuple[str, ...] = ()
    unreadable: int = 0


class _Needle:
    """A value to be looked for; where only its token is known, a number that gives this token."""

    def __init__(self, tokens: Tokens, token: str, plain: Collection[str]) -> None:
        self._tokens = tokens
        self._token = token
        self._by_token = not plain
        spelt = {canonical(value) for value in plain}
        self.everywhere = self._by_token or any(map(_identifies, spelt))
        self._wanted = sorted(one for one in spelt if _identifies(one) or (len(one) >= _SHORTEST and not one.isdecimal()))

    def is_in(self, data: bytes) -> bool:
        """Say whether bytes name the person."""
        return any(self._is_in_text(text) for text in texts(data))

    def _is_in_text(self, text: str) -> bool:
        if self._by_token:
            found: dict[str, PersonalValue] = {}
            self._tokens.scrub(text, (), found)
            return self._token in found
        folded = fold(text)
        return any(one in folded for one in self._wanted)


def find(connection: Connection, places: Places, token: str, value: str) -> Traces:
    """Return where the value behind `token` stands; `value` is it where the asker gave it, else "".

    A number is looked for in all bytes that are kept. A name, which is that of many people, only with the feeds that hold its token:
    in the inputs of signals that carry it, in those feeds' rejected records and in their files.
    """
    vault, holders = places.vault, places.vault.holders(connection, token)
    traces = Traces(plain={value} if value else set(), everywhere=False, values=sum(holders.values()))
    for feed in sorted(holders):
        try:
            traces.plain |= {one.value for one in vault.held(connection, token, {feed}) if one.value}
        except StoreCorrupt:
            traces.unreadable += 1
    needle = _Needle(places.tokens, token, traces.plain)
    traces.everywhere = needle.everywhere
    traces.registered = _registered(connection, traces.plain)
    named = _batches(connection, token, holders)
    _look_at_rejections(connection, vault, needle, holders, traces)
    named |= {one.batch for one in traces.rejected}
    _look_at_inputs(places.raw, needle, named, traces)
    _look_at_files(places.inbox, needle, holders, named, traces)
    return traces


def _registered(connection: Connection, plain: Collection[str]) -> tuple[str, ...]:
    """Return the ids of registered persons of this name, and of whatever is registered under this number."""
    found = {one.id for value in plain for one in objects_by_code(connection, value)}
    for name in filter(None, map(normalise_name, plain)):
        found |= {one.id for one in objects_by_name(connection, name) if one.type == "person"}
    return tuple(sorted(found))


def _batches(connection: Connection, token: str, feeds: Collection[str]) -> set[str]:
    """Return the raw inputs of `feeds` that signals with this token came from; reads every signal, as a person asks rarely."""
    holding = signals.c.feed.in_(sorted(feeds)), signals.c.body.contains(token, autoescape=True)
    return {batch for body in connection.scalars(select(signals.c.body).where(*holding)) if (batch := _entry.decode(body).batch)}


def _look_at_rejections(connection: Connection, vault: Vault, needle: _Needle, feeds: Collection[str], traces: Traces) -> None:
    after = 0
    while found := intake_reads.walk_rejections(connection, after, _PAGE):
        after = found[-1].seq
        for one in found:
            if one.sealed is None or one.raw or not (needle.everywhere or one.feed in feeds):
                continue
            try:
                opened = vault.opened(one)
            except StoreCorrupt:
                traces.unreadable += 1
                continue
            if needle.is_in(opened.raw):
                traces.rejected.append(opened)


def _look_at_inputs(raw: RawStore, needle: _Needle, named: Collection[str], traces: Traces) -> None:
    for digest in raw.digests():
        if digest in named:
            traces.inputs.add(digest)
        elif needle.everywhere:
            try:
                if needle.is_in(raw.get(digest)):
                    traces.inputs.add(digest)
            except NotFound:
                continue  # retention was faster
            except StoreCorrupt:
                traces.unreadable += 1


def _look_at_files(inbox: Path, needle: _Needle, feeds: Collection[str], named: Collection[str], traces: Traces) -> None:
    for path in sorted(path for name in (DONE, FAILED) for path in inbox.glob(f"*/{name}/*") if path.is_file() and not path.is_symlink()):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError:
            traces.unreadable += 1
            continue
        searched = needle.everywhere or path.parent.parent.name in feeds
        if hashlib.sha256(data).hexdigest() in named or (searched and needle.is_in(data)):
            traces.files.append(path)


def texts(data: bytes) -> Iterator[str]:
    """Yield what bytes say, without the escapes of JSON and XML: themselves, or each part of a workbook."""
    for part in _parts(data):
        yield _unescaped(readable(part))


def readable(data: bytes) -> str:
    r"""Return bytes as text, in the encoding that fits; nothing is left out, what fits none is replaced.

    >>> readable("欧阳,1".encode("gb18030")), readable("欧阳,1".encode("utf-16-be"))
    ('欧阳,1', '欧阳,1')
    """
    if b"\0" in data and not data.startswith(_MARKED):  # UTF-16 without its mark: zeros stand beside every digit and comma
        return data.decode("utf-16-le" if data[1::2].count(0) >= data[::2].count(0) else "utf-16-be", "replace")
    found = decode_text(data, ("utf-8", "gb18030"))
    return data.decode("gb18030", "replace") if found is None else found.text


def _identifies(spelt: str) -> bool:
    return len(spelt) >= _IDENTIFYING and any(one.isdigit() for one in spelt)


def _unescaped(text: str) -> str:
    if "\\u" in text:
        text = _ESCAPE.sub(lambda hit: chr(int(hit.group(1), 16)), text)
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")  # two halves of one character meet
    return html.unescape(text) if "&#" in text else text


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
