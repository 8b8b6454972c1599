"""Runs the tests that rules carry in their files, each through a real pipeline on virtual time.

A case is about its rule alone: the rule set of a run is that rule, run as if active and in force, with the indicators that it reads. That
of an inference holds the rules and inferences that it names, and, where it asks for the level, all rules of its pack. Overrides of regions
and tuning filters are left out: what an office changes must not make the tests of a pack fail, or pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from unicodedata import east_asian_width

from domain.catalogue import Catalogue
from domain.errors import NotFound
from domain.findings import EarlyWarning, Outcome, RuleBlind, RuleHit, WarningRaised, WarningUpdated
from domain.inference import concluded, stands
from domain.levels import DEFAULT_LEVELS, LevelScale
from domain.messages import text
from domain.objects import Resolution
from domain.ports import Detector
from domain.records import AnyEntry, FeedEntry, ObjectsEntry, Record, RulesetEntry, SignalEntry, TickEntry
from domain.signals import Signal
from rules.cases import BASE, Case
from rules.load import without_overrides
from rules.ruleset import Indicator, InferenceRule, Rule, RuleSet
from streams.pipeline import Pipeline, PipelineSettings


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What became of one case; `explanation` is "" for one that passed, else what differs and each value at each step, as a table."""

    case: Case
    passed: bool
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class _Told:
    """A hit of the rule, or the first time that the inference was concluded for a warning."""

    subject: str
    object_id: str
    message: str


@dataclass(frozen=True, slots=True)
class _Step:
    """One signal of a case, or an instant at which time alone did something, with what it left.

    That is the rule's indicator values, its hit or that it is blind, and the warning after it.
    """

    after: timedelta
    signal: Signal | None
    values: Mapping[str, Any]
    hit: _Told | None
    blind: RuleBlind | None
    warning: EarlyWarning | None


def run_cases(
    ruleset: RuleSet,
    detectors: Mapping[str, Callable[[], Detector]],
    *,
    cases: Sequence[Case] | None = None,
    levels: LevelScale = DEFAULT_LEVELS,
    language: str = "zh-CN",
) -> Iterator[CaseResult]:
    """Run `cases` (by default all that `ruleset` carries) and yield their results in order, with the parameters of the packs themselves."""
    ruleset = without_overrides(ruleset)
    rules = {rule.id: rule for rule in ruleset.rules}
    inferences = {each.id: each for each in ruleset.inferences}
    for case in (*ruleset.cases, *ruleset.inference_cases) if cases is None else cases:
        if case.rule in inferences:
            alone = _of_inference(inferences[case.rule], ruleset)
        elif case.rule in rules:
            alone = _alone([rules[case.rule]], ruleset)
        else:
            yield CaseResult(case, passed=False, explanation=text("ruletest.no_rule", language, rule=case.rule))
            continue
        runner = _Runner(case, alone, detectors, levels)
        steps = runner.run()
        wrong = _differences(case, steps, language)
        told = [*wrong, _table(steps, alone, language), *runner.made_of(language)] if wrong else []
        yield CaseResult(case, passed=not wrong, explanation="\n".join(told))


def _of_inference(inference: InferenceRule, ruleset: RuleSet) -> RuleSet:
    """Return the rule set of one inference: the inferences that it rests on, and the rules that any of them names or takes a level from."""
    named = {inference.id: inference}
    for each in reversed(ruleset.inferences):  # those that name others come after them
        if any(concluded(each.id) in known.names for known in named.values()):
            named[each.id] = each
    facts = {fact for each in named.values() for fact in each.names}
    packs = {each.pack for each in named.values() if any(fact.startswith("level:") for fact in each.names)}
    alone = _alone([rule for rule in ruleset.rules if stands(rule.id) in facts or rule.pack in packs], ruleset)
    chosen = tuple(
        replace(each, status="active", effective_from=None, effective_to=None) for each in ruleset.inferences if each.id in named
    )
    return replace(alone, inferences=chosen)


