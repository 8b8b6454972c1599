"""The delivery plan: which records leave which office or gateway when, by HTTP or as a file, in the order of time.

Machines send at once or by the hour; the hotline sends by the hour; offices hand over the day before each morning (T+1). Some
senders send twice, some files arrive cut, and the ledger knows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from app.demo.formats import courts, credit, inspections, iot, market, tickets, video
from app.demo.formats.scribe import Row, Scribe, day
from app.demo.ledger import Ledger
from app.demo.month import DAYS, START, build_world
from app.demo.places import DISTRICTS
from app.demo.sensors import Reading, readings
from app.demo.world import Happening, World

CSV_GB, CSV_UTF8 = "text/csv; charset=gb18030", "text/csv; charset=utf-8"
JSON, NDJSON, XML = "application/json", "application/x-ndjson", "application/xml"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_TWICE = 0.015  # share of sends that a sender repeats, unsure whether they arrived
_REVISED = 0.12  # share of tickets whose later state the hotline sends again
_HOUR = timedelta(hours=1)


class Send(msgspec.Struct, frozen=True, kw_only=True):
    """One request to `/v1/feeds/{feed}/records`, or one file that appears in the watched folder of `feed`.

    `at` is the (virtual) time at which it is sent. `records` is the number of records in it, as its sender counts.
    """

    at: datetime
    channel: Literal["http", "file"]
    feed: str
    name: str
    content_type: str
    body: bytes
    records: int


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A month ready to be sent: `sends` in the order of `at`."""

    world: World
    sends: tuple[Send, ...]
    ledger: Ledger


def build(seed: int, *, start: datetime = START, days: int = DAYS) -> Plan:
    """Return the plan of `seed`: the same seed, start and length give the same bytes."""
    world = build_world(seed, start=start, days=days)
    writer = _Writer(world)
    writer.sensors()
    writer.cameras()
    writer.hotline()
    writer.mornings()
    return Plan(world=world, sends=tuple(sorted(writer.sends, key=lambda send: send.at)), ledger=writer.ledger)


def digest(plan: Plan) -> str:
    """Return a hash of everything that is sent, and when."""
    seen = hashlib.sha256()
    for send in plan.sends:
        seen.update(f"{send.at.isoformat()} {send.channel} {send.feed} {send.name} {send.content_type} {send.records}\n".encode())
        seen.update(send.body)
    return seen.hexdigest()


