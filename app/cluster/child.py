"""Why a rule did not hit, for the api: worked out in a child of low priority, with bounds for its time and its memory.

The answer may take the log of a partition since its newest snapshot, and the state of all its objects: neither may weigh on who shows
pages. The child is this module; it reads one question from standard input and writes one answer to standard output.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
from datetime import datetime
from typing import Final

import msgspec

from app.children import environment, polite
from app.settings import Settings
from domain.errors import Conflict, FengsuiError, NotFound, StoreUnavailable
from domain.messages import both
from domain.principals import Principal
from streams.stages.inquiry import Inquiry

SECONDS: Final = 60.0  # for an answer; somebody waits before a page
MEMORY: Final = 2 * 2**30  # bytes of data
TOO_LARGE: Final = 71  # exit status of a child that came to its bound
_CHILD: Final = "from app.cluster.child import main; main()"


class _Question(msgspec.Struct, frozen=True, kw_only=True):
    settings: str
    asker: Principal
    subject: str
    rule: str
    at: datetime | None
    memory: int


class _Told(msgspec.Struct, frozen=True, kw_only=True, tag="told"):
    inquiry: Inquiry


class _Refused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    kind: str
    message: str


_KINDS: Final[dict[str, type[FengsuiError]]] = {each.__name__: each for each in (NotFound, Conflict, StoreUnavailable)}


class AskingChild:
    """`app.services.Asked` of a cluster; one question at a time."""

    def __init__(self, settings: Settings, seconds: float = SECONDS, memory: int = MEMORY) -> None:
        """A child gets `seconds` and `memory` bytes, and is ended beyond."""
        self._settings = settings
        self._seconds = seconds
        self._memory = memory
        self._turn = threading.Lock()

    def why_not(self, asker: Principal, subject: str, rule: str, at: datetime | None) -> Inquiry:
        """Return what `app.explaining.why_not` does for this asker.

        Raises:
            NotFound: the rule set of that time has no such rule, the registry no such object, or retention deleted what it depends on.
            Conflict: no partition judges the rule, or the answer takes more time or memory than this process gives it.
            StoreUnavailable: brokers or database say nothing, or another question is being answered.
        """
        asked = _Question(settings=self._settings.model_dump_json(), asker=asker, subject=subject, rule=rule, at=at, memory=self._memory)
        if not self._turn.acquire(timeout=self._seconds):
            raise StoreUnavailable(both("cluster.answer_busy"))
        try:
            done = self._run(msgspec.json.encode(asked))
        finally:
            self._turn.release()
        if done.returncode == TOO_LARGE:
            raise Conflict(both("cluster.answer_too_large", mib=self._memory // 2**20))
        try:
            answer = msgspec.json.decode(done.stdout, type=_Told | _Refused)
        except msgspec.DecodeError as error:
            raise Conflict(both("cluster.answer_died", how=f"exit status {done.returncode}")) from error
        if isinstance(answer, _Refused):
            raise _KINDS.get(answer.kind, Conflict)(answer.message)
        return answer.inquiry

    def _run(self, asked: bytes) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(  # noqa: S603  # this very program
                polite(_CHILD), input=asked, stdout=subprocess.PIPE, env=environment(), timeout=self._seconds, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise Conflict(both("cluster.answer_too_long", seconds=f"{self._seconds:g}")) from error


def _answer(question: _Question) -> _Told | _Refused:
    """Work an answer out, as the child."""
    from app.explaining import why_not  # noqa: PLC0415  the parent needs none of it
    from app.folder import opened  # noqa: PLC0415  the same

    try:
        with opened(Settings.model_validate_json(question.settings)) as folder:
            return _Told(inquiry=why_not(folder, question.subject, question.rule, question.at, asker=question.asker))
    except FengsuiError as error:
        return _Refused(kind=type(error).__name__, message=str(error))


def main() -> None:
    """Answer one question."""
    from app.logs import configure  # noqa: PLC0415  the parent has its own

    configure()
    try:
        question = msgspec.json.decode(sys.stdin.buffer.read(), type=_Question)
        resource.setrlimit(resource.RLIMIT_DATA, (question.memory, question.memory))
        told = _answer(question)
    except (MemoryError, ImportError):  # a library that does not fit any more cannot be loaded
        os._exit(TOO_LARGE)
    sys.stdout.buffer.write(msgspec.json.encode(told))
