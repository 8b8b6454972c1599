"""The truth of all subjects as plain data, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rules.ruleset import RuleSet
from streams.stages.ledger import Live
from streams.stages.rows import Rows
from streams.stages.rules import RuleStage
from streams.stages.small import NOTHING, having
from streams.stages.subjects import Standing, Subject


def dump_rules(stage: RuleStage) -> dict[str, Any]:
    """Return what all subjects remember; signals stand by their number."""
    rows = Rows(len(stage.subjects), map(_row, stage.subjects.values()))
    counted = {"too_late": stage.courses.too_late, "suppressed": stage.suppressed}
    return {
        "epoch": stage.epoch,
        "turns": stage.turns,
        **counted,
        "subjects": rows,
    }


def _row(each: Subject) -> list[Any]:
    return [
        each.name,
        each.epoch,
        each.last.seq if each.last is not None else None,
        [[rule, standing.matter, standing.sector, standing.spent, standing.judged, standing.muted] for rule, standing in each.true.items()],
        dict(each.hits),
        dict(each.holding),
        [course.dump() for course in each.courses.values()],
    ]


def load_rules(stage: RuleStage, state: Mapping[str, Any], ruleset: RuleSet, lives: Mapping[int, Live]) -> None:
    """Take up `dump_rules` under the rule set that it was taken under."""
    stage.install(ruleset, 0)
    stage.epoch = state["epoch"]
    stage.turns = list(state["turns"])
    stage.courses.too_late = {rule: (count, last) for rule, (count, last) in state["too_late"].items()}
    stage.suppressed = dict(state["suppressed"])
    stage.subjects, stage.waiting = {}, {}
    for name, epoch, last, true, hits, holding, courses in state["subjects"]:
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
