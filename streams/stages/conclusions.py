"""Conclusions (推断): what follows from the findings of one object, shown on the warnings that it rests on.

Whenever risks were settled, by a record or by time alone, the objects whose warnings may have changed are looked at; so are those of
which a finding fades to nothing, at that instant, and all at the instant at which an inference comes into force or ends. Their facts are
the rules whose contributions have not faded to nothing, over all matters, the levels by sector, what the registry says of them, and which
inferences are in force.
The answer of the inference depends on the facts alone, and so is remembered. Neither score nor level changes by it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from domain.findings import Inferred, Outcome, Reason, WarningRaised, WarningUpdated
from domain.inference import Program, concluded, described, in_force, labelled, reached, reasons, stands
from domain.levels import LevelScale
from domain.messages import text
from domain.ports import Inference
from rules.ruleset import InferenceRule, RuleSet
from streams.stages.fuse import FuseStage, Risk
from streams.stages.indicators import IndicatorStage
from streams.stages.raising import RaiseStage
from streams.stages.windows import NEVER, to_us

MEMORY: Final = 65_536  # sets of facts whose conclusions are remembered; then the memory starts again
Because = tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class _Running:
    """A program, the facts that it names, and what was concluded from the sets of facts met so far."""

    program: Program
    named: frozenset[str]
    known: dict[frozenset[str], dict[str, Because]]


class Conclusions:
    """Keeps the inferences of the open warnings up to date. One thread; it changes `RaiseStage.inferred` and nothing else."""

    def __init__(self, inference: Inference, fuse: FuseStage, raising: RaiseStage, indicators: IndicatorStage, scale: LevelScale) -> None:
        self._inference = inference
        self._fuse = fuse
        self._raising = raising
        self._indicators = indicators
        self._levels = scale.names()
        self._rules: dict[str, InferenceRule] = {}
        self._titles: dict[str, str] = {}
        self._running: dict[bool, _Running] = {}
        self._queue: list[tuple[int, str]] = []  # when a finding of a subject with an open warning fades, or sooner
        self._due: dict[str, int] = {}  # which entry of the queue is a subject's own
        self._dates: list[int] = []  # at which an inference comes into force or ends, ascending

    def activate(self, ruleset: RuleSet, now: int) -> None:
        """Run the inferences of `ruleset` from `now` on; a warning takes them up when something happens to its object."""
        self._rules = {each.id: each for each in ruleset.inferences}
        self._titles = {stands(rule.id): rule.title for rule in ruleset.rules}
        self._titles |= {concluded(each.id): each.title for each in ruleset.inferences}
        self._running = {}
        for trial in (False, True):
            program = ruleset.program(trial=trial)
            named = frozenset(name for each in program.productions for clause in each.clauses for name in (*clause.holds, *clause.lacks))
            if program.productions:
                self._running[trial] = _Running(program, named, {})
        self.look_ahead(now)

    def look_ahead(self, now: int) -> None:
        """Work out anew, from the state as it stands at `now`, what time alone will change."""
        dates = {to_us(at) for each in self._rules.values() for at in (each.effective_from, each.effective_to) if at is not None}
        self._dates = sorted(at for at in dates if at > now) if self._running else []
        self._queue, self._due = [], {}
        for subject in self._with_warnings():
            self._schedule(subject, now)

    def _with_warnings(self) -> list[str]:
        return [subject for subject, risks in self._fuse.risks.items() if any(risk.episode is not None for risk in risks.values())]

    def _schedule(self, subject: str, now: int) -> None:
        """Note when a finding of a subject with an open warning fades first, of those that inferences name."""
        due = self._fades(subject, now)
        if due is not None and due < self._due.get(subject, NEVER):
            self._due[subject] = due
            heapq.heappush(self._queue, (due, subject))

    def _fades(self, subject: str, now: int) -> int | None:
        risks = self._fuse.risks.get(subject, {}).values()
        if not self._running or subject.startswith("region:") or all(risk.episode is None for risk in risks):
            return None
        for risk in risks:
            self._fuse.sync(risk)
        parts = [part for risk in risks for part in risk.parts.values() if part.source == "rule" and part.points(now) > 0.0]
        named = [part for part in parts if any(stands(part.name) in running.named for running in self._running.values())]
        return min((at for part in named if (at := part.fades(now)) is not None), default=None)

    def pending(self, now: int) -> bool:
        """Tell whether time alone may change a conclusion by `now`; cheap, and sometimes too cautious."""
        return bool(self._queue and self._queue[0][0] <= now) or bool(self._dates and self._dates[0] <= now)

    def first(self, now: int) -> int | None:
        """Return the exact instant, later than `now`, at which time alone may change a conclusion next; None for never."""
        queue = self._queue
        while queue:
            due, subject = queue[0]
            own = self._due.get(subject) == due
            if own and self._fades(subject, now) == due:
                break
            heapq.heappop(queue)
            if own:
                del self._due[subject]
                self._schedule(subject, now)
        return min((at for at in (queue[0][0] if queue else None, self._dates[0] if self._dates else None) if at is not None), default=None)

    def fall_due(self, at: int) -> None:
        """Have those looked at again whose findings fade at `at`, all of them where an inference comes into force or ends."""
        while self._queue and self._queue[0][0] <= at:
            due, subject = heapq.heappop(self._queue)
            if self._due.get(subject) == due:
                del self._due[subject]
                self._raising.touch(subject)
        if self._dates and self._dates[0] <= at:
            self._dates = [date for date in self._dates if date > at]
            for subject in self._with_warnings():
                self._raising.touch(subject)

    def draw(self, outcomes: list[Outcome], since: int, now: int) -> None:
        """Bring the warnings of the objects that were touched up to date; `outcomes` from `since` on are what this instant brought.

        One that is raised by it is raised with what follows; for any other that is an outcome of its own, after all others.
        """
        touched = self._raising.take_touched()
        if not self._running and not self._raising.inferred:
            return
        for subject in sorted(touched):
            self._schedule(subject, now)
            for risk, inferred in self._of(subject, now):
                episode = risk.episode
                if episode is None or inferred == self._raising.inferred.get(episode.id, ()):
                    continue
                self._raising.inferred[episode.id] = inferred
                if not inferred:
                    del self._raising.inferred[episode.id]
                self._tell(outcomes, since, risk, now)

    def _tell(self, outcomes: list[Outcome], since: int, risk: Risk, now: int) -> None:
        warning = self._raising.warning(risk, now)
        for place in range(len(outcomes) - 1, since - 1, -1):
            out = outcomes[place]
            if isinstance(out, WarningRaised | WarningUpdated) and out.warning.id == warning.id:
                outcomes[place] = msgspec.structs.replace(out, warning=warning)
                if isinstance(out, WarningRaised):
                    return
                break
        outcomes.append(WarningUpdated(warning=warning, reason="inferred"))

    def _of(self, subject: str, now: int) -> Iterator[tuple[Risk, tuple[Inferred, ...]]]:
        """Yield each open warning's risk of a subject with what is concluded for it."""
        risks = list(self._fuse.risks.get(subject, {}).values())
        for trial in (False, True):
            own = [risk for risk in risks if risk.shadow == trial and risk.episode is not None]
            running = self._running.get(trial)
            if not own:
                continue
            if running is None or subject.startswith("region:"):
                yield from ((risk, ()) for risk in own)
                continue
            found = {*self._facts(subject, [risk for risk in risks if trial or not risk.shadow], now), *self._effective(now)}
            facts = frozenset(found) & running.named
            because = self._conclude(running, facts)
            for risk in own:
                yield risk, self._shown(risk, because, now)

    def _facts(self, subject: str, risks: list[Risk], now: int) -> Iterator[str]:
        for risk in risks:
            for part in risk.standing(now):
                if part.source == "rule":
                    yield stands(part.name)
            yield from self._reached(risk)
        thing = self._indicators.objects.get(subject)
        if thing is not None:
            yield from (labelled(label) for label in thing.labels)
            yield described("object.type", thing.type)
            yield described("object.credit", thing.credit)
            yield described("object.industry", thing.industry)

    def _effective(self, now: int) -> Iterator[str]:
        """Yield that each inference is in force which is."""
        for each in self._rules.values():
            begun = each.effective_from is None or to_us(each.effective_from) <= now
            if begun and (each.effective_to is None or now < to_us(each.effective_to)):
                yield in_force(each.id)

    def _reached(self, risk: Risk) -> Iterator[str]:
        if risk.level:
            yield from (reached(risk.sector, level) for level in self._levels[: self._levels.index(risk.level) + 1])

    def _conclude(self, running: _Running, facts: frozenset[str]) -> dict[str, Because]:
        found = running.known.get(facts)
        if found is None:
            if len(running.known) >= MEMORY:
                running.known.clear()
            found = dict(reasons(running.program, facts, frozenset(self._inference.infer(running.program, facts))))
            running.known[facts] = found
        return found

    def _shown(self, risk: Risk, because: dict[str, Because], now: int) -> tuple[Inferred, ...]:
        """Return what rests on a finding of `risk`: the inferences of its own sector first, else in the order of files and lines."""
        own = {stands(part.name) for part in risk.standing(now) if part.source == "rule"} | set(self._reached(risk))
        shown: list[InferenceRule] = []
        for name, met in because.items():
            if any(holds and fact in own for fact, holds in met):
                own.add(concluded(name))
                shown.append(self._rules[name])
        shown.sort(key=lambda each: (each.sector != risk.sector, each.file, each.line))
        return tuple(self._inferred(each, because[each.id]) for each in shown)

    def _inferred(self, rule: InferenceRule, because: Because) -> Inferred:
        return Inferred(
            id=rule.id,
            title=rule.title,
            message=rule.say,
            because=tuple(Reason(fact=fact, title=self._title(fact), holds=holds) for fact, holds in because if fact != in_force(rule.id)),
            basis=rule.basis,
            plan=rule.plan,
            transfer=rule.transfer,
        )

    def _title(self, fact: str) -> str:
        """Return a fact in the reader's words."""
        if fact in self._titles:
            return self._titles[fact]
        kind, _, rest = fact.partition(":")
        if kind == "level":
            return text("inference.level", level=text(f"level.{rest.partition('>=')[2]}"))
        return text("inference.label", label=rest) if kind == "label" else fact