def _alone(about: Sequence[Rule], ruleset: RuleSet) -> RuleSet:
    """Return the rule set of some rules, of those that they refer to, and of the indicators that they read or show, with their inputs."""
    rules = {each.id: each for each in ruleset.rules}
    needed: dict[str, Indicator] = {}
    chosen: dict[str, Rule] = {}

    def need(name: str) -> None:
        indicator = ruleset.indicators.get(name)
        if indicator is not None and name not in needed:
            for each in indicator.made_of:
                need(each)
            needed[name] = indicator

    def choose(each: Rule, points: float) -> None:
        for name in each.when.rules:
            if name not in chosen:
                choose(rules[name], 0.0)  # what it adds to a score of its own is no part of the test
        for name in (*each.when.indicators, *(each.clear.indicators if each.clear is not None else ()), *each.says):
            need(name)
        chosen[each.id] = replace(each, status="active", effective_from=None, effective_to=None, points=points, suppressions=())

    for rule in about:
        choose(rule, rule.points)
    return RuleSet(version="case", rules=tuple(chosen.values()), indicators=needed)


class _Runner:
    """One case under way: a pipeline, its records, and the steps so far."""

    def __init__(self, case: Case, alone: RuleSet, detectors: Mapping[str, Callable[[], Detector]], levels: LevelScale) -> None:
        self._case = case
        self._alone = alone
        self._pipeline = Pipeline(levels, Catalogue(), self._load, detectors, PipelineSettings())
        self._seq = 0
        self._warnings: dict[str, EarlyWarning] = {}
        self._seen: set[str] = set()  # warnings for which the inference was concluded
        self.steps: list[_Step] = []

    def _load(self, version: str) -> RuleSet:
        if version != self._alone.version:
            raise NotFound(f"a case runs rule set {self._alone.version}, not {version}")
        return self._alone

    def run(self) -> list[_Step]:
        """Take in everything in order of time, then let pass what the rule may wait for."""
        self._take(timedelta(0), RulesetEntry(version=self._alone.version))
        if self._case.objects:
            self._take(timedelta(0), ObjectsEntry(version=1, objects=self._case.objects))
        sequences = [rule.sequence for rule in self._alone.rules if rule.sequence is not None]
        for source in sorted({source for sequence in sequences for source in sequence.then_sources}):
            # The feed is known to be there: a signal about no object, which counts nowhere.
            heard = Signal(id=f"heard-{source}", source=source, kind="other.request", occurred_at=BASE)  # type: ignore[arg-type]  # a source
            self._take(timedelta(0), SignalEntry(feed=_feed(source), signal=heard, resolution=Resolution(), digest=""))
        given: list[tuple[timedelta, AnyEntry, Signal | None]] = [
            (at, FeedEntry(feed=_feed(source), mark="silent" if silent else "back"), None) for at, source, silent in self._case.marks
        ]
        for at, signal in self._case.signals:
            resolution = Resolution(object_id=signal.object.id, method="id", confidence=1.0)
            given.append((at, SignalEntry(feed=_feed(signal.source), signal=signal, resolution=resolution, digest=""), signal))
        for at, entry, told in sorted(given, key=lambda each: each[0]):
            self._let_pass(at)
            self._step(at, self._take(at, entry), told)
        waits = sum((sequence.within for sequence in sequences), sum((rule.hold for rule in self._alone.rules), timedelta(0)))
        if waits:
            self._let_pass(max(at for at, _, _ in given) + waits)
        return self.steps

    def made_of(self, language: str) -> list[str]:
        """Return a line for each indicator: what its value at the last step is made of, or why it is unknown."""
        about = next((step.signal.object.id for step in reversed(self.steps) if step.signal is not None), "")
        told = self._pipeline.tell(about, language)
        lines = [f"  {indicator.title or name}: {told[name]}" for name, indicator in self._alone.indicators.items() if name in told]
        return [text("ruletest.made_of", language), *lines] if lines else []

    def _take(self, after: timedelta, entry: AnyEntry) -> list[Outcome]:
        self._seq += 1
        return self._pipeline.step([Record(seq=self._seq, received_at=BASE + after, entry=entry)])

    def _let_pass(self, until: timedelta) -> None:
        while (wake := self._pipeline.next_wake()) is not None and wake <= BASE + until:
            self._step(wake - BASE, self._take(wake - BASE, TickEntry()), None)

    def _step(self, after: timedelta, outcomes: list[Outcome], signal: Signal | None) -> None:
        own = [out for out in outcomes if isinstance(out, RuleHit | RuleBlind) and out.rule == self._case.rule]
        hit = next((_Told(out.subject, out.object_id, out.message) for out in own if isinstance(out, RuleHit)), None)
        blind = next((out for out in own if isinstance(out, RuleBlind)), None)
        for out in outcomes:
            if isinstance(out, WarningRaised | WarningUpdated):
                self._warnings[out.warning.subject] = out.warning
                hit = hit or self._concluded(out.warning)
        if signal is None and hit is None and blind is None:
            return
        told = hit or blind
        about = signal.object.id if signal is not None else told.object_id if told is not None else ""
        values = self._pipeline.values_at(about)
        self.steps.append(_Step(after, signal, values, hit, blind, self._warnings.get(told.subject if told is not None else about)))

    def _concluded(self, warning: EarlyWarning) -> _Told | None:
        """Return what the case's inference says of a warning for the first time."""
        own = next((each for each in warning.inferred if each.id == self._case.rule), None)
        if own is None or warning.id in self._seen:
            return None
        self._seen.add(warning.id)
        return _Told(warning.subject, warning.object_id, own.message)


