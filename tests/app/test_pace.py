"""The pace of work that has time: most of the time it rests."""

from __future__ import annotations

import gc
import time

import pytest

from app.pace import LONGEST, SHARE, WORK, YOUNG, Pace, beside_others
from rules.pauses import pause


class Time:
    """A clock that stands still but for what is worked and slept; it notes the rests."""

    def __init__(self) -> None:
        self.now = 100.0
        self.rests: list[float] = []

    def read(self) -> float:
        """Return the seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.rests.append(seconds)
        self.now += seconds


def work(steps: int, seconds: float) -> Time:
    """Return the time after so many steps, each with a place to rest at its end."""
    clock = Time()
    pace = Pace(clock.read, clock.sleep)
    for _ in range(steps):
        clock.now += seconds
        pace.rest()
    return clock


def test_small_steps_rest_together() -> None:
    """Nothing rests before it was worked for long enough; then a step in five is work."""
    clock = work(steps=1000, seconds=WORK / 10)
    worked = 1000 * WORK / 10
    assert 95 <= len(clock.rests) <= 100
    assert sum(clock.rests) == pytest.approx((SHARE - 1) * worked, rel=0.05)


def test_who_was_held_up_for_long_does_not_sleep_for_longer_still() -> None:
    """A step that took a second, most of it the work of others, is followed by one short rest."""
    assert work(steps=3, seconds=1.0).rests == [LONGEST] * 3


def test_beside_others_the_collector_takes_small_steps_and_every_pause_may_rest() -> None:
    """Within the block a pause after work takes time; afterwards everything is as before."""
    before = gc.get_threshold()
    with beside_others():
        assert gc.get_threshold()[0] == YOUNG
        time.sleep(WORK)
        began = time.perf_counter()
        pause()
        assert time.perf_counter() - began >= WORK * (SHARE - 1)
    assert gc.get_threshold() == before
