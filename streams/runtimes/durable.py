"""durable-rules in a child process, because rules alone can kill the process that runs them; and how a program is tried on it."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from domain.inference import Program
from rules.matcher import Matcher

COMMAND: Final = (sys.executable, "-m", "streams.runtimes.durable_child")
PATIENCE: Final = 20.0  # seconds for one answer, a child's start included; it runs with low priority
LINE: Final = 2**22  # bytes of the longest answer


class ChildDied(Exception):
    """The child ended or did not answer in time; `how` says which."""

    def __init__(self, how: str) -> None:
        """Keep how it ended."""
        super().__init__(how)
        self.how = how


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the matcher alone answers for a program: `production` is the inference with which it begins, "" where it cannot be told."""

    production: str
    how: str


class _Answer(msgspec.Struct):
    """A line of the child."""

    loaded: str = ""
    found: tuple[str, ...] = ()


def installed() -> bool:
    """Tell whether durable-rules is there, without loading it."""
    return importlib.util.find_spec("durable") is not None and importlib.util.find_spec("durable_rules_engine") is not None


class Child:
    """One child process; not for two threads at once, but for `end`."""

    def __init__(self, command: Sequence[str] = COMMAND, patience: float = PATIENCE) -> None:
        """Start it; what it writes to stderr is the library's own chatter and goes nowhere.

        Raises:
            ChildDied: the system has no process or memory left for it.
        """
        self._patience = patience
        try:
            self._process = subprocess.Popen(  # noqa: S603  # our own module
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True, bufsize=0
            )
        except OSError as error:
            raise ChildDied(f"not started: {error.strerror or error}") from error
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)  # one that reads nothing is not waited for either
        self._rest = b""
        self._loaded: set[str] = set()
        self.sessions = 0

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def ask(self, name: str, program: Program, facts: frozenset[str]) -> tuple[str, ...]:
        """Return what the library concludes.

        Raises:
            ChildDied: it did not answer; the child is gone then.
        """
        if name not in self._loaded:
            self._say({"load": name, "program": msgspec.to_builtins(program)})
            self._loaded.add(name)
        self.sessions += 1
        return self._say({"ask": name, "facts": sorted(facts)}).found

    def _say(self, said: dict[str, Any]) -> _Answer:
        end = time.monotonic() + self._patience
        try:
            self._tell(msgspec.json.encode(said) + b"\n", end)
            return msgspec.json.decode(self._line(end), type=_Answer)
        except OSError as error:
            raise self._gone("") from error
        except msgspec.DecodeError as error:
            raise self._gone(str(error)) from error

    def _tell(self, line: bytes, end: float) -> None:
        """Write a line, until `end` at most."""
        assert self._process.stdin is not None
        file, rest = self._process.stdin.fileno(), line
        with selectors.DefaultSelector() as selector:
            selector.register(file, selectors.EVENT_WRITE)
            while rest:
                if not selector.select(max(0.0, end - time.monotonic())):
                    raise self._gone(f"no answer within {self._patience:g} s")
                rest = rest[os.write(file, rest) :]

    def _line(self, end: float) -> bytes:
        """Return the next line of the child, until `end` at most."""
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._rest:
                if len(self._rest) > LINE or not selector.select(max(0.0, end - time.monotonic())):
                    raise self._gone(f"no answer within {self._patience:g} s")
                data = os.read(self._process.stdout.fileno(), 65_536)
                if not data:
                    raise self._gone("")
                self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _gone(self, how: str) -> ChildDied:
        self.kill()
        code = self._process.returncode
        named = signal.Signals(-code).name if code < 0 else f"exit {code}"
        return ChildDied(how or named)

    def end(self) -> None:
        """End the process under whoever asks it just now, who is told that it died."""
        self._process.kill()

    def kill(self) -> None:
        """End the process, whatever it does, and let go of it."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


def tried(program: Program, start: Callable[[], Child] = Child) -> Trouble | None:
    """Run a program on small sets of facts in children of its own; return why the library is not to be asked about it, None for sound.

    Only what fails twice counts, and the first inference of the shortest beginning that fails is named: found by halving.
    """
    how = _smoke(program, start)
    if not how or not _smoke(program, start):
        return None
    low, high = 0, len(program.productions)
    while high - low > 1:
        middle = (low + high) // 2
        if _smoke(Program(productions=program.productions[:middle]), start):
            high = middle
        else:
            low = middle
    return Trouble(program.productions[high - 1].id, how)


def _smoke(program: Program, start: Callable[[], Child]) -> str:
    """Return what went wrong, "" for nothing."""
    name, matcher, child = name_of(program), Matcher(), None
    try:
        child = start()
        for facts in smoke_sets(program):
            answer, right = child.ask(name, program, facts), matcher.infer(program, facts)
            if answer != right:
                return differing(answer, right)
    except ChildDied as died:
        return died.how
    finally:
        if child is not None:
            child.kill()
    return ""


def differing(answer: Sequence[str], right: Sequence[str]) -> str:
    """Return a difference in words.

    >>> differing(("a",), ())
    'said a for nothing'
    """
    return f"said {', '.join(answer) or 'nothing'} for {', '.join(right) or 'nothing'}"


def name_of(program: Program) -> str:
    """Return the name of a program: equal programs have the same.

    >>> name_of(Program()) == name_of(Program())
    True
    """
    return "p" + hashlib.sha256(msgspec.msgpack.encode(program)).hexdigest()[:16]


def smoke_sets(program: Program) -> Iterator[frozenset[str]]:
    """Yield the sets of facts of the gate: none, all, and for each clause what it needs, then what it needs with what it forbids."""
    own = {f"inference:{each.id}" for each in program.productions}
    yield frozenset()
    yield frozenset(fact for each in program.productions for clause in each.clauses for fact in (*clause.holds, *clause.lacks)) - own
    for each in program.productions:
        for clause in each.clauses:
            yield frozenset(clause.holds) - own
            if clause.lacks:
                yield frozenset((*clause.holds, *clause.lacks)) - own
