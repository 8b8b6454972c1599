"""Why a warning stands: hits with the values and limits they had, the rule texts that judged them, what held points back, how it fades.

Everything is read from what was written down at the time: the values of each hit, the stored texts of the rule set that was active at it,
the signal as journalled. Nothing is worked out from today's values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, and_, case, or_, select

from app.views.scope import Sight
from app.views.summary import decode_entry
from domain.base import Noun
from domain.errors import FileProblems, NotFound
from domain.findings import EarlyWarning, Inferred
from domain.levels import DEFAULT_LEVELS
from domain.objects import RegulatedObject, Resolution
from domain.records import SignalEntry
from rules.facts import Facts
from rules.reasons import Reason, reasons, rule_text
from rules.ruleset import Rule, RuleSet, course_of
from storage import risk
from storage.tables import hits, signals
from streams.pipeline import PipelineSettings
from streams.stages.fading import Fading, Share
from streams.stages.rule_plans import OBJECT_FIELD

HITS: Final = 20  # of one warning that are explained, the newest
AHEAD: Final = (timedelta(0), timedelta(days=1), timedelta(days=3), timedelta(days=7), timedelta(days=14), timedelta(days=30))
Load = Callable[[str], RuleSet]
LAST: Final = 1 << 62  # a number behind all records


class HitView(Noun, frozen=True, kw_only=True):
    """One hit: the rule's text in the version that judged it, and each part of its condition with the values of that instant.

    `counts` is yes, or why not: its rule only records its hits (`signal_only`), is on trial (`shadow`) or was kept back by a tuning filter
    (`suppressed`, by its id). Without the
    stored text `text` is "" and there are no `parts`.
    """

    rule: str
    title: str
    at: datetime
    feed: str
    signal: str
    seq: int
    occurred_at: datetime | None
    message: str
    ruleset: str
    file: str
    line: int
    text: str
    basis: tuple[str, ...]
    parts: tuple[Reason, ...]
    counts: str  # yes signal_only shadow suppressed
    suppressed: str = ""  # the tuning filter that kept it from counting


class Fade(Noun, frozen=True, kw_only=True):
    """The points of one contribution, or of the whole score (`name` ""), at each of `Why.instants`."""

    name: str
    title: str
    full: float
    since: datetime | None
    half_life_seconds: float
    at_least: str
    points: tuple[float, ...]


class Fall(Noun, frozen=True, kw_only=True):
    """When the level falls to `level` ("" for none) if nothing more comes."""

    at: datetime
    level: str


class Held(Noun, frozen=True, kw_only=True):
    """What kept a rule from counting, or from counting in full.

    `reason` is family_cap (`points` of the family's points are not counted), hundred, shadow, signal_only, cooldown (no further hit of it
    before `until`), suppressed (`by` is the tuning filter) or silent (`points` is the share of its feeds that were heard, `by` names the
    others).
    """

    reason: str
    rule: str
    points: float = 0.0
    until: datetime | None = None
    by: str = ""


class Why(Noun, frozen=True, kw_only=True):
    """Why a warning stands, as of `at`, when the engine last looked at it; `fades` and `falls` are for the case that nothing more comes."""

    warning: str
    at: datetime
    level: str
    score: float
    ruleset: str
    hits: tuple[HitView, ...]
    held: tuple[Held, ...]
    instants: tuple[datetime, ...]
    fades: tuple[Fade, ...]
    falls: tuple[Fall, ...]
    shadow: bool = False  # of rules on trial: nobody was told of it
    inferred: tuple[Inferred, ...] = ()  # what follows from the findings about its object


@dataclass(frozen=True, slots=True)
class Trail:
    """What the tables say of a warning, before any rule text is read; the rows and the versions of the sets that judged them."""

    warning: EarlyWarning
    open: bool
    rows: tuple[tuple[Row[Any], str, SignalEntry | None], ...]
    versions: Mapping[str, str]  # of each contribution, by its rule


def gather(connection: Connection, seen: Sight) -> Trail:
    """Read what `reckon` needs of a warning that was looked up already."""
    warning = seen.warning
    own = hits.c.warning_id == warning.id
    lately = and_(hits.c.subject == warning.subject, hits.c.at <= warning.updated_at, hits.c.at >= _first(warning))
    beside = and_(lately, or_(hits.c.shadow != warning.shadow, hits.c.warning_id.is_(None)))
    newest = (hits.c.at.desc(), hits.c.seq.desc(), hits.c.rule)
    found = {(row.seq, row.rule): row for row in connection.execute(select(hits).where(or_(own, beside)).order_by(*newest).limit(HITS))}
    for part in warning.contributions:
        if part.source == "rule" and all(row.rule != part.name for row in found.values()):
            # It hit before the warning was raised: not enough for one then, or the rule was on trial and is active now.
            mine = and_(hits.c.rule == part.name, hits.c.subject == warning.subject, hits.c.at <= part.since)
            alike = case((hits.c.shadow == warning.shadow, 0), else_=1)
            known = connection.execute(select(hits).where(mine).order_by(alike, *newest).limit(1)).one_or_none()
            found |= {} if known is None else {(known.seq, known.rule): known}
    rows = sorted(found.values(), key=lambda row: (row.at, row.seq, row.rule))
    bodies = connection.execute(select(signals.c.seq, signals.c.body).where(signals.c.seq.in_([row.seq for row in rows])))
    entries = {row.seq: decode_entry(row.body) for row in bodies}
    return Trail(
        warning=warning,
        open=seen.case is None or seen.case.status in {"open", "unrouted"},
        rows=tuple((row, _version(connection, row.at, row.seq, warning), _readable(entries.get(row.seq), seen)) for row in rows),
        versions={part.name: _version(connection, part.since, LAST, warning) for part in warning.contributions},
    )


def _first(warning: EarlyWarning) -> datetime:
    return min((warning.raised_at, *(part.since for part in warning.contributions)))


def _version(connection: Connection, at: datetime, seq: int, warning: EarlyWarning) -> str:
    return risk.judged_by(connection, at, seq) or warning.ruleset


def _readable(entry: SignalEntry | None, seen: Sight) -> SignalEntry | None:
    """Take out the text of a restricted signal where the asker may not read it; a condition on it then stands as unknown."""
    if entry is None or seen.reads_restricted or entry.signal.confidential != "restricted":
        return entry
    return msgspec.structs.replace(entry, signal=msgspec.structs.replace(entry.signal, text="", attrs={}))


def reckon(trail: Trail, load: Load) -> Why:
    """Say why; `load` finds a stored rule set by its version and raises NotFound or FileProblems for one that cannot be read."""
    warning = trail.warning
    sets = _Sets(load)
    fading = Fading(_shares(trail, sets), DEFAULT_LEVELS)
    instants = tuple(warning.updated_at + ahead for ahead in AHEAD) if trail.open else (warning.updated_at,)
    told = tuple(_hit(row, version, entry, sets, warning) for row, version, entry in trail.rows)
    return Why(
        warning=warning.id,
        at=warning.updated_at,
        level=warning.current_level,
        score=warning.score,
        ruleset=warning.ruleset,
        shadow=warning.shadow,
        inferred=warning.inferred,
        hits=told,
        held=tuple(_held(trail, told, fading, sets)),
        instants=instants,
        fades=tuple(_fades(trail, fading, instants, sets)),
        falls=tuple(Fall(at=at, level=level) for at, level in fading.falls(warning.current_level, warning.updated_at))
        if trail.open
        else (),
    )


class _Sets:
    """Rule sets by version, each read once; one that cannot be read has no rules."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._known: dict[str, tuple[RuleSet | None, dict[str, Rule]]] = {}

    def rule(self, version: str, name: str) -> tuple[RuleSet | None, Rule | None]:
        if version not in self._known:
            try:
                ruleset = self._load(version)
            except (NotFound, FileProblems):  # stored elsewhere, or in words that this version of Fengsui does not read any more
                self._known[version] = (None, {})
            else:
                self._known[version] = (ruleset, {rule.id: rule for rule in ruleset.rules})
        ruleset_or_none, rules = self._known[version]
        return ruleset_or_none, rules.get(name)


