"""durable-rules behind the port `Inference`, in a supervised child, and the matcher that stands in for it.

The library answers in a child process, because rules alone can kill the process that runs them. What it answers is compared with the
matcher, which costs microseconds, and it is the matcher's answer that goes on: so no outcome depends on which engine was there, on a child
that died, or on a defect of either that the other does not share. A difference, a death or a question that takes too long twice retires
the library for that program: the matcher alone answers from there on, which `status` and `on_trouble` say. A program is tried (`gate`)
before it is used, by whoever activates it; the thread that asks never waits for that, and what was not tried the matcher alone answers.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from domain.inference import Program
from rules.matcher import Matcher

COMMAND: Final = (sys.executable, "-m", "streams.runtimes.durable_child")
SESSIONS: Final = 100  # of one child; none may be deleted, and from some 150 on of large programs its memory is used up
PATIENCE: Final = 10.0  # seconds for one answer, a child's start included
TRIES: Final = 2  # children that one question may cost
LINE: Final = 2**22  # bytes of the longest answer
UNTRIED: Final = "not tried"


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


@dataclass(frozen=True, slots=True)
class Status:
    """Who answers: `engine` is durable-rules or stand-in, `reason` why the stand-in does, and what happened so far."""

    engine: str
    reason: str
    answered: int
    stood_in: int
    deaths: int
    differences: int


def installed() -> bool:
    """Tell whether durable-rules is there, without loading it."""
    return importlib.util.find_spec("durable") is not None and importlib.util.find_spec("durable_rules_engine") is not None


class Child:
    """One child process; not for two threads at once."""

    def __init__(self, command: Sequence[str] = COMMAND, patience: float = PATIENCE) -> None:
        """Start it; what it writes to stderr is the library's own chatter and goes nowhere.

        Raises:
            ChildDied: the system has no process or memory left for it.
        """
        self._patience = patience
        try:
            self._process = subprocess.Popen(  # noqa: S603  # our own module
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
            )
        except OSError as error:
            raise ChildDied(f"not started: {error.strerror or error}") from error
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
        return tuple(self._say({"ask": name, "facts": sorted(facts)})["found"])

    def _say(self, said: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(msgspec.json.encode(said) + b"\n")
            self._process.stdin.flush()
            answer: dict[str, Any] = msgspec.json.decode(self._line())
        except (OSError, msgspec.DecodeError) as error:
            raise self._gone(str(error)) from error
        return answer

    def _line(self) -> bytes:
        """Return the next line of the child, within the time that it has."""
        assert self._process.stdout is not None
        end = time.monotonic() + self._patience
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

    def kill(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    continue  # what it was to be told had not gone out


class SupervisedInference:
    """`domain.ports.Inference` for `serve` and workers, for any thread."""

    def __init__(
        self,
        *,
        on_trouble: Callable[[Trouble], object] = lambda _trouble: None,
        start: Callable[[], Child] = Child,
        available: bool | None = None,
    ) -> None:
        """`on_trouble` is told once for each program why its library was retired; `available` stands for `installed()`."""
        self._on_trouble = on_trouble
        self._start = start
        self.available = installed() if available is None else available
        self._asking = threading.Lock()
        self._matcher = Matcher()
        self._child: Child | None = None
        self._gated: dict[str, Trouble | None] = {}
        self._latest = ""
        self._answered = self._stood_in = self._deaths = self._differences = 0

    def infer(self, program: Program, facts: frozenset[str]) -> tuple[str, ...]:
        """Return what follows from `facts`: the matcher's answer, after the library was asked for its own."""
        with self._asking:
            return self._infer(program, facts)

    def _infer(self, program: Program, facts: frozenset[str]) -> tuple[str, ...]:
        found = self._matcher.infer(program, facts)
        self._latest = name = name_of(program)
        if not self.available or self._verdict(name) is not None:
            self._stood_in += 1
            return found
        for attempt in range(TRIES):
            try:
                answer = self._ask(name, program, facts)
            except ChildDied as died:
                self._deaths += 1
                how = died.how
            else:
                if answer == found:
                    self._answered += 1
                    return found
                self._differences += 1
                how = f"said {', '.join(answer) or 'nothing'} for {', '.join(found) or 'nothing'}"
                self.close()
            if attempt + 1 == TRIES:
                self._retire(name, Trouble("", how))
        self._stood_in += 1
        return found

    def _ask(self, name: str, program: Program, facts: frozenset[str]) -> tuple[str, ...]:
        if self._child is not None and self._child.sessions >= SESSIONS:
            self.close()
        child = self._child = self._child or self._start()
        try:
            return child.ask(name, program, facts)
        except ChildDied:
            self._child = None
            raise

    def gate(self, program: Program) -> Trouble | None:
        """Run a program on small sets of facts in a child of its own before it is used; return why it is not, None where it is sound."""
        name = name_of(program)
        if not self.available or not program.productions:
            return None
        if name not in self._gated:
            how = self._smoke(program)
            if how and self._smoke(program):  # not one that only died by chance
                self._retire(name, Trouble(self._culprit(program), how))
            else:
                self._gated[name] = None
        return self._gated[name]

    def _verdict(self, name: str) -> Trouble | None:
        """Return why the library is not asked about a program, None where it is."""
        return self._gated.get(name, Trouble("", UNTRIED))

    def _retire(self, name: str, trouble: Trouble) -> None:
        self._gated[name] = trouble
        self._on_trouble(trouble)

    def _smoke(self, program: Program) -> str:
        """Return what went wrong, "" for nothing."""
        name, child = name_of(program), None
        try:
            child = self._start()
            for facts in smoke_sets(program):
                answer, right = child.ask(name, program, facts), self._matcher.infer(program, facts)
                if answer != right:
                    return f"said {', '.join(answer) or 'nothing'} for {', '.join(right) or 'nothing'}"
        except ChildDied as died:
            return died.how
        finally:
            if child is not None:
                child.kill()
        return ""

    def _culprit(self, program: Program) -> str:
        """Return the production with which the trouble begins: the last one of the shortest beginning that fails, by halving."""
        low, high = 0, len(program.productions)
        while high - low > 1:
            middle = (low + high) // 2
            if self._smoke(Program(productions=program.productions[:middle])):
                high = middle
            else:
                low = middle
        return program.productions[high - 1].id

    def status(self) -> Status:
        """Return who answers for the program that was asked about last."""
        trouble = self._verdict(self._latest) if self._latest else None
        reason = "not installed" if not self.available else "" if trouble is None else trouble.how
        engine = "stand-in" if reason else "durable-rules"
        return Status(engine, reason, self._answered, self._stood_in, self._deaths, self._differences)

    def close(self) -> None:
        """End the child; the next question starts another."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()


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
