"""Where a candidate for the active rule set is looked at, in a child process, while everything else goes on."""

from __future__ import annotations

import os
import selectors
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final

import msgspec
import structlog

from app.children import environment, polite
from domain.errors import Problem
from storage.artifacts import ArtifactStore
from storage.datadir import DataPaths
from storage.journal_folder import JournalFolder

_CHILD: Final = "import runpy; runpy.run_module('app.candidate', run_name='__main__')"
LOOK_SECONDS: Final = 0.5  # between two looks at whether the candidate is still wanted
STAY_SECONDS: Final = 60.0  # for which a child waits for the next candidate: who writes rules saves often, and a start costs half a second
KEPT: Final = 2  # snapshots; what is older than all of them is not replayed
MARGIN: Final = 3600.0  # seconds between an artifact and the activation that names it, at the most
log = structlog.get_logger(__name__)


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """`texts` are to take the place of `base` ({}: nothing runs yet).

    `aside` are records that have no effect, `delays` says how late the data of a source may be.
    """

    texts: Mapping[str, str]
    base: Mapping[str, str]
    journal: str
    artifacts: str
    aside: tuple[int, ...] = ()
    delays: Mapping[str, timedelta] = {}
    waiting_limit: int = 100_000
    count_back: bool = True


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """The set cannot run."""

    problems: list[Problem]


class Progress(msgspec.Struct, frozen=True, kw_only=True, tag="progress"):
    """Records read, and how many there are."""

    position: int
    head: int


class Sound(msgspec.Struct, frozen=True, kw_only=True, tag="sound"):
    """The set can run: its numbers, its failing tests, and what is odd about it though it can (`remarks`).

    From `first` on its new indicators count (0: they start empty).
    """

    rules: int
    indicators: int
    tests: int = 0
    failed: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()
    first: int = 0
    artifact: str = ""
    position: int = 0


Message = Refused | Progress | Sound
_message = msgspec.json.Decoder(Refused | Progress | Sound)


class Died(msgspec.Struct, frozen=True, kw_only=True):
    """The child ended without an answer; `how` says it as the system does."""

    how: str


class Unwanted(msgspec.Struct, frozen=True, kw_only=True):
    """The candidate was given up before there was an answer."""


class Workshop:
    """Runs one child at a time over the data folder of this service; one that has answered waits for the next candidate for a while."""

    def __init__(
        self, paths: DataPaths, aside: Callable[[], tuple[int, ...]] = lambda: (), delays: Mapping[str, timedelta] = MappingProxyType({})
    ) -> None:
        """`aside` says which records of the journal were set aside, `delays` how late the data of a source may be."""
        self._paths = paths
        self._aside = aside
        self._delays = dict(delays)
        self.artifacts = ArtifactStore(paths.backfill)
        self.progress: Progress | None = None
        self._idle: subprocess.Popen[bytes] | None = None
        self._changing = threading.Lock()
        self._dismissal: threading.Timer | None = None

    def close(self) -> None:
        """End the child that waits; a look under way ends by itself."""
        self._take_idle()

    def unused(self) -> bool:
        """Tell whether the journal holds nothing yet: there is nothing to count back, and nothing to keep out of a rule text's way."""
        return JournalFolder(self._paths.journal).head() == 0

    def look_at(
        self,
        texts: Mapping[str, str],
        base: Mapping[str, str],
        *,
        wanted: Callable[[], bool],
        count_back: bool = True,
    ) -> Refused | Sound | Died | Unwanted:
        """Return what the child says of `texts` in the place of `base`; `wanted` is asked now and then whether it should go on."""
        self._tidy()
        task = Task(
            texts=dict(texts),
            base=dict(base),
            journal=str(self._paths.journal),
            artifacts=str(self._paths.backfill),
            aside=self._aside(),
            delays=self._delays,
            count_back=count_back,
        )
        asked = msgspec.json.encode(task) + b"\n"
        waited = self._take_idle(end=False)
        child = waited or _start()
        found: Refused | Sound | Died | Unwanted = Unwanted()
        try:
            found = self._listen(child, asked, wanted)
            if waited is not None and isinstance(found, Died) and self.progress is None:
                _end(waited)  # it may have died of what happened while it waited, which says nothing of this candidate
                child = _start()
                found = self._listen(child, asked, wanted)
        finally:
            self.progress = None
            if isinstance(found, Refused | Sound):
                self._let_wait(child)
            else:
                _end(child)
        return found

    def _let_wait(self, child: subprocess.Popen[bytes]) -> None:
        with self._changing:
            self._idle = child
            self._dismissal = threading.Timer(STAY_SECONDS, self.close)
            self._dismissal.daemon = True
            self._dismissal.start()

    def _take_idle(self, *, end: bool = True) -> subprocess.Popen[bytes] | None:
        """Return the child that waits, None where there is none that lives; to `end` it is what becomes of it otherwise."""
        with self._changing:
            child, self._idle = self._idle, None
            if self._dismissal is not None:
                self._dismissal.cancel()
        if child is not None and (end or child.poll() is not None):
            _end(child)
            return None
        return child

    def _listen(self, child: subprocess.Popen[bytes], task: bytes, wanted: Callable[[], bool]) -> Refused | Sound | Died | Unwanted:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(task)
            child.stdin.flush()
        except BrokenPipeError:
            return Died(how=_ended(child))
        try:
            for message in _messages(child.stdout.fileno()):
                if message is None or isinstance(message, Progress):
                    self.progress = message or self.progress
                    if not wanted():
                        return Unwanted()
                else:
                    return message
        except msgspec.DecodeError as error:  # something in it writes where only answers belong
            return Died(how=f"no message: {error}")
        return Died(how=_ended(child))

    def _tidy(self) -> None:
        """Delete the artifacts that no restart can need: those older than every snapshot that is kept."""
        snapshots = [path.stat().st_mtime for path in self._paths.snapshots.glob("*.snap")]
        if len(snapshots) >= KEPT:
            self.artifacts.clear(before=min(snapshots) - MARGIN)


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(polite(_CHILD), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment())  # noqa: S603  # this very program


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill a child and let go of its pipes."""
    child.kill()
    with child:
        pass


def _messages(descriptor: int) -> Iterator[Message | None]:
    """Yield the messages of a child until it closes its end; None for every while in which it said nothing.

    Raises:
        msgspec.DecodeError: it wrote something else.
    """
    left = b""
    said = time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while True:
            if not selector.select(LOOK_SECONDS):
                yield None
                continue
            data = os.read(descriptor, 1 << 16)
            if not data:
                return
            *lines, left = (left + data).split(b"\n")
            for line in lines:
                yield _message.decode(line)
            if time.monotonic() - said > LOOK_SECONDS:
                said = time.monotonic()
                yield None


def _ended(child: subprocess.Popen[bytes]) -> str:
    status = child.wait()
    return f"signal {-status}" if status < 0 else f"exit status {status}"
