"""One partition of a cluster, without brokers: the answer of a replay however frames are cut, killed, repeated or damaged."""
# Long because: what a partition must keep to, however it is interrupted, is told over one log.

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime

import pytest

from domain.errors import Fenced, FengsuiError, NotFound, StoreUnavailable
from domain.findings import Outcome
from domain.frames import VERSION, Frame, encode
from domain.packed import PackedState
from domain.partitions import Place
from domain.ports import History, Offer
from domain.records import Prepared, Record, RulesetEntry
from models.registry import REGISTRY
from streams.pipeline import Pipeline
from streams.runtimes.commits import GATHERED
from streams.runtimes.keeping import Kept
from streams.runtimes.partitions import AHEAD, Partition
from streams.runtimes.past import LogHistory
from streams.stages.backfill import Backfill, scope_of
from tests.cluster.world import leak
from tests.factories import T0
from tests.streams.shop import MORE, NUMBER, SET, Shop


@pytest.fixture(params=["one by one", "behind"])
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    """Give a shop whose log begins with the activation of the rules; it commits frame by frame, or behind the step of the next."""
    with ThreadPoolExecutor(1) as commits:
        made = Shop(commits if request.param == "behind" else None)
        made.frame(RulesetEntry(version=SET.version))
        yield made


@pytest.fixture
def behind() -> Iterator[Shop]:
    """Give a shop that commits behind the step of the next frame."""
    with ThreadPoolExecutor(1) as commits:
        made = Shop(commits)
        made.frame(RulesetEntry(version=SET.version))
        yield made
        made.gate.set()


def _fill(shop: Shop, size: int) -> None:
    for start in range(0, 300, size):
        shop.frame(*(leak(number) for number in range(start, min(start + size, 300))), minutes=start)


@pytest.mark.parametrize("size", [1, 7, 300])
def test_the_cut_into_frames_changes_nothing(shop: Shop, size: int) -> None:
    """Three hundred signals in frames of one, of seven and of all give the same signals and warnings."""
    _fill(shop, size)
    shop.drain(shop.taken_over())
    ids, raised, refused = shop.rows()
    assert (len(ids), len(raised), refused) == (300, 40, [])


@pytest.mark.parametrize("crash", range(0, 44, 4))
def test_a_crash_anywhere_changes_nothing(shop: Shop, crash: int) -> None:
    """A worker that ends between any two frames, and its successor: what one worker alone gives."""
    _fill(shop, 7)
    shop.drain(shop.taken_over(), crash)
    shop.drain(shop.taken_over())
    ids, raised, _ = shop.rows()
    assert ids == sorted(f"s-{number}" for number in range(300))
    assert len(raised) == 40
    assert shop.progress.assign("frames", NUMBER, "w").offset_done == len(shop.log) - 1


def test_a_message_that_comes_again_or_too_early_is_not_taken(shop: Shop) -> None:
    """The offset that is wanted is said; nothing else is taken in."""
    _fill(shop, 100)
    partition = shop.taken_over()
    assert partition.take(2, shop.log[2], T0) == 0
    shop.drain(partition)
    assert partition.take(1, shop.log[1], T0) == len(shop.log)
    assert len(shop.rows()[0]) == 300


def test_duplicates_and_conflicts_are_judged_as_in_the_journal(shop: Shop) -> None:
    """The same again leaves no row, other content a rejection, also where all of it is read twice."""
    shop.frame(leak(1), leak(1), leak(2))
    shop.frame(leak(1, severity=3), leak(2))
    shop.frame(leak(1, severity=3), leak(3, corrects="nowhere"))
    shop.drain(shop.taken_over())
    shop.drain(shop.taken_over())
    assert shop.rows()[0] == ["s-1", "s-2"]
    assert shop.rows()[2] == ["conflicting_content", "conflicting_content", "unknown_target"]


def test_a_worker_that_was_replaced_writes_nothing(shop: Shop) -> None:
    """The old worker wakes up and goes on: its commit is refused, and the new one's answer stands."""
    _fill(shop, 7)
    zombie = shop.taken_over()
    shop.drain(zombie, 10)
    successor = shop.taken_over()
    with pytest.raises(Fenced):
        shop.drain(zombie)
    shop.drain(successor)
    assert len(shop.rows()[0]) == 300


