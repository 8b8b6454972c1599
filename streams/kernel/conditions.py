"""From a checked expression to what tables can hold: alternatives of conditions on single indicators, and tests of the signal alone.

A rule fires only on True, so unknown and false may be treated alike once every `not` stands before a single comparison: the rest of a
condition is `and` and `or`, which are true exactly when their true parts make them so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Final

from domain.messages import both
from rules.evaluation import Run
from rules.expressions import Term
from rules.ruleset import Expression
from rules.syntax import Binary, Call, Junction, Name, Unary
from rules.trees import show

OPPOSITE: Final = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!=", "!=": "==", "has": "hasnt", "hasnt": "has"}
MIRRORED: Final = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}
CODED: Final = frozenset({"source", "kind", "matter", "region", "unit", "severity"})  # fields that a class of signals has one value of
ALTERNATIVES: Final = 64  # more than so many and a condition is left to the readable engine


class NotTabular(Exception):
    """The expression cannot be held in tables, so its rule runs on the readable engine; the text says which part, in both languages."""


def not_tabular(key: str, **values: object) -> NotTabular:
    """Return the refusal that a message of the catalogue words."""
    return NotTabular(both(key, **values))


@dataclass(frozen=True, slots=True)
class Compared:
    """`indicator operator limit`; the operators `has` and `hasnt` ask whether the value is known."""

    indicator: str
    operator: str
    limit: float = 0.0


@dataclass(frozen=True, slots=True)
class Tested:
    """A part that reads only the signal's fields: `run` must give `wanted`. Equal parts of one pack have equal `text`."""

    text: str
    run: Run
    wanted: bool

    def __eq__(self, other: object) -> bool:
        """Return whether both are the same part, wanted alike."""
        return isinstance(other, Tested) and (self.text, self.wanted) == (other.text, other.wanted)

    def __hash__(self) -> int:
        """Return a hash that fits."""
        return hash((self.text, self.wanted))


Alternative = tuple[Compared | Tested, ...]  # all must hold


def alternatives(expression: Expression, pack: str) -> list[Alternative]:
    """Return the alternatives of a condition: it is true exactly where all parts of one of them hold.

    Raises:
        NotTabular: it compares an indicator with anything but a number, calculates, or has too many alternatives.
    """
    if expression.term is None:
        raise not_tabular("kernel.not.by_language")
    if expression.regional:
        raise not_tabular("kernel.not.regional")
    if set(_indicators(expression.term)) != set(expression.indicators):
        raise not_tabular("kernel.not.reading")
    found = _alternatives(expression.term, pack, wanted=True)
    return list(dict.fromkeys(tuple(dict.fromkeys(each)) for each in found))


def _alternatives(term: Term, pack: str, *, wanted: bool) -> list[Alternative]:
    if not any(_indicators(term)):
        return [(Tested(f"{pack}: {show(term.node)}", term.run, wanted),)]
    node = term.node
    if isinstance(node, Unary) and node.operator == "not":
        return _alternatives(term.parts[0], pack, wanted=not wanted)
    if isinstance(node, Junction):
        parts = [_alternatives(part, pack, wanted=wanted) for part in term.parts]
        if (node.operator == "or") == wanted:
            return _bounded([each for part in parts for each in part])
        size = 1
        for part in parts:
            size *= len(part)
        if size > ALTERNATIVES:
            raise not_tabular("kernel.not.alternatives", limit=ALTERNATIVES)
        return [tuple(one for each in chosen for one in each) for chosen in product(*parts)]
    return _bounded([(one,) for one in _comparison(term, wanted=wanted)])


def _bounded(found: list[Alternative]) -> list[Alternative]:
    if len(found) > ALTERNATIVES:
        raise not_tabular("kernel.not.alternatives", limit=ALTERNATIVES)
    return found


def _indicators(term: Term) -> Iterator[str]:
    if term.indicator:
        yield term.indicator
    for part in term.parts:
        yield from _indicators(part)


def _comparison(term: Term, *, wanted: bool) -> list[Compared]:
    """Return what must hold of an indicator, one of the list, for a comparison to be what is wanted."""
    node = term.node
    if isinstance(node, Call) and node.name == "has" and term.parts[0].indicator:
        return [Compared(term.parts[0].indicator, "has" if wanted else "hasnt")]
    if not isinstance(node, Binary) or node.operator not in MIRRORED or len(term.parts) != 2:
        raise not_tabular("kernel.not.part", part=show(node))
    left, right = term.parts
    operator = node.operator
    if left.constant is not None and right.indicator:
        left, right, operator = right, left, MIRRORED[operator]
    limit = right.constant.value if right.constant is not None else None
    if not left.indicator or left.type == "bool" or limit.__class__ not in {float, int}:
        raise not_tabular("kernel.not.part", part=show(node))
    operator = operator if wanted else OPPOSITE[operator]
    if operator == "!=":
        return [Compared(left.indicator, "<", float(limit)), Compared(left.indicator, ">", float(limit))]
    return [Compared(left.indicator, operator, float(limit))]


def limits_of_value(term: Term) -> Iterator[float]:
    """Yield the numbers that an expression compares the signal's `value` with.

    Raises:
        NotTabular: it does anything else with it, so its outcome does not follow from the places of the value among these numbers.
    """
    node = term.node
    if isinstance(node, Name) and node.path == "value":
        raise not_tabular("kernel.not.value")
    if isinstance(node, Binary) and node.operator in MIRRORED and len(term.parts) == 2:
        for one, other in (term.parts, term.parts[::-1]):
            if isinstance(one.node, Name) and one.node.path == "value" and other.constant is not None:
                if other.constant.value.__class__ not in {float, int}:
                    raise not_tabular("kernel.not.part", part=show(node))
                yield float(other.constant.value)
                return
    if isinstance(node, Call) and node.name == "has" and isinstance(term.parts[0].node, Name) and term.parts[0].node.path == "value":
        return
    for part in term.parts:
        yield from limits_of_value(part)


def limits_of_field(expression: Expression) -> tuple[float, ...]:
    """Return the numbers that `value` is compared with; all other fields that the expression reads are coded.

    Raises:
        NotTabular: it reads a field that classes of signals do not tell apart.
    """
    others = [name for name in expression.fields if name not in CODED and name != "value"]
    if others:
        raise not_tabular("kernel.not.field", fields=", ".join(others))
    if expression.term is None:
        raise not_tabular("kernel.not.by_language")
    if expression.regional:
        raise not_tabular("kernel.not.regional")
    return tuple(limits_of_value(expression.term)) if "value" in expression.fields else ()
