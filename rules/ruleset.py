"""A compiled, immutable rule set: what `streams` runs.

`rules.load` makes it from YAML texts; nothing in here knows YAML. Rules and indicators are data: a stage reads these tables,
no stage knows the name of an indicator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from domain.findings import TransferHint
from domain.inference import Clause, Production, Program, in_force
from rules.facts import Facts
from rules.literals import Regional

if TYPE_CHECKING:
    from rules.cases import Case

Value = float | str | bool | None  # None: never seen, or not given; a comparison with it is unknown
Truth = bool | None  # three-valued: None is unknown, and a rule fires only on True

# What an indicator makes of the signals that it selects.
Aggregate = Literal[
    "count", "sum", "mean", "min", "max", "distinct", "last", "first", "stddev", "percentile", "trend", "since",
    "percentage", "new_value", "change",
]  # fmt: skip
AGGREGATES: tuple[str, ...] = Aggregate.__args__  # type: ignore[attr-defined]  # typing has no typed way to list a Literal
Baseline = Literal["history", "spike", "flatline", "peers"]  # an indicator against its own past, or against others'
Derived = Literal["ratio", "formula"]  # made of other indicators when read
# An int is the number of digits of a region code; "each" is any object wherever its rules are judged, which no document says.
Part = Literal["object", "parent", "matter", "industry", "each"] | int
By = Part | tuple[Part, ...]  # what a value is kept for: one of these, or several together
SESSION_GAPS: Final = 100  # a session is cut at so many times its gap, so that what has to be kept is bounded


@dataclass(frozen=True, slots=True)
class Explained:
    """One part of an expression and what it came to; `parts` are what it was made of, in reading order, `operator` what joined them.

    `regional` is the value that a region gives a parameter, where it is in force in the place of the usual one.
    """

    text: str
    value: Any
    parts: tuple[Explained, ...] = ()
    operator: str = ""
    regional: Regional | None = None


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression: `text` as written, what it reads, and its evaluation.

    `evaluate` never raises: a missing field is None, division by zero is None, a comparison with None is None.
    """

    text: str
    evaluate: Callable[[Facts], Value | Truth]
    indicators: tuple[str, ...] = ()  # qualified names, in order of appearance
    fields: tuple[str, ...] = ()  # signal and object fields, dotted
    rules: tuple[str, ...] = ()  # rules whose truth it reads, by id; in `Facts.values` they stand as `truth_of(id)`
    regional: bool = False  # reads a parameter whose value depends on the object's region and the signal's day
    explainer: Callable[[Facts], Explained] | None = None
    term: Any = None  # the checked tree (`rules.expressions.Term`), for engines that turn conditions into tables; None: made by hand

    def explain(self, facts: Facts) -> Explained:
        """Return every part with its value, for "why" and "why not"; the root alone where nothing finer is known."""
        return self.explainer(facts) if self.explainer else Explained(self.text, self.evaluate(facts))


