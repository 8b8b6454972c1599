"""The truth of all subjects as plain data, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rules.ruleset import RuleSet
from streams.stages.ledger import Live
from streams.stages.rules import RuleStage
from streams.stages.small import NOTHING, having
from streams.stages.subjects import Standing, Subject


def dump_rules(stage: RuleStage) -> dict[str, Any]:
    """Return what the rules remember beside their subjects."""
    return {"epoch": stage.epoch, "turns": stage.turns, "too_late": stage.courses.too_late, "suppressed": stage.suppressed}


def dump_subjects(stage: RuleStage) -> Iterator[list[Any]]:
    """Yield what each subject remembers; signals stand by their number."""
    for each in stage.subjects.values():
        yield [
            each.name,
            each.epoch,
            each.last.seq if each.last is not None else None,
            [
                [rule, standing.matter, standing.sector, standing.spent, standing.judged, standing.muted]
                for rule, standing in each.true.items()
            ],
            dict(each.hits),
            dict(each.holding),
            [course.dump() for course in each.courses.values()],
        ]


def load_rules(
    stage: RuleStage, state: Mapping[str, Any], subjects: Iterable[list[Any]], ruleset: RuleSet, lives: Mapping[int, Live]
) -> None:
    """Take up `dump_rules` and `dump_subjects` under the rule set that they were taken under."""
    stage.install(ruleset, 0)
    stage.epoch = state["epoch"]
    stage.turns = list(state["turns"])
    stage.courses.too_late = {rule: (count, last) for rule, (count, last) in state["too_late"].items()}
    stage.suppressed = dict(state["suppressed"])
    stage.subjects, stage.waiting = {}, {}
    for name, epoch, last, true, hits, holding, courses in subjects:
        subject = stage.subjects[name] = Subject(name, epoch)
        subject.hits, subject.holding = dict(hits) or NOTHING, dict(holding) or NOTHING
        if last is not None:
            subject.last = lives[last]
            subject.last.holds += 1
        for rule, matter, sector, spent, judged, muted in true:
            standing = Standing(stage.plans[rule], matter, sector, spent)
            standing.judged, standing.muted = judged, muted
            subject.true = having(subject.true, rule, standing)
        for saved in courses:
            sequence = stage.plans[saved[0]].sequence
            assert sequence is not None
            subject.courses = having(subject.courses, saved[0], stage.courses.load(saved, sequence, lives))
        if subject.courses:
            stage.waiting[name] = subject
    stage.set_timers()
