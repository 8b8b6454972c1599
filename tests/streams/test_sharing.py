"""Partitions of groups of one process count back once for all of them that count the same."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.ports import SharedHistory
from domain.records import Prepared, Record, RulesetEntry
from streams.runtimes import sharing
from streams.runtimes.group_partitions import GroupPartition
from streams.runtimes.groups_past import GroupsPast
from streams.runtimes.sharing import Sharing
from streams.stages.grafting import Past
from tests.factories import T0
from tests.streams.test_group_partitions import SOURCES, Deployment, counted_beforehand, counting_back, leaks, replace_time, told
from tests.streams.worlds import worlds


class Counting:
    """Counts, as far as it is let."""

    def __init__(self) -> None:
        self.far = 0
        self.times = 0
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.fails = False

    def __call__(self) -> list[int]:
        self.times += 1
        self.begun.set()
        assert self.go_on.wait(20)
        if self.fails:
            self.fails = False
            raise ValueError("no records")
        return [self.times]


@pytest.fixture
def counting() -> Counting:
    """Give one that waits to be let go on."""
    return Counting()


def nothing() -> None:
    """Hear of a move."""


def test_who_comes_second_waits_for_the_first_and_is_seen_to_move(counting: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    """One counts; another one waits for it, and tells of each move of the first; both have the same, which was counted once."""
    monkeypatch.setattr(sharing, "LOOK", 0.01)
    shared, moved = Sharing(), threading.Event()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(shared.get, "areas", 7, counting, lambda: counting.far, nothing)
        assert counting.begun.wait(20)
        second = pool.submit(shared.get, "areas", 7, counting, lambda: 0, moved.set)
        assert not moved.wait(0.1)
        while not moved.is_set():
            counting.far += 1
            moved.wait(0.01)
        counting.go_on.set()
        assert first.result(20) is second.result(20)
    assert counting.times == 1


def test_where_the_first_comes_to_nothing_the_next_one_counts(counting: Counting) -> None:
    """What went wrong is told to whoever it went wrong for alone."""
    counting.fails = True
    shared = Sharing()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(shared.get, "areas", 7, counting, lambda: 0, nothing)
        assert counting.begun.wait(20)
        second = pool.submit(shared.get, "areas", 7, counting, lambda: 0, nothing)
        counting.go_on.set()
        with pytest.raises(ValueError, match="no records"):
            first.result(20)
        assert second.result(20) == [2]


def test_another_activation_and_another_kind_are_counted_anew(counting: Counting) -> None:
    """What is shared is known by its kind and by what it is about; the newest of a kind takes the place of the one before."""
    counting.go_on.set()
    shared = Sharing()

    def times(kind: str, key: int) -> list[int]:
        return shared.get(kind, key, counting, lambda: 0, nothing)

    assert [times("areas", 7), times("groups", 7), times("areas", 7), times("areas", 8), times("areas", 7)] == [[1], [2], [1], [3], [4]]


def test_what_nobody_takes_up_any_more_is_let_go(counting: Counting) -> None:
    """It is counted anew after that; until then it is held."""
    counting.go_on.set()
    held, shared = Sharing(3600.0), Sharing(0.0)
    for one, expected in ((held, [1]), (held, [1]), (shared, [2])):
        assert one.get("areas", 7, counting, lambda: 0, nothing) == expected
    for _ in range(2000):
        if not shared._known:
            break
        threading.Event().wait(0.01)
    assert shared.get("areas", 7, counting, lambda: 0, nothing) == [3]


@pytest.mark.parametrize(("aside", "in_order", "times"), [((), True, 1), ((5,), True, 2), ((), False, 2)])
def test_who_has_another_past_counts_by_itself(aside: tuple[int, ...], in_order: bool, times: int, counting: Counting) -> None:
    """Where a record has no effect, or not all sources were waited for, a partition takes up nothing of others."""
    counting.go_on.set()
    shared = Sharing()
    for _ in range(2):
        past = GroupsPast("areas", [], dict, lambda _name: None, lambda: aside, shared)
        past.expect(7, Prepared(first=1), in_order=in_order)
        assert isinstance(past, SharedHistory)
        past.counted(7, "scope", counting)
        assert not past.busy
    assert counting.times == times


def _each_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GroupsPast, "counted", lambda _self, _seq, _about, count: count())


@pytest.mark.sources
@pytest.mark.parametrize(("plant", "times"), [(None, 2), (_each_by_itself, 2 * SOURCES)])
def test_three_partitions_of_groups_read_the_past_once_for_each_pipeline(
    plant: Callable[[pytest.MonkeyPatch], None] | None, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rules about areas and groups that count back: one partition reads the logs for all; it is said what is said where each does."""
    if plant is not None:
        plant(monkeypatch)
    read: list[Any] = []
    sound = Past._count
    monkeypatch.setattr(Past, "_count", lambda self, history, *given: read.append(history) or sound(self, history, *given))
    made = Deployment(Random(1), "counted")
    made.send(Record(seq=1, received_at=T0, entry=RulesetEntry(version="few")))
    leaks(made, 1, 2, source="iot")
    activation = RulesetEntry(version="v1", prepared=Prepared(first=1))
    made.send(Record(seq=1, received_at=T0 + timedelta(hours=3), entry=activation))
    leaks(made, 4, 5, number=2, source="iot")
    told(made)
    made.run(trouble=False)
    assert made.found()["region:610113"]
    assert sum(isinstance(history, GroupsPast) for history in read) == times
    assert made.found() == made.expected()


def _states(told_: list[Record], place: int, seed: int, rules: str, *, beforehand: bool = False, shared: bool = True) -> list[bytes]:
    """Return the states of all pipelines of partitions of groups behind a world that counts back at a place in it."""
    made = Deployment(Random(seed), rules)
    with pytest.MonkeyPatch.context() as patch:
        if not shared:
            _each_by_itself(patch)
        for number, record in enumerate(told_):
            if number == place:
                made.run(trouble=False)
                if beforehand:
                    counted_beforehand(made, f"{rules}-v1")
            made.send(replace_time(record, number))
        told(made)
        made.run(trouble=False)
    groups = [worker for worker in made.areas.workers if isinstance(worker, GroupPartition)]
    return [each.snapshot() for worker in groups for each in (worker.pipeline, worker.beside)]


@pytest.mark.parametrize("rules", ["plain", "counted", "followed"])
@settings(max_examples=10, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(records=worlds(), place=st.integers(1, 40), seed=st.integers(0, 10_000))
def test_what_partitions_of_groups_hold_is_the_same_whoever_counted(rules: str, records: list[Record], place: int, seed: int) -> None:
    """Each by itself, one for all, or beforehand: the snapshots are the same bytes."""
    whole, at = counting_back(records, place, "v1"), min(place, len(records))
    found = _states(whole, at, seed, rules)
    assert found == _states(whole, at, seed, rules, shared=False)
    assert found == _states(whole, at, seed, rules, beforehand=True)