@dataclass(frozen=True, slots=True)
class Window:
    """A window in event time.

    `sliding` windows are `length` long and, unless `exact`, cut into 24 buckets aligned to the epoch: a signal's bucket is
    floor(t / (length / 24)), and the window holds the bucket of `as_of` and the 23 before it. `exact` keeps the times: the
    window is (as_of - length, as_of]. `day`, `week` (from Monday), `month`, `quarter` and `year` are the calendar period of `as_of` in
    Asia/Shanghai. `tumbling` periods of `length` follow each other from 1970-01-01 00:00 Asia/Shanghai. `daily` is the calendar day of
    `as_of` and those before it, `length` (whole days) together; signals older than `streams.stages.windows.RAW_DAYS` days are kept as one
    sum for each day, so nothing older can be taken back. `session` is the run of signals up to the newest in which each follows the one
    before by less than `length`; it is empty once `as_of` is `length` or more after its last one, and reaches back at most
    `SESSION_GAPS` times `length`.
    """

    kind: Literal["sliding", "day", "week", "month", "quarter", "year", "tumbling", "daily", "session"]
    length: timedelta = timedelta(0)
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Indicator:
    """One indicator over the signals that `where` selects, per object, area or other group.

    `name` is qualified by the pack ("gas-safety.complaints_7d"). `by` is what it is kept for; a signal that does not tell one of its parts
    (no matter, no industry) counts nowhere. The parent is that of the registry relation `parent`; an object without one is its own.
    `of` gives the number (or, for distinct and last, any value) of a signal; None counts signals. `as_of` is decision 3.
    For `aggregate` "anomaly" the value is the score in [0, 1] of `detector` fed with indicator `input` after each update.

    With fewer than `needs` signals (that have a value, where one is wanted) the value is None: not enough data. `rank` is that of a
    percentile, in (0, 100]. `per` is the unit of time of a trend. `end` says since which signal a `since` counts.

    A "history", "spike" or "flatline" is about the indicator `base`, whose window, filter and group it has, and about the `periods` windows
    before the present one: what they come to by `take` (a word of `rules.vocabulary.TAKES`), the present value divided by that of the one
    before, or whether the present value is less than `below`.

    A "peers" is what indicator `input` comes to, by `take`, among the objects of a group `by`: worked out each night, None for fewer
    objects with a value than `needs` (5 where that is 0).

    A "ratio" or "formula" counts nothing: it is `formula` over the values of the indicators `inputs`, worked out when it is read.
    """

    name: str
    title: str
    aggregate: Aggregate | Derived | Baseline | Literal["anomaly"]
    window: Window | None
    where: Expression | None = None
    of: Expression | None = None
    as_of: Literal["own", "object"] = "own"
    by: By = "object"
    unit: str = ""
    detector: str = ""
    input: str = ""
    needs: int = 0
    rank: float = 0.0
    per: timedelta = timedelta(days=1)
    end: Literal["first", "last", ""] = ""
    base: Indicator | None = None
    periods: int = 0
    take: str = ""
    below: float = 0.0
    formula: Expression | None = None
    inputs: tuple[str, ...] = ()

    @property
    def made_of(self) -> tuple[str, ...]:
        """The indicators that this one is made of, by qualified name."""
        return (self.input, *self.inputs) if self.input else self.inputs

    @property
    def fluid(self) -> bool:
        """Whether the value may change as the object's time goes on, or by night, without any signal that comes or leaves."""
        session = self.window is not None and self.window.kind == "session"
        return self.aggregate == "peers" or (self.as_of == "object" and (session or self.aggregate == "since" or self.base is not None))


def truth_of(rule: str) -> str:
    """Return the name under which the truth of a rule stands among the values that an expression reads."""
    return f"rule:{rule}"


def course_of(rule: str) -> str:
    """Return the name under which it stands whether the sequence of a rule has come about."""
    return f"sequence:{rule}"