def test_a_newer_grant_keeps_the_state_only_where_nobody_else_came_in_between(shop: Shop) -> None:
    """After a rebalance that gave the partition back nothing is read again; after one that did not, all of it."""
    _fill(shop, 100)
    partition = shop.taken_over()
    shop.drain(partition, 2)
    assert partition.renew(shop.progress.assign("frames", NUMBER, "w"))
    shop.progress.assign("frames", NUMBER, "other")
    assert not partition.renew(shop.progress.assign("frames", NUMBER, "w"))


def test_a_store_that_is_away_is_asked_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two refusals, then it is written, once; a stopping worker gives up instead."""
    monkeypatch.setattr("streams.runtimes.partitions.BACKOFF_FIRST", 0.001)
    shop.frame(leak(1))
    partition = shop.taken_over()
    shop.drain(partition, 1)
    shop.trouble = [StoreUnavailable("away"), StoreUnavailable("away")]
    assert partition.take(1, shop.log[1], T0) == 2
    partition.settle()
    assert (shop.rows()[0], partition.waiting) == (["s-1"], "")
    shop.frame(leak(2))
    shop.trouble = [StoreUnavailable("away")]
    shop.stopping.set()
    with pytest.raises(StoreUnavailable):
        shop.drain(partition)


def test_snapshots_bound_what_is_read_again(shop: Shop) -> None:
    """A hundred records make a snapshot; one that is ahead of the database is not believed."""
    _fill(shop, 50)
    partition = shop.taken_over()
    shop.drain(partition)
    assert [kept.offset for kept in shop.shelf.kept] == [2, 4, 6]
    assert shop.taken_over().next_offset == 7
    shop.shelf.kept.append(Kept(99, T0, PackedState.of([b"from another database"])))
    assert shop.taken_over().next_offset == 0


def test_messages_that_are_no_frames_are_kept_with_their_place(shop: Shop) -> None:
    """Foreign, cut and empty messages each leave a rejection and nothing else; a newer format stops the worker before it."""
    shop.log += [b"hello", encode(Frame(received_at=T0, offers=(Offer(entry=leak(9)),)))[:-2]]
    shop.frame(leak(1))
    partition = shop.taken_over()
    shop.drain(partition)
    assert shop.rows() == (["s-1"], [], ["foreign_message", "cut_message"])
    assert shop.aside == [Place(NUMBER, 1, 0).seq(), Place(NUMBER, 2, 0).seq()]
    newer = b"FSFRAME" + bytes([VERSION + 1]) + b"\0\0\0\0x"
    with pytest.raises(FengsuiError, match="upgrade this worker first"):
        partition.take(4, newer, T0)
    assert partition.next_offset == 4


def test_a_rule_set_that_is_not_there_stops_before_it(shop: Shop) -> None:
    """Nothing of the frame is taken; once the set is there the same frame goes in."""
    shop.frame(leak(1), RulesetEntry(version="later"))
    partition = shop.taken_over()
    shop.drain(partition, 1)
    with pytest.raises(NotFound):
        partition.take(1, shop.log[1], T0)
    assert shop.rows()[0] == []
    assert shop.progress.assign("frames", NUMBER, "w").offset_done == 0


def test_an_edge_whose_clock_is_wrong_moves_nobodys_time_far(shop: Shop) -> None:
    """A frame from next year is received five minutes after the brokers had it, at most; one from the past does not take time back."""
    shop.frame(leak(1), minutes=525_600)
    shop.frame(leak(2), minutes=-600)
    partition = shop.taken_over()
    shop.drain(partition)
    assert partition.pipeline.now == T0 + AHEAD


def test_a_record_that_ends_the_process_twice_is_set_aside(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each death is a new worker: the second is of a frame, the third and fourth of the record alone; then the rest counts."""
    shop.frame(*(leak(number) for number in range(5)))
    poison = Place(NUMBER, 1, 2).seq()
    sound: Callable[[Pipeline, Sequence[Record]], list[Outcome]] = Pipeline.step

    def step(pipeline: Pipeline, records: Sequence[Record], *, growing: bool) -> list[Outcome]:
        assert growing
        if any(record.seq == poison for record in records):
            raise MemoryError("as if the process had died")
        return sound(pipeline, records)

    monkeypatch.setattr(Pipeline, "step", step)
    deaths = 0
    while True:
        partition = shop.taken_over()
        try:
            shop.drain(partition)
            break
        except MemoryError:
            deaths += 1
            assert deaths < 9
    assert deaths == 4
    assert partition.quarantined() == (poison,)
    assert shop.rows()[0] == [f"s-{number}" for number in range(5)]
    assert poison in shop.aside


