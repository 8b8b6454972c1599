"""The health of rules (规则健康): what is wrong with one, from what is known of its hits, its feeds and its cost. One place decides.

Everything that is compared is an argument; the limits stand here, each with what it is for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final, Literal

from domain.base import Noun
from rules.ruleset import Rule

Kind = Literal["never_fires", "noisy", "slow", "overlapping", "blind", "warming", "starved", "late"]
KINDS: Final[tuple[Kind, ...]] = ("never_fires", "noisy", "slow", "overlapping", "blind", "warming", "starved", "late")

PATIENCE: Final = timedelta(days=30)  # without a hit; rarer rules are known by their tests
LOUD: Final = 200  # hits in 24 hours: more than a duty desk reads
JUDGED: Final = 10  # verdicts, before their share says anything
UNFOUNDED: Final = 0.8  # of the verdicts, from which on a rule is noise
DEAR: Final = 50.0  # microseconds for one reading of a condition; an ordinary one takes one or two
ALIKE: Final = 0.9  # of the subjects of both rules together, hit by both
FEW: Final = 10  # subjects, below which two rules are not compared


class Life(Noun, frozen=True, kw_only=True):
    """What is known of one rule at `now`.

    `since_long`: it has been running for `PATIENCE` at least. `confirmed` and `unfounded` count the departments' verdicts on warnings that
    it had a part in. `micros` is what one reading of its condition takes, 0.0 where that was not measured. `alike` are the rules that hit
    nearly the same subjects, with the share. `silent` are sources that it needs and of which every feed is silent, `unheard` those of
    which nothing was received lately; `warm_at` is when its windows are full, None where they are. `too_late` counts the signals that came
    later than its sequence remembers, so that they decided nothing, `last_too_late` is when the last of them came.
    """

    now: datetime
    since_long: bool = False
    hits_day: int = 0
    hits: int = 0
    confirmed: int = 0
    unfounded: int = 0
    micros: float = 0.0
    alike: Mapping[str, float] = {}
    silent: tuple[str, ...] = ()
    unheard: tuple[str, ...] = ()
    warm_at: datetime | None = None
    too_late: int = 0
    last_too_late: datetime | None = None


class Ailment(Noun, frozen=True, kw_only=True):
    """One thing that is wrong with a rule; `detail` is the number, names or instant that says how much."""

    kind: Kind
    detail: str = ""


def ailments(rule: Rule, life: Life) -> tuple[Ailment, ...]:
    """Return what is wrong with a rule that runs, nothing for a draft or a deprecated one.

    A rule without a hit whose feeds are silent or send nothing is blind or starved, and one whose windows are not full is warming: only
    where none of that is so is it told that it never fires.
    """
    if rule.status not in {"active", "shadow"}:
        return ()
    found = list(_of(rule, life))
    waits = any(each.kind in {"blind", "warming", "starved"} for each in found)
    if life.since_long and not life.hits and not waits:
        found.insert(0, Ailment(kind="never_fires"))
    return tuple(found)


def _of(rule: Rule, life: Life) -> Iterator[Ailment]:
    judged = life.confirmed + life.unfounded
    if life.hits_day > LOUD:
        yield Ailment(kind="noisy", detail=str(life.hits_day))
    elif judged >= JUDGED and life.unfounded / judged >= UNFOUNDED:
        yield Ailment(kind="noisy", detail=f"{life.unfounded}/{judged}")
    if life.micros > DEAR:
        yield Ailment(kind="slow", detail=f"{life.micros:.0f} µs")
    for other, share in sorted(life.alike.items()):
        yield Ailment(kind="overlapping", detail=f"{other} {share:.0%}")
    if life.silent:
        yield Ailment(kind="blind", detail=", ".join(life.silent))
    if rule.feeds and set(life.unheard) - set(life.silent) >= set(rule.feeds):
        yield Ailment(kind="starved", detail=", ".join(rule.feeds))
    if life.warm_at is not None and life.warm_at > life.now:
        yield Ailment(kind="warming", detail=life.warm_at.isoformat())
    if life.last_too_late is not None and life.now - life.last_too_late < PATIENCE:
        yield Ailment(kind="late", detail=str(life.too_late))


def overlaps(subjects: Mapping[str, frozenset[str]]) -> dict[str, dict[str, float]]:
    """Return, by rule, the rules that hit nearly the same subjects, with the share that both hit of those that either did.

    >>> same = frozenset(map(str, range(10)))
    >>> overlaps({"a": same, "b": same, "c": frozenset("xyz")})
    {'a': {'b': 1.0}, 'b': {'a': 1.0}}
    """
    found: dict[str, dict[str, float]] = {}
    known = sorted((rule, those) for rule, those in subjects.items() if len(those) >= FEW)
    for place, (one, mine) in enumerate(known):
        for other, others in known[place + 1 :]:
            if min(len(mine), len(others)) < ALIKE * max(len(mine), len(others)):
                continue  # they cannot be alike
            share = len(mine & others) / len(mine | others)
            if share >= ALIKE:
                found.setdefault(one, {})[other] = found.setdefault(other, {})[one] = share
    return found
