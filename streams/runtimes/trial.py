"""One rule set tried on a journal: what it would have raised, who would have had to act by when, and what the departments found.

The journal keeps its order, its times and its registry; only the rule set is another one throughout. The departments' answers are taken
from the journal: what was found about a warning is found about the trial's warning of the same subject and matter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from dispatch.draft import Context
from dispatch.revise import raise_level
from dispatch.route import Routed, route
from domain.base import Noun
from domain.catalogue import Catalogue
from domain.findings import EarlyWarning, EpisodeEnded, Outcome, RuleHit, WarningRaised, WarningUpdated
from domain.records import CatalogueEntry, OutcomeEntry, Record, RulesetEntry, TickEntry
from domain.tasks import Task, WarningCase
from rules.ruleset import RuleSet
from streams.pipeline import Pipeline

Pair = tuple[str, str]  # (subject, matter)


class RealWarning(Noun, frozen=True, kw_only=True):
    """A warning that was really raised, as far as an answer about it needs."""

    subject: str
    matter: str
    raised_at: datetime


@dataclass(slots=True)
class Episode:
    """One warning of a trial; `ended_at` is None while it is open, `verdict` "" until the departments said something of it."""

    id: str
    subject: str
    matter: str
    raised_at: datetime
    level: str
    score: float
    rules: tuple[str, ...]
    lead: str = ""
    ended_at: datetime | None = None
    verdict: str = ""
    case: WarningCase | None = None
    tasks: tuple[Task, ...] = field(default_factory=tuple)


class Trial:
    """Takes the records of a journal in order; `episodes` are what it raised, in order, `hits` its hits by rule since `since`."""

    def __init__(self, make: Callable[[RuleSet], Pipeline], ruleset: RuleSet, context: Context, since: datetime) -> None:
        """`make` gives a pipeline whose loader knows `ruleset`."""
        self.ruleset = ruleset
        self.episodes: list[Episode] = []
        self.hits: Counter[str] = Counter()
        self.unmatched: list[tuple[RealWarning, str]] = []  # verdicts on warnings that this set had none for
        self._pipeline = make(ruleset)
        self._context = context
        self._since = since
        self._catalogue = Catalogue()
        self._open: dict[Pair, Episode] = {}
        self._last: dict[Pair, Episode] = {}
        self._by_id: dict[str, Episode] = {}
        self._begun = False

    def take(self, record: Record, known: Mapping[str, RealWarning]) -> None:
        """Take one record; `known` are the warnings that were really raised, by id."""
        if not self._begun:
            self._begun = True
            self._step(Record(seq=1, received_at=record.received_at, entry=RulesetEntry(version=self.ruleset.version)))
        entry = record.entry
        if isinstance(entry, RulesetEntry):
            entry = TickEntry()
        elif isinstance(entry, CatalogueEntry):
            self._catalogue = entry.catalogue
        elif isinstance(entry, OutcomeEntry):
            entry = self.hear(entry, known.get(entry.warning_id))
        self._step(Record(seq=record.seq + 1, received_at=record.received_at, entry=entry))

    def end(self, seq: int, at: datetime) -> None:
        """Let time pass up to `at` after record `seq`, the last one."""
        self._step(Record(seq=seq + 2, received_at=at, entry=TickEntry()))

    def hear(self, entry: OutcomeEntry, real: RealWarning | None) -> OutcomeEntry:
        """Note what the departments found; return the answer as one about the trial's own warning, about none where there is none.

        A trial counts episodes for itself, so its ids are its own. After the end of a trial only the finding is noted.
        """
        if real is None:
            return OutcomeEntry(warning_id="", verdict=entry.verdict, closed=entry.closed)
        pair = (real.subject, real.matter)
        mine = self._open.get(pair)
        if mine is None:
            last = self._last.get(pair)
            mine = last if last is not None and last.ended_at is not None and last.ended_at >= real.raised_at else None
        if mine is None:
            self.unmatched.append((real, entry.verdict))
        elif entry.verdict:
            mine.verdict = entry.verdict
        return OutcomeEntry(warning_id=mine.id if mine is not None else "", verdict=entry.verdict, closed=entry.closed)

    def _step(self, record: Record) -> None:
        for outcome in self._pipeline.step((record,)):
            self._outcome(outcome, record.received_at)

    def _outcome(self, outcome: Outcome, now: datetime) -> None:
        match outcome:
            case RuleHit() if outcome.at >= self._since:
                self.hits[outcome.rule] += 1
            case WarningRaised(warning=warning) if not warning.shadow:
                self._raise(warning)
            case WarningUpdated(warning=warning) if warning.id in self._by_id:
                self._change(warning)
            case EpisodeEnded() if outcome.warning_id in self._by_id:
                episode = self._by_id.pop(outcome.warning_id)
                episode.ended_at = min(outcome.at, now)
                del self._open[episode.subject, episode.matter]
            case _:
                pass

    def _raise(self, warning: EarlyWarning) -> None:
        pair = (warning.subject, warning.matter)
        episode = Episode(warning.id, *pair, warning.raised_at, warning.level, warning.score, warning.rules)
        self.episodes.append(episode)
        self._open[pair] = self._last[pair] = self._by_id[warning.id] = episode
        routed = route(warning, self._catalogue, self._context, warning.raised_at)
        episode.case = routed.case
        if isinstance(routed, Routed):
            episode.lead, episode.tasks = routed.case.lead, routed.tasks

    def _change(self, warning: EarlyWarning) -> None:
        episode = self._by_id[warning.id]
        if warning.level != episode.level and episode.case is not None:
            raised = raise_level(episode.case, episode.tasks, warning.level, self._context, warning.updated_at)
            episode.case, episode.tasks = raised.case, raised.tasks
        episode.level, episode.score, episode.rules = warning.level, max(episode.score, warning.score), warning.rules
