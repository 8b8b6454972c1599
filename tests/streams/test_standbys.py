"""Warm standbys over one partition: the answer of a takeover without one, whatever happens, and no effect of their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from domain.errors import Fenced, StoreUnavailable
from domain.findings import Outcome
from domain.partitions import Place
from domain.ports import Grant
from domain.records import Record, RulesetEntry
from storage.tables import progress
from streams.pipeline import Pipeline
from streams.runtimes.keeping import Kept
from streams.runtimes.partitions import ONLOOKER, Partition
from streams.runtimes.standbys import GROWTH, Standbys, Told
from tests.cluster.world import leak
from tests.factories import T0
from tests.streams.shop import NUMBER, SET, Shop

SLOT = ("frames", NUMBER)
FRAMES = 44  # of seven signals, behind the activation; a snapshot each 15


class Watch:
    """Seconds that pass when they are looked at."""

    def __init__(self) -> None:
        self.at = self.step = 0.0

    def __call__(self) -> float:
        self.at += self.step
        return self.at


@pytest.fixture
def shop() -> Shop:
    """Give a shop with three hundred signals in its log, which nobody has taken in."""
    made = Shop()
    made.frame(RulesetEntry(version=SET.version))
    for start in range(0, 301, 7):
        made.frame(*(leak(number) for number in range(start, start + 7)))
    assert len(made.log) == FRAMES
    return made


@pytest.fixture
def outcomes() -> list[str]:
    """Give the list of what became of standbys."""
    return []


@pytest.fixture
def watch() -> Watch:
    """Give a clock that stands still."""
    return Watch()


@pytest.fixture
def standbys(shop: Shop, outcomes: list[str], watch: Watch) -> Iterator[Standbys]:
    """Give another worker's standbys, which are to stand by for the shop's partition."""
    made = _standbys(shop, outcomes, watch)
    yield made
    made.close()


def _standbys(shop: Shop, outcomes: list[str], watch: Watch, room: int = 2**40, collect: Callable[[], object] = lambda: None) -> Standbys:
    make: Callable[..., Partition] = lambda grant, stopping: Partition(grant, shop.parts, stopping)  # noqa: E731  # as the wiring has it
    made = Standbys(
        {"frames": make},
        shop.progress.standing,
        lambda _topic, _partition: shop.shelf,
        {"frames": shop},
        room,
        on_outcome=outcomes.append,
        collect=collect,
        now=watch,
    )
    made.want([SLOT], [])
    return made


def _look(standbys: Standbys, times: int = 2) -> None:
    """Look and wait; the shop's brokers are away once, in the middle of the first reading."""
    for _ in range(times):
        standbys.look(busy=False)
        end = time.monotonic() + 30
        while not standbys.idle:
            assert time.monotonic() < end
            time.sleep(0.001)


def _assign(shop: Shop) -> Grant:
    return shop.progress.assign("frames", NUMBER, "other")


@pytest.mark.parametrize("crash", [16, 17, 23, 30, 31, 43, 44])
def test_a_takeover_from_a_standby_gives_what_one_without_gives(shop: Shop, standbys: Standbys, outcomes: list[str], crash: int) -> None:
    """Wherever the holder dies: nothing that is committed is read again, the state is that of a replay, and so is what follows."""
    shop.drain(shop.taken_over(), crash)
    _look(standbys)
    assert standbys.told() == Told(1, (SLOT,), 0.0)
    warm = standbys.take(_assign(shop))
    assert warm is not None
    assert warm.next_offset == crash
    assert outcomes == ["taken"]
    cold = shop.taken_over()
    shop.drain(cold, crash)
    assert warm.pipeline.snapshot() == cold.pipeline.snapshot()
    assert warm.take_over(_assign(shop))
    shop.drain(warm)
    ids, raised, _ = shop.rows()
    assert ids == sorted(f"s-{number}" for number in range(301))
    assert len(raised) == 40
    assert shop.taken_over().grant.offset_done == FRAMES - 1


def test_a_standby_has_no_effect(shop: Shop, standbys: Standbys) -> None:
    """While it follows no row is written and no snapshot kept; made to go past what is committed, it is refused by the database."""
    holder = shop.taken_over()
    shop.drain(holder, 20)
    _look(standbys)
    written, kept, standing = shop.rows(), list(shop.shelf.kept), shop.progress.standing(*SLOT)
    standby = standbys._kept[SLOT].partition
    assert (standby.next_offset, standby.stands_by, standby.grant.epoch) == (20, True, ONLOOKER)
    with pytest.raises(Fenced):
        standby.take(20, shop.log[20], T0)
    assert (shop.rows(), shop.shelf.kept, shop.progress.standing(*SLOT)) == (written, kept, standing)
    shop.drain(holder)
    assert len(shop.rows()[1]) == 40


def test_without_a_snapshot_there_is_no_standby(shop: Shop, standbys: Standbys, outcomes: list[str]) -> None:
    """How long the log is nobody knows: it waits for the first snapshot."""
    shop.drain(shop.taken_over(), 10)
    _look(standbys)
    assert standbys.told() == Told(1, (), 0.0)
    assert standbys.take(_assign(shop)) is None
    assert outcomes == []


