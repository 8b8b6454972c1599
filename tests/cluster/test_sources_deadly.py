"""A message of another system's topic that kills whoever reads it: set aside after the usual number of deaths, everything else is taken."""

from __future__ import annotations

import itertools
import json
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

import pytest
from sqlalchemy import select

from app.cluster.plants import DEADLY
from app.cluster.source_guard import Watched
from connectors.inbound.envelope import Message
from domain.errors import Fenced, StoreUnavailable
from storage.database import Database
from storage.source_marks import SourceMarks
from storage.tables import rejections
from streams.runtimes.poison import read_mark
from tests.cluster.elsewhere import Elsewhere, as_json, signal_of
from tests.cluster.world import PATIENCE, Make

DEATHS = 4


class _DeathError(BaseException):
    """The end of a process: nothing is tidied up behind it."""


class _Door:
    """What messages come to: `deadly` ones end the process, which the next one has to take up where it was committed."""

    def __init__(self, database: Database, deadly: bytes) -> None:
        self.database = database
        self.deadly = deadly
        self.taken: list[bytes] = []
        self.refused: list[bytes] = []
        self.calls = 0
        self.away = False

    def take(self, messages: Sequence[Message]) -> None:
        self.calls += 1
        if self.away:
            raise StoreUnavailable("the brokers are away")
        if any(message.body == self.deadly for message in messages):
            raise _DeathError
        self.taken += [message.body for message in messages]

    def held(self) -> Watched:
        refuse = lambda message: self.refused.append(message.body)  # noqa: E731  one line of a test
        return Watched(self.database, "group topic", 3, self.take, refuse, threading.Lock())


def _batch(first: int, count: int = 10) -> tuple[list[int], list[Message]]:
    offsets = list(range(first, first + count))
    return offsets, [Message(b"%d" % offset) for offset in offsets]


def test_a_deadly_message_is_refused_unread_after_four_deaths(database: Database) -> None:
    """Whichever edge has the partition: the fifth one takes what is before and behind it, in order, and keeps it as a rejection."""
    door = _Door(database, b"23")
    held = door.held()
    held.take(*_batch(10))
    dead = 0
    while not door.refused:
        held = held if not dead else door.held()
        try:
            held.take(*_batch(20))
        except _DeathError:
            dead += 1
    held.let_go()
    assert (dead, door.refused) == (DEATHS, [b"23"])
    assert door.taken[-9:] == [b"%d" % number for number in range(20, 30) if number != 23]
    assert set(door.taken) == {b"%d" % number for number in range(10, 30) if number != 23}
    door.deadly = b""
    door.calls = 0
    again = door.held()
    for first in range(30, 330, 10):
        again.take(*_batch(first))
    assert door.calls == 30, "once nobody is suspected any more all of a poll is taken at once"


def _set_aside(database: Database) -> list[int]:
    """Return the offsets that are set aside; whoever has the partition is replaced."""
    _, written = SourceMarks.taken(database, "group topic", 3).read()
    return [number - 1 for number in read_mark(written, "here").quarantined]


def test_what_is_set_aside_is_forgotten_once_it_is_committed(database: Database) -> None:
    """As long as it may come again it is passed over; an edge that is given the partition behind it leaves nothing of it, and what is
    behind the committed offset stays."""  # noqa: D205, D209  # one sentence reads best
    door = _Door(database, b"")
    for deadly in (b"5", b"25"):
        door.deadly = deadly
        while deadly not in door.refused:
            held = door.held()
            with suppress(_DeathError):
                held.take(*_batch(0, 30))
        held.let_go()
    assert _set_aside(database) == [5, 25]
    door.refused.clear()
    held = door.held()
    held.take(*_batch(6))
    held.take(*_batch(16))
    held.let_go()
    assert _set_aside(database) == [25]
    assert door.refused == [b"25"]
    held = door.held()
    held.take(*_batch(26))
    held.let_go()
    assert _set_aside(database) == []
    door.deadly = b""
    held = door.held()
    held.take(*_batch(5, 1))  # somebody set the group back: it is read again
    assert (door.refused, door.taken[-1]) == ([b"25"], b"5")


