"""Why a condition is true or not, part by part: values against limits, and how far each is from holding."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date
from typing import Any, Final

import msgspec

from domain.base import Noun
from rules.ruleset import Explained, Rule, RuleSet

JOINS: Final = frozenset({"and", "or", "not", "at_least"})
ORDERS: Final = frozenset({"<", "<=", ">", ">="})


class OverriddenParam(Noun, frozen=True, kw_only=True):
    """A parameter (`name` with its $) whose value was that of a region, in force up to the day `until` in Asia/Shanghai."""

    name: str
    value: Any
    region: str
    until: date


class Reason(Noun, frozen=True, kw_only=True):
    """One part of a condition: a comparison, or `and`, `or`, `not`, `at_least` over the parts below it, which are one deeper.

    `holds` is None where the part is unknown: a value was never seen, or there is not enough data. `left` and `right` are what was
    compared, in the unit of the left side (money in yuan, durations in seconds), `of` the left side as it is written.
    `missing` is how far the left side of `<`, `<=`, `>` or `>=` is from the limit, 0.0 where it holds, None where a side is unknown.
    `inputs` are the values a calculation was made of, `overridden` the parameters that a region set to something else.
    """

    text: str
    depth: int
    holds: bool | None
    operator: str = ""
    of: str = ""
    left: Any = None
    right: Any = None
    missing: float | None = None
    inputs: dict[str, Any] = msgspec.field(default_factory=dict)
    overridden: tuple[OverriddenParam, ...] = ()


def reasons(told: Explained) -> tuple[Reason, ...]:
    """Return the parts of an explained condition in reading order, each before those that it is made of.

    >>> side = Explained("leaks", 2.0), Explained("3", 3.0)
    >>> [(one.text, one.missing) for one in reasons(Explained("leaks >= 3", False, side, ">="))]
    [('leaks >= 3', 1.0)]
    """
    return tuple(_walk(told, 0))


def _walk(told: Explained, depth: int) -> Iterator[Reason]:
    holds = told.value if isinstance(told.value, bool) else None
    if told.operator in JOINS:
        yield Reason(text=told.text, depth=depth, holds=holds, operator=told.operator)
        for part in told.parts:
            yield from _walk(part, depth + 1)
        return
    left = told.parts[0].value if told.parts else None
    right = told.parts[1].value if len(told.parts) > 1 else None
    yield Reason(
        text=told.text,
        depth=depth,
        holds=holds,
        operator=told.operator,
        of=told.parts[0].text if told.parts else "",
        left=left,
        right=right,
        missing=_missing(told.operator, left, right),
        inputs={leaf.text: leaf.value for side in told.parts if side.parts for leaf in _leaves(side)},
        overridden=tuple(_overridden(told)),
    )


def _overridden(told: Explained) -> Iterator[OverriddenParam]:
    for leaf in _leaves(told):
        if leaf.regional is not None:
            yield OverriddenParam(name=leaf.text, value=leaf.value, region=leaf.regional.region, until=leaf.regional.until)


def _leaves(told: Explained) -> Iterator[Explained]:
    if not told.parts:
        yield told
    for part in told.parts:
        yield from _leaves(part)


def _missing(operator: str, left: Any, right: Any) -> float | None:
    sides = (left, right)
    if operator not in ORDERS or not all(isinstance(side, int | float) and math.isfinite(side) for side in sides):
        return None
    return float(max(0.0, right - left if operator.startswith(">") else left - right))


def rule_text(ruleset: RuleSet, rule: Rule) -> str:
    """Return the lines of a rule as they stand in its file, without its tests; "" where the set does not carry its texts."""
    lines = ruleset.texts.get(rule.file, "").splitlines()
    if not 0 < rule.line <= len(lines):
        return ""
    first = lines[rule.line - 1]
    margin = len(first) - len(first.lstrip())
    taken, tests = [first], False
    for line in lines[rule.line :]:
        inner = len(line) - len(line.lstrip())
        if line.strip() and inner <= margin:
            break
        if line.strip() and inner <= margin + 2:
            tests = line.lstrip().startswith("tests:")
        if not tests:
            taken.append(line)
    while not taken[-1].strip() or taken[-1].lstrip().startswith("#"):
        taken.pop()
    return "\n".join(line[margin:] for line in taken)