def test_a_tick_is_due_when_time_alone_changes_something(shop: Shop) -> None:
    """A warning whose quiet period ends asks for a tick then, once in a while, and not before."""
    shop.frame(*(leak(number) for number in (0, 40, 80)))
    partition = shop.taken_over()
    shop.drain(partition)
    assert len(shop.rows()[1]) == 1
    assert partition.tick_due() is None
    wake = partition.pipeline.next_wake()
    assert wake is not None
    shop.clock.advance(wake - T0)
    assert partition.tick_due() == wake
    assert partition.tick_due() is None


def test_who_is_replaced_while_it_takes_over_hears_of_it_at_the_first_frame(shop: Shop) -> None:
    """Somebody died with the partition, and two take it over: the first has its place in the worker still, and writes nothing."""
    shop.frame(leak(1))
    late = shop.progress.assign("frames", NUMBER, "late")
    shop.progress.assign("frames", NUMBER, "new")
    partition = Partition(late, shop.parts, shop.stopping)
    with pytest.raises(Fenced):
        shop.drain(partition)
    assert shop.rows() == ([], [], [])


@pytest.mark.sources
def test_whether_a_tick_is_due_is_asked_without_touching_the_pipeline(shop: Shop) -> None:
    """The loop asks while a thread steps: what the pipeline has in its queues is only moved by the thread that takes frames in."""
    asked: list[str] = []

    class Watched(Pipeline):
        def next_wake(self) -> datetime | None:
            asked.append(threading.current_thread().name)
            return super().next_wake()

    def watched(past: History | None) -> Pipeline:
        pipeline = shop.pipeline(past)
        pipeline.__class__ = Watched
        return pipeline

    shop.parts = replace(shop.parts, pipeline=watched)
    shop.frame(*(leak(number) for number in (0, 40, 80)))
    partition = shop.taken_over()
    shop.drain(partition)
    wake = partition.pipeline.next_wake()
    assert wake is not None
    shop.clock.advance(wake - T0)
    asked.clear()
    assert partition.tick_due() == wake
    assert asked == []


def test_frames_are_stepped_while_one_is_committed(behind: Shop) -> None:
    """What comes meanwhile is committed together behind it, so many frames and not more; none is called done, and their names count."""
    behind.frame(leak(1), leak(2))
    behind.frame(leak(1), leak(2, severity=3), leak(3))
    for number in range(GATHERED):
        behind.frame(leak(3), leak(10 + number))
    partition = behind.taken_over()
    behind.drain(partition, 1)
    behind.gate.clear()
    behind.upto.clear()
    for at in range(1, 2 + GATHERED):
        partition.take(at, behind.log[at], T0)
    last = 2 + GATHERED
    assert (partition.next_offset, partition.settled_offset, partition.grant.offset_done, partition.failed) == (last, 1, 0, False)
    one_more = threading.Thread(target=partition.take, args=(last, behind.log[last], T0))
    one_more.start()
    one_more.join(0.2)
    assert one_more.is_alive()
    assert behind.rows() == ([], [], [])
    behind.gate.set()
    one_more.join()
    partition.settle()
    assert behind.rows() == (["s-1", *(f"s-{10 + each}" for each in range(GATHERED)), "s-2", "s-3"], [], ["conflicting_content"])
    assert partition.settled_offset == partition.grant.offset_done + 1 == last + 1
    assert behind.upto[:2] == [1, 1 + GATHERED]


def test_what_waits_behind_a_commit_that_fails_is_not_committed(behind: Shop) -> None:
    """The frames behind it are somebody else's too: nothing of them is written, and everybody who asks is told why."""
    for number in range(3):
        behind.frame(leak(number))
    partition = behind.taken_over()
    behind.gate.clear()
    for at in range(3):
        partition.take(at, behind.log[at], T0)
    behind.trouble = [Fenced("somebody else's")]
    behind.gate.set()
    for _ in range(2):
        with pytest.raises(Fenced):
            partition.settle()
    assert (partition.failed, partition.settled_offset, behind.rows()[0]) == (True, 0, [])


