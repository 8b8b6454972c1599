"""A backtest: two rule sets on the journal of a data folder, with the registry, calendar, policies and settings of its server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select

from app.desk import Desk
from app.folder import Folder, Part, Told, silent
from app.pipelines import make_pipeline
from domain.base import Noun
from domain.errors import InvalidAction
from domain.instants import SHANGHAI, spoken
from domain.messages import both
from domain.records import CatalogueEntry, FeedEntry, ObjectsEntry, OutcomeEntry, Record, SignalEntry
from models.registry import VECTOR_REGISTRY
from models.shared import SharedComparison
from rules.load import load_rules
from rules.reach import FOR_EVER, longest_reach
from rules.ruleset import RuleSet
from storage.calendars import load_calendar
from storage.tables import warnings
from streams.pipeline import Pipeline
from streams.runtimes.trial import Episode, RealWarning, Trial

HALF_LIVES: Final = 3  # of warming up beyond the longest window: an eighth of the points is left then
UNROUTED: Final = "(unrouted)"
ALWAYS: Final = ObjectsEntry | CatalogueEntry | FeedEntry  # what counts from the journal's beginning


class Terms(Noun, frozen=True, kw_only=True):
    """What is tried: warnings raised in [from_, to), by two rule sets named by a folder, `active` or a version.

    `warm_up` is how long before `from_` signals are taken in; None takes as long as the rules look back.
    """

    from_: datetime
    to: datetime
    new: str
    old: str = "active"
    warm_up: timedelta | None = None


class Figures(Noun, frozen=True, kw_only=True):
    """What one set would have raised in the period.

    `weeks` are ISO weeks in Asia/Shanghai. `hit_rate` is the share of confirmed ones (属实) of those that were confirmed or found without
    reason (不属实), None where nothing was; `verdicts` count what was found, "" what was not, or not yet. `missed` are warnings that the
    departments confirmed and that this set had none for. `load` are tasks by department and the week in which the whole warning is due.
    """

    version: str
    rules: int
    warnings: int
    levels: dict[str, int]
    departments: dict[str, int]
    weeks: dict[str, int]
    verdicts: dict[str, int]
    hit_rate: float | None
    missed: int
    load: dict[str, dict[str, int]]
    hits: dict[str, int]


class Side(Noun, frozen=True, kw_only=True):
    """One warning of one set."""

    raised_at: datetime
    level: str
    lead: str
    rules: tuple[str, ...]
    verdict: str


class Change(Noun, frozen=True, kw_only=True):
    """A warning that one set raises and the other does not, or not so: `fields` are what differs (raised_at, level, lead, rules)."""

    kind: str  # added removed changed
    subject: str
    matter: str
    old: Side | None
    new: Side | None
    fields: tuple[str, ...] = ()


class Report(Noun, frozen=True, kw_only=True):
    """A backtest's outcome; `whole` says that the journal was read from its beginning on, else signals from `warmed_from` on."""

    from_: datetime
    to: datetime
    warmed_from: datetime | None
    whole: bool
    records: int
    signals: int
    old: Figures
    new: Figures
    added: int
    removed: int
    changed: int
    same: int
    changes: tuple[Change, ...]
    names: dict[str, str]  # of departments, by id


