"""A cluster of the tests: real brokers, a real PostgreSQL, worker processes; and what a replay of its log gives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain, takewhile
from pathlib import Path

import msgspec
from kafka import KafkaConsumer, TopicPartition
from sqlalchemy import select

from app.clock import SystemClock
from app.cluster.publishing import publish
from app.rulebook import stored
from app.settings import Kafka, Settings
from connectors.kafka.access import Access
from connectors.kafka.intake import KafkaIntake
from connectors.kafka.topics import Topics
from deploy.kafka.local import LocalKafka
from domain.findings import EarlyWarning, EpisodeEnded, WarningRaised, WarningUpdated
from domain.frames import Frame, Passing, decode, decode_passing
from domain.objects import Resolution
from domain.partitions import Place
from domain.ports import Offer, Receipt
from domain.records import AnyEntry, MovedEntry, Record, ResolutionEntry, SignalEntry
from rules.ruleset import RuleSet
from storage import letters
from storage.admission import storable
from storage.crashpoints import PLANT_VARIABLE
from storage.database import Database
from storage.postgres import PostgresDatabase
from storage.tables import progress, signals
from storage.tables import warnings as warning_rows
from streams.pipeline import Pipeline
from tests.factories import at, make_entry

TOP = Path(__file__).resolve().parents[2]
RULES = """\
pack: gas
title: 燃气安全
sector: gas
owner: 市住建局
effective: {from: 2024-01-01}
plan: response
indicators:
  leaks:
    title: 近7天泄漏反映
    count: signals
    where: kind == gas.leak
    window: 7d
    exact: true
rules:
  - id: leaks
    title: 三次以上泄漏反映
    status: active
    basis: [城镇燃气管理条例第四十一条]
    when: leaks >= 3
    points: 65
    say: "{leaks}次"
"""
PATIENCE = 240.0  # seconds: costs nothing where the test passes, and a machine that is busy may take a minute to start a role


def environment(settings: Settings, **more: object) -> dict[str, str]:
    """Return the environment of a role beside those of `settings`: the same brokers and database; `more` are named as variables are."""
    own = settings.kafka
    shared = {
        "DATABASE_URL": settings.database_url,
        "KAFKA__BOOTSTRAP": own.bootstrap,
        "KAFKA__PREFIX": own.prefix,
        "KAFKA__PARTITIONS": own.partitions,
        "KAFKA__REPLICAS": own.replicas,
        "KAFKA__MIN_INSYNC": own.min_insync,
        "KAFKA__REDUCED_DURABILITY": own.reduced_durability,
    }
    return {f"FENGSUI_{name}": str(value) for name, value in (shared | more).items()}


def start_role(role: str, variables: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a role as a process that dies with this one, and adds to the file `log`."""
    command = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "app.cli", role]
    with log.open("ab") as file:
        return subprocess.Popen(command, cwd=TOP, env=os.environ | variables, stdout=file, stderr=file)