@dataclass(frozen=True, slots=True)
class Sequence:
    """`first` and then, or not, `then` within `within` of it (decision 5), both of the rule's subject.

    Of two signals at one instant either may be the later; what lies `within` later is too late, as in a window. A sequence has come
    about at a signal when both are in the window of `within` that ends at the subject's newest signal. An absence is decided when
    `within` and the allowed lateness of the feeds that carry `then_sources` have passed since `first`; it then holds until a later
    `then` comes.
    """

    first: Expression
    then: Expression
    absent: bool
    within: timedelta
    first_sources: tuple[str, ...] = ()
    then_sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Suppression:
    """A tuning filter: while `when` is true at a signal, up to `until`, a rule that it is for does not speak; that is written down."""

    id: str
    reason: str
    owner: str
    until: datetime
    when: Expression
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Trigger:
    """A record that triggers a rule: which feed's mapping makes which kind of signal of it, about which matter ("" : any)."""

    feed: str
    kind: str
    matter: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; it is about the object, or about the area of `by` digits of the object's region.

    `points` of 0 make a signal-only rule: it hits, it never raises. `at_least` is the floor of the level while the contribution
    holds at least half of its points. `cooldown` is the shortest time between two hits of one subject. Points halve every `half_life`.
    Contributions of one `family` count at most `cap` points together.
    """

    id: str
    pack: str
    title: str
    status: Literal["draft", "shadow", "active", "deprecated"]
    sector: str  # or a matter's slug: `domain.catalogue.Catalogue.find` takes both
    when: Expression
    points: float
    say: Callable[[Facts], str]  # the message, with values filled in
    file: str
    line: int
    basis: tuple[str, ...] = ()
    plan: str = ""
    owner: str = ""
    at_least: str = ""
    cooldown: timedelta = timedelta(0)
    half_life: timedelta = timedelta(days=14)
    family: str = ""
    cap: float = 100.0
    by: Literal["object"] | int = "object"
    effective_from: datetime | None = None
    effective_to: datetime | None = None
    feeds: tuple[str, ...] = ()  # sources its indicators select on, for coverage
    says: tuple[str, ...] = ()  # qualified names of the indicators that `say` shows; they must be in the facts too
    sequence: Sequence | None = None  # `when` then reads `course_of(id)` and nothing else
    hold: timedelta = timedelta(0)  # `for`: how long `when` has to be true before the rule is
    clear: Expression | None = None  # once true, the rule stays so until this is true
    min_evidence: int = 0  # signals that have to be behind it
    record: Trigger | None = None  # for readers and tests: what it looks like where it comes from
    renamed_from: str = ""  # the id whose state and history it takes over
    suppressions: tuple[Suppression, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids under which its past is written down: its own, and the one that it had before."""
        return (self.id, self.renamed_from) if self.renamed_from else (self.id,)

    @property
    def plain(self) -> bool:
        """Whether the rule is no more than `when` over indicators and fields at one signal."""
        return self.sequence is None and not self.hold and self.clear is None and not self.min_evidence and not self.when.rules


@dataclass(frozen=True, slots=True)
class InferenceRule:
    """One inference: concluded for an object where one of its clauses holds; `when` is the condition as it was written."""

    id: str
    pack: str
    title: str
    status: Literal["draft", "shadow", "active", "deprecated"]
    sector: str
    when: str
    clauses: tuple[Clause, ...]
    say: str
    file: str
    line: int
    basis: tuple[str, ...] = ()
    plan: str = ""
    transfer: TransferHint | None = None
    owner: str = ""
    effective_from: datetime | None = None
    effective_to: datetime | None = None

    @property
    def production(self) -> Production:
        """The inference as an engine takes it: one with effective dates also needs the fact that it is in force."""
        dated = self.effective_from is not None or self.effective_to is not None
        more = (in_force(self.id),) if dated else ()
        return Production(id=self.id, clauses=tuple(Clause(holds=(*each.holds, *more), lacks=each.lacks) for each in self.clauses))

    @property
    def names(self) -> tuple[str, ...]:
        """The facts that its clauses name, each once."""
        return tuple(dict.fromkeys(fact for clause in self.clauses for fact in (*clause.holds, *clause.lacks)))


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Everything that is active together; `version` is the hash of the texts, so equal texts are the same set."""

    version: str
    rules: tuple[Rule, ...] = ()
    indicators: Mapping[str, Indicator] = field(default_factory=lambda: MappingProxyType({}))  # by name, inputs before users
    texts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # file name → YAML text
    params: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))  # pack → parameter → its value, in words
    cases: tuple[Case, ...] = ()  # the tests that the rules carry, by file and line
    inferences: tuple[InferenceRule, ...] = ()  # each after those that it names, else in the order of files and lines
    inference_cases: tuple[Case, ...] = ()  # the tests that the inferences carry

    def program(self, *, trial: bool = False) -> Program:
        """Return the active inferences as an engine takes them; with those on trial too in a `trial`."""
        run = {"active", "shadow"} if trial else {"active"}
        return Program(productions=tuple(each.production for each in self.inferences if each.status in run))

    def closure(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return `names` with everything that their formulas read, each once: those named first, then those that they are made of."""
        found = dict.fromkeys(names)
        waiting = list(found)
        while waiting:
            indicator = self.indicators.get(waiting.pop(0))
            new = [name for name in (indicator.inputs if indicator is not None else ()) if name not in found]
            found.update(dict.fromkeys(new))
            waiting += new
        return tuple(found)


EMPTY = RuleSet(version="empty")
