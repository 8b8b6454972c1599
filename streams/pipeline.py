"""The risk engine: records in, outcomes out.

For each record, in this order (`Pipeline._signal` is the list):

1. ledger — what the signal replaces or withdraws, and whether its object is known
2. indicators — the windows that it counts in
3. rules — which are true at it, and which became true
4. models — the detectors that watch an indicator (inside 2), and the nightly comparison of objects
5. fuse — contributions, score and level of the subject in the matter
6. raising — episodes and warnings
7. conclusions — what follows from an object's findings, once the risks that it rests on are settled

Time inside is the greatest `received_at` so far; nothing here reads a clock. Whatever time alone brings about (a level falls, a quiet
period is over, a night's comparison) is done at its own instant before the first record that is not earlier, so the outcomes depend
neither on how records are cut into batches nor on when ticks are written. A tick only makes sure that a record comes.
"""
# Long because: the order in which a record meets the stages, and what may be asked of them, is read in one place.

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial

from domain.catalogue import Catalogue
from domain.errors import StoreCorrupt
from domain.findings import Outcome
from domain.levels import LevelScale
from domain.messages import both
from domain.partitions import came_here, elsewhere
from domain.ports import Detector, History, Inference, PeerComparison
from domain.records import (
    CatalogueEntry,
    FeedEntry,
    MovedEntry,
    ObjectsEntry,
    OutcomeEntry,
    Prepared,
    Record,
    ResolutionEntry,
    RulesetEntry,
    SignalEntry,
)
from rules.matcher import Matcher
from rules.ruleset import EMPTY, RuleSet, Value
from streams.stages import snapshot
from streams.stages.activation import Activation
from streams.stages.comparison import Comparison
from streams.stages.conclusions import Conclusions
from streams.stages.contributions import Contributions
from streams.stages.deadlines import Deadlines
from streams.stages.effects import Effects
from streams.stages.feeds import Feeds
from streams.stages.fuse import FuseStage
from streams.stages.indicators import IndicatorStage, Keeps, Moment
from streams.stages.inquiry import Inquirer, Inquiry
from streams.stages.ledger import Identity, Ledger, Live, inherit, resolved
from streams.stages.models import ObjectModel, SeriesDetectors
from streams.stages.passing import Passage
from streams.stages.pieces import frames
from streams.stages.raising import RaiseStage
from streams.stages.remote import Remote, Truth
from streams.stages.rules import RuleStage
from streams.stages.settings import PipelineSettings
from streams.stages.takeover import take_over
from streams.stages.telling import tell
from streams.stages.wakes import Wakes
from streams.stages.windows import DAY, MICROSECOND, from_us, to_us

__all__ = ["Pipeline", "PipelineSettings"]