def test_one_that_is_slower_than_the_newest_snapshot_is_made_anew(
    shop: Shop, standbys: Standbys, outcomes: list[str], watch: Watch
) -> None:
    """What it has to judge takes longer than taking a snapshot up: at the next look it goes on from there, and at a takeover it is left."""
    holder = shop.taken_over()
    shop.drain(holder, 20)
    _look(standbys)
    watch.step = 1.0
    shop.drain(holder, 22)
    _look(standbys, 1)
    assert standbys._kept[SLOT].pace == 1.0
    shop.drain(holder, 40)
    _look(standbys, 1)
    assert outcomes == ["behind"]
    assert standbys._kept[SLOT].partition.next_offset == 40
    shop.drain(holder, 43)
    standbys._kept[SLOT].pace = 1.0
    shop.shelf.kept.append(replace(shop.shelf.kept[-1], offset=42))
    assert standbys.take(_assign(shop)) is None
    assert outcomes == ["behind", "behind"]
    assert standbys.told() == Told(0, (), 0.0)


def _set_aside(shop: Shop, number: int) -> None:
    with shop.database.write() as connection:
        connection.execute(update(progress).values(mark=f'{{"quarantined": [{number}]}}'))


def test_one_that_stepped_what_was_set_aside_since_is_thrown_away(shop: Shop, standbys: Standbys, outcomes: list[str]) -> None:
    """At the next look, and at a takeover before it; the next snapshot is taken up with the knowledge of it."""
    holder = shop.taken_over()
    shop.drain(holder, 20)
    _look(standbys)
    _set_aside(shop, Place(NUMBER, 18, 2).seq())
    _look(standbys)
    assert outcomes == ["overtaken"]
    assert standbys.told().warm == ()
    shop.drain(holder, 40)
    _look(standbys)
    assert standbys._kept[SLOT].partition.quarantined() == (Place(NUMBER, 18, 2).seq(),)
    _set_aside(shop, Place(NUMBER, 19, 2).seq())
    assert standbys.take(_assign(shop)) is None
    assert outcomes == ["overtaken", "overtaken"]


def test_one_whose_holder_died_in_a_watched_step_is_thrown_away(shop: Shop, standbys: Standbys, outcomes: list[str]) -> None:
    """Which record that was the guard has to find out, from the state of a replay."""
    shop.drain(shop.taken_over(), 20)
    _look(standbys)
    first = Place(NUMBER, 20, 0).seq()
    with shop.database.write() as connection:
        connection.execute(update(progress).values(mark=f'{{"first": {first}, "last": {first + 6}}}'))
    assert standbys.take(_assign(shop)) is None
    assert outcomes == ["overtaken"]


def test_a_database_that_is_older_than_a_standby_decides(shop: Shop, standbys: Standbys, outcomes: list[str]) -> None:
    """Put back from a backup, it knows nothing of the last frames: the standby is thrown away, they are judged again."""
    shop.drain(shop.taken_over(), 20)
    _look(standbys)
    with shop.database.write() as connection:
        connection.execute(update(progress).values(offset_done=17))
    assert standbys.take(_assign(shop)) is None
    assert outcomes == ["overtaken"]


