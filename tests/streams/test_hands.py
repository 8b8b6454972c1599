"""Who touches a partition: one thread at a time, in order, while others go on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial

import pytest

from streams.runtimes.hands import MOST, Hands

PATIENCE = 20.0


def _noted(which: str, number: int, notes: list[tuple[str, int]], busy: dict[str, threading.Lock]) -> None:
    assert busy[which].acquire(blocking=False), "two threads at one of them"
    notes.append((which, number))
    busy[which].release()


def test_each_is_worked_on_in_order_by_one_thread_at_a_time() -> None:
    """A hundred pieces for each of three, begun in turn: every one's own order, and never two threads at it."""
    notes: list[tuple[str, int]] = []
    busy = {which: threading.Lock() for which in "abc"}

    async def work() -> None:
        hands: Hands[str] = Hands(pytest.fail)
        for number in range(100):
            for which in "abc":
                await hands.begin(which, partial(_noted, which, number, notes, busy))
        await hands.alone(lambda: None)
        hands.close()

    asyncio.run(work())
    assert {which: [number for other, number in notes if other == which] for which in "abc"} == {which: list(range(100)) for which in "abc"}


def test_one_that_waits_does_not_hold_up_another() -> None:
    """While the first waits for its store, what is begun for the second later is done."""
    store, other = threading.Event(), threading.Event()

    async def work() -> None:
        hands: Hands[str] = Hands(pytest.fail)
        await hands.begin("first", lambda: store.wait(PATIENCE))
        await hands.begin("first", lambda: None)
        await hands.begin("second", other.set)
        assert await asyncio.to_thread(other.wait, PATIENCE)
        store.set()
        await hands.alone(lambda: None)
        hands.close()

    asyncio.run(work())


def test_what_concerns_all_waits_for_what_was_begun_and_holds_up_the_rest() -> None:
    """An assignment sees every frame that came before it done, and none that came after it begun."""
    store, notes = threading.Event(), list[str]()

    def alone() -> None:
        notes.append("alone begins")
        notes.append("alone ends")

    async def work() -> None:
        hands: Hands[str] = Hands(pytest.fail)
        await hands.begin("one", lambda: (store.wait(PATIENCE), notes.append("before")))
        assigned = asyncio.create_task(hands.alone(alone))
        await asyncio.sleep(0)
        after = asyncio.create_task(hands.begin("one", lambda: notes.append("after")))
        hands.begin_if_idle("two", lambda: notes.append("never"))
        await asyncio.sleep(0.01)
        assert not assigned.done()
        store.set()
        await assigned
        await after
        await hands.alone(lambda: None)
        hands.close()

    asyncio.run(work())
    assert notes == ["before", "alone begins", "alone ends", "after"]


def test_what_is_given_up_while_it_is_done_comes_to_its_end_alone() -> None:
    """An assignment that Faust gives up for a newer one: the newer one begins when the thread of the first is done, and not before."""
    store, begun, notes = threading.Event(), threading.Event(), list[str]()

    def first() -> None:
        begun.set()
        store.wait(PATIENCE)
        notes.append("first ends")

    async def work() -> None:
        hands: Hands[str] = Hands(pytest.fail)
        given_up = asyncio.create_task(hands.alone(first))
        assert await asyncio.to_thread(begun.wait, PATIENCE)
        given_up.cancel()
        second = asyncio.create_task(hands.alone(lambda: notes.append("second begins")))
        await asyncio.sleep(0.01)
        assert notes == []
        store.set()
        await second
        assert given_up.cancelled()
        hands.close()

    asyncio.run(work())
    assert notes == ["first ends", "second begins"]


def test_whoever_brings_more_than_may_wait_waits() -> None:
    """The memory that waiting frames take is bounded: the next one is taken in when one of them is begun."""
    store = threading.Event()

    async def work() -> None:
        hands: Hands[str] = Hands(pytest.fail)
        await hands.begin("one", lambda: store.wait(PATIENCE))
        await asyncio.sleep(0.01)
        for _ in range(MOST):
            await asyncio.wait_for(hands.begin("one", lambda: None), PATIENCE)
        late = asyncio.create_task(hands.begin("two", lambda: None))
        await asyncio.sleep(0.01)
        assert not late.done()
        store.set()
        await asyncio.wait_for(late, PATIENCE)
        await hands.alone(lambda: None)
        hands.close()

    asyncio.run(work())


def test_a_failure_is_told_and_nothing_more_is_begun_for_that_one() -> None:
    """A defect at one frame: whoever ends the process hears of it, and no frame behind it is taken."""
    told: list[BaseException] = []
    done: list[str] = []

    def fails() -> None:
        raise ValueError("a defect")

    async def work(first: Callable[[], None]) -> None:
        hands: Hands[str] = Hands(told.append)
        await hands.begin("one", first)
        await hands.begin("one", lambda: done.append("behind"))
        await hands.begin("two", lambda: done.append("elsewhere"))
        await hands.alone(lambda: None)
        hands.close()

    asyncio.run(work(fails))
    assert [str(error) for error in told] == ["a defect"]
    assert done == ["elsewhere"]


def test_one_that_takes_long_does_not_fill_the_room_of_the_others() -> None:
    """What waits for a partition that counts back counts for nothing, also where it began to only after others came to a halt."""
    store, counting, other = threading.Event(), set[str](), threading.Event()

    async def work() -> None:
        hands: Hands[str] = Hands(pytest.fail, counting.__contains__)
        await hands.begin("one", lambda: store.wait(PATIENCE))
        await asyncio.sleep(0.01)
        for _ in range(MOST):
            await asyncio.wait_for(hands.begin("one", lambda: None), PATIENCE)
        late = asyncio.create_task(hands.begin("two", other.set))
        await asyncio.sleep(0.01)
        assert not late.done()
        counting.add("one")
        hands.look_again()
        await asyncio.wait_for(late, PATIENCE)
        assert await asyncio.to_thread(other.wait, PATIENCE)
        assert (hands.waiting("one"), hands.waiting("two")) == (MOST, 0)
        store.set()
        await hands.alone(lambda: None)
        hands.close()

    asyncio.run(work())


def test_who_is_cancelled_hears_of_it_at_once() -> None:
    """The thread goes on, but is told: what it would still take over is somebody else's by now."""
    begun, told = threading.Event(), threading.Event()

    def takes_over() -> bool:
        begun.set()
        return told.wait(PATIENCE)

    async def work() -> None:
        hands: Hands[str] = Hands(pytest.fail)
        given_up = asyncio.create_task(hands.alone(takes_over, told.set))
        await asyncio.to_thread(begun.wait, PATIENCE)
        given_up.cancel()
        await asyncio.wait_for(asyncio.wait([given_up]), PATIENCE / 2)
        assert given_up.cancelled()
        hands.close()

    asyncio.run(work())
