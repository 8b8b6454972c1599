"""durable-rules behind the port `Inference`, in a supervised child, and the matcher whose answer it is.

The matcher answers whoever asks, in microseconds, and goes on. What it said waits, with the question, for one thread that puts it to
the library and compares. The library answers in a child process, because rules alone can kill the process that runs them. So no outcome
depends on the library and nobody ever waits for it, however many threads ask: a child that dies is started anew, one that hangs is ended
after its time, and where more waits than there is room for the questions are passed over and counted.

A difference, or a question that two children died of, retires the library for that program, which `trouble` and `on_trouble` say. A
program is tried before the library is asked about it: when its rule set comes into force (`gate`), at the latest before the first question.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from domain.inference import Program
from rules.matcher import Matcher
from streams.runtimes.durable import Child, ChildDied, Trouble, differing, installed, name_of, tried

SESSIONS: Final = 100  # of one child; none may be deleted, and from some 150 on of large programs its memory is used up
TRIES: Final = 2  # children that one question may cost
ROOM: Final = 10_000  # questions that wait; a kilobyte or so each

Compared = Literal["agreed", "differed", "died", "alone", "passed_over"]
"""What became of a question: no child answered (`died`), the library is absent or retired (`alone`), too many waited (`passed_over`)."""


@dataclass(frozen=True, slots=True)
class Status:
    """How many questions came to what, as `Compared` has it, and how many children died or were ended for their silence."""

    agreed: int
    differed: int
    died: int
    alone: int
    passed_over: int
    deaths: int


@dataclass(frozen=True, slots=True)
class _Question:
    """What waits for the library; without `facts` its program is only to be tried."""

    program: Program
    facts: frozenset[str] | None = None
    found: tuple[str, ...] = ()


class SupervisedInference:
    """`domain.ports.Inference` for `serve` and workers, for any number of threads, none of which ever waits for the library."""

    def __init__(
        self,
        *,
        on_trouble: Callable[[Trouble], object] = lambda _trouble: None,
        on_compared: Callable[[Compared], object] = lambda _compared: None,
        start: Callable[[], Child] = Child,
        available: bool | None = None,
        room: int = ROOM,
    ) -> None:
        """`on_trouble` is told once for each program why its library was retired, `on_compared` what became of each question.

        `available` stands for `installed()`, `room` is how many questions may wait. No thread and no child is started before the first
        of them.
        """
        self._on_trouble = on_trouble
        self._on_compared = on_compared
        self._start = start
        self.available = installed() if available is None else available
        self._room = room
        self._matcher = Matcher()
        self._turn = threading.Condition()  # held for moments, never while the library is asked
        self._waiting: deque[_Question] = deque()
        self._busy = self._closed = False
        self._thread: threading.Thread | None = None
        self._asked: Child | None = None  # whoever may have to be ended in the middle of an answer
        self._child: Child | None = None  # the thread's own, for questions
        self._tried: dict[str, Trouble | None] = {}
        self._counted: Counter[str] = Counter()

    def infer(self, program: Program, facts: frozenset[str]) -> tuple[str, ...]:
        """Return what follows from `facts`: the matcher's answer, which the library is held against later."""
        found = self._matcher.infer(program, facts)
        if not self.available:
            self._count("alone")
        elif not self._add(_Question(program, facts, found)):
            self._count("passed_over")
        return found

    def gate(self, program: Program) -> None:
        """Have a program tried that is about to be used; `trouble` and `on_trouble` say what comes of it."""
        if self.available and program.productions and name_of(program) not in self._tried:
            self._add(_Question(program))

    def trouble(self, program: Program) -> Trouble | None:
        """Return why the library is not asked about a program any more, None while it is, or where its trial is still to come."""
        thread = self._thread
        if thread is not None and not thread.is_alive() and not self._closed:
            return Trouble("", "the thread that asks it has ended")
        return self._tried.get(name_of(program))

    def status(self) -> Status:
        """Return what became of the questions so far; those that wait are not among them."""
        with self._turn:
            own = self._counted
            return Status(own["agreed"], own["differed"], own["died"], own["alone"], own["passed_over"], own["deaths"])

    def settle(self, seconds: float | None = None) -> bool:
        """Wait until nothing waits for the library any more, for so many seconds at most; tell whether it came to that."""
        with self._turn:
            return self._turn.wait_for(lambda: not self._waiting and not self._busy, seconds)

    def close(self) -> None:
        """End thread and child; what still waits is left unasked."""
        with self._turn:
            self._closed = True
            self._waiting.clear()
            thread, asked = self._thread, self._asked
            self._turn.notify_all()
        if asked is not None:
            asked.end()
        if thread is not None:
            thread.join()

    def _add(self, question: _Question) -> bool:
        with self._turn:
            if self._closed or len(self._waiting) >= self._room:
                return False
            self._waiting.append(question)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="inference", daemon=True)
                self._thread.start()
            self._turn.notify_all()
            return True

    def _count(self, what: Compared) -> None:
        with self._turn:
            self._counted[what] += 1
        self._on_compared(what)

    # What follows runs in the thread.

    def _work(self) -> None:
        while (question := self._next()) is not None:
            name = name_of(question.program)
            if name not in self._tried:
                self._try(name, question.program)
            if question.facts is not None and not self._closed:
                self._compare(name, question.program, question.facts, question.found)
        self._let_go()

    def _next(self) -> _Question | None:
        """Return the next question once there is one, None where there will be none."""
        with self._turn:
            self._busy = False
            self._turn.notify_all()
            self._turn.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return None
            self._busy = True
            return self._waiting.popleft()

    def _try(self, name: str, program: Program) -> None:
        trouble = tried(program, self._begin)
        if self._closed:  # and so its child was ended
            return
        if trouble is not None:
            self._retire(name, trouble)
        else:
            self._tried[name] = None

    def _compare(self, name: str, program: Program, facts: frozenset[str], found: tuple[str, ...]) -> None:
        """Put a question to the library that the matcher has answered; to a second child where the first one died of it or differs."""
        if self._tried.get(name) is not None:
            self._count("alone")
            return
        became: Compared = "died"
        how = ""
        for _ in range(TRIES):
            try:
                answer = self._ask(name, program, facts)
            except ChildDied as died:
                if self._closed:
                    return
                with self._turn:
                    self._counted["deaths"] += 1
                became, how = "died", died.how
            else:
                if answer == found:
                    self._count("agreed")
                    return
                self._let_go()
                became, how = "differed", differing(answer, found)
        self._count(became)
        self._retire(name, Trouble("", how))

    def _ask(self, name: str, program: Program, facts: frozenset[str]) -> tuple[str, ...]:
        if self._child is not None and self._child.sessions >= SESSIONS:
            self._let_go()
        if self._child is None:
            self._child = self._start()
        try:
            return self._within_reach(self._child).ask(name, program, facts)
        except ChildDied:
            self._child = None
            raise

    def _begin(self) -> Child:
        return self._within_reach(self._start())

    def _within_reach(self, child: Child) -> Child:
        """Return a child that is about to be asked, so that `close` can end it; raises ChildDied where that was called before."""
        with self._turn:
            self._asked = child
            closed = self._closed
        if closed:
            child.kill()
            raise ChildDied("closed")
        return child

    def _retire(self, name: str, trouble: Trouble) -> None:
        self._tried[name] = trouble
        self._on_trouble(trouble)

    def _let_go(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
