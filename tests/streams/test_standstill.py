"""What counts as standing still: a silent consumer, and no worker that is at work elsewhere."""

from __future__ import annotations

from streams.runtimes.standstill import Standstill


class _Time:
    """A clock that is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_idle_worker_stands_still_where_frames_wait() -> None:
    """Seconds without any frame count in full for each partition that is behind, from the first look on."""
    time = _Time()
    standstill = Standstill(time)
    assert standstill.look({0: 5, 1: 7}) == {0: 0.0, 1: 0.0}
    time.now = 60.0
    assert standstill.look({0: 5, 1: 8}) == {0: 60.0, 1: 0.0}
    time.now = 61.0
    assert standstill.look({1: 8}) == {1: 1.0}, "what is behind no more is forgotten"
    assert standstill.look({0: 5, 1: 8}) == {0: 0.0, 1: 1.0}


def test_a_worker_that_works_on_other_partitions_stands_still_ten_times_as_slowly() -> None:
    """A minute of nothing but frames of partition 1, two seconds each, leaves partition 0 with six seconds."""
    time = _Time()
    standstill = Standstill(time)
    standstill.look({0: 5, 1: 0})
    for second in range(1, 61):
        time.now = float(second)
        if second % 2 == 0:
            standstill.took(time.now - 2.0)
        stood = standstill.look({0: 5, 1: second // 2})
    assert round(stood[0], 6) == 6.0
    time.now = 120.0
    assert round(standstill.look({0: 5})[0], 6) == 66.0, "a frame that never ends is no work"


def test_frames_that_are_taken_at_the_same_time_count_once() -> None:
    """Four partitions that are taken side by side for a minute leave a fifth with six seconds, and not with fewer."""
    time = _Time()
    standstill = Standstill(time)
    standstill.look({0: 5})
    for second in range(2, 61, 2):
        time.now = float(second)
        for _ in range(4):
            standstill.took(time.now - 2.0)
    assert round(standstill.look({0: 5})[0], 6) == 6.0


def test_other_partitions_begin_anew() -> None:
    """After an assignment nothing is held against a partition that comes back."""
    time = _Time()
    standstill = Standstill(time)
    standstill.look({0: 5})
    time.now = 50.0
    standstill.forget()
    time.now = 70.0
    assert standstill.look({0: 5}) == {0: 0.0}