def test_edges_that_end_in_order_or_are_killed_from_outside_set_nothing_aside(database: Database) -> None:
    """Ten orderly ends leave no suspicion, and nothing is written at a poll; deaths at other messages each time are no one's fault."""
    door = _Door(database, b"")
    for first in range(0, 100, 10):
        held = door.held()
        held.take(*_batch(first))
        held.let_go()
    assert SourceMarks.taken(database, "group topic", 3).read()[0] == 1
    for first in range(100, 160, 10):
        door.deadly = b"%d" % (first + 5)
        with pytest.raises(_DeathError):
            door.held().take(*_batch(first))
    door.deadly = b""
    door.held().take(*_batch(100, 60))
    assert door.refused == []


def test_a_store_that_is_away_is_no_death(database: Database) -> None:
    """While suspects are taken one by one the brokers go away again and again: nothing is set aside, and the same comes again."""
    door = _Door(database, b"5")
    for _ in range(2):
        with pytest.raises(_DeathError):
            door.held().take(*_batch(0))
    door.away = True
    for _ in range(2 * DEATHS):
        with pytest.raises(StoreUnavailable):
            door.held().take(*_batch(0))
    door.away, door.deadly = False, b""
    held = door.held()
    held.take(*_batch(0))
    assert (door.refused, door.taken) == ([], [b"%d" % number for number in range(10)])
    door.held()
    with pytest.raises(Fenced):  # another edge was given it: this one's word counts no more
        held.take(*_batch(10, 1))


@pytest.mark.service("kafka")
@pytest.mark.service("postgresql")
def test_a_message_that_kills_edges_is_set_aside_after_a_few_deaths_in_all(make: Make, elsewhere: Elsewhere, prefix: str) -> None:
    """Edges with data folders of their own, each replaced when it dies: four die, the message is a rejection, all others are signals."""
    cluster = make(partitions=2)
    cluster.activate()
    cluster.start("worker")
    topic = elsewhere.make(f"{prefix}.deadly", 2)
    group = f"{cluster.settings.kafka.prefix}.signals.{topic}"
    expected = set()
    for part in range(2):
        wanted = [f"s-{part}-{number}" for number in range(200)]
        expected |= set(wanted)
        bodies = [as_json(signal_of(one)) for one in wanted]
        deadly = [as_json(signal_of(DEADLY))] if part == 0 else []
        elsewhere.send(topic, *bodies[:100], *deadly, *bodies[100:], partition=part)
    shared = cluster.folder / "keys"
    shared.mkdir()
    for key in ("sealing", "personal"):
        (shared / key).write_text("5a" * 32 + "\n")
    cluster.also = {"PORT": 0, "SEALING_KEY": shared / "sealing", "PERSONAL_KEY": shared / "personal"}
    sources = json.dumps([{"topic": topic, "feed": "signals"}])
    names = (f"edge-{number}" for number in itertools.count())
    dead: list[str] = []
    alive = next(names)
    cluster.start(alive, role="edge", plant="deadly_signal", sources=sources)
    end = time.monotonic() + PATIENCE
    while elsewhere.behind(topic, group):
        status = cluster.workers[alive].poll()
        if status is not None:
            assert status == -signal.SIGKILL, cluster.log(alive)[-3000:]
            dead.append(alive)
            alive = next(names)
            cluster.start(alive, role="edge", plant="deadly_signal", sources=sources)
        assert len(dead) <= DEATHS
        assert time.monotonic() < end, cluster.log(alive)[-2000:]
        time.sleep(0.2)
    assert len(dead) == DEATHS
    assert cluster.log(alive).count("source.message_set_aside") == 1
    cluster.await_done()
    assert cluster.signal_ids() == sorted(expected)
    with cluster.database.read() as connection:
        [refused] = connection.execute(select(rejections)).all()
    assert (refused.feed, "this message brought an edge down twice" in refused.message) == ("signals", True)
