"""A stored rule set put in force for the api: one that a person goes back to, or that was approved.

A child of low priority does it as `fengsui rules publish` would: counting back reads the logs of all partitions, which may not weigh on
who shows pages. The child is this module; it reads one job from standard input and writes lines to standard output: how far it is, at
last one answer.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Final

import msgspec

from app.children import environment, polite
from app.settings import Settings
from app.workshop import Died
from domain.errors import FengsuiError, FileProblems, NotFound, Problem, StoreUnavailable
from domain.messages import both
from storage import risk

_CHILD: Final = "from app.cluster.putting import main; main()"


class _Job(msgspec.Struct, frozen=True, kw_only=True):
    settings: str
    version: str
    by: str


class _Answer(msgspec.Struct, frozen=True, kw_only=True, tag="answer"):
    """`problems` are why it cannot come to be, none where every partition has the record; `unavailable` is why it could not be just now."""

    problems: tuple[Problem, ...] = ()
    unavailable: str = ""


class _Progress(msgspec.Struct, frozen=True, kw_only=True, tag="progress"):
    told: str


class PuttingChild:
    """Runs one child at a time; it takes as long as counting back does."""

    def __init__(self, settings: Settings) -> None:
        """`settings` are the api's own."""
        self._settings = settings
        self._running: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()
        self._closed = False

    def __call__(self, version: str, by: str, tell: Callable[[str], None]) -> tuple[Problem, ...] | Died:
        """Put a stored version in force in every partition while the order for it stands; return why that cannot be, () for nothing.

        `tell` hears how far it is. Where the child died it is not known how many partitions were told, and it may be done again.

        Raises:
            StoreUnavailable: brokers or database cannot be used, somebody else puts rules in force, or this was closed; do it again.
        """
        job = msgspec.json.encode(_Job(settings=self._settings.model_dump_json(), version=version, by=by))
        with self._turn:
            if self._closed:
                raise StoreUnavailable(both("cluster.putting_closed"))
            try:
                child = self._running = subprocess.Popen(  # noqa: S603  # this very program
                    polite(_CHILD), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
                )
            except OSError as error:  # no memory, or no files left
                return Died(how=error.strerror or repr(error))
        try:
            answer = _talk(child, job, tell)
        finally:
            with self._turn:
                self._running = None
                child.kill()
            status = child.wait()
        if answer is None and self._closed:
            raise StoreUnavailable(both("cluster.putting_closed"))
        if answer is None:
            return Died(how=f"exit status {status}")
        if answer.unavailable:
            raise StoreUnavailable(answer.unavailable)
        return answer.problems

    def close(self) -> None:
        """End the child that runs: the order stands, and whichever api runs next goes on with it."""
        with self._turn:
            self._closed = True
            if self._running is not None:
                self._running.kill()


def _talk(child: subprocess.Popen[bytes], job: bytes, tell: Callable[[str], None]) -> _Answer | None:
    """Give a child its job and hear it out; return its answer, None where it ended without one."""
    to, of = child.stdin, child.stdout
    if to is None or of is None:
        return None
    with of:
        with suppress(BrokenPipeError), to:
            to.write(job)
        for line in of:
            try:
                told = msgspec.json.decode(line, type=_Answer | _Progress)
            except msgspec.DecodeError:
                return None
            if isinstance(told, _Answer):
                return told
            tell(told.told)
    return None


def _problem(version: str, message: str) -> Problem:
    return Problem(file=version[:12], line=0, column=0, message=message)


def _put(job: _Job) -> _Answer:
    """Do it, as the child."""
    from app.clock import SystemClock  # noqa: PLC0415  the parent needs none of it
    from app.cluster.publishing import put_in_force  # noqa: PLC0415  the same
    from app.stores import open_database  # noqa: PLC0415  the same

    settings, clock = Settings.model_validate_json(job.settings), SystemClock()
    try:
        with closing(open_database(settings, clock)) as database, database.read() as connection:
            texts = risk.ruleset_texts(connection, job.version)
        if texts is None:
            raise NotFound(both("rules.not_stored", version=job.version))
        put_in_force(settings, texts, job.by, clock, author=job.by, ordered=True, tell=lambda told: _say(_Progress(told=told)))
    except FileProblems as error:
        return _Answer(problems=tuple(error.problems))
    except StoreUnavailable as error:
        return _Answer(unavailable=str(error))
    except FengsuiError as error:
        return _Answer(problems=(_problem(job.version, str(error)),))
    return _Answer()


def _say(what: _Answer | _Progress) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(what) + b"\n")
    sys.stdout.buffer.flush()


def main() -> None:
    """Do one job."""
    from app.logs import configure  # noqa: PLC0415  the parent has its own

    configure()
    _say(_put(msgspec.json.decode(sys.stdin.buffer.read(), type=_Job)))
