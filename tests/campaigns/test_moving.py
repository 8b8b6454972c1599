"""A campaign waits as long as something moves, and says what stands still."""

from __future__ import annotations

import itertools

import pytest

from tests.campaigns.moving import LOOK, StandsStill, wait_moving


def test_what_moves_is_waited_for_longer_than_it_may_stand_still() -> None:
    """Six looks take three times as long as nothing may move for."""
    steps = itertools.count()
    far = 0

    def fine() -> bool:
        nonlocal far
        far = next(steps)
        return far == 6

    wait_moving(fine, lambda: far, "six", still=2 * LOOK)
    assert far == 6


def test_what_stands_still_is_given_up_with_how_far_it_was() -> None:
    """The message names what was waited for, and the last place."""
    with pytest.raises(StandsStill, match=r"not yet: the end; nothing moved for 0 s, at 7 of 9"):
        wait_moving(lambda: False, lambda: "7 of 9", "the end", still=2 * LOOK)
