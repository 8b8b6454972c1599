"""What is remembered of a subject of the rules, and what a reading of them gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rules.facts import Facts
from streams.stages.courses import Course
from streams.stages.indicators import Moment
from streams.stages.ledger import Live
from streams.stages.rule_plans import RulePlan
from streams.stages.small import NOTHING

BLIND: Final = -1
Before = Mapping[tuple[str, str], "Standing"]  # by subject and rule


class Standing:
    """A rule that is true for a subject; its matter is decided when it becomes true.

    `spent` is when a closed warning used it up: it counts again at a hit, or at a signal that is new evidence for it after its cooldown.
    `judged` is the signal at which it became true, as `feed/id`, "" where no tuning filter was asked about it, None until it was told;
    `muted` is the filter that fitted that signal: until the filter ends, the rule adds nothing before it has become true anew.
    """

    __slots__ = ("judged", "matter", "muted", "plan", "sector", "spent")

    def __init__(self, plan: RulePlan, matter: str, sector: str, spent: int | None = None) -> None:
        self.plan = plan
        self.matter = matter
        self.sector = sector
        self.spent = spent
        self.judged: str | None = None
        self.muted = ""

    def told_by(self, other: Standing) -> Standing:
        """Take over by what another one of this rule became true, and what kept it back; return this one."""
        self.judged, self.muted = other.judged, other.muted
        return self


class Subject:
    """What the stage remembers of an object or an area: its previous signal, the rules true at it, and the times of hits.

    All rules are read at its next signal where its `epoch` is not the stage's. `holding` are the rules that have to be true for a while
    and are, with the instant at which they have been for long enough (BLIND: the feeds went silent meanwhile). `courses` are the
    sequences under way, by rule.
    """

    __slots__ = ("courses", "epoch", "hits", "holding", "last", "name", "true")

    def __init__(self, name: str, epoch: int) -> None:
        self.name = name
        self.epoch = epoch
        self.last: Live | None = None
        self.true: Mapping[str, Standing] = NOTHING
        self.hits: Mapping[str, int] = NOTHING
        self.holding: Mapping[str, int] = NOTHING
        self.courses: Mapping[str, Course] = NOTHING

    def rename(self, new: Mapping[str, str]) -> None:
        """Remember under its new id what is known of a rule that was renamed; `new` is by old id."""
        if not new.keys() & {*self.true, *self.hits, *self.holding, *self.courses}:
            return
        self.true = {new.get(name, name): standing for name, standing in self.true.items()} or NOTHING
        self.hits = {new.get(name, name): at for name, at in self.hits.items()} or NOTHING
        self.holding = {new.get(name, name): due for name, due in self.holding.items()} or NOTHING
        self.courses = {new.get(name, name): course for name, course in self.courses.items()} or NOTHING
        for name, course in self.courses.items():
            course.rule = name


class Turn:
    """The reading of a subject's rules at a signal, while it goes on.

    `before` are the rules that were true until this record's own correction undid the earlier content, by subject and id; `hits` are those
    that became true at the signal.
    """

    __slots__ = ("before", "hits", "moment", "now", "subject")

    def __init__(self, subject: Subject, moment: Moment, now: int, before: Before | None) -> None:
        self.subject = subject
        self.moment = moment
        self.now = now
        self.before = before
        self.hits: set[str] = set()

    def earlier(self, rule: str) -> Standing | None:
        """Return a rule's truth that a correction had only taken away."""
        return self.before.get((self.subject.name, rule)) if self.before else None


class Reading:
    """A rule that is true at this signal. `hit`: it became true and no cooldown holds it back; `fed`: the signal tells it anew."""

    __slots__ = ("facts", "fed", "hit", "standing", "subject")

    def __init__(self, subject: str, standing: Standing, facts: Facts, *, hit: bool, fed: bool) -> None:
        self.subject = subject
        self.standing = standing
        self.facts = facts
        self.hit = hit
        self.fed = fed


class Untrue:
    """A rule that a correction made untrue. `wholly`: on facts otherwise the same; else only the signal it was true at is gone."""

    __slots__ = ("plan", "standing", "wholly")

    def __init__(self, standing: Standing, *, wholly: bool) -> None:
        self.standing = standing
        self.plan = standing.plan
        self.wholly = wholly