def backtest(folder: Folder, terms: Terms, told: Told = silent) -> Report:
    """Run both sets on the journal, which may be written meanwhile: what is synced when the run begins is what it reads.

    Raises:
        InvalidAction: the period is empty.
        FileProblems: a rule set, calendar or policy is wrong.
        NotFound: there is no such rule set, or journal or log do not reach back as far as the rules look.
        StoreUnavailable: there is no data folder, or it cannot be read, or brokers or database of a cluster are away.
    """
    if terms.from_ >= terms.to:
        raise InvalidAction(both("backtest.empty_period", since=spoken(terms.from_), until=spoken(terms.to)))
    old, new = (load_rules(folder.texts(named)) for named in (terms.old, terms.new))
    start = _start(terms, old, new)
    settings = folder.settings
    years = range(terms.from_.year - 2, terms.to.year + 3)
    with folder.look() as connection:
        desk = Desk(load_calendar(years, settings.calendars), settings.policies)
        context = desk.context(connection)
        rows = connection.execute(select(warnings.c.id, warnings.c.subject, warnings.c.matter, warnings.c.raised_at))
        known = {row.id: RealWarning(subject=row.subject, matter=row.matter, raised_at=row.raised_at) for row in rows}
    shared = SharedComparison(VECTOR_REGISTRY["forest"])  # both sides ask the same of most sectors, every night

    def make(ruleset: RuleSet) -> Pipeline:
        return make_pipeline(settings, {ruleset.version: ruleset}.__getitem__, folder.history, comparison=lambda: shared)

    trials = [Trial(make, each, context, terms.from_) for each in (old, new)]
    records, signals = _run(folder, trials, known, start, terms.to, told)
    pairs = list(_matched(*(trial.episodes for trial in trials)))
    changes = [found for pair in pairs if (found := _change(*pair, terms)) is not None]
    kinds = Counter(change.kind for change in changes)
    figures = [_figures(trial, terms) for trial in trials]
    within = sum(any(side is not None and _within(side, terms) for side in pair) for pair in pairs)
    return Report(
        from_=terms.from_,
        to=terms.to,
        warmed_from=start,
        whole=start is None,
        records=records,
        signals=signals,
        old=figures[0],
        new=figures[1],
        added=kinds["added"],
        removed=kinds["removed"],
        changed=kinds["changed"],
        same=within - len(changes),
        changes=tuple(changes),
        names={unit.id: unit.name for unit in context.directory.departments},
    )


def _start(terms: Terms, *rulesets: RuleSet) -> datetime | None:
    """Return from when on signals are taken in; None from the journal's beginning."""
    if terms.warm_up is not None:
        return terms.from_ - terms.warm_up
    reach = longest_reach(rulesets)
    if reach == FOR_EVER:
        return None
    lives = [rule.half_life for each in rulesets for rule in each.rules if rule.status in {"active", "shadow"}]
    return terms.from_ - reach - HALF_LIVES * max(lives, default=timedelta(0))


def _run(
    folder: Folder,
    trials: list[Trial],
    known: Mapping[str, RealWarning],
    start: datetime | None,
    to: datetime,
    told: Told,
) -> tuple[int, int]:
    """Return how many records and signals were taken."""
    records = signals = last = 0
    later: list[OutcomeEntry] = []
    for record in folder.records(Part(since=start, until=to, answers=True), told):
        if record.received_at >= to:
            later += [record.entry] if isinstance(record.entry, OutcomeEntry) else []
            continue
        last = record.seq
        if start is not None and record.received_at < start and not isinstance(record.entry, ALWAYS):
            continue
        records += 1
        signals += isinstance(record.entry, SignalEntry)
        for trial in trials:
            trial.take(_at_least(record, start), known)
    for trial in trials:
        trial.end(last, to)
        for entry in later:  # what was found later about what was raised in the period
            trial.hear(entry, known.get(entry.warning_id))
    return records, signals


def _at_least(record: Record, start: datetime | None) -> Record:
    """Let the registry of before come into force when the warming up begins: what was undone in between is not played."""
    if start is None or record.received_at >= start:
        return record
    return Record(seq=record.seq, received_at=start, entry=record.entry)


def _within(episode: Episode, terms: Terms) -> bool:
    return terms.from_ <= episode.raised_at < terms.to


