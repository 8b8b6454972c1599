"""Fusion (融合): what rules and models say of a subject in a matter becomes one score and one level.

The score at an instant t is

    min(100, sum over families f of min(cap_f, sum of points_i(t) for i in f) + sum of the models' points at t)
    points_i(t) = full_i * 0.5 ** ((t - since_i) / half_life_i), and 0 below a hundredth of a point

where `since_i` is the time (`received_at`) of the subject's last signal at which rule i was true. A rule without a family is a family of
its own; where rules of one family name different caps, the smallest holds. Rule i's `at_least` is a floor of the level for as long as it
holds at least half of its points, that is until since_i + half_life_i. Between signals a score never rises, so the next fall of a level
is found by halving the time: exact to the millisecond.
"""

# Long because: a score, its parts, and when it falls are one calculation.

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from math import fsum, log2
from typing import Any, Final

from domain.findings import Contribution, Evidence
from domain.levels import NONE, LevelScale
from streams.stages.ledger import Ledger, Live
from streams.stages.rule_plans import RulePlan
from streams.stages.subjects import Untrue
from streams.stages.windows import DAY, MICROSECOND, from_us

GONE: Final = 0.01  # points; less counts as nothing
MILLISECOND: Final = 1_000
HORIZON: Final = 36_525 * DAY  # a hundred years: a fall later than that is none
EVIDENCE_LIMIT: Final = 50  # signals kept per contribution, the newest
COUNTED_LIMIT: Final = 10_000  # signals told apart per contribution; from here on the count is a lower bound
RiskKey = tuple[bool, str]  # (shadow, matter)


_PART: Final = (
    "at_least", "basis", "cap", "counted", "evidence", "family", "feeds", "full", "half_life", "message", "name", "of_signal", "plan",
    "since", "source", "title", "triggers", "values", "version",
)  # fmt: skip
_EPISODE: Final = ("feeds", "id", "kind", "level", "number", "quiet_since", "raised_at", "region", "rules")
_RISK: Final = (
    "behind", "can_rise", "due", "episode", "episodes", "level", "matter", "parts", "sector", "settled", "shadow", "stale", "subject",
)  # fmt: skip


