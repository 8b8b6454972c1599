"""What the risk engine finds: hits, scores and early warnings (预警)."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, Literal

import msgspec

from domain.base import Noun


class Evidence(Noun, frozen=True, kw_only=True):
    """One signal behind a warning."""

    feed: str
    id: str
    seq: int
    source: str
    kind: str
    occurred_at: datetime
    text: str = ""


class RuleHit(Noun, frozen=True, kw_only=True):
    """A rule became true for a subject on a signal (decision 4: true now, not true at the key's previous signal).

    `values` are the indicator and field values that the condition read, by name; `message` is the rule's sentence with them.
    `signal_only` marks a rule with no points: it is written to `--hits` and never raises.
    """

    rule: str
    subject: str  # object id, or "region:610113" for an area
    object_id: str
    matter: str
    feed: str
    signal: str
    seq: int
    at: datetime
    values: dict[str, Any]
    message: str
    signal_only: bool = False
    shadow: bool = False  # of a rule on trial: written down, never delivered
    suppressed: str = ""  # the tuning filter that kept it from counting: written down, part of no score


class RuleBlind(Noun, frozen=True, kw_only=True, tag="blind"):
    """A rule could not be decided for a subject, because feeds that would tell are silent: neither a hit nor nothing (decision 5).

    `signal` of `feed` is what it was about: the one that nothing was seen to follow, or the last at which the rule was true. `sources`
    are those that nothing is heard of.
    """

    rule: str
    subject: str
    object_id: str
    matter: str
    feed: str
    signal: str
    at: datetime
    sources: tuple[str, ...]
    shadow: bool = False


class Contribution(Noun, frozen=True, kw_only=True):
    """One part of a score: `points` now (after decay), of `full` points when it was last true at `since`."""

    source: Literal["rule", "model"]
    name: str
    title: str
    points: float
    full: float
    since: datetime
    message: str
    values: dict[str, Any] = msgspec.field(default_factory=dict)
    basis: tuple[str, ...] = ()
    plan: str = ""


class Reason(Noun, frozen=True, kw_only=True):
    """A fact that an inference rests on, as `domain.inference` writes facts, and its title; `holds` False: that it is not so."""

    fact: str
    title: str
    holds: bool = True


class TransferHint(Noun, frozen=True, kw_only=True):
    """A hint that a case may have to be transferred (涉嫌犯罪移送线索): people decide, the hint says what to look at.

    `crime` is the suspected crime, `basis` the articles by which it is judged and transferred, `to` who takes the case.
    """

    crime: str
    basis: tuple[str, ...]
    to: str


class Inferred(Noun, frozen=True, kw_only=True):
    """What follows from several findings about an object: a composite finding, with a plan or a transfer hint where it selects one."""

    id: str
    title: str
    message: str
    because: tuple[Reason, ...]
    basis: tuple[str, ...] = ()
    plan: str = ""
    transfer: TransferHint | None = None


class EarlyWarning(Noun, frozen=True, kw_only=True):
    """The risk engine's finding about a subject in a matter, in one episode.

    `level` is the highest that the episode reached: it never falls (what was promised stays promised); `current_level` follows the score.
    `evidence` are the newest 50 signals, oldest first; `evidence_count` counts all behind the present contributions. Values and messages
    of contributions whose rules are true are those of `updated_at`.
    `inferred` is what follows from the object's findings, as far as it rests on one of this warning. `plan` is the response plan
    (预案): that of the first inference that selects one, else that of the weightiest contribution.
    `score` is in [0, 100]. `coverage` is the share of the feeds that its rules need which were not silent, in [0, 1];
    `silent` names those that were. `warming` are those of its present rules that did not know the whole of their windows yet.
    """

    id: str
    subject: str
    object_id: str
    matter: str
    sector: str
    region: str
    level: str
    current_level: str
    score: float
    raised_at: datetime
    updated_at: datetime
    episode: int
    ruleset: str
    rules: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    contributions: tuple[Contribution, ...] = ()
    inferred: tuple[Inferred, ...] = ()
    plan: str = ""
    evidence: tuple[Evidence, ...] = ()
    evidence_count: int = 0
    kind: str = ""  # of the signal that raised it: routing needs it
    coverage: float = 1.0
    silent: tuple[str, ...] = ()
    warming: tuple[str, ...] = ()
    namespace: str = "live"
    shadow: bool = False


def warning_id(namespace: str, subject: str, matter: str, episode: int) -> str:
    """Return the deterministic id of a warning (decision 6): no rule, no clock and no random number in it.

    >>> warning_id("live", "o-1", "gas", 1) == warning_id("live", "o-1", "gas", 1)
    True
    """
    text = "\x1f".join((namespace, subject, matter, str(episode)))
    return "w" + hashlib.sha256(text.encode()).hexdigest()[:20]


class WarningRaised(Noun, frozen=True, kw_only=True, tag="raised"):
    """A new episode: `warning` is to be routed."""

    warning: EarlyWarning


class WarningUpdated(Noun, frozen=True, kw_only=True, tag="updated"):
    """The open warning of this id changed: a rule that it did not have yet, another current level, a correction, an inference."""

    warning: EarlyWarning
    reason: Literal["joined", "level_raised", "level_fell", "corrected", "rescored", "inferred"]


class EpisodeEnded(Noun, frozen=True, kw_only=True, tag="ended"):
    """The episode is over; the next hit of this subject and matter is a new warning.

    `quiet`: below the clear level for the matter's quiet period. `closed`: the obligation engine closed the warning.
    `withdrawn`: the facts behind it were withdrawn or corrected away. `shadow`: that of a warning on trial, which nobody was told of.
    """

    warning_id: str
    at: datetime
    reason: Literal["quiet", "closed", "withdrawn"]
    shadow: bool = False


Outcome = WarningRaised | WarningUpdated | EpisodeEnded | RuleHit | RuleBlind