class Cluster:
    """One deployment: topics with a prefix of their own, a database of its own, any number of workers."""

    def __init__(
        self, kafka: LocalKafka, url: str, prefix: str, folder: Path, *, partitions: int = 1, rules: str = RULES, replicas: int = 1
    ) -> None:
        self.folder = folder
        self.rules = folder / "rules"
        self.rules.mkdir(parents=True)
        (self.rules / "gas.yaml").write_text(rules)
        self.settings = Settings(
            data=folder / "test",
            database_url=url,
            kafka=Kafka(
                bootstrap=kafka.bootstrap,
                prefix=prefix,
                partitions=partitions,
                replicas=replicas,
                min_insync=max(1, replicas - 1),
                reduced_durability=replicas < 3,
            ),
        )
        self.topic = self.settings.kafka.layout().topic("frames")
        self.groups = self.settings.kafka.layout().topic("groups")
        with Topics(self.settings.kafka.access(), self.settings.kafka.layout()) as topics:
            topics.apply()
        self.database: Database = PostgresDatabase.connect(url, SystemClock())
        self.intake = KafkaIntake(Access(kafka.bootstrap), self.topic, partitions, SystemClock(), prepare=storable)
        self.intake.start()
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self.also: dict[str, object] = {}  # further settings of the workers

    def close(self) -> None:
        for worker in self.workers.values():
            worker.kill()
            worker.wait()
        self.intake.close()
        self.database.close()

    def activate(self) -> str:
        """Put the rules in force; return their version."""
        return publish(self.settings, self.rules, "test", SystemClock()).version

    def start(
        self, name: str = "one", *, role: str = "worker", plant: str = "", snapshot_every: int = 500, metrics_port: int = 0, **kafka: object
    ) -> subprocess.Popen[bytes]:
        """Start a worker process, or one of another role."""
        given = {
            "DATA": self.folder / name,
            "SNAPSHOT_EVERY": snapshot_every,
            "METRICS_PORT": metrics_port,
            "KAFKA__SESSION_SECONDS": "6",
        }
        given |= {f"KAFKA__{key.upper()}": value for key, value in kafka.items()} | self.also
        variables = environment(self.settings, **given) | ({PLANT_VARIABLE: plant} if plant else {})
        self.workers[name] = start_role(role, variables, self.folder / f"{name}.log")
        return self.workers[name]

    def log(self, name: str = "one") -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def status(self, name: str = "one") -> str:
        path = self.folder / name / "worker.json"
        return path.read_text() if path.exists() else ""

    def kill(self, name: str = "one", number: int = signal.SIGKILL) -> int:
        worker = self.workers[name]
        worker.send_signal(number)
        return worker.wait(PATIENCE)

    def send(self, entries: Sequence[AnyEntry], call: int = 100) -> list[Receipt]:
        """Send entries in calls of `call`; return when the brokers have all of them."""
        calls = [entries[start : start + call] for start in range(0, len(entries), call)]
        futures = [self.intake.submit([Offer(entry=entry) for entry in one]) for one in calls]
        return [receipt for future in futures for receipt in future.result(PATIENCE)]

    def log_of(self, partition: int) -> list[tuple[int, datetime, Frame]]:
        """Return (offset, the brokers' time, frame) of everything in a partition."""
        frames = [(offset, decode(body)) for offset, body in self._messages(self.topic, partition, self.ends()[partition])]
        return [(offset, frame.received_at, frame) for offset, frame in frames if isinstance(frame, Frame)]

    def _messages(self, topic: str, partition: int, last: int) -> list[tuple[int, bytes]]:
        """Return (offset, body) of the messages of a partition up to the offset `last`."""
        reader = KafkaConsumer(bootstrap_servers=self.settings.kafka.bootstrap)
        place = TopicPartition(topic, partition)
        reader.assign([place])
        reader.seek_to_beginning(place)
        found: list[tuple[int, bytes]] = []
        while reader.position(place) <= last:
            found += [(message.offset, message.value) for message in reader.poll(200).get(place, []) if message.offset <= last]
        reader.close()
        return found

    def ends(self, topic: str = "") -> dict[int, int]:
        """Return the offset of the last message of each partition of the frames, or of another topic, -1 for none."""
        reader = KafkaConsumer(bootstrap_servers=self.settings.kafka.bootstrap)
        places = [TopicPartition(topic or self.topic, number) for number in range(self.settings.kafka.partitions)]
        ends = reader.end_offsets(places)
        reader.close()
        return {place.partition: end - 1 for place, end in ends.items()}

    def done(self, topic: str = "") -> dict[int, int]:
        """Return how far the database says each partition of the frames is, or of another topic."""
        with self.database.read() as connection:
            rows = connection.execute(select(progress.c.partition, progress.c.offset_done).where(progress.c.topic == (topic or self.topic)))
            return {row.partition: row.offset_done for row in rows}

    def judged(self) -> bool:
        """Tell whether all that was sent is judged and committed, rules about areas too: but for what time alone brings about later.

        Logs and database decide, not the workers' files, which are as old as their last look. Ends that are the same before and after
        are those of that moment, and letters are looked for after the commits that write them. No letter, everything consumed, and no
        record that waits for the time of a source: then nothing is under way.
        """
        topics = (self.topic, self.groups)
        ends = {topic: self.ends(topic) for topic in topics}
        if any(self.done(topic).get(number, -1) < end for topic in topics for number, end in ends[topic].items()):
            return False
        with self.database.read() as connection:
            if letters.senders(connection):
                return False
        if any(self.ends(topic) != ends[topic] for topic in topics):
            return False
        return not any(self._holds_back(number, last) for number, last in ends[self.groups].items())

    def _holds_back(self, group: int, last: int) -> bool:
        """Tell whether a partition of groups that took in its log up to `last` has records which some source is not past yet."""
        seen: dict[int, tuple[int, datetime]] = {}
        latest: tuple[datetime, int] | None = None
        for _, body in self._messages(self.groups, group, last):
            told = decode_passing(body)
            assert isinstance(told, Passing), told
            if told.source in seen and told.offset <= seen[told.source][0]:
                continue  # sent again
            seen[told.source] = told.offset, told.received_at
            if told.records:
                latest = max(latest or (told.received_at, told.source), (told.received_at, told.source))
        if latest is None:
            return False
        return len(seen) < self.settings.kafka.partitions or latest > min((at, source) for source, (_, at) in seen.items())

    def await_done(self, seconds: float = PATIENCE) -> None:
        """Return when everything that the log holds is committed."""
        ends = self.ends()
        self.until(lambda: all(self.done().get(number, -1) >= end for number, end in ends.items()), seconds)

    def until(self, fine: Callable[[], bool], seconds: float = PATIENCE) -> None:
        end = time.monotonic() + seconds
        while not fine():
            if time.monotonic() > end:
                told = "\n".join(f"== {name}: {worker.poll()}\n{self.log(name)[-3000:]}" for name, worker in self.workers.items())
                raise AssertionError(f"not within {seconds} s: done {self.done()} of {self.ends()}\n{told}")
            time.sleep(0.05)

    def warnings(self, *, standing: bool = False) -> list[tuple[str, str, str]]:
        """Return (id, level, rules) of the database's warnings, sorted; of all or of those that have not ended."""
        wanted = select(warning_rows.c.id, warning_rows.c.level, warning_rows.c.body)
        with self.database.read() as connection:
            rows = connection.execute(wanted.where(warning_rows.c.risk_state == "open") if standing else wanted).all()
        return sorted((row.id, row.level, ",".join(msgspec.json.decode(row.body)["rules"])) for row in rows)

    def signal_ids(self) -> list[str]:
        with self.database.read() as connection:
            return sorted(connection.scalars(select(signals.c.id)))

    def inferred(self) -> dict[str, list[str]]:
        """Return what was inferred for each of the database's warnings, by id."""
        with self.database.read() as connection:
            rows = connection.execute(select(warning_rows.c.id, warning_rows.c.body)).all()
        return {row.id: [each["id"] for each in msgspec.json.decode(row.body).get("inferred", [])] for row in rows}

    def replayed(self, *, standing: bool = False) -> list[tuple[str, str, str]]:
        """Return what `warnings` is to give, as a replay has it."""
        found = self.replayed_warnings(standing=standing)
        return sorted((warning.id, warning.level, ",".join(warning.rules)) for warning in found)

    def replayed_warnings(self, *, standing: bool = False) -> list[EarlyWarning]:
        """Return what one pipeline gives that sees all partitions in the order of time: separate from worker and database.

        Each name is taken once; what partitions tell each other in the log of frames is no part of it.
        """
        everything = chain.from_iterable(self._records_of(partition) for partition in range(self.settings.kafka.partitions))
        records = sorted(everything, key=lambda record: (record.received_at, record.seq))  # which grows with partitions and offsets
        found: dict[str, EarlyWarning] = {}
        for outcome in self._pipeline(records).step(records, growing=False):
            if isinstance(outcome, WarningRaised | WarningUpdated):
                found[outcome.warning.id] = outcome.warning
            elif standing and isinstance(outcome, EpisodeEnded):
                found.pop(outcome.warning_id, None)
        return list(found.values())

    def _records_of(self, partition: int) -> list[Record]:
        """Return the records that a partition's log brings in."""
        records: list[Record] = []
        seen: set[tuple[str, str]] = set()
        received = datetime.min.replace(tzinfo=at().tzinfo)
        for offset, said, frame in self.log_of(partition):
            received = max(received, said)
            for nth, offer in enumerate(frame.offers):
                entry = offer.entry
                if isinstance(entry, MovedEntry) or (isinstance(entry, ResolutionEntry) and entry.partition not in {-1, partition}):
                    continue  # of a confirmation that is in every partition one is enough
                if isinstance(offer.entry, SignalEntry):
                    name = (offer.entry.feed, offer.entry.signal.id)
                    if name in seen:
                        continue
                    seen.add(name)
                records.append(Record(seq=Place(partition, offset, nth).seq(), received_at=received, entry=_whole(entry)))
        return records

    def _pipeline(self, records: list[Record]) -> Pipeline:
        from app.pipelines import make_pipeline  # noqa: PLC0415  the oracle's own

        return make_pipeline(self.settings, self._set, _All(records))

    def _set(self, version: str) -> RuleSet:
        with self.database.read() as connection:
            return stored(connection, version)


class _All:
    """The past of one pipeline that sees all partitions in the order of time: everything before an activation, worked out anew."""

    def __init__(self, records: list[Record]) -> None:
        self._records = records

    def records(self, after: int, before: int) -> Iterator[Record]:
        del after
        return takewhile(lambda record: record.seq != before, self._records)

    def artifact(self, name: str) -> None:
        del name


def _whole(entry: AnyEntry) -> AnyEntry:
    """Return a confirmation as one process has it, which judges all."""
    return msgspec.structs.replace(entry, partition=-1) if isinstance(entry, ResolutionEntry) else entry


Make = Callable[..., Cluster]


def leak(number: int, objects: int = 40, **kw: object) -> SignalEntry:
    """Return the complaint of that number: its object follows from it."""
    name = f"obj-{number * 7 % objects:03d}"
    resolution = Resolution(object_id=name, method="id", confidence=1.0)
    return make_entry(id=f"s-{number}", resolution=resolution, occurred_at=at(number / 60), **kw)
