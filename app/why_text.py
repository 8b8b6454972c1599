"""Why and why not, as lines of text for a terminal: hits, and the parts of a condition with their values and limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from app.console.words import CHINESE, Words
from app.views.why import Held, HitView, Why
from domain.findings import Inferred
from domain.instants import spoken
from domain.messages import text
from rules.reasons import JOINS, OverriddenParam, Reason
from streams.stages.inquiry import Inquiry

MARKS: Final = {True: "✓", False: "✗", None: "?"}
HOLDS: Final = {True: "true", False: "false", None: "unknown"}


def value(found: Any, language: str = CHINESE) -> str:
    """Return a value as a person reads it; None is unknown."""
    return text("why.unknown", language) if found is None else Words(language).value(found)


def part_lines(parts: Iterable[Reason], language: str = CHINESE) -> Iterator[str]:
    """Yield a line for each part of a condition: whether it holds, what was compared, and how far it is from holding."""
    for part in parts:
        line = f"{'  ' * part.depth}{MARKS[part.holds]} {part.text}"
        if part.operator not in JOINS and part.operator:
            line += f"    {value(part.left, language)} {part.operator} {value(part.right, language) if part.right is not None else '…'}"
        elif part.operator not in JOINS:
            line += f"    = {value(part.holds, language)}"
        if part.inputs:
            line += "  (" + ", ".join(f"{name} = {value(found, language)}" for name, found in part.inputs.items()) + ")"
        if part.missing:
            line += "    " + text("why.missing", language, missing=value(part.missing, language))
        yield line
        yield from (f"{'  ' * (part.depth + 1)}{overridden_line(one, language)}" for one in part.overridden)


def overridden_line(one: OverriddenParam, language: str = CHINESE) -> str:
    """Return where the value of a parameter came from as a sentence."""
    told = {"name": one.name, "value": value(one.value, language), "region": one.region, "until": one.until.isoformat()}
    return text("why.overridden", language, **told)


def held_line(one: Held, titles: Mapping[str, str], language: str = CHINESE) -> str:
    """Return what kept a rule from counting as a sentence; rules are named by `titles`, by their ids where it has none."""
    until = spoken(one.until) if one.until is not None else ""
    rule = ", ".join(titles.get(name) or name for name in one.rule.split(", "))
    return text(f"why.held.{one.reason}", language, rule=rule, points=f"{one.points:g}", until=until, by=one.by, share=f"{one.points:.0%}")


def rule_titles(why: Why) -> dict[str, str]:
    """Return the titles of the rules that are spoken of, by their ids."""
    return {one.rule: one.title for one in why.hits} | {one.name: one.title for one in why.fades}


def why_lines(why: Why, language: str = CHINESE) -> Iterator[str]:
    """Yield why a warning stands, hit by hit."""
    level = text(f"level.{why.level}", language)
    told = {"warning": why.warning, "level": level, "score": f"{why.score:g}", "at": spoken(why.at), "ruleset": why.ruleset[:12]}
    yield text("why.as_of", language, **told)
    if why.shadow:
        yield text("why.shadow", language)
    for hit in why.hits:
        yield ""
        yield from _hit_lines(hit, language)
    if not why.hits:
        yield text("console.why_none", language)
    if why.inferred:
        yield from ("", text("console.inferred", language))
        yield from (f"  {line}" for one in why.inferred for line in _inferred_lines(one, language))
    if why.held:
        yield from ("", text("console.why_held", language), *(f"  {held_line(one, rule_titles(why), language)}" for one in why.held))
    if len(why.instants) > 1:
        yield from ("", text("console.why_fades", language))
        for fade in why.fades:
            points = "  ".join(f"{spoken(at)[5:]} {points:g}" for at, points in zip(why.instants, fade.points, strict=True))
            yield f"  {fade.name or text('console.why_score', language)}: {points}"
    for fall in why.falls:
        yield "  " + text("why.falls", language, at=spoken(fall.at), level=text(f"level.{fall.level}", language))


def _inferred_lines(one: Inferred, language: str) -> Iterator[str]:
    yield f"{one.id} {one.title}: {one.message}"
    lacking = text("console.lacking", language)
    because = "; ".join(each.title if each.holds else f"{lacking} {each.title}" for each in one.because)
    yield f"  {text('console.because', language)} {because}"
    if one.transfer is not None:
        yield "  " + text("console.transfer", language, crime=one.transfer.crime, to=one.transfer.to)


def _hit_lines(hit: HitView, language: str) -> Iterator[str]:
    told = {"at": spoken(hit.at), "rule": hit.rule, "title": hit.title, "feed": hit.feed, "signal": hit.signal, "seq": hit.seq}
    counts = "" if hit.counts == "yes" else text("why.not_counted", language, why=text(f"why.counts.{hit.counts}", language))
    yield text("why.hit", language, **told) + counts
    yield f"  {hit.message}"
    yield from (f"  {line}" for line in part_lines(hit.parts, language))
    if hit.text:
        yield "  " + text("why.judged", language, file=hit.file, line=hit.line, ruleset=hit.ruleset[:12])
        yield from (f"    {line}" for line in hit.text.splitlines())
    else:
        yield "  " + text("console.why_no_text", language)


def why_not_lines(found: Inquiry, language: str = CHINESE) -> Iterator[str]:
    """Yield why a rule is or is not true for a subject."""
    told = {"rule": found.rule, "title": found.title, "subject": found.subject, "at": spoken(found.at), "ruleset": found.ruleset[:12]}
    yield text("why_not.as_of", language, **told)
    if found.occurred_at is not None:
        yield text("why_not.last", language, feed=found.feed, signal=found.signal, at=spoken(found.occurred_at))
    yield text(f"why_not.holds.{HOLDS[found.holds]}", language)
    yield from (f"  {line}" for line in part_lines(found.parts, language))
    for name, told_of in found.made_of.items():
        yield f"  {name.rpartition('.')[2]}: {told_of[language != CHINESE]}"
    if found.obstacles:
        yield text("why_not.obstacles", language)
    for one in found.obstacles:
        until = spoken(one.until) if one.until is not None else ""
        yield "  - " + text(f"why_not.obstacle.{one.reason}", language, detail=one.detail, until=until).rstrip()
    if found.score or found.points:
        level = text(f"level.{found.level}", language)
        told = {"points": f"{found.points:g}", "score": f"{found.score:g}", "level": level, "warning": found.warning}
        yield text("why_not.score", language, **told).rstrip() + (text("why_not.on_trial", language) if found.shadow else "")
    if found.text:
        yield text("why.judged", language, file=found.file, line=found.line, ruleset=found.ruleset[:12])
        yield from (f"  {line}" for line in found.text.splitlines())