class _Writer:
    """Writes all records of a world into sends."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ledger = Ledger()
        self.scribe = Scribe(world.city, self.ledger)
        self.sends: list[Send] = []
        self.damage = list(_DAMAGE)
        self.by_feed: dict[str, list[Happening]] = {}
        for happening in world.happenings:
            self.by_feed.setdefault(happening.feed, []).append(happening)

    def send(
        self, at: datetime, channel: Literal["http", "file"], feed: str, name: str, content_type: str, body: bytes, records: int
    ) -> Send:
        made = Send(at=at, channel=channel, feed=feed, name=name, content_type=content_type, body=body, records=records)
        self.sends.append(made)
        self.scribe.wrote(feed, records)
        return made

    def maybe_again(self, first: Send, clean: bool) -> None:
        """Repeat a send now and then; one with spoiled records is not repeated, since nobody can say what a rejection twice is."""
        if not clean or not first.records or self.scribe.rng.random() >= _TWICE:
            return
        pause = timedelta(minutes=20) if first.channel == "http" else 3 * _HOUR
        stem, dot, suffix = first.name.rpartition(".")
        self.send(first.at + pause, first.channel, first.feed, f"{stem}-again{dot}{suffix}", first.content_type, first.body, first.records)
        self.ledger.page(first.feed).duplicates += first.records

    def sensors(self) -> None:
        """Let two gateways send their batches by the hour, and every alarm of a device at once."""
        batches: dict[tuple[datetime, bool], list[Reading]] = {}
        for reading in readings(self.world):
            hour = reading.at.replace(minute=0, second=0, microsecond=0)
            batches.setdefault((hour, reading.metric in {"gas_pct_lel", "pressure_mpa"}), []).append(reading)
        for (hour, gas), batch in sorted(batches.items()):
            batch.sort(key=lambda reading: (reading.at, reading.device_id))
            name = f"{'gas' if gas else 'park'}-{hour:%Y%m%d%H}.{'ndjson' if gas else 'json'}"
            encode, content_type = (iot.ndjson, NDJSON) if gas else (iot.array, JSON)
            for reading in batch:
                if reading.value is None:
                    alarm = [iot.row(reading, milliseconds=not gas)]
                    self.send(reading.at + timedelta(seconds=3), "http", "iot-json", f"alarm-{name}", content_type, encode(alarm), 1)
                    self.ledger.page("iot-json").duplicates += 1  # the batch carries it once more
            before = self.scribe.spoiled
            alarms = [iot.row(reading, milliseconds=not gas) for reading in batch if reading.value is None]
            plain = [iot.row(reading, milliseconds=not gas) for reading in batch if reading.value is not None]
            rows = [*iot.spoiled(self.scribe, plain), *alarms]
            at = hour + _HOUR + timedelta(seconds=40 if gas else 70)
            self.maybe_again(self.send(at, "http", "iot-json", name, content_type, encode(rows), len(rows)), self.scribe.spoiled == before)

    def cameras(self) -> None:
        """Let AI boxes and recorders send each alarm at once, and recorders a sign of life every other week."""
        for feed, write, suffix, content_type in (
            ("video-aidrive", video.aidrive, "json", JSON),
            ("video-jftech", video.jftech, "json", JSON),
            ("hikvision", video.hikvision, "xml", XML),
        ):
            for number, happening in enumerate(self.by_feed.get(feed, ()), start=1):
                before = self.scribe.spoiled
                body = write(self.scribe, happening)
                name = f"{feed}-{number:06d}.{suffix}"
                made = self.send(happening.at + timedelta(seconds=2), "http", feed, name, content_type, body, 1)
                self.maybe_again(made, self.scribe.spoiled == before)
        recorders = [camera for camera in self.world.city.cameras if camera.shape == "hikvision"]
        for first in range(0, self.world.days, 14):
            for number, camera in enumerate(recorders):
                at = self.world.start + timedelta(days=first, minutes=number)
                self.send(at, "http", "hikvision", f"heartbeat-{first}-{number}.xml", XML, video.heartbeat(camera, at), 1)
                self.ledger.page("hikvision").skipped += 1

    def hotline(self) -> None:
        """Let the city's hotline send by the hour, the two counties' every three hours; later states go out under the same number."""
        batches: dict[tuple[datetime, bool], list[Row]] = {}
        dirty: set[tuple[datetime, bool]] = set()

        def batch(at: datetime, county: bool) -> tuple[datetime, bool]:
            hour = at.replace(minute=0, second=0, microsecond=0)
            return (hour - timedelta(hours=hour.hour % 3) if county else hour, county)

        for happening in self.by_feed.get("hotline-12345", ()):
            before = self.scribe.spoiled
            row = tickets.hotline_row(self.scribe, happening)
            key = batch(happening.at, DISTRICTS[happening.region[:6]].endswith("县"))
            batches.setdefault(key, []).append(row)
            if self.scribe.spoiled != before:
                dirty.add(key)
                continue
            later = happening.at + timedelta(hours=self.scribe.rng.uniform(8, 120))
            if self.scribe.rng.random() < _REVISED and later < self.world.end - 6 * _HOUR:
                batches.setdefault(batch(later, key[1]), []).append(tickets.finished(row, later))
                self.ledger.page("hotline-12345").revisions += 1
        for (hour, county), rows in sorted(batches.items()):
            body, content_type = (tickets.county_csv(rows), CSV_UTF8) if county else (tickets.hotline_csv(rows), CSV_GB)
            at = hour + timedelta(hours=3 if county else 1, minutes=3)
            name = f"{'county' if county else 'tickets'}-{hour:%Y%m%d%H}.csv"
            made = self.send(at, "http", "hotline-12345", name, content_type, body, len(rows))
            self.maybe_again(made, (hour, county) not in dirty)

    def mornings(self) -> None:
        """Let the offices hand over each day on the next morning."""
        for number in range(self.world.days):
            date = self.world.start + timedelta(days=number)
            for place, (feed, of_day) in enumerate(self._daily()):
                happenings = [found for found in self.by_feed.get(feed, ()) if date <= found.at < date + timedelta(days=1)]
                before = self.scribe.spoiled
                name, content_type, body = of_day(date, happenings)
                at = date + timedelta(days=1, hours=6, minutes=30 + 7 * place)
                made = self.send(at, "file", feed, name, content_type, body, len(happenings))
                clean = self.scribe.spoiled == before
                if not (clean and self._damage(made, number)):
                    self.maybe_again(made, clean)

    def _daily(self) -> tuple[tuple[str, Callable[[datetime, Sequence[Happening]], tuple[str, str, bytes]]], ...]:
        scribe = self.scribe

        def letters(date: datetime, found: Sequence[Happening]) -> tuple[str, str, bytes]:
            return f"市长信箱{day(date)}.xlsx", XLSX, tickets.letters_xlsx(scribe, found)

        def portal(date: datetime, found: Sequence[Happening]) -> tuple[str, str, bytes]:
            return f"portal-{day(date)}.csv", CSV_UTF8, tickets.portal_csv(scribe, found)

        def netizen(date: datetime, found: Sequence[Happening]) -> tuple[str, str, bytes]:
            return f"网民留言{day(date)}.xlsx", XLSX, tickets.netizen_xlsx(scribe, found)

        def reports(date: datetime, found: Sequence[Happening]) -> tuple[str, str, bytes]:
            return f"12315-{day(date)}.json", JSON, market.reports_json(scribe, found)

        def penalties(date: datetime, found: Sequence[Happening]) -> tuple[str, str, bytes]:
            rows = [credit.penalty_row(scribe, happening) for happening in found]
            if date.day % 7 == 3:
                return f"行政处罚{day(date)}.csv", CSV_GB, credit.penalties_chinese(rows)
            if date.day % 7 == 5:
                return f"cf-old-{day(date)}.csv", CSV_GB, credit.penalties_legacy(rows)
            return f"penalties-{day(date)}.csv", CSV_UTF8, credit.penalties_csv(rows)

        def licences(date: datetime, found: Sequence[Happening]) -> tuple[str, str, bytes]:
            rows = [credit.licence_row(scribe, happening) for happening in found]
            if date.day % 2:
                return f"行政许可{day(date)}.xlsx", XLSX, credit.licences_xlsx(rows)
            return f"licences-{day(date)}.csv", CSV_UTF8, credit.licences_csv(rows)

        def rulings(date: datetime, found: Sequence[Happening]) -> tuple[str, str, bytes]:
            return f"rulings-{day(date)}.json", JSON, courts.rulings_json(scribe, found)

        def dishonest(date: datetime, found: Sequence[Happening]) -> tuple[str, str, bytes]:
            return f"shixin-{day(date)}.json", JSON, credit.dishonest_json(scribe, found)

        def checks(date: datetime, found: Sequence[Happening]) -> tuple[str, str, bytes]:
            return f"inspections-{day(date)}.json", JSON, inspections.inspections_json(scribe, found)

        return (
            ("letters-mayor", letters), ("portal-tickets", portal), ("netizen-messages", netizen), ("complaints-12315", reports),
            ("penalties", penalties), ("licences", licences), ("rulings", rulings), ("dishonest", dishonest), ("inspections", checks),
        )  # fmt: skip

    def _damage(self, sound: Send, number: int) -> bool:
        """Damage a few files on their way, as lines and disks do; the sender repeats each in the afternoon. Say whether it was."""
        due = next((plan for plan in self.damage if plan[0] == sound.feed and number >= plan[1]), None)
        if due is None or sound.records < 3 or sound.content_type == XLSX:
            return False
        self.damage.remove(due)
        _, _, reason, spoil = due
        stem, dot, suffix = sound.name.rpartition(".")
        self.sends[-1] = msgspec.structs.replace(sound, name=f"{stem}-damaged{dot}{suffix}", body=spoil(sound))
        self.ledger.reject(sound.feed, reason)
        again = self.send(sound.at + 8 * _HOUR, "file", sound.feed, sound.name, sound.content_type, sound.body, sound.records)
        self.ledger.page(sound.feed).duplicates += again.records - 1
        return True


def _cut_array(sound: Send) -> bytes:
    """Return a JSON array of flat records that ends in the middle of its last record."""
    text = sound.body.decode()
    return text[: text.rindex('},{"') + 18].encode()


def _cut_line(sound: Send) -> bytes:
    """Return a CSV file whose last line ends after a few characters, at a character's end."""
    encoding = sound.content_type.rpartition("=")[2]
    lines = sound.body.decode(encoding).split("\r\n")
    return "\r\n".join([*lines[:-2], lines[-2][:4]]).encode(encoding)


def _foreign_bytes(sound: Send) -> bytes:
    """Return a CSV file in whose last record two bytes are of no encoding."""
    lines = sound.body.split(b"\r\n")
    first, comma, rest = lines[-2].partition(b",")
    return b"\r\n".join([*lines[:-2], first + b"\xff\xff" + comma + rest, b""])


# Files damaged on their way: feed, first day on which it may happen, what is wrong with one record of it, how.
_DAMAGE: tuple[tuple[str, int, str, Callable[[Send], bytes]], ...] = (
    ("penalties", 8, "bad_structure", _cut_line),
    ("complaints-12315", 11, "bad_structure", _cut_array),
    ("inspections", 16, "bad_structure", _cut_array),
    ("licences", 18, "bad_encoding", _foreign_bytes),
    ("penalties", 22, "bad_encoding", _foreign_bytes),
)