def _shares(trail: Trail, sets: _Sets) -> Iterable[Share]:
    for part in trail.warning.contributions:
        if part.source == "model":
            yield Share(part.name, part.full, part.since, PipelineSettings().model_half_life)
            continue
        _, rule = sets.rule(trail.versions[part.name], part.name)
        if rule is None:  # fades as far as is known: not at all
            yield Share(part.name, part.points, part.since, timedelta(0))
        else:
            yield Share(part.name, part.full, part.since, rule.half_life, rule.family, rule.cap, rule.at_least)


def _hit(row: Row[Any], version: str, entry: SignalEntry | None, sets: _Sets, warning: EarlyWarning) -> HitView:
    ruleset, rule = sets.rule(version, row.rule)
    parts: tuple[Reason, ...] = ()
    if rule is not None and entry is not None:
        parts = reasons(rule.when.explain(_facts(row, entry)))
    scored = {part.name for part in warning.contributions if part.source == "rule"}
    suppressed = row.suppressed or ""
    shadow = row.shadow and not warning.shadow and row.rule not in scored
    return HitView(
        rule=row.rule,
        title=rule.title if rule is not None else row.rule,
        at=row.at,
        feed=entry.feed if entry is not None else "",
        signal=entry.signal.id if entry is not None else "",
        seq=row.seq,
        occurred_at=entry.signal.occurred_at if entry is not None else None,
        message=row.message,
        ruleset=version,
        file=rule.file if rule is not None else "",
        line=rule.line if rule is not None else 0,
        text=rule_text(ruleset, rule) if ruleset is not None and rule is not None else "",
        basis=rule.basis if rule is not None else (),
        parts=parts,
        counts="suppressed" if suppressed else "shadow" if shadow else "signal_only" if rule is not None and not rule.points else "yes",
        suppressed=suppressed,
    )