def _matched(old: list[Episode], new: list[Episode]) -> list[tuple[Episode | None, Episode | None]]:
    """Pair the warnings of both sets about one subject and matter that were open at one time, each at most once, the earliest first."""
    waiting: dict[tuple[str, str], list[Episode]] = {}
    for episode in new:
        waiting.setdefault((episode.subject, episode.matter), []).append(episode)
    found: list[tuple[Episode | None, Episode | None]] = []
    for episode in old:
        others = waiting.get((episode.subject, episode.matter), [])
        match = next((other for other in others if _overlap(episode, other)), None)
        if match is not None:
            others.remove(match)
        found.append((episode, match))
    found += [(None, episode) for others in waiting.values() for episode in others]
    return sorted(found, key=_place)


def _place(pair: tuple[Episode | None, Episode | None]) -> tuple[datetime, str, str]:
    there = [side for side in pair if side is not None]
    return min(side.raised_at for side in there), there[0].subject, there[0].matter


def _overlap(one: Episode, other: Episode) -> bool:
    return (one.ended_at is None or other.raised_at <= one.ended_at) and (other.ended_at is None or one.raised_at <= other.ended_at)


def _change(old: Episode | None, new: Episode | None, terms: Terms) -> Change | None:
    """Return what differs between the two sets about a warning that one of them raised in the period, None for nothing."""
    there = [side for side in (old, new) if side is not None]
    if not any(_within(side, terms) for side in there):
        return None
    one, other = (_side(side) if side is not None else None for side in (old, new))
    fields: tuple[str, ...] = ()
    if one is not None and other is not None:
        fields = tuple(name for name in ("raised_at", "level", "lead", "rules") if getattr(one, name) != getattr(other, name))
        if not fields:
            return None
    kind = "added" if one is None else "removed" if other is None else "changed"
    return Change(kind=kind, subject=there[0].subject, matter=there[0].matter, old=one, new=other, fields=fields)


def _side(episode: Episode) -> Side:
    lead = episode.lead or UNROUTED
    rules = tuple(sorted(episode.rules))
    return Side(raised_at=episode.raised_at, level=episode.level, lead=lead, rules=rules, verdict=episode.verdict)


def week_of(moment: datetime) -> str:
    """Return the ISO week of an instant in Asia/Shanghai.

    >>> from datetime import UTC
    >>> week_of(datetime(2026, 3, 1, 17, tzinfo=UTC))
    '2026-W10'
    """
    year, week, _ = moment.astimezone(SHANGHAI).isocalendar()
    return f"{year}-W{week:02d}"


def _figures(trial: Trial, terms: Terms) -> Figures:
    inside = [episode for episode in trial.episodes if _within(episode, terms)]
    verdicts = Counter(episode.verdict for episode in inside)
    judged = verdicts["confirmed"] + verdicts["unfounded"]
    load: dict[str, Counter[str]] = {}
    for episode in inside:
        due = episode.case.due_at if episode.case is not None else None
        for department in [task.department for task in episode.tasks] or [UNROUTED]:
            if due is not None:
                load.setdefault(department, Counter())[week_of(due)] += 1
    return Figures(
        version=trial.ruleset.version,
        rules=sum(rule.status in {"active", "shadow"} for rule in trial.ruleset.rules),
        warnings=len(inside),
        levels=_sorted(Counter(episode.level for episode in inside)),
        departments=_sorted(Counter(episode.lead or UNROUTED for episode in inside)),
        weeks=_sorted(Counter(week_of(episode.raised_at) for episode in inside)),
        verdicts=_sorted(verdicts),
        hit_rate=round(verdicts["confirmed"] / judged, 4) if judged else None,
        missed=len({(real.subject, real.matter, real.raised_at) for real, verdict in trial.unmatched if _missed(real, verdict, terms)}),
        load={department: _sorted(weeks) for department, weeks in sorted(load.items())},
        hits=_sorted(trial.hits),
    )


def _missed(real: RealWarning, verdict: str, terms: Terms) -> bool:
    return verdict == "confirmed" and terms.from_ <= real.raised_at < terms.to


def _sorted(counted: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counted.items()))
