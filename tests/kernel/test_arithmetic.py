"""The kernel's arithmetic against that of the readable engine: exact sums, positions in windows, instants."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import numpy as np
import pytest

from domain.instants import parse_rfc3339
from rules.ruleset import Window
from streams.kernel import fixed
from streams.kernel.columns import writable
from streams.kernel.jit import compiled
from streams.kernel.scale import month_begins, month_of
from streams.kernel.tables import window_of
from streams.kernel.times import UNSURE, instant
from streams.stages.windows import frame, from_us, to_us
from tests.streams.kit import indicator


@compiled
def _total(values: np.ndarray, signs: np.ndarray) -> float:
    high, low = np.int64(0), np.uint64(0)
    for number in range(values.shape[0]):
        one, other = fixed.from_float(values[number])
        high, low = fixed.plus(high, low, one, other) if signs[number] else fixed.minus(high, low, one, other)
    return fixed.to_float(high, low)


def _number(draw: random.Random) -> float:
    return draw.choice([
        round(draw.uniform(-100, 100), 2),
        draw.uniform(-1, 1) * 10 ** draw.randint(-8, 12),
        float(draw.randint(-5, 5)),
        float(draw.randint(-(2**41), 2**41)),
        draw.randint(0, 2**20) * 2.0**-80,
        draw.choice([0.0, -0.0, 0.1, 0.2, 0.3, 2.0**-80, 2.0**-81, 1 - 2.0**-53, 2.0**39 + 2.0**-13, 5e-324, 1e300]),
    ])  # fmt: skip


def test_sums_are_exact_and_rounded_once() -> None:
    """Adding and taking away any numbers that fit gives the float nearest to the true sum."""
    draw = random.Random(1)
    for _ in range(20_000):
        values = [value for value in (_number(draw) for _ in range(draw.randint(1, 6))) if fixed.fits(value)]
        signs = [draw.random() < 0.7 for _ in values]
        true = sum((Fraction(value) if sign else -Fraction(value) for value, sign in zip(values, signs, strict=True)), Fraction(0))
        assert float(true) == _total(np.array(values, np.float64), np.array(signs, np.bool_))


def test_only_whole_steps_of_a_fixed_size_fit() -> None:
    """A number fits when it is a whole multiple of 2^-80 and below 2^40; infinities and no number do not."""
    draw = random.Random(2)
    for _ in range(20_000):
        value = _number(draw)
        assert fixed.fits(value) == ((Fraction(value) * 2**80).denominator == 1 and abs(value) < 2**40)
    assert not any(fixed.fits(value) for value in (float("inf"), float("-inf"), float("nan")))


def test_months_are_those_of_the_calendar() -> None:
    """Every month from 1900 to 2400 begins where the readable engine says, to the microsecond."""
    months = frame(Window("month"))
    at = to_us(datetime(1899, 12, 31, 16, tzinfo=UTC))
    for _ in range(500 * 12):
        number, after = month_of(at), months.leaves(at)
        assert (month_begins(number), month_begins(number + 1)) == (at, after)
        assert (month_of(after - 1), month_of(after)) == (number, number + 1)
        at = after


@pytest.mark.parametrize(
    "window",
    [
        Window("sliding", timedelta(minutes=10)),
        Window("sliding", timedelta(days=90)),
        Window("sliding", timedelta(hours=1), exact=True),
        Window("day"),
        Window("week"),
    ],
    ids=str,
)
def test_windows_begin_and_end_where_the_readable_engine_says(window: Window) -> None:
    """For any clock and signal, inside is inside in both engines, also before 1970."""
    draw = random.Random(3)
    _, width, shift, span, _ = window_of(indicator(window=window))
    exact = frame(window)
    for _ in range(5_000):
        clock = draw.randrange(-(10**15), 2 * 10**15)
        oldest = (clock + shift) // width - span + 1
        start = exact.start(clock)
        assert [(at + shift) // width >= oldest for at in (start - 1, start)] == [False, True]
        assert exact.leaves(clock) == ((clock + shift) // width + span) * width - shift


def _instant(text: str) -> int:
    data = text.encode()
    return int(instant(writable(data + bytes(40)), 0, len(data)))


def test_instants_are_read_as_the_readable_decoder_reads_them() -> None:
    """What is taken for an instant is that instant; hardly anything that people write is left over."""
    draw = random.Random(4)
    taken = 0
    for _ in range(20_000):
        when = from_us(draw.randrange(to_us(datetime(1900, 1, 3, tzinfo=UTC)), to_us(datetime(2100, 1, 1, tzinfo=UTC))))
        text = when.isoformat(timespec=draw.choice(["seconds", "milliseconds", "microseconds"]))
        text = text.replace("+00:00", draw.choice(["Z", "+08:00", "-03:30", "+00:00"]))
        if draw.random() < 0.5:
            place = draw.randrange(len(text))
            text = text[:place] + draw.choice(["", *"0123456789TZ:-+. 9"]) + text[place + 1 :]
        found = _instant(text)
        if found != UNSURE:
            assert found == to_us(parse_rfc3339(text))
            taken += 1
    assert taken > 11_000


@pytest.mark.parametrize(
    "text",
    ["2026-02-29T00:00:00Z", "2026-03-01T24:00:00Z", "2026-03-01T00:00:60Z", "2026-03-01T00:00:00", "2026-03-01 00:00:00Z",
     "1899-12-31T00:00:00Z", "2026-3-01T00:00:00Z", "2026-03-01T00:00:00.Z", "2026-03-01T00:00:00.12Z", "2026-03-01T00:00:00+0800",
     "2026-04-31T00:00:00Z", ""],
)  # fmt: skip
def test_what_is_no_instant_of_the_usual_form_is_left_to_others(text: str) -> None:
    """Neither accepted nor refused here."""
    assert _instant(text) == UNSURE
