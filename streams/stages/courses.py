"""Courses (先后与缺失): what came first, what came then, and what did not come in time (decision 5).

A course is what one rule remembers of one subject. Everything is worked out from the signals that it keeps, so a late, corrected or
withdrawn one changes what follows as if it had always been so. "First and no then" is decided at `first` + `within` + the allowed
lateness of the feeds that carry `then`; a `then` that comes later, but happened in time, takes the decision back.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from typing import Any

from rules.ruleset import Sequence
from streams.stages.feeds import Feeds
from streams.stages.ledger import Ledger, Live
from streams.stages.windows import MICROSECOND


def _order(live: Live) -> tuple[int, int]:
    return live.t, live.seq


def _instant(first: First) -> int:
    return first.live.t


class First:
    """A signal that something has to follow. `decided`: its time is over; `blind`: it is, but the feeds that would tell are silent."""

    __slots__ = ("blind", "decided", "due", "live")

    def __init__(self, live: Live, due: int, *, decided: bool = False, blind: bool = False) -> None:
        self.live = live
        self.due = due
        self.decided = decided
        self.blind = blind


class Course:
    """The signals of one rule's sequence for one subject, in order of time; `rule` is the rule's id."""

    __slots__ = ("absent", "firsts", "rule", "thens", "within")

    def __init__(self, rule: str, sequence: Sequence) -> None:
        self.rule = rule
        self.absent = sequence.absent
        self.within = sequence.within // MICROSECOND
        self.firsts: list[First] = []
        self.thens: list[Live] = []

    def _next(self, first: First) -> Live | None:
        """Return the earliest `then` that is not earlier than `first`."""
        thens = self.thens
        place = bisect_left(thens, (first.live.t, 0), key=_order)
        if place < len(thens) and thens[place] is first.live:
            place += 1
        if place == len(thens):
            return None
        return thens[place]

    def answered(self, first: First) -> bool:
        """Tell whether a `then` came at all."""
        return self._next(first) is not None

    def met(self, first: First) -> bool:
        """Tell whether a `then` came in time."""
        then = self._next(first)
        return then is not None and then.t < first.live.t + self.within

    def stands(self, clock: int) -> bool:
        """Tell whether it has come about for a subject whose newest signal is at `clock`."""
        if self.absent:
            newest = self.thens[-1].t if self.thens else None
            for first in reversed(self.firsts):
                if newest is not None and first.live.t < newest:
                    return False  # it and all before it were answered
                if first.decided and not self.answered(first):
                    return True
            return False
        start = bisect_left(self.firsts, clock - self.within + 1, key=_instant)
        return any(self.met(first) for first in self.firsts[start : start + 2])  # a signal may be both: then the next one tells

    def proof(self, clock: int) -> Iterator[Live]:
        """Yield the signals that it rests on: those that nothing followed, or those of every pair that is still in time."""
        for first in self.firsts:
            if self.absent:
                if first.decided and not self.met(first):
                    yield first.live
            elif first.live.t > clock - self.within:
                followers = [then for then in self.thens if first.live.t <= then.t < first.live.t + self.within and then is not first.live]
                if followers:
                    yield first.live
                    yield from followers

    @property
    def empty(self) -> bool:
        """Whether nothing is left to remember."""
        return not self.firsts and not self.thens

    def lives(self) -> Iterator[Live]:
        """Yield all signals kept; one may come twice."""
        yield from (first.live for first in self.firsts)
        yield from self.thens

    def dump(self) -> list[Any]:
        """Return plain data; signals stand by their number."""
        firsts = [[first.live.seq, first.due, first.decided, first.blind] for first in self.firsts]
        return [self.rule, firsts, [live.seq for live in self.thens]]


class Courses:
    """What courses of all subjects have in common: they keep signals in the ledger and ask the feeds."""

    def __init__(self, ledger: Ledger, feeds: Feeds) -> None:
        self._ledger = ledger
        self._feeds = feeds
        self.too_late: dict[str, tuple[int, int]] = {}  # by rule: signals older than its courses remember, and when the last one came

    def keep(self, sequence: Sequence) -> int:
        """Return how long an absence remembers a signal: until nothing that may come as late as its feed allows needs it any more."""
        late = self._feeds.lateness(sequence.first_sources) + self._feeds.lateness(sequence.then_sources)
        return 2 * (sequence.within // MICROSECOND) + late

    def due(self, sequence: Sequence, first: Live) -> int:
        """Return when it is decided whether nothing followed `first`."""
        return first.t + sequence.within // MICROSECOND + self._feeds.lateness(sequence.then_sources)

    def take(
        self, course: Course, sequence: Sequence, live: Live, now: int, clock: int, *, first: bool, then: bool
    ) -> tuple[First | None, list[Live]]:
        """Put a signal in its place; return what is to be decided for it, and the decided ones that it takes back."""
        if live.t < (now - self.keep(sequence) if course.absent else clock - course.within + 1):
            self.too_late[course.rule] = self.too_late.get(course.rule, (0, 0))[0] + 1, now
            return None, []
        opened, denied = None, []
        if then:
            if course.absent:
                denied = [each.live for each in course.firsts if each.decided and self._answers(course, each, live)]
            insort(course.thens, live, key=_order)
            self._hold(course, live)
        if first:
            opened = First(live, max(self.due(sequence, live), now), decided=not course.absent)
            insort(course.firsts, opened, key=lambda each: _order(each.live))
            self._hold(course, live)
        if not course.absent:
            self._drop(course, clock - course.within + 1)
        return opened, denied

    @staticmethod
    def _answers(course: Course, first: First, live: Live) -> bool:
        return not course.met(first) and first.live is not live and 0 <= live.t - first.live.t < course.within

    def _hold(self, course: Course, live: Live) -> None:
        live.holds += 1
        if live.courses is None:
            live.courses = []
        live.courses.append(course)

    def _let_go(self, course: Course, live: Live) -> None:
        if live.courses is not None and course in live.courses:
            live.courses.remove(course)
        self._ledger.release(live)

    def _drop(self, course: Course, before: int, kept: First | None = None) -> None:
        if not (course.firsts and course.firsts[0].live.t < before) and not (course.thens and course.thens[0].t < before):
            return
        for first in course.firsts:
            if first.live.t < before and first is not kept:
                self._let_go(course, first.live)
        for then in course.thens:
            if then.t < before:
                self._let_go(course, then)
        course.firsts = [each for each in course.firsts if each.live.t >= before or each is kept]
        course.thens = [each for each in course.thens if each.t >= before]

    def sweep(self, course: Course, sequence: Sequence, now: int) -> None:
        """Forget what can decide nothing any more; the newest signal that nothing followed is remembered for as long as that is so."""
        if course.absent:
            newest = course.firsts[-1] if course.firsts else None
            unanswered = newest is not None and not course.answered(newest)
            self._drop(course, now - self.keep(sequence), newest if unanswered else None)

    def undo(self, live: Live, now: int) -> tuple[set[str], list[tuple[Course, First]]]:
        """Take a signal out of its courses; return their rules, and what has to be decided anew because it was its answer."""
        rules: set[str] = set()
        again: list[tuple[Course, First]] = []
        for course in dict.fromkeys(live.courses or ()):
            rules.add(course.rule)
            met = [each for each in course.firsts if each.decided and course.absent and course.met(each)]
            for held in (sum(each.live is live for each in course.firsts), sum(each is live for each in course.thens)):
                for _ in range(held):
                    self._let_go(course, live)
            course.firsts = [each for each in course.firsts if each.live is not live]
            course.thens = [each for each in course.thens if each is not live]
            for each in met:
                if each.live is not live and not course.met(each):
                    each.decided, each.due = False, now
                    again.append((course, each))
        live.courses = None
        return rules, again

    def clear(self, course: Course) -> None:
        """Let go of everything."""
        for live in list(course.lives()):
            self._let_go(course, live)
        course.firsts, course.thens = [], []

    def load(self, saved: list[Any], sequence: Sequence, lives: Mapping[int, Live]) -> Course:
        """Take up what `Course.dump` returned."""
        rule, firsts, thens = saved
        course = Course(rule, sequence)
        for seq, due, decided, blind in firsts:
            course.firsts.append(First(lives[seq], due, decided=decided, blind=blind))
            self._hold(course, lives[seq])
        for seq in thens:
            course.thens.append(lives[seq])
            self._hold(course, lives[seq])
        return course
