"""Runs the tests that rules carry in their files, each through a real pipeline on virtual time.

A case is about its rule alone: the rule set of a run is that rule, run as if active and in force, with the indicators that it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from unicodedata import east_asian_width

from domain.catalogue import Catalogue
from domain.errors import NotFound
from domain.findings import EarlyWarning, Outcome, RuleHit, WarningRaised, WarningUpdated
from domain.levels import DEFAULT_LEVELS, LevelScale
from domain.messages import text
from domain.objects import Resolution
from domain.ports import Detector
from domain.records import AnyEntry, ObjectsEntry, Record, RulesetEntry, SignalEntry
from domain.signals import Signal
from rules.cases import BASE, Case
from rules.ruleset import Indicator, Rule, RuleSet
from streams.pipeline import Pipeline, PipelineSettings
from streams.stages.indicators import area_name


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What became of one case; `explanation` is "" for one that passed, else what differs and each value at each step, as a table."""

    case: Case
    passed: bool
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class _Step:
    """One signal of a case with what it left: the rule's indicator values, its hit, and the warning after it."""

    after: timedelta
    signal: Signal
    values: Mapping[str, Any]
    hit: RuleHit | None
    warning: EarlyWarning | None


def run_cases(
    ruleset: RuleSet,
    detectors: Mapping[str, Callable[[], Detector]],
    *,
    cases: Sequence[Case] | None = None,
    levels: LevelScale = DEFAULT_LEVELS,
    language: str = "zh-CN",
) -> Iterator[CaseResult]:
    """Run `cases` (by default all that `ruleset` carries) and yield their results in order."""
    rules = {rule.id: rule for rule in ruleset.rules}
    for case in ruleset.cases if cases is None else cases:
        rule = rules.get(case.rule)
        if rule is None:
            yield CaseResult(case, passed=False, explanation=text("ruletest.no_rule", language, rule=case.rule))
            continue
        alone = _alone(rule, ruleset)
        steps = _run(case, alone, detectors, levels)
        wrong = _differences(case, steps, language)
        table = _table(steps, alone, language) if wrong else ""
        yield CaseResult(case, passed=not wrong, explanation="\n".join([*wrong, table]) if wrong else "")


def _alone(rule: Rule, ruleset: RuleSet) -> RuleSet:
    """Return the rule set of one rule and of the indicators that it reads or shows, with their inputs."""
    needed: dict[str, Indicator] = {}

    def need(name: str) -> None:
        indicator = ruleset.indicators.get(name)
        if indicator is not None and name not in needed:
            if indicator.input:
                need(indicator.input)
            needed[name] = indicator

    for name in (*rule.when.indicators, *rule.says):
        need(name)
    active = replace(rule, status="active", effective_from=None, effective_to=None)
    return RuleSet(version="case", rules=(active,), indicators=needed)


def _run(case: Case, alone: RuleSet, detectors: Mapping[str, Callable[[], Detector]], levels: LevelScale) -> list[_Step]:
    def load(version: str) -> RuleSet:
        if version != alone.version:
            raise NotFound(f"a case runs rule set {alone.version}, not {version}")
        return alone

    pipeline = Pipeline(levels, Catalogue(), load, detectors, PipelineSettings())
    regions = {thing.id: thing.region for thing in case.objects}
    seq = 0

    def take(after: timedelta, entry: AnyEntry) -> list[Outcome]:
        nonlocal seq
        seq += 1
        return pipeline.step([Record(seq=seq, received_at=BASE + after, entry=entry)])

    take(timedelta(0), RulesetEntry(version=alone.version))
    if case.objects:
        take(timedelta(0), ObjectsEntry(version=1, objects=case.objects))
    steps = []
    warnings: dict[str, EarlyWarning] = {}
    for after, signal in case.signals:
        about = signal.object.id
        entry = SignalEntry(feed="test", signal=signal, resolution=Resolution(object_id=about, method="id", confidence=1.0), digest="")
        outcomes = take(after, entry)
        hit = next((out for out in outcomes if isinstance(out, RuleHit)), None)
        warnings.update((out.warning.subject, out.warning) for out in outcomes if isinstance(out, WarningRaised | WarningUpdated))
        region = regions.get(about) or signal.region
        values: dict[str, Any] = {}
        for name, indicator in alone.indicators.items():
            key = about if indicator.by == "object" else area_name(region, indicator.by)
            values[name] = pipeline.values_of(key).get(name)
        steps.append(_Step(after, signal, values, hit, warnings.get(hit.subject if hit is not None else about)))
    return steps


def _differences(case: Case, steps: list[_Step], language: str) -> list[str]:
    """Return what differs from the expectation, a sentence each."""
    expect = case.expect
    first = next((step for step in steps if step.hit is not None), None)
    if not expect.hits:
        if first is None or first.hit is None:
            return []
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
    if expect.score is not None and (warning is None or abs(warning.score - expect.score) > 0.005):
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
        about = f"{step.signal.source} {step.signal.kind} {step.signal.object.id}"
        result = ""
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
