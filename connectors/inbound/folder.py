"""The watched folder: `<inbox>/<feed>/file` goes in and is moved to `<inbox>/<feed>/done/` once the journal has all of it.

A crash anywhere repeats a file, never loses one: the second pass finds every signal already there. What was rejected is listed beside
the file in `done/` as `<name>.rejections.csv`. Files of an unknown feed, of the inbox itself and of folders below a feed's stay where
they are, with a note saying so. A file that no reader survives, or that is over a limit (`rows.Limits`), is set aside in `failed/` with
`<name>.error.txt` beside it; the others go on.
"""

from __future__ import annotations

import csv
import io
import os
import stat
from collections.abc import Callable
from collections.abc import Mapping as ReadOnly
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from connectors.inbound.edge import Edge, RecordResult, Taken
from connectors.inbound.mapping_model import Mapping
from connectors.inbound.survival import survived
from domain.errors import StoreUnavailable
from domain.messages import text as say
from domain.ports import Clock

DONE = "done"
FAILED = "failed"
REJECTIONS = ".rejections.csv"  # behind the name of a file that was taken
WHY = ".error.txt"  # behind the name of a file that was set aside
NOTE = "_UNKNOWN_FEED.txt"
MISPLACED = "_NOT_TAKEN.txt"
_UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".filepart", ".swp", ".lock")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run a cell that starts so
_log = structlog.get_logger(__name__)


def _nowhere(_: str) -> None:
    """Reach no crash point: the default outside of campaigns."""


@dataclass(frozen=True, slots=True)
class FileTaken:
    """One file that went in, and where it lies now."""

    file: Path
    taken: Taken


@dataclass(frozen=True, slots=True)
class SetAside:
    """A file that could not be taken, for a defect of ours or because it is over a limit: where it lies, since when, and what happened.

    Records of it may have gone in before. Moved back into its feed's folder it is tried again, and nothing counts twice.
    """

    feed: str
    file: Path
    at: datetime
    why: str


@dataclass(slots=True)
class _Seen:
    """A file's size and change time when it was last looked at, and since when they have not changed."""

    size: int
    changed_ns: int
    since: datetime


