"""Literals: numbers with units, and what a word written in a file is as a value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from rules.syntax import ExpressionError, Number, Unary, parse
from rules.vocabulary import UNITS, Type


@dataclass(frozen=True, slots=True)
class Regional:
    """A value that holds for the objects of a region, for signals up to its last day in Asia/Shanghai."""

    region: str
    until: date
    value: Any


@dataclass(frozen=True, slots=True)
class Constant:
    """A value fixed at load: a literal or a parameter; `value` of a set is a tuple of constants.

    `regional` are values of a parameter that hold in its place in some regions, the longest region code first.
    """

    type: Type
    value: Any
    regional: tuple[Regional, ...] = ()


def number(node: Number) -> Constant:
    """Return the value of a literal: money in yuan, durations in seconds, per cent as a ratio.

    >>> number(Number("5", "万元")).value, number(Number("24", "h")).value, number(Number("80", "%")).value
    (50000.0, 86400.0, 0.8)
    """
    if not node.unit:
        return Constant("number", float(node.digits))
    unit = UNITS[node.unit]
    return Constant(unit.dimension, float(Decimal(node.digits) * Decimal(unit.scale)))


def literal(raw: str) -> Constant | None:
    """Return the number that `raw` is as a whole (`5`, `-2.5`, `5万元`), None where it is none.

    >>> literal("5万元").value, literal("-2.5").value, literal("红色")
    (50000.0, -2.5, None)
    """
    try:
        node = parse(raw)
    except ExpressionError:
        return None
    if isinstance(node, Unary) and node.operator == "-" and isinstance(node.operand, Number):
        positive = number(node.operand)
        return Constant(positive.type, -positive.value)
    return number(node) if isinstance(node, Number) else None