def _facts(row: Row[Any], entry: SignalEntry) -> Facts:
    """Return what the condition read at the hit: every value and field of its object as they were written down with it."""
    values = {name: _known(name, value) for name, value in msgspec.json.decode(row.values).items()}
    about = values.get("object", entry.resolution.object_id)
    fields = {name.removeprefix(OBJECT_FIELD): value for name, value in values.items() if name.startswith(OBJECT_FIELD)}
    known = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items() if value is not None}
    thing = RegulatedObject(**({"id": about, "type": "enterprise", "name": ""} | known)) if fields else None
    return Facts(_with_object(entry, about), thing, values)


def _known(name: str, value: Any) -> Any:
    """Return a value as the condition read it: of a sequence the hit keeps the signals that it rests on."""
    return bool(value) if name.startswith(course_of("")) else value


def _with_object(entry: SignalEntry, about: str) -> SignalEntry:
    """Return the entry with the object that it counted for at the hit, whatever was confirmed since."""
    if entry.resolution.object_id == about:
        return entry
    return msgspec.structs.replace(entry, resolution=Resolution(object_id=about, method="confirmed", confidence=1.0))


def _held(trail: Trail, told: tuple[HitView, ...], fading: Fading, sets: _Sets) -> Iterable[Held]:
    warning = trail.warning
    for name in dict.fromkeys(one.rule for one in told if one.counts == "shadow"):
        yield Held(reason="shadow", rule=name)
    for name in dict.fromkeys(one.rule for one in told if one.counts == "signal_only"):
        yield Held(reason="signal_only", rule=name)
    for name, tuned in dict.fromkeys((one.rule, one.suppressed) for one in told if one.suppressed):
        yield Held(reason="suppressed", rule=name, by=tuned)
    families: dict[str, list[Rule]] = {}
    for part in warning.contributions:
        _, rule = sets.rule(trail.versions[part.name], part.name)
        if rule is None:
            continue
        families.setdefault(rule.family or f"={rule.id}", []).append(rule)
        last = max((one.at for one in told if one.rule == rule.id), default=None)
        if rule.cooldown and last is not None and last + rule.cooldown > warning.updated_at:
            yield Held(reason="cooldown", rule=rule.id, until=last + rule.cooldown)
    whole = 0.0
    for members in families.values():
        points, cap = sum(fading.points(rule.id, warning.updated_at) for rule in members), min(rule.cap for rule in members)
        whole += min(points, cap)
        if points > cap:
            yield Held(reason="family_cap", rule=", ".join(rule.id for rule in members), points=round(points - cap, 2))
    if whole > 100.0:
        yield Held(reason="hundred", rule="", points=round(whole - 100.0, 2))
    if warning.coverage < 1.0:
        yield Held(reason="silent", rule="", points=round(warning.coverage, 4), by=", ".join(warning.silent))


def _fades(trail: Trail, fading: Fading, instants: tuple[datetime, ...], sets: _Sets) -> Iterable[Fade]:
    for part, share in zip(trail.warning.contributions, _shares(trail, sets), strict=True):
        yield Fade(
            name=part.name,
            title=part.title,
            full=part.full,
            since=part.since,
            half_life_seconds=share.half_life.total_seconds(),
            at_least=share.at_least,
            points=tuple(round(fading.points(part.name, at), 2) for at in instants),
        )
    yield Fade(
        name="",
        title="",
        full=0.0,
        since=None,
        half_life_seconds=0.0,
        at_least="",
        points=tuple(round(fading.score(at), 2) for at in instants),
    )