class Pipeline:
    """One instance owns all its keys and is called by one thread; state changes in place."""

    def __init__(
        self,
        levels: LevelScale,
        catalogue_default: Catalogue,
        ruleset_loader: Callable[[str], RuleSet],
        detectors: Mapping[str, Callable[[], Detector]],
        settings: PipelineSettings,
        *,
        object_detector: Callable[[], PeerComparison] | None = None,
        history: History | None = None,
        inference: Inference | None = None,
    ) -> None:
        """Start empty, at position 0, with no rules; `ruleset_loader` finds a rule set by its version, `history` what came before one.

        Without an `inference` the pure matcher answers; the outcomes are the same with any.
        """
        given = (levels, catalogue_default, ruleset_loader, detectors, settings)
        self._again = partial(Pipeline, *given, object_detector=object_detector, history=history, inference=inference)
        self._loader = ruleset_loader
        self._ledger = Ledger(settings.waiting_limit)
        self._series = SeriesDetectors(detectors)
        self._model = ObjectModel(
            object_detector if settings.model_points else None, threshold=settings.model_threshold, fitted=settings.model_fitted
        )
        self._indicators = IndicatorStage(self._ledger, self._series)
        self._feeds = Feeds({feed: late // MICROSECOND for feed, late in settings.lateness.items()})
        self._rules = RuleStage(self._indicators, self._ledger, self._feeds)
        self._rules.catalogue = catalogue_default
        self._fuse = FuseStage(levels, self._ledger)
        self._inquirer = Inquirer(self._rules, self._indicators, self._fuse, self._feeds, levels)
        self._contributions = Contributions(self._rules, self._fuse)
        self._deadlines = Deadlines(self._rules, self._feeds)
        self._raising = RaiseStage(
            levels,
            self._fuse,
            self._feeds,
            refresh=self._contributions.refresh,
            namespace=settings.namespace,
            quiet={sector: quiet // MICROSECOND for sector, quiet in settings.quiet_by_sector.items()},
            default_quiet=settings.quiet // MICROSECOND,
        )
        self._conclusions = Conclusions(inference or Matcher(), self._fuse, self._raising, self._indicators, levels)
        self._wakes = Wakes(self._fuse, self._raising)
        self._comparison = Comparison(
            self._model,
            self._indicators,
            self._rules,
            self._fuse,
            self._raising,
            self._wakes,
            points=settings.model_points,
            half_life=settings.model_half_life // MICROSECOND,
        )
        self._stages = snapshot.Stages(
            self._ledger, self._series, self._indicators, self._rules, self._model, self._fuse, self._feeds, self._raising, self._wakes
        )
        self.passage: Passage | None = None  # notes what other partitions need of the signals
        self.remote = Remote(self._stages, self._contributions, levels)
        waiting = settings.waiting_before or settings.waiting_limit
        self._activation = Activation(self._stages, detectors, history, waiting, self._away)
        self._effects = Effects()
        self._ruleset = EMPTY
        self._position = self._now = self._sweep_at = self._unknown_resolutions = 0

    @property
    def position(self) -> int:
        """The `seq` of the last record taken in, 0 before the first."""
        return self._position

    @property
    def now(self) -> datetime:
        """The greatest `received_at` so far."""
        return from_us(self._now)

    @property
    def ruleset(self) -> RuleSet:
        """The rule set that is active."""
        return self._ruleset

    def counters(self) -> dict[str, int]:
        """Return sizes and losses, for metrics: what waits, what was given up, what is kept."""
        return {
            "waiting": len(self._ledger.waiting),
            "waiting_given_up": self._ledger.given_up,
            "resolutions_of_unknown_signals": self._unknown_resolutions,
            "signals_kept": len(self._ledger),
            "keys": len(self._indicators.keys),
            "signals_too_late": sum(count for count, _ in self._rules.courses.too_late.values()),
        }

    def too_late(self) -> dict[str, tuple[int, datetime]]:
        """Return, by rule, how many signals came later than its sequence remembers, so that they decided nothing, and when the last did."""
        return {rule: (count, from_us(last)) for rule, (count, last) in self._rules.courses.too_late.copy().items()}

    def warming_since(self) -> dict[str, datetime]:
        """Return since when each indicator has been counting, by name."""
        return {name: from_us(at) for name, at in self._indicators.warming_since.items()}

    def complete_from(self) -> dict[str, datetime]:
        """Return from when on each rule knows the whole of what it reads, by id; until then it is warming."""
        return {name: from_us(at) for name, at in self._raising.complete.items()}

    def blind(self) -> dict[str, int]:
        """Return, by rule, of how many subjects nothing can be said because the feeds that would tell are silent."""
        return self._deadlines.blind()

    def suppressed(self) -> dict[str, int]:
        """Return how often each tuning filter kept a rule that was true from speaking."""
        return dict(self._rules.suppressed)

    def values_at(self, subject: str) -> dict[str, Value]:
        """Return every indicator that can be read at a subject's previous signal, as the state stands now; {} for one never met."""
        moment = self._rules.last_moment(subject)
        return {} if moment is None else {name: self._indicators.value(name, moment) for name in self._indicators.plans}

    def inquire(self, rule: str, subject: str, *, restricted: bool = True) -> Inquiry:
        """Return why a rule is or is not true for an object's id or an area's name; raises NotFound for a rule that is not active.

        `restricted` says whether the asker may read the text of restricted signals.
        """
        return self._inquirer.ask(self._ruleset, self._now, rule, subject, restricted=restricted)

    def tell(self, subject: str, language: str = "zh-CN") -> dict[str, str]:
        """Return, by indicator, what its value at a subject's previous signal is made of, or why it is unknown."""
        moment = self._rules.last_moment(subject)
        return {} if moment is None else {name: tell(self._indicators, name, moment, language) for name in self._indicators.plans}

    def keep(self, keeps: Keeps) -> None:
        """Keep some windows and no others, and read the rules about what is kept; to be called before anything is taken in."""
        self._indicators.keeps = keeps

    def step(self, records: Sequence[Record], *, growing: bool = True) -> list[Outcome]:
        """Take in records in order and return what follows; a record at or below the position changes nothing.

        Where their numbers are not `growing` the caller sees to it that none comes twice.

        Raises:
            NotFound: a record activates a rule set that the loader does not have, or wants records that are not at hand any more.
        """
        outcomes: list[Outcome] = []
        received, now = None, 0
        for record in records:
            seq = record.seq
            if seq <= self._position and growing:
                continue
            if record.received_at is not received:  # records that came together share it
                received, now = record.received_at, to_us(record.received_at)
            if now > self._now:
                self._advance(now, outcomes)
                self._now = now
            self._take(record, outcomes)
            while self._deadlines.pending(self._now) and self._decide(self._now, outcomes):
                pass  # what the record brought came too late to wait for anything more
            self._position = max(self._position, seq)
        self._ledger.settle()
        return outcomes

    def fresh(self) -> Pipeline:
        """Return another pipeline made as this one was, which has taken in nothing."""
        return self._again()

    def take_over(self, signals: Sequence[tuple[int, SignalEntry]], seen: Mapping[str, int], hits: Mapping[str, int], now: int) -> None:
        """Take up an object that another engine ran until here: see `streams.stages.takeover`."""
        take_over(self._stages, signals, seen, hits, now)

    def adopt(self, other: Pipeline, subject: str) -> None:
        """Take up what another pipeline with the same rule set knows of an object."""
        self.remote.adopt(other.remote, subject)

    def attend(self, moment: Moment, truths: Iterable[Truth], now: int, made: Callable[[list[str]], object]) -> list[Outcome]:
        """Let follow what follows from rules with points that another engine found true at a signal received at `now`.

        Everything due by `now` has happened. `made` is told the rules whose contribution is new, before anything is said of it.
        """
        self._now = max(self._now, now)
        outcomes: list[Outcome] = []
        made(self.remote.stand(moment, truths, self._effects, now, self._ruleset.version))
        self._settle(self._effects, moment, outcomes)
        return outcomes

    def names(self) -> Iterable[Identity]:
        """Return the identities (feed, id) of the signals that are kept."""
        return self._ledger.names()

    def skip(self, record: Record) -> None:
        """Pass over a quarantined record: only the position moves on."""
        self._position = max(self._position, record.seq)

    def _take(self, record: Record, outcomes: list[Outcome]) -> None:
        entry = record.entry
        if isinstance(entry, SignalEntry):
            self._signal(record.seq, entry, outcomes)
        elif isinstance(entry, ResolutionEntry):
            self._resolution(record.seq, entry, outcomes)
        elif isinstance(entry, MovedEntry):
            self._moved(entry, outcomes)
        elif isinstance(entry, ObjectsEntry):
            self._register(entry)
        elif isinstance(entry, CatalogueEntry):
            self._rules.catalogue = entry.catalogue
        elif isinstance(entry, RulesetEntry):
            self._activate(self._loader(entry.version), record.seq, entry.prepared)
        elif isinstance(entry, OutcomeEntry):
            self._outcome(entry, outcomes)
        elif isinstance(entry, FeedEntry) and entry.mark != "complete":
            self._feeds.mark(entry.feed, silent=entry.mark == "silent")
            if entry.mark == "back":
                self._deadlines.see_again(self._now)

    def _activate(self, ruleset: RuleSet, seq: int, prepared: Prepared | None) -> None:
        """Run another rule set from record `seq` on; nothing is raised by that."""
        if ruleset.version != self._ruleset.version:
            before, self._ruleset = self._ruleset, ruleset
            if self.passage is not None:
                self.passage.activate(ruleset.version)
            untold = self._activation.switch(ruleset, before, seq, prepared, self._now)
            if self.passage is not None:
                self.passage.tell_late(seq, untold)
            self._conclusions.activate(ruleset, self._now)

    def _signal(self, seq: int, entry: SignalEntry, outcomes: list[Outcome]) -> None:
        effects, signal = self._effects, entry.signal
        corrects, withdraws = signal.corrects, signal.withdraws
        replaced = self._ledger.replaced_by(entry)
        if replaced and any(live.seq == seq and live.entry.resolution.object_id == entry.resolution.object_id for live in replaced):
            return  # the same record, passed on again for what is known of it here already
        also: tuple[str, ...] = ()
        if replaced or corrects:
            also = self._ledger.also_for(entry, replaced)
            entry = inherit(entry, replaced)
            for earlier in replaced:
                self._undo(earlier, effects)
        self._pass_on(seq, entry, also, again=bool(replaced or corrects or withdraws or entry.revision))
        live = Live.of(seq, entry, also)
        away = self._move(live, replaced)
        moment = None
        if not withdraws:
            if self._feeds.saw(signal.source, entry.feed):
                self._deadlines.see_again(self._now)
            if entry.resolution.object_id and not away:
                moment = self._count(live, effects)
            else:
                self._ledger.wait(live)
        self._settle(effects, moment, outcomes)

    def _away(self, entry: SignalEntry) -> bool:
        """Tell whether the object of a signal is of another partition."""
        return self.passage is not None and self.passage.away(entry)

    def _move(self, live: Live, replaced: Sequence[Live]) -> bool:
        """Note for other partitions what counts there from here on, or no more; tell whether the signal itself does not count here."""
        if self.passage is None:
            return False
        away = self.passage.away(live.entry) and not live.entry.signal.withdraws
        if away or replaced:
            gone = [before for before in replaced if self.passage.away(before.entry)]
            self.passage.move(live.seq, live.seq, live if away else None, gone)
        return away

    def _moved(self, entry: MovedEntry, outcomes: list[Outcome]) -> None:
        """Another partition has the name of a signal about an object of ours: it counts here from now on, or no more."""
        if not self._ledger.hear(entry):
            return
        effects, moment = self._effects, None
        for earlier in self._ledger.gone_by(entry):
            self._undo(earlier, effects)
        live = self._ledger.moved_here(entry)
        if live is not None:
            if self._feeds.saw(live.entry.signal.source, live.feed):
                self._deadlines.see_again(self._now)
            moment = self._count(live, effects)
        self._settle(effects, moment, outcomes)

    def _resolution(self, seq: int, entry: ResolutionEntry, outcomes: list[Outcome]) -> None:
        """A person said which object a signal is about: it counts there from here on, with its own time, and nowhere else."""
        earlier = self._ledger.meant_by(entry, seq)
        if earlier is None:
            self._unknown_resolutions += 1
            return
        found, away = resolved(earlier.entry, entry.object_id), elsewhere(entry, seq)
        if earlier.entry.resolution.object_id == entry.object_id:
            earlier.entry = found
            return
        effects = self._effects
        live = Live.of(earlier.seq, found, earlier.also)
        if self.passage is not None and came_here(live.seq, seq):
            if entry.object_id:  # that it counts nowhere any more, everybody who knows it has from the record itself
                self._pass_on(live.seq, found, live.also, again=True)
            gone = [one for one in (earlier, live) if self.passage.away(one.entry)]
            self.passage.move(seq, live.seq + 1, live if away else None, gone)
        self._undo(earlier, effects)
        moment = None
        if entry.object_id and not away:
            moment = self._count(live, effects)
        else:
            self._ledger.wait(live)
        self._settle(effects, moment, outcomes)

    def _register(self, entry: ObjectsEntry) -> None:
        self._indicators.objects.update((thing.id, thing) for thing in entry.objects)
        if self.passage is not None:
            self.passage.register(entry.objects)

    def _pass_on(self, seq: int, entry: SignalEntry, also: tuple[str, ...], *, again: bool) -> None:
        """Note a signal that answers to `also` too for those who judge its areas and groups; `again`: it replaces what counted."""
        if self.passage is not None and self.passage.passes:
            self.passage.note(seq, self._indicators.facts_of(entry), self._indicators.region_of(entry), also, everywhere=again)

    def _undo(self, live: Live, effects: Effects) -> None:
        """Take back everything that a signal did."""
        if live.seq in self._ledger.waiting:
            self._ledger.forget(live)
            return
        effects.undone = True
        gone = self._indicators.moment_of_undoing(live)
        effects.earlier.append(gone.facts)
        changed = self._indicators.remove(live)
        untrue = self._rules.retract(gone, changed, self._now)
        for risk in self._fuse.retract(live, untrue, self._now):
            effects.touch(risk, corrected=True)
        for subject, found in untrue.items():
            effects.before.update(((subject, each.plan.id), each.standing) for each in found)
        self._ledger.forget(live)

    def _count(self, live: Live, effects: Effects) -> Moment:
        """Let a signal count, and read the rules at it."""
        moment = self._indicators.moment(live)
        changed = self._indicators.add(moment)
        for reading in self._rules.read(moment, changed, self._now, effects.before):
            self._contributions.add(reading, moment, effects, self._now, self._ruleset.version)
        self._contributions.feed(moment)
        if self._rules.denied:
            self._contributions.deny(effects, self._now)
        if live.holds:
            self._ledger.keep(live)
        self._model.saw(self._now)
        return moment

    def _decide(self, until: int, outcomes: list[Outcome]) -> bool:
        """Decide the first thing that is due by `until`, at its own instant; False where there is none."""
        decision = self._deadlines.decide(until)
        if decision is None:
            return False
        self._now = max(self._now, decision.at)
        if decision.blind is not None:
            outcomes.append(decision.blind)
        effects = self._effects
        for reading, moment in decision.readings:
            self._contributions.add(reading, moment, effects, self._now, self._ruleset.version, decided=True)
        if decision.readings:
            self._settle(effects, decision.readings[0][1], outcomes)
        return True

    def _settle(self, effects: Effects, moment: Moment | None, outcomes: list[Outcome]) -> None:
        """Bring the risks that a record touched up to date, hits first."""
        if effects.empty:
            return
        self._effects = Effects()
        since = len(outcomes)
        outcomes.extend(effects.outcomes)
        for risk, hit, corrected in effects.touched():
            outcomes.extend(self._raising.settle(risk, self._now, moment=moment, hit=hit, corrected=corrected))
            self._wakes.schedule(risk)
        self._conclusions.draw(outcomes, since, self._now)

    def _outcome(self, entry: OutcomeEntry, outcomes: list[Outcome]) -> None:
        """The departments answered; `closed` ends the episode and spends what is known."""
        risk = self._raising.find(entry.warning_id)
        if risk is not None and entry.closed:
            since = len(outcomes)
            outcomes.extend(self._raising.close(risk, self._now))
            self._rules.spend(risk.subject, risk.matter, shadow=risk.shadow, at=self._now)
            self._wakes.schedule(risk)
            self._conclusions.draw(outcomes, since, self._now)

    def next_wake(self) -> datetime | None:
        """Return the exact instant at which time alone changes something next; None for never."""
        first = self._wakes.first()
        faded = first.due if first is not None else None
        due = [at for at in (faded, self._model.due, self._deadlines.first(), self._conclusions.first(self._now)) if at is not None]
        return from_us(min(due)) if due else None

    def earliest(self) -> int | None:
        """Return an instant, in microseconds, before which time alone changes nothing; None for never."""
        timers = self._rules.timers
        due = (self._wakes.earliest(), timers[0][0] if timers else None, self._model.due)
        return min((at for at in due if at is not None), default=None)

    def may_be_due(self, now: datetime) -> bool:
        """Tell whether time alone may change something by `now`; much cheaper than `next_wake`, never wrong with a no."""
        at = to_us(now)
        compares = self._model.due is not None and self._model.due <= at
        return compares or self._wakes.pending(at) or self._deadlines.pending(at) or self._conclusions.pending(at)

    def _advance(self, now: int, outcomes: list[Outcome]) -> None:
        """Let everything happen that time alone brings about up to and including `now`, each at its own instant."""
        reached = self._now
        while self.may_be_due(from_us(now)):
            first, decided, compared = self._wakes.first(), self._deadlines.first(), self._model.due
            faded, concluded = first.due if first is not None else None, self._conclusions.first(reached)
            due = min((at for at in (decided, faded, compared, concluded) if at is not None and at <= now), default=None)
            if due is None:
                break
            self._indicators.peers.advance(due)
            since = len(outcomes)
            if due == decided:
                self._decide(due, outcomes)
            elif first is not None and due == faded:
                outcomes.extend(self._raising.tick(first, due))
                first.due = None
                self._wakes.schedule(first)
            elif due == compared:
                outcomes.extend(self._comparison.run(due))
            else:
                self._conclusions.fall_due(due)
                reached = due
            self._conclusions.draw(outcomes, since, due)
        self._indicators.peers.advance(now)
        midnight = now // DAY * DAY
        if midnight > self._sweep_at:
            self._sweep_at = midnight
            for risk in self._fuse.all():
                self._fuse.sweep(risk, midnight)
            self._rules.sweep(midnight)

    def snapshot(self) -> bytes:
        """Return the whole state; the same history gives the same bytes, wherever it was cut or restored."""
        return b"".join(self.parts())

    def parts(self) -> Iterator[bytes]:
        """Yield `snapshot` part by part, none of them large; nothing may be stepped meanwhile."""
        place = snapshot.Place(
            position=self._position,
            now=self._now,
            ruleset=self._ruleset.version,
            sweep_at=self._sweep_at,
            unknown_resolutions=self._unknown_resolutions,
        )
        return snapshot.take(self._stages, place)

    def restore(self, state: bytes | Iterable[bytes]) -> None:
        """Take up a snapshot, whole or in parts, in a pipeline that has taken in nothing yet; it goes on as if there had been no pause.

        Raises:
            StoreCorrupt: `state` is no snapshot, or one of another format version.
            NotFound: the loader does not have the rule set that was active.
        """
        train = frames(state)
        self.take_up(train)
        if next(train, None) is not None:
            raise StoreCorrupt(both("snapshot.no_pipeline", error=both("snapshot.more")))

    def take_up(self, train: Iterator[bytes]) -> None:
        """Take up a snapshot as `restore` does, from the frames of a train that may go on with something else."""
        place = snapshot.put_back(self._stages, train, self._bring_back)
        self._position, self._now = place.position, place.now
        self._sweep_at, self._unknown_resolutions = place.sweep_at, place.unknown_resolutions
        self._activation.note(self._ruleset)
        self._conclusions.look_ahead(self._now)
        if self.passage is not None:
            self.passage.register(self._indicators.objects.values())

    def _bring_back(self, version: str) -> RuleSet:
        if version != self._ruleset.version:
            self._activate(self._loader(version), 0, None)
        return self._ruleset