class Part:
    """One contribution to a score, and the signals behind it.

    `counted` are the numbers of the signals that were inside its windows when it was made, or that fed it since; `evidence` the newest of
    them.
    `triggers` are, for a rule that reads fields of the signal, the signals it was true at.
    """

    __slots__ = _PART

    def __init__(self, source: str, name: str, title: str) -> None:
        self.source = source
        self.name = name
        self.title = title
        self.full = 0.0
        self.since = 0
        self.half_life = 0
        self.of_signal = False
        self.family = ""
        self.cap = 100.0
        self.at_least = ""
        self.message = ""
        self.values: dict[str, Any] = {}
        self.basis: tuple[str, ...] = ()
        self.plan = ""
        self.version = ""
        self.feeds: tuple[str, ...] = ()
        self.counted: dict[int, None] = {}
        self.evidence: dict[int, Live] = {}
        self.triggers: dict[int, int] = {}

    def take(self, plan: RulePlan, version: str) -> None:
        """Take over what the rule says of its points in this version of the rule set."""
        rule = plan.rule
        self.version = version
        self.title, self.full, self.family, self.cap = rule.title, rule.points, rule.family, rule.cap
        self.at_least, self.basis, self.plan, self.feeds = rule.at_least, rule.basis, rule.plan, rule.feeds
        self.half_life = rule.half_life // MICROSECOND
        self.of_signal = plan.of_signal

    def points(self, t: int) -> float:
        """Return the points at `t`; a half-life of nothing means that they do not fade."""
        age = t - self.since
        if age <= 0 or self.half_life <= 0:
            return self.full
        points = self.full * 0.5 ** (age / self.half_life)
        return points if points >= GONE else 0.0

    def fades(self, after: int) -> int | None:
        """Return the first whole millisecond later than `after` at which nothing is left of the points; None for one that never fades."""
        if self.half_life <= 0 or self.full <= 0.0:
            return None
        at = (self.since + int(self.half_life * log2(max(self.full / GONE, 1.0)))) // MILLISECOND - 1
        at = max(at, after // MILLISECOND + 1, self.since // MILLISECOND + 1)
        while self.points(at * MILLISECOND) > 0.0:
            at += 1
        return at * MILLISECOND

    def floor(self, t: int) -> str:
        """Return the level that this part holds up at `t`; a part of no points holds up none."""
        holds = self.half_life <= 0 or t - self.since <= self.half_life
        return self.at_least if holds and self.full >= 2 * GONE else NONE

    def shown(self, t: int) -> Contribution:
        """Return the part as a warning shows it."""
        return Contribution(
            source="rule" if self.source == "rule" else "model",
            name=self.name,
            title=self.title,
            points=round(self.points(t), 2),
            full=self.full,
            since=from_us(self.since),
            message=self.message,
            values=self.values,
            basis=self.basis,
            plan=self.plan,
        )


class Episode:
    """One open warning: what was promised when it was raised and what it has reached."""

    __slots__ = _EPISODE

    def __init__(self, number: int, id: str, raised_at: int, region: str, kind: str) -> None:  # noqa: A002  # the warning's own word
        self.number = number
        self.id = id
        self.raised_at = raised_at
        self.region = region
        self.kind = kind
        self.level = NONE
        self.rules: list[str] = []
        self.feeds: list[str] = []  # sources that its rules need
        self.quiet_since: int | None = None


class Risk:
    """A subject in a matter: its parts, its level, its open episode, and how many episodes there were.

    `settled` is when its level was last read, `can_rise` whether full points of all its parts might lift it. `due` is when time alone
    changes something next (None: never, or not asked yet); with `stale` it is only known to be no earlier. `behind` is its evidence where
    another engine finds it.
    """

    __slots__ = _RISK

    def __init__(self, subject: str, matter: str, sector: str, *, shadow: bool) -> None:
        self.subject = subject
        self.matter = matter
        self.sector = sector
        self.shadow = shadow
        self.parts: dict[str, Part] = {}
        self.level = NONE
        self.episode: Episode | None = None
        self.episodes = 0
        self.settled = 0
        self.can_rise = True
        self.due: int | None = None
        self.stale = False
        self.behind: tuple[tuple[Evidence, ...], int] | None = None

    def standing(self, t: int) -> list[Part]:
        """Return the parts that have not faded to nothing at `t`, the weightiest first."""
        left = [part for part in self.parts.values() if part.points(t) > 0.0]
        return sorted(left, key=lambda part: (-part.points(t), part.source, part.name))


class FuseStage:
    """All risks by subject. One thread; state changes in place.

    `sync` is called before time alone reads the parts of a risk (its next fall, its quiet period, what has faded by midnight): it brings
    the parts' `since` up to date where an engine only notes that they were refreshed. Here they are at every signal.
    """

    def __init__(self, scale: LevelScale, ledger: Ledger) -> None:
        self._scale = scale
        self._ledger = ledger
        self.risks: dict[str, dict[RiskKey, Risk]] = {}
        self.sync: Callable[[Risk], None] = lambda _risk: None

    def risk(self, subject: str, matter: str, sector: str, *, shadow: bool) -> Risk:
        """Return the risk of a subject in a matter, made when it is first asked for."""
        own = self.risks.setdefault(subject, {})
        risk = own.get((shadow, matter))
        if risk is None:
            risk = own[shadow, matter] = Risk(subject, matter, sector, shadow=shadow)
        return risk

    def all(self) -> Iterator[Risk]:
        """Yield all risks in the order in which they were made."""
        for own in self.risks.values():
            yield from own.values()

    def score(self, risk: Risk, t: int) -> float:
        """Return the score at `t`, in [0, 100]."""
        sums = []
        families: dict[str, list[tuple[float, float]]] = {}
        for part in risk.parts.values():
            points = part.points(t)
            if part.family:
                families.setdefault(part.family, []).append((points, part.cap))
            else:
                sums.append(min(part.cap, points))
        sums += [min(fsum(points for points, _ in members), *(cap for _, cap in members)) for members in families.values()]
        return min(100.0, fsum(sums))

    def level(self, risk: Risk, t: int, score: float) -> str:
        """Return the level at `t` of a risk that stood at `risk.level`, floors and hysteresis included."""
        level = self._scale.level(score, risk.level)
        for part in risk.parts.values():
            if part.at_least:
                level = self._scale.highest(level, part.floor(t))
        return level

    def could_rise(self, risk: Risk) -> bool:
        """Tell whether the level would be higher if every part had its full points."""
        full = self.level(risk, -1, self.score(risk, -1))  # nothing fades before it was true
        return full != risk.level and self._scale.rank(full) > self._scale.rank(risk.level)

    def next_fall(self, risk: Risk, after: int) -> int | None:
        """Return the first whole millisecond at which the level is lower than now; None for none within 100 years.

        It is later than `after`, when the level was read, and than all signals that refreshed a part since.
        """
        rank = self._scale.rank(risk.level)
        if rank == 0:
            return None
        floors = [part for part in risk.parts.values() if part.at_least and self._scale.rank(part.at_least) >= rank]
        if any(part.half_life <= 0 for part in floors):
            return None
        ends = max((part.since + part.half_life + 1 for part in floors), default=0)
        threshold = self._scale.levels[rank - 1].at - self._scale.hysteresis
        below = self._below(risk, threshold, max(after, *(part.since for part in risk.parts.values())) if risk.parts else after)
        return None if below is None else max(below, -(-ends // MILLISECOND) * MILLISECOND)

    def soonest_fall(self, risk: Risk, after: int) -> int:
        """Return an instant before which the level does not fall below that at `after`: as if all faded by the shortest half-life."""
        rank = self._scale.rank(risk.level)
        if rank == 0:
            return after
        threshold = self._scale.levels[rank - 1].at - self._scale.hysteresis + GONE * len(risk.parts)  # which may all be cut at once
        after = max(after, *(part.since for part in risk.parts.values())) if risk.parts else after
        now = self.score(risk, after)
        halving = [part.half_life for part in risk.parts.values() if part.half_life > 0]
        if now < threshold or threshold <= 0.0 or not halving:
            return after
        return after + int(min(halving) * log2(now / threshold)) - 2 * MILLISECOND

    def _below(self, risk: Risk, threshold: float, after: int) -> int | None:
        """Return the first whole millisecond after `after` at which the score is below `threshold`; None for none within 100 years.

        Contributions that all fade by the shortest half-life bound it from below, by the longest, and without caps, from above.
        """

        def holds(ms: int) -> bool:
            return self.score(risk, ms * MILLISECOND) >= threshold

        start = after // MILLISECOND
        now = self.score(risk, after)
        parts = [part for part in risk.parts.values() if part.points(after) > 0.0]
        if now < threshold or not parts or threshold <= 0.0:
            return (start + 1) * MILLISECOND if threshold > 0.0 else None
        shortest, longest = (pick(part.half_life for part in parts) for pick in (min, max))
        low, high = start, start + HORIZON // MILLISECOND
        if shortest > 0:
            low = start + int(shortest * log2(now / threshold)) // MILLISECOND - 1
            whole = fsum(part.points(after) for part in parts)
            high = min(high, start + int(longest * log2(max(whole, now) / threshold)) // MILLISECOND + 2)
        if low <= start or not holds(low):
            low = start
        if holds(high):
            return None
        while high - low > 1:
            middle = (low + high) // 2
            if holds(middle):
                low = middle
            else:
                high = middle
        return high * MILLISECOND

    def cite(self, risk: Risk, part: Part, lives: list[Live]) -> None:
        """Count `lives` behind `part` of `risk`, and keep at least the newest `EVIDENCE_LIMIT` as its evidence."""
        for live in lives:
            if live.seq not in part.counted and len(part.counted) < COUNTED_LIMIT:
                part.counted[live.seq] = None
            if live.seq not in part.evidence:
                part.evidence[live.seq] = live
                live.holds += 1
                if live.cited is None:
                    live.cited = []
                live.cited.append((risk, part))
        if len(part.evidence) > 2 * EVIDENCE_LIMIT:
            newest = sorted(part.evidence.values(), key=lambda live: (live.t, live.seq))
            for live in newest[:-EVIDENCE_LIMIT]:
                del part.evidence[live.seq]
                self._ledger.release(live)

    def trigger(self, part: Part, live: Live, now: int) -> None:
        """Note that a rule which reads the signal's fields was true at `live`, which is cited."""
        part.triggers.pop(live.seq, None)
        part.triggers[live.seq] = now
        while len(part.triggers) > EVIDENCE_LIMIT:
            del part.triggers[next(iter(part.triggers))]

    def retract(self, live: Live, untrue: Mapping[str, list[Untrue]], now: int) -> list[Risk]:
        """Take back what rests on the undone signal; return the risks that lost a part or evidence that still counted.

        A rule that the correction alone made untrue loses its contribution. One that reads the signal's fields goes back to the newest
        signal left that it was true at. One that is fading already goes when all the signals behind it are gone: in doubt it stays.
        """
        touched: dict[int, Risk] = {}
        cited, live.cited = live.cited or (), None
        own = [(risk, part) for subject in untrue for risk in self.risks.get(subject, {}).values() for part in risk.parts.values()]
        for risk, part in (*cited, *own):
            if risk.parts.get(part.name) is part and self._lose(part, live):
                if part.points(now) > 0.0:
                    touched[id(risk)] = risk
                if part.source == "rule" and (not part.counted or (part.of_signal and not part.triggers)):
                    self.drop(risk, part.name)
        for subject, found in untrue.items():
            wholly = {each.plan.id for each in found if each.wholly}
            for risk in self.risks.get(subject, {}).values() if wholly else ():
                for name in [name for name, part in risk.parts.items() if name in wholly and part.source == "rule"]:
                    if risk.parts[name].points(now) > 0.0:
                        touched[id(risk)] = risk
                    self.drop(risk, name)
        return list(touched.values())

    def deny(self, subject: str, names: Iterable[str], lives: Iterable[Live], true: Container[str], now: int) -> list[Risk]:
        """Take signals from behind the parts of rules that they turned out to be no evidence for; return the risks that lost points.

        A part goes when nothing is left behind it, or when its rule is not among those that are still true.
        """
        touched: list[Risk] = []
        for risk in self.risks.get(subject, {}).values():
            lost = False
            for part in [risk.parts[name] for name in names if name in risk.parts]:
                if sum(self._lose(part, live) for live in lives):
                    lost = lost or part.points(now) > 0.0
                    if not part.counted or part.name not in true:
                        self.drop(risk, part.name)
            if lost:
                touched.append(risk)
        return touched

    def _lose(self, part: Part, live: Live) -> bool:
        """Take `live` from behind `part`; tell whether it was there."""
        known = live.seq in part.counted
        part.counted.pop(live.seq, None)
        if part.evidence.pop(live.seq, None) is not None:
            self._ledger.release(live)
            known = True
        if part.triggers.pop(live.seq, None) is not None:
            part.since = max(part.triggers.values(), default=part.since)
            known = True  # it may be no evidence, but the points count from another signal now
        return known

    def drop(self, risk: Risk, name: str) -> None:
        """Remove a part and let go of its evidence."""
        for live in risk.parts.pop(name).evidence.values():
            self._ledger.release(live)

    def clear(self, risk: Risk) -> None:
        """Remove all parts."""
        for name in list(risk.parts):
            self.drop(risk, name)

    def rename(self, new: Mapping[str, str]) -> None:
        """Let what a renamed rule contributed count under its new id; `new` is by old id."""
        for risk in self.all() if new else ():
            if new.keys() & risk.parts.keys():
                for part in risk.parts.values():
                    part.name = new.get(part.name, part.name) if part.source == "rule" else part.name
                risk.parts = {part.name: part for part in risk.parts.values()}
            if risk.episode is not None:
                risk.episode.rules = [new.get(name, name) for name in risk.episode.rules]

    def sweep(self, risk: Risk, t: int) -> None:
        """Remove the parts that have faded to nothing; the score is the same without them."""
        for part in risk.parts.values():
            if t - part.since >= part.half_life and part.points(t) == 0.0:  # within a half-life none fades to nothing
                break
        else:
            return
        self.sync(risk)
        for name in [name for name, part in risk.parts.items() if part.points(t) == 0.0]:
            self.drop(risk, name)

    def dump(self) -> Iterator[dict[str, Any]]:
        """Yield all risks as plain data; signals stand by their number."""
        return map(_dump, self.all())

    def load(self, state: Iterable[Any], lives: Mapping[int, Live]) -> None:
        """Take up `dump`."""
        self.risks = {}
        for saved in state:
            risk = self.risk(saved["subject"], saved["matter"], saved["sector"], shadow=saved["shadow"])
            for name in ("level", "episodes", "settled", "can_rise"):
                setattr(risk, name, saved[name])
            if saved["episode"] is not None:
                risk.episode = Episode(0, "", 0, "", "")
                for name in _EPISODE:
                    setattr(risk.episode, name, saved["episode"][name])
            for fields in saved["parts"]:
                part = risk.parts[fields["name"]] = Part(fields["source"], fields["name"], fields["title"])
                kept = {
                    **fields,
                    "basis": tuple(fields["basis"]),
                    "feeds": tuple(fields["feeds"]),
                    "counted": dict.fromkeys(fields["counted"]),
                    "evidence": {seq: lives[seq] for seq in fields["evidence"]},
                }
                for name in _PART:
                    setattr(part, name, kept[name])
                for live in part.evidence.values():
                    live.holds += 1
                    live.cited = [*(live.cited or ()), (risk, part)]


_NOT_SAVED: Final = frozenset({"parts", "episode", "due", "stale", "behind"})


def _dump(risk: Risk) -> dict[str, Any]:
    saved: dict[str, Any] = {name: getattr(risk, name) for name in _RISK if name not in _NOT_SAVED}
    saved["episode"] = {name: getattr(risk.episode, name) for name in _EPISODE} if risk.episode is not None else None
    saved["parts"] = []
    for part in risk.parts.values():
        fields = {name: getattr(part, name) for name in _PART}
        fields["counted"], fields["evidence"] = list(part.counted), list(part.evidence)
        saved["parts"].append(fields)
    return saved