class Inbox:
    """Scans one inbox. Not for several threads at once.

    `mappings` is read anew at every scan. A file is taken once its size and change time have stood
    still for `settle` (zero: at once, for senders that rename finished files in). `reach` is told the crash points, `on_set_aside` each
    file that is set aside.
    """

    def __init__(
        self,
        inbox: Path,
        mappings: ReadOnly[str, Mapping],
        edge: Edge,
        clock: Clock,
        *,
        settle: timedelta = timedelta(seconds=2),
        reach: Callable[[str], None] = _nowhere,
        on_set_aside: Callable[[SetAside], object] = lambda _file: None,
    ) -> None:
        """Nothing is touched before the first scan; `inbox` need not exist yet."""
        self._inbox = inbox
        self._mappings = mappings
        self._edge = edge
        self._clock = clock
        self._settle = settle
        self._reach = reach
        self._on_set_aside = on_set_aside
        self._stuck: dict[Path, int] = {}  # change times of files that could be neither taken nor set aside
        self._seen: dict[Path, _Seen] = {}

    def scan(self) -> None:
        """Take every finished file now: what a watching thread calls on every change, and in between."""
        self.scan_once(self._clock.now())

    def scan_once(self, now: datetime) -> list[FileTaken]:
        """Take every finished file, feed by feed in the order of names, and return them; `now` is the instant of reception.

        A file that the journal cannot take now stays and is tried at the next scan.
        """
        taken: list[FileTaken] = []
        mappings = self._mappings
        present: set[Path] = set()
        feeds = _folders(self._inbox)
        self._note_misplaced(feeds, mappings)
        for folder in feeds:
            files = _files(folder)
            present.update(files)
            mapping = mappings.get(folder.name)
            unknown = "" if mapping is not None else say("intake.unknown_feed", value=folder.name, legal=", ".join(sorted(mappings)))
            self._note(folder / NOTE, unknown, waiting=bool(files))
            if mapping is None:
                continue
            for file in files:
                if not self._settled(file, now):
                    continue
                try:
                    with survived("feed_file_set_aside", feed=folder.name, file=str(file)) as defect:
                        taken.append(self._take(file, mapping, now))
                except StoreUnavailable as error:
                    _log.warning("feed_file_waits", file=str(file), reason=str(error))
                    return taken
                except OSError as error:  # gone again, or not readable: the sender's doing, others go on
                    _log.error("feed_file_unreadable", file=str(file), reason=str(error))
                    continue
                if defect.text:
                    self._set_aside(file, defect.text)
        self._seen = {file: seen for file, seen in self._seen.items() if file in present}
        self._stuck = {file: changed for file, changed in self._stuck.items() if file in present}
        return taken

    def set_aside(self) -> list[SetAside]:
        """Return the files that lie in the `failed` folders, by feed and name."""
        return [
            SetAside(folder.name, file, datetime.fromtimestamp(file.stat().st_ctime, UTC), _reason(file.with_name(file.name + WHY)))
            for folder in _folders(self._inbox)
            if (folder / FAILED).is_dir()
            for file in _files(folder / FAILED)
            if not file.name.endswith(WHY)
        ]

    def _set_aside(self, file: Path, why: str, advice: str = "intake.set_aside") -> Path:
        """Move a file out of the way with the reason beside it and return its place; where that fails, leave it until it changes."""
        target = _free_name(file.parent / FAILED, file.name, self._clock.now())
        try:
            target.parent.mkdir(exist_ok=True)
            _write(target.with_name(target.name + WHY), f"{why}\n\n{say(advice)}\n".encode())
            file.rename(target)
        except OSError as error:
            _log.critical("feed_file_stuck", file=str(file), reason=str(error))
            self._stuck[file] = _changed(file)
            target = file
        self._seen.pop(file, None)
        self._on_set_aside(SetAside(file.parent.name, target, self._clock.now(), why))
        return target

    def _take(self, file: Path, mapping: Mapping, now: datetime) -> FileTaken:
        with file.open("rb") as stream:
            before = os.fstat(stream.fileno())
            body = stream.read(mapping.shape.limits.body + 1)  # one byte more tells that it is too large
        taken = self._edge.take(mapping, body, file.name, now)
        if taken.too_large:
            _log.error("feed_file_too_large", feed=mapping.feed, file=file.name, reason=taken.too_large)
            return FileTaken(self._set_aside(file, taken.too_large, "intake.set_aside_too_large"), taken)
        target = _free_name(file.parent / DONE, file.name, now)
        target.parent.mkdir(exist_ok=True)
        rejected = [result for result in taken.results if result.status == "rejected"]
        if rejected:
            _write(target.with_name(target.name + REJECTIONS), _table(rejected))
        self._reach("feedfile.before_rename")
        after = file.stat()
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            return FileTaken(file, taken)  # written to meanwhile: it stays, and the next scan finds what is new in it
        file.rename(target)
        self._reach("feedfile.after_rename")
        _sync_folder(target.parent)
        _sync_folder(file.parent)
        self._seen.pop(file, None)
        _log.info(
            "feed_file_taken", feed=mapping.feed, file=file.name, records=taken.records, accepted=taken.accepted, rejected=taken.rejected
        )
        return FileTaken(target, taken)

    def _settled(self, file: Path, now: datetime) -> bool:
        """Say whether the file has stood still long enough, and is not one that is known to fail."""
        if file in self._stuck and self._stuck[file] == _changed(file):
            return False
        if not self._settle:
            return True
        try:
            status = file.stat()
        except OSError:
            return False
        seen = self._seen.get(file)
        if seen is None or (seen.size, seen.changed_ns) != (status.st_size, status.st_mtime_ns):
            self._seen[file] = _Seen(status.st_size, status.st_mtime_ns, now)
            return False
        return now - seen.since >= self._settle

    def _note_misplaced(self, feeds: list[Path], mappings: ReadOnly[str, Mapping]) -> None:
        """Leave a note where files lie that belong to no feed: in the inbox itself, and in folders below a feed's."""
        if not self._inbox.is_dir():
            return
        message = say("intake.misplaced", inbox=self._inbox.name, legal=", ".join(sorted(mappings)))
        found = [self._inbox, *(inner for folder in feeds for inner in _folders(folder) if inner.name not in {DONE, FAILED})]
        while found:
            folder = found.pop()
            try:
                self._note(folder / MISPLACED, message, waiting=bool(_files(folder)))
                found += _folders(folder) if folder != self._inbox else []
            except OSError as error:  # gone again, or not readable: the sender's doing, others go on
                _log.error("feed_file_unreadable", file=str(folder), reason=str(error))

    def _note(self, note: Path, message: str, *, waiting: bool) -> None:
        """Leave a note with `message` while files wait beside it that nobody takes; take it away when there is nothing to say."""
        if not (waiting and message):
            note.unlink(missing_ok=True)
        elif not note.exists():
            _log.error("feed_files_not_taken", folder=str(note.parent), note=note.name, reason=message)
            try:
                _write(note, (message + "\n").encode())
            except OSError as error:
                _log.error("note_not_written", folder=str(note.parent), reason=str(error))


def _folders(inbox: Path) -> list[Path]:
    if not inbox.is_dir():
        return []
    return sorted(entry for entry in inbox.iterdir() if not entry.name.startswith((".", "_")) and entry.is_dir() and not entry.is_symlink())


def _files(folder: Path) -> list[Path]:
    """Return the finished regular files: no links (they may lead out of the inbox), no partial or hidden ones."""
    found = []
    for entry in sorted(folder.iterdir()):
        name = entry.name.lower()
        if name.startswith((".", "_", "~")) or name.endswith(_UNFINISHED):
            continue
        try:
            if stat.S_ISREG(entry.lstat().st_mode):
                found.append(entry)
        except OSError:
            continue  # gone between listing and looking
    return found


def _changed(file: Path) -> int:
    """Return a file's change time in nanoseconds, 0 where there is none any more."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def _reason(note: Path) -> str:
    """Return the first line of the note beside a file that was set aside."""
    try:
        return note.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    except OSError:
        return ""


def _free_name(done: Path, name: str, now: datetime) -> Path:
    """Return where the file goes: its own name, with the time and a number before its suffix where that is taken."""
    target = done / name
    stem, suffix = Path(name).stem, Path(name).suffix
    number = 1
    while target.exists():
        target = done / f"{stem}.{now:%Y%m%dT%H%M%SZ}{'' if number == 1 else f'-{number}'}{suffix}"
        number += 1
    return target


def _table(rejected: list[RecordResult]) -> bytes:
    """Return the list of rejections as a CSV that spreadsheets open; no cell can be taken for a formula."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(("position", "reason", "title", "field", "message"))
    for result in rejected:
        title = say(f"rejection.{result.reason}")
        cells = (str(result.position), result.reason, title, result.field, result.message)
        writer.writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells])
    return buffer.getvalue().encode("utf-8-sig", "replace")


def _write(path: Path, content: bytes) -> None:
    """Write a small file whole or not at all."""
    partial = path.with_name(f".{path.name}.tmp")
    with partial.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def _sync_folder(folder: Path) -> None:
    """Make a rename durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