def test_a_record_that_was_set_aside_has_no_effect_at_a_standby_either(
    shop: Shop, standbys: Standbys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frame with it is committed without its effect: so it is stepped by the standby, which lives, and by whoever takes it over."""
    poison = Place(NUMBER, 19, 2).seq()
    sound: Callable[[Pipeline, Sequence[Record]], list[Outcome]] = Pipeline.step

    def step(pipeline: Pipeline, records: Sequence[Record], *, growing: bool) -> list[Outcome]:
        assert growing
        assert all(record.seq != poison for record in records), "as if the process had died"
        return sound(pipeline, records)

    monkeypatch.setattr(Pipeline, "step", step)
    shop.drain(shop.taken_over(), 18)
    _look(standbys)
    _set_aside(shop, poison)
    shop.drain(shop.taken_over())
    _look(standbys, 3)
    warm = standbys.take(_assign(shop))
    assert warm is not None
    assert warm.quarantined() == (poison,)
    assert warm.next_offset == FRAMES


@pytest.mark.parametrize("state", [b"from another version", b""])
def test_a_damaged_snapshot_is_passed_over_until_the_next_one(shop: Shop, standbys: Standbys, outcomes: list[str], state: bytes) -> None:
    """It is tried once, and said; the next sound one makes a standby."""
    holder = shop.taken_over()
    shop.drain(holder, 20)
    shop.shelf.kept[-1] = Kept(shop.shelf.kept[-1].offset, T0, state)
    _look(standbys, 4)
    assert outcomes == ["failed"]
    assert standbys.told() == Told(1, (), 0.0)
    shop.drain(holder, 40)
    _look(standbys)
    assert standbys.told() == Told(1, (SLOT,), 0.0)


def test_what_retention_deleted_is_no_standby(shop: Shop, standbys: Standbys, outcomes: list[str]) -> None:
    """The log gives less than was asked for: what is behind the gap is not judged."""
    holder = shop.taken_over()
    shop.drain(holder, 20)
    _look(standbys)
    shop.drain(holder, 22)
    standbys._logs = {"frames": _Empty()}  # type: ignore[assignment, dict-item]  # all that is asked of it
    _look(standbys, 1)
    assert outcomes == ["failed"]
    assert standbys.told().warm == ()


class _Empty:
    def read(self, *_range: int) -> Iterator[object]:
        yield from ()


def test_there_is_room_for_so_many(shop: Shop, outcomes: list[str], watch: Watch) -> None:
    """A state that needs more memory than there may be is not kept, and not tried again before the next snapshot."""
    shop.drain(shop.taken_over(), 20)
    size = len(shop.shelf.kept[-1].state)
    for room, warm in ((GROWTH * size - 1, 0), (GROWTH * size, 1)):
        standbys = _standbys(shop, outcomes, watch, room)
        _look(standbys, 3)
        assert len(standbys.told().warm) == warm
        standbys.close()
    assert outcomes == ["no_room"]


def test_what_was_thrown_away_counts_until_it_is_collected(shop: Shop, outcomes: list[str], watch: Watch) -> None:
    """The room of one that is gone is had again when it is needed, by one look at everything, and not before."""
    looks: list[int] = []
    holder = shop.taken_over()
    shop.drain(holder, 20)
    size = len(shop.shelf.kept[-1].state)
    standbys = _standbys(shop, outcomes, watch, GROWTH * 2 * size, collect=lambda: looks.append(1))
    for expected in ([], [], [1], [1], [1, 1]):
        _look(standbys, 3)
        assert standbys.told() == Told(1, (SLOT,), 0.0)
        assert looks == expected
        standbys.want([], [])
        standbys.want([SLOT], [])
    standbys.close()
    assert outcomes == []


def test_a_store_that_is_away_costs_no_standby(shop: Shop, standbys: Standbys, outcomes: list[str]) -> None:
    """Brokers or database are asked again at the next look; its age tells."""
    holder = shop.taken_over()
    shop.drain(holder, 20)
    _look(standbys)
    shop.drain(holder, 30)
    good = shop.progress.standing

    def away(topic: str, partition: int) -> Grant | None:
        raise StoreUnavailable(f"{topic}/{partition}: away")

    standbys._standing = away
    _look(standbys)
    assert standbys._kept[SLOT].partition.next_offset == 20
    standbys._standing = good
    _look(standbys)
    assert standbys._kept[SLOT].partition.next_offset == 30
    assert outcomes == []


def test_who_is_not_wanted_any_more_is_let_go_of(shop: Shop, standbys: Standbys, outcomes: list[str]) -> None:
    """Another worker stands by now; what this one has by now itself stays until it is taken."""
    shop.drain(shop.taken_over(), 20)
    _look(standbys)
    standbys.want([], [SLOT])
    assert standbys.told() == Told(0, (SLOT,), 0.0)
    standbys.want([], [])
    assert standbys.told() == Told(0, (), 0.0)
    assert standbys.take(_assign(shop)) is None
    assert outcomes == []


def test_a_standby_that_is_judging_is_not_waited_for(
    shop: Shop, standbys: Standbys, outcomes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frame that takes long, as one that counts back does: the partition is made anew instead."""
    monkeypatch.setattr("streams.runtimes.standbys.HANDOVER_SECONDS", 0.01)
    shop.drain(shop.taken_over(), 20)
    _look(standbys)
    with standbys._kept[SLOT].lock:
        assert standbys.take(_assign(shop)) is None
    assert outcomes == ["busy"]


def test_a_busy_worker_goes_first(shop: Shop, standbys: Standbys, watch: Watch) -> None:
    """While it has more to do than it gets done a standby takes a tenth of the time, and none of its waits outlasts that."""
    shop.drain(shop.taken_over(), 20)
    standbys._busy = True
    waits: list[float] = []

    class Stopping:
        def wait(self, seconds: float) -> bool:
            waits.append(seconds)
            watch.at += seconds
            return False

    stopping, standbys._stopping = standbys._stopping, Stopping()  # type: ignore[assignment]  # all that is asked of it
    standbys._yield_for(0.1)
    assert sum(waits) == pytest.approx(0.9, abs=0.5)
    waits.clear()
    standbys._busy = False
    standbys._yield_for(0.1)
    assert waits == []
    standbys._stopping = stopping


def test_after_a_takeover_a_snapshot_is_due_as_if_it_had_been_kept_here(shop: Shop, standbys: Standbys) -> None:
    """What the holder kept counts: the next one is a hundred records behind it, and the row of progress is that of the new owner."""
    holder = shop.taken_over()
    shop.drain(holder, 31)
    assert shop.shelf.kept[-1].offset == 30
    _look(standbys)
    shop.drain(holder, 33)
    _look(standbys)
    warm = standbys.take(_assign(shop))
    assert warm is not None
    shop.drain(warm, 44)
    assert [kept.offset for kept in shop.shelf.kept] == [15, 30]
    with shop.database.read() as connection:
        assert list(connection.scalars(select(progress.c.owner))) == ["other"]
