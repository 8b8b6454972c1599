"""Taking up an object that another engine ran until here (`streams.kernel`), as if its signals had come through this one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from domain.records import SignalEntry
from streams.stages.ledger import Live
from streams.stages.small import NOTHING, having
from streams.stages.snapshot import Stages
from streams.stages.subjects import Standing, Subject


def take_over(
    stages: Stages, signals: Sequence[tuple[int, SignalEntry]], seen: Mapping[str, int], hits: Mapping[str, int], now: int
) -> None:  # fmt: skip
    """Bring `stages` to where they would be for the object of `signals`.

    `signals` are those, with their numbers, that may still be inside its windows, in order of arrival, its newest last; none corrects or
    withdraws another. `seen` says how many signals each of its indicators ever took, by name; `hits` when its rules with a cooldown hit, by
    id. Rules that are true on its newest signal are true here; none of them hits by that.
    """
    lives = [Live.of(seq, entry) for seq, entry in signals]
    stages.indicators.take_over(lives, seen)
    rules, last = stages.rules, lives[-1]
    moment = stages.indicators.moment(last)
    name = moment.keys["object"].name
    subject = rules.subjects[name] = Subject(name, rules.epoch)
    subject.hits = dict(hits) or NOTHING
    subject.last = last
    last.holds += 1
    group = rules.group_of(subject, moment)
    for plan in group.plans if group is not None else ():
        if rules.true(plan, rules.facts(subject, moment, plan), subject, moment, now):
            subject.true = having(subject.true, plan.id, Standing(plan, *rules.matter(plan.rule.sector, moment)))
    for live in lives:
        if live.holds:
            stages.ledger.keep(live)
