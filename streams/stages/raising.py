"""Raising (预警): episodes and warnings (decision 6).

A risk that reaches a level opens an episode, which is one warning; whatever comes later joins it. A rule that is new to the episode is
news (`joined`), one of its rules that becomes true again is none. `level` is the highest that the episode reached, `current_level`
follows the score: a fall is an update and hides nothing. An episode ends

- `quiet`: without any level for the sector's quiet period; while all feeds that its rules need are silent, nothing is known of any quiet,
  and the period begins anew;
- `closed`: the departments closed the warning. What is known by then is spent: all contributions go, and a rule that stays true counts
  again only when it hits anew or at a signal that is new evidence for it (feeds its indicators; for a rule without any, whose fields it
  reads; never a revision that tells it nothing else), not before its cooldown has passed since the closing. So nothing already dealt
  with raises the same warning at once, and a new fact does;
- `withdrawn`: corrections left no rule's contribution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Literal

import msgspec

from domain.findings import EarlyWarning, EpisodeEnded, Evidence, Inferred, Outcome, WarningRaised, WarningUpdated, warning_id
from domain.levels import NONE, LevelScale
from streams.stages.feeds import Feeds
from streams.stages.fuse import COUNTED_LIMIT, EVIDENCE_LIMIT, Episode, FuseStage, Part, Risk
from streams.stages.indicators import Moment
from streams.stages.ledger import Live
from streams.stages.windows import from_us

SHADOW: Final = "shadow"
Reason = Literal["joined", "level_raised", "level_fell", "corrected", "rescored"]
Refresh = Callable[[Risk, int], None]
"""Brings what the parts of a risk say of themselves (values, message and, where it is kept elsewhere, evidence) up to an instant."""


def reason_of(rise: int, *, joined: bool, corrected: bool, rescored: bool) -> Reason | None:
    """Return why an open warning is told anew, the weightiest reason first; None where nothing happened that anybody should know.

    `rise` is by how many levels it rose (fell, where negative), `joined` says that a hit brought a rule that is new to the episode.
    """
    if rise > 0:
        return "level_raised"
    if joined:
        return "joined"
    if corrected:
        return "corrected"
    if rise < 0:
        return "level_fell"
    return "rescored" if rescored else None


class RaiseStage:
    """Opens, updates and ends episodes; writes warnings."""

    def __init__(
        self,
        scale: LevelScale,
        fuse: FuseStage,
        feeds: Feeds,
        *,
        refresh: Refresh,
        namespace: str,
        quiet: Mapping[str, int],
        default_quiet: int,
    ) -> None:
        """Start with nothing open; `refresh` is called before a warning is written, for whatever reason it is."""
        self.refresh = refresh
        self._scale = scale
        self._fuse = fuse
        self._feeds = feeds
        self._namespace = namespace
        self._quiet = quiet
        self._default_quiet = default_quiet
        self._open: dict[str, Risk] = {}  # by warning id
        self._touched: dict[str, None] = {}
        self.inferred: dict[str, tuple[Inferred, ...]] = {}  # by warning id, none that is empty
        self.ruleset = ""
        self.complete: Mapping[str, int] = {}  # from when on each rule knows all that it reads

    def take_touched(self) -> list[str]:
        """Return the subjects with a risk that was settled or ended since the last call."""
        touched, self._touched = list(self._touched), {}
        return touched

    def touch(self, subject: str) -> None:
        """Have a subject looked at as if a risk of it had been settled."""
        self._touched[subject] = None

    def settle(
        self, risk: Risk, now: int, *, moment: Moment | None = None, hit: bool = False, corrected: bool = False, rescored: bool = False
    ) -> list[Outcome]:
        """Bring a risk up to `now` after something happened to it; return what came of it, at most one outcome.

        `moment` is the signal that did it, for the kind and region of a new warning; `hit` says that a rule hit, which is an outcome of its
        own: the warning is only updated for it where the rule is new to the episode.
        """
        episode = risk.episode
        if episode is not None and corrected and not any(part.source == "rule" for part in risk.standing(now)):
            self._fuse.clear(risk)
            return [self._end(risk, now, "withdrawn")]
        if not (hit or corrected or rescored or risk.can_rise) and moment is not None:
            return []  # parts were refreshed that could lift the level no further; a fall has its own time
        self._touched[risk.subject] = None
        risk.settled, risk.due = now, None
        before, score = risk.level, self._fuse.score(risk, now)
        risk.level = self._fuse.level(risk, now, score)
        risk.can_rise = self._fuse.could_rise(risk)
        if episode is None:
            return self._maybe_open(risk, now, score, moment)
        grew = self._follow(risk, episode, now)
        rise = self._scale.rank(risk.level) - self._scale.rank(before)
        reason = reason_of(rise, joined=hit and grew, corrected=corrected, rescored=rescored)
        if reason is None:
            return []
        return [WarningUpdated(warning=self._warning(risk, episode, now, score), reason=reason)]

    def warning(self, risk: Risk, now: int) -> EarlyWarning:
        """Return the open warning of a risk as it stands."""
        assert risk.episode is not None
        return self._warning(risk, risk.episode, now, self._fuse.score(risk, now))

    def _follow(self, risk: Risk, episode: Episode, now: int) -> bool:
        """Keep the episode's record of its highest level, its rules and its quiet time; tell whether a rule is new to it."""
        known = len(episode.rules)
        episode.level = self._scale.highest(episode.level, risk.level)
        for part in risk.standing(now):
            if part.source == "rule" and part.name not in episode.rules:
                episode.rules.append(part.name)
                episode.feeds += [source for source in part.feeds if source not in episode.feeds]
        if risk.level != NONE:
            episode.quiet_since = None
        elif episode.quiet_since is None:
            episode.quiet_since = now
        return len(episode.rules) > known

    def _maybe_open(self, risk: Risk, now: int, score: float, moment: Moment | None) -> list[Outcome]:
        if risk.level == NONE:
            return []
        risk.episodes += 1
        id = warning_id(SHADOW if risk.shadow else self._namespace, risk.subject, risk.matter, risk.episodes)  # noqa: A001  # its name
        region = risk.subject.removeprefix("region:") if risk.subject.startswith("region:") else moment.region if moment else ""
        episode = risk.episode = Episode(risk.episodes, id, now, region, moment.entry.signal.kind if moment else "")
        self._open[id] = risk
        self._follow(risk, episode, now)
        return [WarningRaised(warning=self._warning(risk, episode, now, score))]

    def tick(self, risk: Risk, now: int) -> list[Outcome]:
        """Let time alone work on a risk: its level falls, or its quiet period is over."""
        self._fuse.sync(risk)
        episode = risk.episode
        if episode is not None and episode.quiet_since is not None and now >= episode.quiet_since + self.quiet(risk):
            if self._feeds.all_silent(episode.feeds):
                episode.quiet_since = risk.settled = now  # nobody was there to hear it: that is not enough data, and no quiet
                return []
            return [self._end(risk, now, "quiet")]
        return self.settle(risk, now)

    def quiet(self, risk: Risk) -> int:
        """Return the quiet period of the risk's sector in microseconds."""
        return self._quiet.get(risk.sector, self._default_quiet)

    def next_due(self, risk: Risk) -> int | None:
        """Return when time alone changes the risk next, later than it was settled; None where it never does."""
        if risk.episode is None:
            return None
        if risk.episode.quiet_since is not None:
            return max(risk.episode.quiet_since + self.quiet(risk), risk.settled + 1)
        return self._fuse.next_fall(risk, risk.settled)

    def replace(self, before: Iterable[Risk], after: Iterable[Risk]) -> None:
        """Let the risks `after` stand for those of `before`, which are the same as another pipeline knows them."""
        for risk in before:
            if risk.episode is not None:
                del self._open[risk.episode.id]
        self._open.update((risk.episode.id, risk) for risk in after if risk.episode is not None)

    def soonest(self, risk: Risk) -> int:
        """Return an instant before which time does not change a risk with an open episode; `next_due` says it exactly and is dearer."""
        episode = risk.episode
        if episode is None or episode.quiet_since is not None:
            return risk.settled + 1
        return max(risk.settled + 1, self._fuse.soonest_fall(risk, risk.settled))

    def find(self, warning: str) -> Risk | None:
        """Return the risk whose open warning has this id."""
        return self._open.get(warning)

    def close(self, risk: Risk, now: int) -> list[Outcome]:
        """End the risk's episode because the departments closed its warning; its contributions are spent."""
        self._fuse.clear(risk)
        return [self._end(risk, now, "closed")]

    def _end(self, risk: Risk, now: int, reason: Literal["quiet", "closed", "withdrawn"]) -> Outcome:
        episode = risk.episode
        assert episode is not None
        del self._open[episode.id]
        self.inferred.pop(episode.id, None)
        self._touched[risk.subject] = None
        risk.episode = None
        risk.level = NONE
        self._fuse.sweep(risk, now)
        return EpisodeEnded(warning_id=episode.id, at=from_us(now), reason=reason, shadow=risk.shadow)

    def _warning(self, risk: Risk, episode: Episode, now: int, score: float) -> EarlyWarning:
        self.refresh(risk, now)
        parts = risk.standing(now)
        evidence, count = risk.behind if risk.behind is not None else _behind(parts)
        inferred = self.inferred.get(episode.id, ())
        sources = [source for part in parts for source in part.feeds]
        return EarlyWarning(
            id=episode.id,
            subject=risk.subject,
            object_id="" if risk.subject.startswith("region:") else risk.subject,
            matter=risk.matter,
            sector=risk.sector,
            region=episode.region,
            level=episode.level,
            current_level=risk.level,
            score=round(score, 2),
            raised_at=from_us(episode.raised_at),
            updated_at=from_us(now),
            episode=episode.number,
            ruleset=self.ruleset,
            rules=tuple(episode.rules),
            models=tuple(part.name for part in parts if part.source == "model"),
            contributions=tuple(part.shown(now) for part in parts),
            inferred=inferred,
            plan=next((plan for plan in (*(each.plan for each in inferred), *(part.plan for part in parts)) if plan), ""),
            evidence=evidence,
            evidence_count=count,
            kind=episode.kind,
            coverage=self._feeds.coverage(sources),
            silent=self._feeds.quiet(sources),
            warming=tuple(part.name for part in parts if part.source == "rule" and self.complete.get(part.name, 0) > now),
            namespace=SHADOW if risk.shadow else self._namespace,
            shadow=risk.shadow,
        )

    def dump(self) -> Iterator[list[Any]]:
        """Yield what was inferred for the open warnings as plain data; their episodes are in the risks."""
        return ([id, msgspec.to_builtins(inferred)] for id, inferred in sorted(self.inferred.items()))  # noqa: A001  # its name

    def load(self, inferred: Iterable[Any]) -> None:
        """Take up `dump`, and find the open episodes of the risks that were taken up."""
        self.inferred = {id: msgspec.convert(each, tuple[Inferred, ...]) for id, each in inferred}  # noqa: A001  # its name
        self._open = {risk.episode.id: risk for risk in self._fuse.all() if risk.episode is not None}


def _behind(parts: list[Part]) -> tuple[tuple[Evidence, ...], int]:
    """Return the newest signals behind contributions, by their instants, and how many there are in all, `COUNTED_LIMIT` at most."""
    lives = {live.seq: live for part in parts for live in part.evidence.values()}
    newest = sorted(lives.values(), key=lambda live: (live.t, live.seq))[-EVIDENCE_LIMIT:]
    counted = set[int]().union(*(part.counted for part in parts))
    return tuple(_evidence(live) for live in newest), min(len(counted), COUNTED_LIMIT)


def _evidence(live: Live) -> Evidence:
    source, kind, text = live.glance()
    return Evidence(feed=live.feed, id=live.id, seq=live.seq, source=source, kind=kind, occurred_at=from_us(live.t), text=text)
