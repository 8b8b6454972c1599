"""Evaluation in three-valued logic: every factory returns a closure over `Facts` that never raises.

None is unknown: not given, never seen, or of a type that the comparison cannot use. An empty text is not given. A comparison with
unknown is unknown; `and` is false as soon as one term is; `or` is true as soon as one term is; `not` unknown is unknown.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from domain.instants import SHANGHAI
from rules.facts import Facts

Run = Callable[[Facts], Any]
ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_ARITHMETIC: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


def constant(value: Any) -> Run:
    """Always `value`."""
    return lambda _facts: value


def indicator(name: str) -> Run:
    """The value of the indicator of this qualified name."""
    return lambda facts: facts.values.get(name)


def attribute(path: str) -> Run:
    """The sender's own field: `a.b` is `attrs["a"]["b"]`; anything but a text, number, truth value or list is unknown."""
    first, *rest = path.split(".")

    def run(facts: Facts) -> Any:
        value = facts.entry.signal.attrs.get(first)
        for name in rest:
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, str):
            return value or None
        return value if isinstance(value, bool | int | float | list | tuple) else None

    return run


def _is_number(value: Any) -> bool:
    """Tell numbers from truth values, and leave out NaN: an order with it would be false, not unknown."""
    return value.__class__ is int or (isinstance(value, float) and not math.isnan(value))


def compare_to(op: str, left: Run, limit: float) -> Run:
    """`left op limit` for a number `limit`; the commonest node, so it is written for speed."""
    test = ORDER[op]

    def run(facts: Facts) -> bool | None:
        value = left(facts)
        if isinstance(value, float):
            return test(value, limit) or (None if math.isnan(value) else False)
        return test(value, limit) if value.__class__ is int else None

    return run


def indicator_to(op: str, name: str, limit: float) -> Run:
    """`compare_to` of an indicator, without the inner call."""
    test = ORDER[op]

    def run(facts: Facts) -> bool | None:
        value: Any = facts.values.get(name)
        if isinstance(value, float):
            return test(value, limit) or (None if math.isnan(value) else False)
        return test(value, limit) if value.__class__ is int else None

    return run


def compare(op: str, left: Run, right: Run) -> Run:
    """An order between two numbers."""
    test = ORDER[op]

    def run(facts: Facts) -> bool | None:
        one, other = left(facts), right(facts)
        return test(one, other) if _is_number(one) and _is_number(other) else None

    return run


def equal_to(left: Run, value: Any) -> Run:
    """`left == value` for a text or number."""
    wanted = value.__class__
    if wanted is str:

        def same_text(facts: Facts) -> bool | None:
            found = left(facts)
            return found == value if found.__class__ is str else None

        return same_text
    return equal(left, constant(value))


def equal(left: Run, right: Run) -> Run:
    """Equality of two numbers, two texts or two truth values; of different types it is unknown."""

    def run(facts: Facts) -> bool | None:
        one, other = left(facts), right(facts)
        if one is None or other is None:
            return None
        if one.__class__ is other.__class__ and isinstance(one, str | bool):
            return bool(one == other)
        return bool(one == other) if _is_number(one) and _is_number(other) else None

    return run


def negate(term: Run) -> Run:
    """`not`."""

    def run(facts: Facts) -> bool | None:
        value = term(facts)
        return None if value is None else not value

    return run


def truth(term: Run) -> Run:
    """A term of any type as a truth value: what is none is unknown."""

    def run(facts: Facts) -> bool | None:
        value = term(facts)
        return value if value.__class__ is bool else None

    return run


def all_of(terms: tuple[Run, ...]) -> Run:
    """`and`: false if any is false, else unknown if any is unknown."""

    def run(facts: Facts) -> bool | None:
        result: bool | None = True
        for term in terms:
            value = term(facts)
            if value is False:
                return False
            if value is None:
                result = None
        return result

    return run


def any_of(terms: tuple[Run, ...]) -> Run:
    """`or`: true if any is true, else unknown if any is unknown."""

    def run(facts: Facts) -> bool | None:
        result: bool | None = False
        for term in terms:
            value = term(facts)
            if value is True:
                return True
            if value is None:
                result = None
        return result

    return run


def at_least(number: int, terms: tuple[Run, ...]) -> Run:
    """`at_least: n, of: […]`: true as soon as `number` terms are, false as soon as too few are left that may be, else unknown."""

    def run(facts: Facts) -> bool | None:
        true, unknown = 0, 0
        for term in terms:
            value = term(facts)
            if value is True:
                true += 1
                if true == number:
                    return True
            elif value is None:
                unknown += 1
        return None if true + unknown >= number else False

    return run


def calculate(op: str, left: Run, right: Run) -> Run:
    """Arithmetic; unknown for anything that is no finite number, so also for a division by zero."""
    apply = _ARITHMETIC[op]

    def run(facts: Facts) -> float | None:
        one, other = left(facts), right(facts)
        if not (_is_number(one) and _is_number(other)):
            return None
        try:
            result = float(apply(one, other))
        except (ZeroDivisionError, OverflowError):
            return None
        return result if math.isfinite(result) else None

    return run


def minus(term: Run) -> Run:
    """The negative of a number."""
    return calculate("-", constant(0.0), term)


def member(left: Run, codes: frozenset[Any], prefixes: tuple[str, ...]) -> Run:
    """`left in [a, b, gas.*]`: one of `codes`, or a text that starts with one of `prefixes` (each with its dot)."""

    def run(facts: Facts) -> bool | None:
        value = left(facts)
        if value is None or isinstance(value, list | tuple):
            return None
        if value in codes and value.__class__ is not bool:
            return True
        return value.__class__ is str and value.startswith(prefixes)

    return run


def in_set(left: Run, right: Run) -> Run:
    """`left in right` for a set of texts."""

    def run(facts: Facts) -> bool | None:
        value, members = left(facts), right(facts)
        if value.__class__ is not str or not isinstance(members, list | tuple | frozenset):
            return None
        return value in members

    return run


def contains(left: Run, words: tuple[str, ...]) -> Run:
    """The text has at least one of `words` in it."""

    def run(facts: Facts) -> bool | None:
        value = left(facts)
        return any(word in value for word in words) if value.__class__ is str else None

    return run


def _absolute(value: Any) -> Any:
    if not _is_number(value):
        return None
    try:
        return float(abs(value))
    except OverflowError:
        return None


def _hour(value: Any) -> Any:
    return value.astimezone(SHANGHAI).hour if isinstance(value, datetime) else None


def _weekday(value: Any) -> Any:
    return value.astimezone(SHANGHAI).isoweekday() if isinstance(value, datetime) else None


def _size(value: Any) -> Any:
    return float(len(value)) if isinstance(value, list | tuple | frozenset) else None


def _has(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))


CALLS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "has": _has,
    "abs": _absolute,
    "size": _size,
    "hour": _hour,
    "weekday": _weekday,
}


def call(name: str, argument: Run) -> Run:
    """One of the listed functions."""
    apply = CALLS[name]
    return lambda facts: apply(argument(facts))
