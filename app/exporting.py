"""An export of what the engines read: a `serve`'s journal, or the log that the workers of a cluster consumed, as NDJSON for a replay."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import msgspec

from app.clock import SystemClock
from app.folder import Folder, Part, Told, silent
from app.settings import Settings
from app.stores import open_database
from domain.base import Noun
from domain.errors import IllegalValue, NotFound, StoreUnavailable
from domain.messages import both
from domain.records import Record, RulesetEntry, SignalEntry
from storage import audit
from storage.dialects import take_turns
from storage.files import sync_folder

if TYPE_CHECKING:
    from storage.database import Database

CHAIN: Final = "journal"  # the hash chain of who took the log away
TELL_EVERY: Final = 100  # records


class Exported(Noun, frozen=True, kw_only=True):
    """What was written: numbers of records and signals, and the rule sets that are activated in it, in order.

    Of a cluster: `begins` is where its log begins if retention deleted what was before (None: nothing was), `unjudged` how many messages
    the workers have not judged yet, which are left out. `counts_back` says that an activation counts back from the first record on though
    the log, or what was asked for, begins later than the cluster's did.
    """

    records: int
    signals: int
    versions: tuple[str, ...]
    begins: datetime | None = None
    unjudged: int = 0
    counts_back: bool = False


def export_journal(folder: Folder, out: Callable[[bytes], object], after: int, part: Part, told: Told = silent) -> Exported:
    """Write the records of a data folder's journal after number `after`, under the numbers that they have.

    Raises:
        NotFound: there is no journal, or records after that number were deleted.
        StoreCorrupt: a record is damaged.
    """
    place, head = folder.paths.journal, folder.journal.head()
    if not place.is_dir() or not any(place.iterdir()):  # a role of a cluster has the folder, and keeps nothing there
        raise NotFound(both("journal.none", folder=place))

    def records() -> Iterator[Record]:
        for record in folder.journal.read(after):
            if record.seq % TELL_EVERY == 0:
                told(record.seq - after, head - after)
            if part.has(record):
                yield record

    return _write(records(), out)


def export_log(
    settings: Settings, out: Callable[[bytes], object], part: Part, partitions: Sequence[int] = (), told: Told = silent, by: str = ""
) -> Exported:
    """Write what the workers of a cluster have judged, of some partitions (none named: all), numbered from 1.

    Who takes it is written into the audit chain `journal` before anything else: `by`, or the account that runs this.

    Raises:
        IllegalValue: there is no such partition.
        NotFound: retention deleted the beginning of `part`.
        StoreUnavailable: brokers or database say nothing; what was written so far is a part.
    """
    from app.cluster.consumed import ConsumedLog  # noqa: PLC0415  Kafka's client is no business of whoever has no cluster

    unknown = [number for number in partitions if not 0 <= number < settings.kafka.partitions]
    if unknown:
        raise IllegalValue(both("cluster.no_partition", read=", ".join(map(str, unknown)), last=settings.kafka.partitions - 1))
    database = open_database(settings, SystemClock())
    try:
        log = ConsumedLog(settings, database)
        wanted = log.part(part)
        _note(database, by or getpass.getuser(), wanted, partitions)
        done = _write(log.records(wanted, partitions, told), out)
        begins = log.whole_since()
        return msgspec.structs.replace(
            done, begins=begins, unjudged=log.unjudged, counts_back=done.counts_back and (wanted.since is not None or bool(partitions))
        )
    finally:
        database.close()


def _note(database: Database, by: str, part: Part, partitions: Sequence[int]) -> None:
    detail = {"since": part.since, "until": part.until, "partitions": list(partitions)}
    with database.write() as connection:
        take_turns(connection, CHAIN)
        audit.append(connection, CHAIN, SystemClock().now(), by, "journal_exported", detail)


def _write(records: Iterator[Record], out: Callable[[bytes], object]) -> Exported:
    encoder = msgspec.json.Encoder()
    versions: dict[str, None] = {}
    count = signals = 0
    counts_back = False
    for record in records:
        out(encoder.encode(record) + b"\n")
        count += 1
        signals += isinstance(record.entry, SignalEntry)
        if isinstance(record.entry, RulesetEntry):
            versions[record.entry.version] = None
            counts_back = counts_back or record.entry.prepared is not None
    return Exported(records=count, signals=signals, versions=tuple(versions), counts_back=counts_back)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write that gets the name `path` once all is written, readable by its owner alone; what is left half done goes.

    Raises:
        StoreUnavailable: the disk does not take it; whatever `path` was it still is.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123  a mode from the first byte on
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        raise StoreUnavailable(both("journal.no_room", file=path, error=error.strerror or error)) from error
    finally:
        temporary.unlink(missing_ok=True)