def _feed(source: str) -> str:
    """Return the feed of a case that carries a source: each has its own, so that one can fall silent."""
    return f"test-{source}"


def _differences(case: Case, steps: list[_Step], language: str) -> list[str]:
    """Return what differs from the expectation, a sentence each."""
    expect = case.expect
    first = next((step for step in steps if step.hit is not None), None)
    if not expect.hits:
        if first is None or first.hit is None:
            blind = next((step for step in steps if step.blind is not None), None)
            if (blind is not None) == expect.blind:
                return []
            if blind is None or blind.blind is None:
                return [text("ruletest.not_blind", language)]
            return [text("ruletest.blind", language, actual=offset(blind.after), sources=", ".join(blind.blind.sources))]
        return [text("ruletest.unexpected", language, actual=offset(first.after), says=first.hit.message)]
    if first is None or first.hit is None:
        return [text("ruletest.no_hit", language, expected=offset(expect.hit_at) if expect.hit_at is not None else "")]
    found: list[tuple[str, object, object]] = []
    if expect.hit_at is not None and first.after != expect.hit_at:
        found.append(("hit_at", offset(expect.hit_at), offset(first.after)))
    warning = first.warning
    none = text("ruletest.no_warning", language)
    if expect.level and (warning is None or warning.level != expect.level):
        found.append(("level", expect.level, warning.level if warning else none))
    if expect.score is not None and abs((warning.score if warning else 0.0) - expect.score) > 0.005:
        found.append(("score", expect.score, warning.score if warning else none))
    if expect.evidence is not None and (warning is None or warning.evidence_count != expect.evidence):
        found.append(("evidence", expect.evidence, warning.evidence_count if warning else none))
    if expect.says and first.hit.message != expect.says:
        found.append(("says", expect.says, first.hit.message))
    return [text(f"ruletest.{what}", language, expected=expected, actual=actual) for what, expected, actual in found]


def offset(after: timedelta) -> str:
    """Return a time after the start as the rule files write it, in the largest whole unit.

    >>> offset(timedelta(hours=5)), offset(timedelta(days=2)), offset(timedelta(minutes=90))
    ('+5h', '+2d', '+90m')
    """
    seconds = after.total_seconds()
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds and seconds % length == 0:
            return f"+{seconds / length:g}{unit}"
    return "+0h" if not seconds else f"+{seconds:g}s"


def _table(steps: list[_Step], alone: RuleSet, language: str) -> str:
    """Return each step with each indicator's value after it."""
    titles = [indicator.title or name for name, indicator in alone.indicators.items()]
    rows = [[text("ruletest.time", language), text("ruletest.signal", language), *titles, text("ruletest.result", language)]]
    for step in steps:
        about = f"{step.signal.source} {step.signal.kind} {step.signal.object.id}" if step.signal is not None else ""
        result = text("ruletest.is_blind", language) if step.blind is not None else ""
        if step.hit is not None:
            after = f" {step.warning.current_level} {step.warning.score:g}" if step.warning is not None else ""
            result = text("ruletest.hit", language) + after
        rows.append([offset(step.after), about, *(_shown(step.values[name]) for name in alone.indicators), result])
    widths = [max(_width(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _width(cell: str) -> int:
    """Return the columns that `cell` takes on a terminal: Chinese characters take two."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in cell)
