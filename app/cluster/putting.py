"""A stored rule set put in force for the api: one that a person goes back to, or that was approved.

A child of low priority does it as `fengsui rules publish` would: counting back reads the logs of all partitions, which may not weigh on
who shows pages. The child is this module; it reads one job from standard input and writes one answer to standard output.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import closing
from typing import Final

import msgspec

from app.children import environment, polite
from app.settings import Settings
from domain.errors import FengsuiError, FileProblems, NotFound, Problem
from domain.messages import both
from storage import risk

_CHILD: Final = "from app.cluster.putting import main; main()"


class _Job(msgspec.Struct, frozen=True, kw_only=True):
    settings: str
    version: str
    by: str


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    """`problems` are why it did not come to be, none where every partition has the record."""

    problems: tuple[Problem, ...] = ()


class PuttingChild:
    """Runs one child at a time; it takes as long as counting back does."""

    def __init__(self, settings: Settings) -> None:
        """`settings` are the api's own."""
        self._settings = settings
        self._running: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()
        self._closed = False

    def __call__(self, version: str, by: str) -> tuple[Problem, ...]:
        """Put a stored version in force in every partition; return why that could not be, () where it was done."""
        job = msgspec.json.encode(_Job(settings=self._settings.model_dump_json(), version=version, by=by))
        with self._turn:
            if self._closed:
                return ()
            child = self._running = subprocess.Popen(  # noqa: S603  # this very program
                polite(_CHILD), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
            )
        told, _ = child.communicate(job)
        with self._turn:
            self._running = None
        try:
            return msgspec.json.decode(told, type=_Answer).problems
        except msgspec.DecodeError:
            return (_problem(version, both("cluster.putting_died", how=f"exit status {child.returncode}")),)

    def close(self) -> None:
        """End the child that runs: who decided does it again, which changes nothing twice."""
        with self._turn:
            self._closed = True
            if self._running is not None:
                self._running.kill()


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
        put_in_force(settings, texts, job.by, clock, author=job.by)
    except FileProblems as error:
        return _Answer(problems=tuple(error.problems))
    except FengsuiError as error:
        return _Answer(problems=(_problem(job.version, str(error)),))
    return _Answer()


def main() -> None:
    """Do one job."""
    from app.logs import configure  # noqa: PLC0415  the parent has its own

    configure()
    sys.stdout.buffer.write(msgspec.json.encode(_put(msgspec.json.decode(sys.stdin.buffer.read(), type=_Job))))