def test_no_snapshot_is_ahead_of_what_is_committed(behind: Shop) -> None:
    """One that is due while its frame is on its way waits for it; where the partition is somebody else's by then there is none."""
    _fill(behind, 100)
    partition = behind.taken_over()
    behind.drain(partition, 1)
    behind.gate.clear()
    threading.Timer(0.1, behind.gate.set).start()
    partition.take(1, behind.log[1], T0)
    assert [kept.offset for kept in behind.shelf.kept] == [1]
    assert partition.grant.offset_done == 1
    behind.gate.clear()
    behind.trouble = [Fenced("somebody else's")]
    threading.Timer(0.1, behind.gate.set).start()
    with pytest.raises(Fenced):
        partition.take(2, behind.log[2], T0)
    assert [kept.offset for kept in behind.shelf.kept] == [1]


def test_a_commit_that_fails_is_known_without_another_frame(behind: Shop) -> None:
    """It says that it failed, nothing after it is called done, and a newer grant does not go on with that state."""
    behind.frame(leak(1))
    partition = behind.taken_over()
    behind.drain(partition, 1)
    behind.trouble = [Fenced("somebody else's")]
    partition.take(1, behind.log[1], T0)
    with pytest.raises(Fenced):
        partition.settle()
    assert (partition.failed, partition.settled_offset) == (True, 1)
    assert not partition.renew(behind.progress.assign("frames", NUMBER, "w"))
    behind.drain(behind.taken_over())
    assert behind.rows()[0] == ["s-1"]


def counting_back(shop: Shop, artifact: str = "") -> None:
    """Let the log go on: ten frames, an activation whose new indicator counts back, and five frames more."""
    for number in range(10):
        shop.frame(*(leak(10 * number + each, objects=10) for each in range(3)), leak(10 * number, objects=10), minutes=number)
    first = Place(NUMBER, 0, 0).seq()
    shop.frame(
        leak(500, objects=10), RulesetEntry(version=MORE.version, prepared=Prepared(first=first, artifact=artifact)), leak(501, objects=10)
    )
    for number in range(60, 65):
        shop.frame(*(leak(10 * number + each, objects=10) for each in range(4)), minutes=number)


@pytest.mark.parametrize("place", [3, 11, 12, 14])
def test_a_new_indicator_counts_back_over_the_partitions_log(shop: Shop, place: int) -> None:
    """What it holds is what a partition has that ran the set from the first record on, also where a worker died before or behind the
    activation, and where the log broke off while it was read."""  # noqa: D205, D209  # one sentence
    counting_back(shop)
    shop.drain(shop.taken_over(), place)
    held = shop.taken_over()
    shop.drain(held)
    assert shop.read_from[1] == 2
    assert not held.counting_back
    shop.log[0] = encode(Frame(received_at=T0, offers=(Offer(entry=RulesetEntry(version=MORE.version)),)))
    shop.shelf.kept.clear()
    always = Partition(held.grant, shop.parts, shop.stopping)
    for offset, message in enumerate(shop.log):
        always.take(offset, message, T0)
    for number in range(10):
        subject = f"obj-{number:03d}"
        assert held.pipeline.values_at(subject) == always.pipeline.values_at(subject)
    assert list(held.pipeline.values_at("obj-000").values()) == [16.0]


def test_what_was_worked_out_beforehand_changes_nothing(shop: Shop) -> None:
    """With a back-fill of the first frames stored, the state behind the activation is byte for byte that without one, and no more is read
    than what came since."""  # noqa: D205, D209  # one sentence
    counting_back(shop, "stored")
    plain = shop.taken_over()
    shop.drain(plain)
    fill = Backfill(MORE, scope_of(MORE, SET), REGISTRY, 100_000)
    history = LogHistory(NUMBER, shop, shop.parts.admission, lambda _name: None)
    for record in history.records(Place(NUMBER, 0, 0).seq() - 1, Place(NUMBER, 6, 0).seq()):
        fill.take(record)
    shop.worked_out["stored"] = list(fill.dump())
    shop.shelf.kept.clear()
    shop.read_from.clear()
    again = shop.taken_over()
    shop.drain(again)
    assert shop.read_from == [5]
    assert again.pipeline.snapshot() == plain.pipeline.snapshot()
