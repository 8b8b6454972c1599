"""Rows → signals by a mapping: the one way in which a department's record becomes a fact about an object.

Pure: `now` and the key for personal tokens are arguments. Every row gives exactly one result, so that counts add up.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.inbound.cells import TEXT_LIMIT, clean
from connectors.inbound.columns import Source, sources_of
from connectors.inbound.mapping_model import SECTORS_OF_KINDS, Chooser, Mapping
from connectors.inbound.personal import Tokens
from connectors.inbound.rows import Broken, Decoded, Ignored, Row
from domain.errors import SignalRejected
from domain.identifiers import is_region_code
from domain.instants import rfc3339
from domain.messages import text as say
from domain.objects import OBJECT_TYPES
from domain.personal import PersonalValue
from domain.signals import ObjectRef, Place, Signal

_ID_LIMIT = 200  # characters; a longer key is replaced by its hash
_STOPS = re.compile(r"[。!?;]+")
_HEADLINE = 60  # characters


@dataclass(frozen=True, slots=True)
class Mapped:
    """A row that became a signal; `personal` are the values that tokens in it stand for."""

    signal: Signal
    position: int
    raw: bytes
    personal: tuple[PersonalValue, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that did not: `reason` is a code of `domain.rejections`, `field` the header, `message` says what, where and what is legal.

    The message is free of personal values as a signal is: `personal` are those that tokens in it stand for. `raw` is the row as it came.
    """

    position: int
    reason: str
    field: str
    message: str
    raw: bytes
    personal: tuple[PersonalValue, ...] = ()


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row that says nothing (a heartbeat, a reading that no rule knows); counted and shown by `reason`."""

    position: int
    reason: str


Result = Mapped | Rejected | Skipped


class _Nothing(Exception):
    """The row is to be skipped; carries the reason."""


def apply(mapping: Mapping, rows: Iterable[Decoded], now: datetime, hmac_key: bytes) -> Iterator[Result]:
    """Yield one result per row, in order; `now` is the instant of reception, aware.

    Raises:
        ValueError: `hmac_key` is shorter than 16 bytes.
    """
    tokens = Tokens(hmac_key)
    for row in rows:
        if isinstance(row, Ignored):
            yield Skipped(row.position, row.reason)
        elif isinstance(row, Broken):
            yield tokenised(Rejected(row.position, row.reason, row.field, row.message, row.raw), tokens)
        else:
            yield _apply_row(mapping, row, now, tokens)


def tokenised(result: Result, tokens: Tokens) -> Result:
    """Return what was read without a mapping (a canonical signal, a rejection) without the mobile and identity numbers in it."""
    found: dict[str, PersonalValue] = {}
    if isinstance(result, Mapped):
        signal = tokens.scrub_signal(result.signal, found)
        return replace(result, signal=signal, personal=tuple(found.values())) if signal is not result.signal else result
    if isinstance(result, Rejected):
        message = tokens.scrub(result.message, (), found)
        return replace(result, message=message, personal=tuple(found.values())) if found else result
    return result


def _apply_row(mapping: Mapping, row: Row, now: datetime, tokens: Tokens) -> Result:
    record = _Record(mapping, row, tokens)
    try:
        record.read()
        signal = record.signal(now)
    except _Nothing as nothing:
        return Skipped(row.position, str(nothing))
    except SignalRejected as error:
        return record.rejected(error)
    return Mapped(signal, row.position, row.raw, tuple(record.found.values()))


class _Record:
    """One row while it is mapped."""

    def __init__(self, mapping: Mapping, row: Row, tokens: Tokens) -> None:
        self.mapping = mapping
        self.row = row
        self.tokens = tokens
        self.values: dict[str, Any] = {}
        self.personal: dict[str, str] = {}
        self.found: dict[str, PersonalValue] = {}  # by token: everything that was replaced
        self.unparsed: dict[str, str] = {}  # as written: it fills no place of the signal
        self.headers: dict[str, str] = {}
        self.sentences: dict[tuple[str, ...], list[str]] = {}  # by the fields that were read for them

    def read(self) -> None:
        """Read every field; skip or reject the row where the mapping says so."""
        mapping, cells, values, headers = self.mapping, self.row.values, self.values, self.headers
        flat = _flatten(cells)
        sources = sources_of(mapping, tuple(flat))
        problems: list[SignalRejected] = []
        wrong: set[str] = set()
        for source in sources.filled:
            try:
                value = source.value(flat, cells, headers, mapping)
            except SignalRejected as error:
                if not source.spoils:
                    self.unparsed[source.name] = clean(flat.get(headers[source.name], ""))[:TEXT_LIMIT]
                    continue
                problems.append(error)
                wrong.add(source.name)
                continue
            if value is not None:
                values[source.name] = value
        self._drop_conditional()
        for skip in mapping.skips:
            if self._holds(skip.when):
                raise _Nothing(skip.reason)
        for refusal in mapping.refusals:
            if self._holds(refusal.when):
                header = headers.get(refusal.field, mapping.fields[refusal.field].aliases[0])
                problems.append(SignalRejected("bad_value", refusal.why, field=header))
        problems += [_absent(source) for source in sources.required if source.name not in values and source.name not in wrong]
        if problems:
            first = problems[0]
            message = "；".join(f"{error.field}: {error}" for error in problems)
            raise SignalRejected(first.reason, message, field=first.field)
        self._tokenise()

    def _drop_conditional(self) -> None:
        """Forget what is to be read only beside, or only without, other fields."""
        present = frozenset(self.values) if self.mapping.conditional else frozenset()
        for name, field in self.mapping.conditional.items():
            if not (present.issuperset(field.beside) and present.isdisjoint(field.without)):
                self.values.pop(name, None)

    def signal(self, now: datetime) -> Signal:
        """Return the signal of the row."""
        mapping, slots = self.mapping, self.mapping.slots
        occurred_at = self._first(slots.occurred_at)
        if occurred_at is None:
            raise self._empty(slots.occurred_at)
        if occurred_at > now + mapping.future:
            limit = rfc3339(now + mapping.future, mapping.times.zone)
            header = self._header(slots.occurred_at)
            found = rfc3339(occurred_at, mapping.times.zone)
            raise SignalRejected("future", f"{header}: {say('intake.future', value=found, limit=limit)}", field=header)
        kind = self._choose(mapping.kind)
        if kind is None:
            raise _Nothing("unlisted-kind")
        value, unit = self._measure()
        body = " ".join(str(self.values[name]) for name in slots.text if name in self.values)
        cut = len(body) > TEXT_LIMIT
        return Signal(
            id=self._id(),
            source=mapping.source,
            kind=kind,
            occurred_at=occurred_at,
            object=self._object(),
            matter=SECTORS_OF_KINDS.get(kind.partition(".")[0]) or self._choose(mapping.matter) or "",
            region=self._region(),
            place=self._place(),
            severity=int(self._choose(mapping.severity) or 0),
            value=value,
            unit=unit,
            text=self.tokens.scrub(body[:TEXT_LIMIT], tuple(self.personal.values()), self.found),
            confidential=mapping.confidential,
            attrs=self._attrs(cut),
        )

    def _tokenise(self) -> None:
        """Replace personal values by tokens, before anything is made from them."""
        names = self.mapping.personal
        if self.mapping.personal_when:
            names = names.union(name for name, when in self.mapping.personal_when.items() if self._holds(when))
        for name in self.mapping.fields if names else ():
            if name in names and name in self.values:
                self.personal[name] = str(self.values[name])
                self.values[name] = self._token(name, self.personal[name])

    def _token(self, name: str, value: str) -> str:
        """Return the token of a personal field's value, and note what it stands for."""
        token = self.tokens.token(value)
        self.found.setdefault(token, PersonalValue(token, name, value))
        return token

    def rejected(self, error: SignalRejected) -> Rejected:
        """Return the rejection of the row; what its message quotes of personal fields is replaced as it would be in a signal."""
        mapping, row, flat = self.mapping, self.row, _flatten(self.row.values)
        declared = [name for name in (*mapping.personal, *mapping.personal_when) if name in self.headers]
        written = {name: clean(flat.get(self.headers[name], "")) for name in sorted(declared)}
        known = tuple(self.personal.values()) + tuple(value for value in written.values() if value)
        message = f"{row.place} {self.tokens.scrub(str(error), known, self.found)}"
        for name, value in written.items():
            if value:
                self._token(name, value)
        return Rejected(
            row.position, error.reason, error.field, message, row.raw, tuple(one for one in self.found.values() if one.token in message)
        )

    def _holds(self, when: Sequence[tuple[str, frozenset[str]]]) -> bool:
        for name, legal in when:  # noqa: SIM110  # a generator for every condition of every record costs twice as much
            if str(self.values.get(name, "")).casefold() not in legal:
                return False
        return True

    def _first(self, names: Iterable[str]) -> Any:
        for name in names:
            if name in self.values:
                return self.values[name]
        return None

    def _header(self, names: Sequence[str]) -> str:
        """Return the header under which the first of `names` was found, or would be expected."""
        found = next((self.headers[name] for name in names if name in self.values and name in self.headers), "")
        return found or self.mapping.fields[names[0]].aliases[0]

    def _empty(self, names: Sequence[str]) -> SignalRejected:
        aliases = "、".join(alias for name in names for alias in self.mapping.fields[name].aliases)
        header = self._header(names)
        return SignalRejected("missing_field", f"{header}: {say('intake.empty', legal=aliases)}", field=header)

    def _id(self) -> str:
        """Return the record's key; raises SignalRejected where one of its parts is empty."""
        parts = []
        for names in self.mapping.key:
            value = self._first(names)
            if value is None:
                raise self._empty(names)
            parts.append(rfc3339(value) if isinstance(value, datetime) else str(value))
        key = "/".join(parts)
        return key if len(key) <= _ID_LIMIT else "sha256:" + hashlib.sha256(key.encode()).hexdigest()

    def _object(self) -> ObjectRef:
        """Return how the record names its object; a masked code (3423…3224) names nobody and is left out."""
        slots = self.mapping.slots
        code = next((str(self.values[name]) for name in slots.code if name in self.values and "*" not in str(self.values[name])), "")
        kind = str(self._first(slots.object_type) or "")
        known = tuple(value for name, value in self.personal.items() if name not in slots.name)
        return ObjectRef(
            id=str(self._first(slots.object_id) or ""),
            code=code,
            name=self.tokens.scrub(str(self._first(slots.name) or "")[:TEXT_LIMIT], (), self.found),
            address=self.tokens.scrub(str(self._first(slots.address) or "")[:TEXT_LIMIT], known, self.found),
            type=kind if kind in OBJECT_TYPES else "",
        )

    def _region(self) -> str:
        """Return the first region code; trailing zeros of a 9- or 12-digit code say "all of the district"."""
        for name in self.mapping.slots.region:
            code = str(self.values.get(name, ""))
            while len(code) > 6 and code.endswith("000"):
                code = code[:-3]
            if is_region_code(code):
                return code
        return ""

    def _place(self) -> Place | None:
        slots = self.mapping.slots
        point = self._first(slots.point)
        if not isinstance(point, tuple):
            lng, lat = self._first(slots.lng), self._first(slots.lat)
            if not isinstance(lng, Decimal) or not isinstance(lat, Decimal) or abs(lng) > 180 or abs(lat) > 90:
                return None
            point = (float(lng), float(lat))
        return Place(lng=point[0], lat=point[1], datum=slots.datum) if point != (0.0, 0.0) else None

    def _measure(self) -> tuple[float | None, str]:
        """Return the signal's value and its unit."""
        slots = self.mapping.slots
        name = next((name for name in slots.value if name in self.values), "")
        if not name:
            return None, ""
        field = self.mapping.fields[name]
        value = float(self.values[name])
        return value, "CNY" if field.type == "amount" else str(self._first(slots.unit) or field.unit)

    def _choose(self, chooser: Chooser) -> str | None:
        for name, codes in chooser.codes:
            found = codes.get(str(self.values.get(name, "")).casefold())
            if found is not None:
                return found
        if chooser.rules:
            sentences = self._sentences(chooser.reads)
            whole = "\n".join(sentences)  # a rule that not all of it together fulfils is not looked at sentence by sentence
            for rule in chooser.rules:
                if rule.may_fit(whole) and any(rule.fits(sentence) for sentence in sentences):
                    return rule.give
        return chooser.default

    def _sentences(self, reads: tuple[str, ...]) -> list[str]:
        """Return the sentences of some fields, divided once for kind, severity and matter."""
        found = self.sentences.get(reads)
        if found is None:
            found = self.sentences[reads] = _sentences([str(self.values[name]) for name in reads if name in self.values])
        return found

    def _attrs(self, cut: bool) -> dict[str, Any]:
        """Return the free attributes: constants, the declared fields in order, and what could not be read."""
        attrs: dict[str, Any] = dict(self.mapping.constants)
        known = tuple(self.personal.values())
        for name in self.mapping.attrs:
            if name in self.values:
                attrs[name] = self._attribute(self.values[name], () if name in self.personal else known)
        for name, written in self.unparsed.items():
            attrs[name] = self._token(name, written) if name in self.mapping.personal else self.tokens.scrub(written, known, self.found)
        if self.unparsed:
            attrs["unparsed"] = list(self.unparsed)
        if cut:
            attrs["text_cut"] = True
        return attrs

    def _attribute(self, value: Any, known: tuple[str, ...]) -> Any:
        if isinstance(value, str):
            return self.tokens.scrub(value[:TEXT_LIMIT], known, self.found)
        if isinstance(value, datetime):
            return rfc3339(value, self.mapping.times.zone)
        if isinstance(value, Decimal):
            return float(value)
        if isinstance(value, tuple):
            return list(value)
        return self.tokens.scrub(str(value)[:TEXT_LIMIT], known, self.found)


def _absent(source: Source) -> SignalRejected:
    """Return the problem of a required field that is empty, or whose column is not there at all."""
    key = "intake.empty" if source.columns else "intake.no_column"
    message = say(key, legal="、".join(source.field.aliases))
    reason = "missing_field" if source.columns else "bad_header"
    return SignalRejected(reason, message, field=source.columns[0].header if source.columns else source.field.aliases[0])


def _sentences(texts: list[str]) -> list[str]:
    """Return the sentences of `texts` in lower case; a short first text is a headline and stands before each of them."""
    headline = texts[0].casefold() if len(texts) > 1 and len(texts[0]) <= _HEADLINE else ""
    rest = _STOPS.split("。".join(texts[1:] if headline else texts).casefold())
    return [f"{headline} {sentence}" for sentence in rest if sentence.strip()]


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested objects as dotted keys; lists stay, decoding has bounded the depth."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat[prefix + key] = value
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
    return flat
