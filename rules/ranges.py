"""Which values a part of an expression can take at all, to find comparisons that are never or always true."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final

from domain.signals import SOURCES
from rules.compile import CompiledPack
from rules.literals import number
from rules.ruleset import Indicator
from rules.sources import sources_of
from rules.syntax import AnyNode, Binary, Call, Name, Number, Param, Unary, parse
from rules.vocabulary import ANOMALY, FIELDS, FUNCTIONS, NUMERIC

Range = tuple[float, float]
_EVERY: Final[Range] = (-inf, inf)


def _indicator(indicator: Indicator, pack: CompiledPack) -> Range:
    if indicator.aggregate in {ANOMALY, "percentage"}:
        return (0.0, 1.0)
    if indicator.aggregate in {"count", "since", "stddev", "spike"}:
        return (0.0, inf)
    if indicator.aggregate == "distinct":
        if indicator.of is None or indicator.of.text != "source":
            return (0.0, inf)
        passing = None if indicator.where is None else sources_of(parse(indicator.where.text), pack.params)
        return (0.0, float(len(SOURCES if passing is None else passing)))
    if indicator.aggregate in {"min", "max", "mean", "last", "first", "percentile"} and indicator.of is not None:
        known = FIELDS.get(indicator.of.text)
        return known.bounds if known is not None and known.bounds is not None else _EVERY
    return _EVERY


def bounds(node: AnyNode, pack: CompiledPack) -> Range | None:
    """Return the lowest and highest value of a part, None where it is no number or nothing is known."""
    match node:
        case Number():
            value = float(number(node).value)
            return (value, value)
        case Param():
            constant = pack.params.get(node.name)
            return (constant.value, constant.value) if constant is not None and constant.type in NUMERIC else None
        case Unary(operator="-"):
            inner = bounds(node.operand, pack)
            return None if inner is None else (-inner[1], -inner[0])
        case Call():
            return FUNCTIONS[node.name].bounds
        case Name():
            indicator = pack.indicators.get(node.path)
            if indicator is not None:
                return _indicator(indicator, pack)
            known = FIELDS.get(node.path)
            return known.bounds if known is not None else None
    return None


def verdict(node: Binary, of: Callable[[AnyNode], Range | None]) -> bool | None:
    """Return True where the comparison holds for every known value, False where for none, None where it depends.

    >>> from rules.syntax import parse
    >>> verdict(parse("1 > 2"), {Number("1"): (1.0, 1.0), Number("2"): (2.0, 2.0)}.get)
    False
    """
    left, right = of(node.left), of(node.right)
    if left is None or right is None:
        return None
    (low, high), (least, most) = left, right
    match node.operator:
        case ">":
            return False if high <= least else True if low > most else None
        case ">=":
            return False if high < least else True if low >= most else None
        case "<":
            return False if low >= most else True if high < least else None
        case "<=":
            return False if low > most else True if high <= least else None
        case "==":
            return False if high < least or low > most else None
    return None
