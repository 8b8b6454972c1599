"""When a webhook is tried again, and what an answer means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dispatch.deliver import SCHEDULE, Attempt, Dead, Delivered, Gone, TryAgain, judge, pause, retry_after

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def test_the_schedule_is_tried_to_its_end_and_then_dead() -> None:
    """Ten attempts over about three days, each pause its own length plus at most a tenth, then the dead letters."""
    at, attempts = NOW, 1
    assert pause("n1", 0) == timedelta(0), "the first at once"
    pauses = []
    while isinstance(verdict := judge("n1", attempts, Attempt(status=500), at), TryAgain):
        pauses.append(verdict.at - at)
        at, attempts = verdict.at, attempts + 1
    assert verdict == Dead(reason="HTTP 500 after 10 attempts")
    assert attempts == len(SCHEDULE) == 10
    assert all(base <= waited <= base * 1.1 for base, waited in zip(SCHEDULE[1:], pauses, strict=True))


def test_the_jitter_comes_from_the_id_alone() -> None:
    """The same message waits the same in every run, another one differently."""
    assert pause("n1", 4) == pause("n1", 4)
    assert len({pause(f"n{index}", 4) for index in range(50)}) > 45


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_delivered(status: int) -> None:
    """The receiver has it."""
    assert judge("n1", 1, Attempt(status=status), NOW) == Delivered()


@pytest.mark.parametrize("status", [100, 301, 302, 307, 400, 401, 404, 409, 418, 500, 503, 599])
def test_everything_else_is_tried_again(status: int) -> None:
    """Redirects are not followed, and a 4xx may be a mistake that is mended tomorrow."""
    verdict = judge("n1", 1, Attempt(status=status), NOW)
    assert isinstance(verdict, TryAgain)
    assert not verdict.slow_down


@pytest.mark.parametrize("failure", ["timeout", "connection_refused", "connection_reset", "dns", "tls", "too_large_reply", "broken_reply"])
def test_no_answer_is_tried_again(failure: str) -> None:
    """The reason is kept."""
    verdict = judge("n1", 3, Attempt(failure=failure), NOW)  # type: ignore[arg-type]  # the parametrised names
    assert isinstance(verdict, TryAgain)
    assert verdict.reason == failure


def test_gone_disables_the_endpoint() -> None:
    """410 is final."""
    assert judge("n1", 1, Attempt(status=410), NOW) == Gone(reason="HTTP 410")


def test_a_forbidden_address_is_dead_at_once() -> None:
    """The guard against internal addresses does not change its mind."""
    assert judge("n1", 1, Attempt(failure="forbidden_address"), NOW) == Dead(reason="forbidden_address")


@pytest.mark.parametrize("status", [429, 502, 504])
def test_an_overloaded_receiver_slows_its_endpoint(status: int) -> None:
    """Its own wish counts where it is later than the schedule, never where it is earlier."""
    later = judge("n1", 1, Attempt(status=status, retry_after="600"), NOW)
    sooner = judge("n1", 4, Attempt(status=status, retry_after="1"), NOW)
    assert isinstance(later, TryAgain)
    assert isinstance(sooner, TryAgain)
    assert (later.at, later.slow_down) == (NOW + timedelta(minutes=10), True)
    assert sooner.at == NOW + pause("n1", 4)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("120", NOW + timedelta(minutes=2)),
        ("Mon, 02 Mar 2026 01:00:00 GMT", NOW + timedelta(hours=1)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", NOW),  # in the past: now
        ("999999999999", NOW + timedelta(hours=24)),
        ("Mon, 30 Feb 2026 01:00:00 GMT", None),
        ("soon", None),
        ("-5", None),
        ("１２０", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, expected: datetime | None) -> None:
    """Nonsense is nothing, and nobody may ask for more than a day."""
    assert retry_after(header, NOW) == expected
