"""Sums, means and deviations of any floats in any order: exactly what they come to, rounded once."""

from __future__ import annotations

import math
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from streams.stages.cells import LEAST, MOST, Cell, Mean, Sum
from streams.stages.keys import Key
from streams.stages.ledger import Live
from streams.stages.measures import Stddev, rounded
from streams.stages.windows import Exact

SMALL = st.floats(allow_nan=False, allow_infinity=False, max_value=1e-300, min_value=-1e-300)
WHOLE = st.integers(-10, 10).map(float)
TURNS = [sign * value for at in (LEAST, MOST, 2.0**963) for value in (at, math.nextafter(at, 0.0)) for sign in (1.0, -1.0)]
NUMBERS = st.lists(st.one_of(WHOLE, st.floats(-1e9, 1e9), st.floats(allow_nan=False, allow_infinity=False), SMALL, st.sampled_from(TURNS)))


def _filled(kind: type[Cell], come: list[float], gone: list[float]) -> Cell:
    """Return a cell that took everything in and lost `gone` again: what remains is `come`."""
    cell = kind(Exact(len(come) + len(gone) + 1), "each", Key("object"))
    for number, value in enumerate([*gone, *come]):
        live = Live(number, b"", "feed", str(number), number, ())
        cell.move(number)
        assert cell.add((number, number, value, live))
    for number in range(len(gone)):
        assert cell.discard(number, number)
    return cell


@given(come=NUMBERS, gone=NUMBERS)
def test_a_sum_is_that_of_what_is_inside_whatever_came_and_went(come: list[float], gone: list[float]) -> None:
    """Great numbers beside the smallest ones, whole ones and fractions: neither rounding nor order can be seen."""
    exact = sum((Fraction(value) for value in come), Fraction(0))
    total = rounded(exact)
    assert _filled(Sum, come, gone).value() == total
    assert _filled(Mean, come, gone).value() == (None if total is None or not come else total / len(come))


@given(come=st.lists(st.one_of(WHOLE, st.floats(-1e9, 1e9), SMALL), min_size=2), gone=NUMBERS)
def test_a_deviation_likewise(come: list[float], gone: list[float]) -> None:
    """It is that of the exact variance, rounded once before its root is taken."""
    values = [Fraction(value) for value in come]
    middle = sum(values) / len(values)
    variance = rounded(sum((each - middle) ** 2 for each in values) / (len(values) - 1))
    assert variance is not None
    assert _filled(Stddev, come, gone).value() == math.sqrt(variance)
