"""What an indicator's value is made of, in a sentence: and where it is unknown, why (数据不足 is not 0)."""

from __future__ import annotations

from typing import Any, Final

from domain.instants import SHANGHAI
from domain.messages import text
from rules.indicators import by_text
from rules.ruleset import Value
from streams.stages.cells import Cell
from streams.stages.indicators import IndicatorStage, Moment
from streams.stages.measures import Enough
from streams.stages.peers import LEAST
from streams.stages.periods import Flatline, History, Periods, Spike
from streams.stages.plans import PEERS, Plan
from streams.stages.windows import from_us

_SHOWN: Final = 12  # values of a history that are listed


def tell(stage: IndicatorStage, name: str, moment: Moment, language: str = "zh-CN") -> str:
    """Return what `name` rests on at a moment: how many signals since when, which periods, how many peers, which inputs.

    Of an indicator that the rule set does not have it is "".
    """
    plan = stage.plans.get(name)
    if plan is None:
        return ""
    if plan.formula is not None:
        return _formula(stage, plan, moment, language)
    key = moment.keys.get(plan.by)
    if key is None:
        return text("explain.no_group", language, by=by_text(plan.by))
    if plan.indicator.aggregate == PEERS:
        return _peers(stage, plan, key.name, language)
    cell = key.cells.get(name)
    if cell is None:
        return text("explain.score" if name in key.scores else "explain.never", language)
    return _past(cell, language) if isinstance(cell, Periods) else _window(cell, plan, language)


def _formula(stage: IndicatorStage, plan: Plan, moment: Moment, language: str) -> str:
    values = [(each.rpartition(".")[2], stage.value(each, moment)) for each in plan.inputs]
    made_of = ", ".join(f"{each} = {shown(value, language)}" for each, value in values)
    formula = plan.formula.text if plan.formula is not None else ""
    known = all(value is not None for _, value in values)
    key = "explain.formula" if stage.value(plan.name, moment) is not None or not known else "explain.no_division"
    return text(key, language, formula=formula, values=made_of)


def _peers(stage: IndicatorStage, plan: Plan, group: str, language: str) -> str:
    sizes, least = stage.peers.sizes.get(plan.name), plan.indicator.needs or LEAST
    if sizes is None or stage.peers.due is None:
        return text("explain.no_night", language)
    size = sizes.get(group, 0)
    return text("explain.peers" if size >= least else "explain.few_peers", language, group=group, size=size, needs=least)


def _window(cell: Cell, plan: Plan, language: str) -> str:
    inside = cell.inside()
    needs = plan.indicator.needs
    given = sum(item[2] is not None for item in inside)
    if needs and given < needs:
        return text("explain.not_enough", language, needs=needs, given=given)
    if isinstance(cell, Enough):
        cell = cell.inner
    memory = cell.memory()
    if memory:
        return text("explain.daily", language, number=len(inside), days=len(memory), since=_at(plan.frame.start(cell.clock)))
    if not inside:
        return text("explain.empty", language)
    return text("explain.window", language, number=len(inside), first=_at(inside[0][0]), last=_at(inside[-1][0]))


def _past(cell: Periods, language: str) -> str:
    if isinstance(cell, Flatline):
        key = "explain.flatline" if cell.value() is not None else "explain.no_whole_window"
        return text(key, language, now=shown(cell.came_to(cell.inside()), language), below=shown(cell.indicator.below, language))
    periods = cell.past()
    if isinstance(cell, Spike):
        if cell.value() is None:
            return text("explain.nothing_before", language, needs=max(cell.indicator.needs, 1))
        now = shown(cell.came_to(cell.inside()), language)
        return text("explain.spike", language, now=now, before=shown(periods[0], language) if periods else "")
    assert isinstance(cell, History)
    wanted, values = cell.indicator.needs or cell.indicator.periods, [value for value in periods if value is not None]
    if len(values) < wanted:
        return text("explain.little_history", language, needs=wanted, given=len(values))
    listed = ", ".join(shown(value, language) for value in values[:_SHOWN]) + (", …" if len(values) > _SHOWN else "")
    return text("explain.history", language, number=len(values), values=listed)


def shown(value: Value | Any, language: str = "zh-CN") -> str:
    """Return a value as people read it; an unknown one by its word."""
    if value is None:
        return text("explain.unknown", language)
    if isinstance(value, bool):
        return text("explain.true" if value else "explain.false", language)
    return f"{value:.6g}" if isinstance(value, int | float) else str(value)


def _at(us: int) -> str:
    return f"{from_us(us).astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
