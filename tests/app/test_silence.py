"""A feed advances by data, by its word that it is complete, or is silent after its contract's limit; marks are journalled once."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.silence import GRACE, SilenceWatch
from connectors.inbound.edge import Taken
from domain.clock import ManualClock
from domain.errors import StoreUnavailable
from domain.ports import Offer
from domain.records import FeedEntry
from storage.identity import Identity
from storage.intake import Appender
from storage.memory_journal import MemoryJournal
from tests.app.world import GAS, MONDAY, World, penalty
from tests.connectors.senders import FEEDS

IOT = "/v1/feeds/iot-json/records"


def reading(world: World, minute: int) -> dict[str, Any]:
    """Send one reading of a sensor; `minute` makes it a new one."""
    at = int(MONDAY.timestamp()) + 60 * minute
    body = json.dumps({"device_id": "G1", "ts": at, "metrics": {"pressure_kpa": 2.0}}).encode()
    answer: dict[str, Any] = world.call("POST", IOT, content=body, headers={"content-type": "application/json"}).json()
    world.app.settle()
    return answer


def marks(world: World) -> list[tuple[str, str, timedelta]]:
    """Return every mark of the journal: feed, mark, and when it was received after the start."""
    entries = [(record.entry, record.received_at - world.started) for record in world.app.journal.read(0)]
    return [(entry.feed, entry.mark, at) for entry, at in entries if isinstance(entry, FeedEntry)]


def state(world: World, feed: str = "iot-json") -> str:
    """Return a feed's state as the API tells it."""
    [found] = [one["state"] for one in world.read("/v1/feeds") if one["feed"] == feed]
    return str(found)


def gauge(world: World, feed: str = "iot-json") -> str:
    """Return the value of the gauge that Prometheus alerts on, "" where there is none."""
    prefix = f'fengsui_feed_silent{{feed="{feed}"}} '
    lines = world.call("GET", "/metrics", "monitor").text.splitlines()
    return next((line.removeprefix(prefix) for line in lines if line.startswith(prefix)), "")


def test_a_feed_falls_silent_after_its_limit_and_comes_back_with_data(world: World) -> None:
    """At the very limit, once; API, metric, page and duty figure say so; the next record brings it back."""
    assert (state(world), gauge(world)) == ("never_seen", "")
    reading(world, 0)
    world.at("1h59m")
    assert (state(world), gauge(world), marks(world)) == ("speaking", "0.0", [])
    world.at("9h")
    assert marks(world) == [("iot-json", "silent", timedelta(hours=2))]
    assert (state(world), gauge(world)) == ("silent", "1.0")
    page = world.call("GET", "/feeds").text
    assert "静默，自" in page
    assert "从未报送" in page, "the feeds that never sent anything are listed, not silent"
    reading(world, 9 * 60)
    assert marks(world)[1:] == [("iot-json", "back", timedelta(hours=9))]
    assert (state(world), gauge(world)) == ("speaking", "0.0")


def test_a_feed_that_was_never_seen_is_not_silent(world: World) -> None:
    """However long nothing comes: nobody knows yet that it should speak."""
    world.at("100d")
    assert marks(world) == []
    assert {one["state"] for one in world.read("/v1/feeds")} == {"never_seen"}


@pytest.mark.parametrize("down", ["0s", "5h"])
def test_a_restart_repeats_no_mark_and_forgets_no_silence(world: World, down: str) -> None:
    """What was silent stays so, unmarked; what falls silent while the service is down is marked after the grace of a start."""
    reading(world, 0)
    world.post(penalty(1, "0.1"))
    world.at("3h")
    world.restart(down)
    world.until(world.clock.now() + timedelta(hours=1))
    assert [one[:2] for one in marks(world)] == [("iot-json", "silent")]
    reading(world, 3 * 60)
    world.restart("3h")
    assert state(world) == "speaking", "a sender gets its grace: it may have tried in vain"
    back = world.clock.now()
    world.until(back + timedelta(hours=2))
    assert [one[:2] for one in marks(world)] == [("iot-json", mark) for mark in ("silent", "back", "silent")]
    assert marks(world)[-1][2] == back + GRACE - world.started


def test_marks_beyond_the_stored_rows_are_read_from_the_journal() -> None:
    """After a crash the database may lag behind the journal: what only the journal knows counts too."""
    clock, journal = ManualClock(MONDAY), MemoryJournal()
    with Appender(journal, Identity.in_memory(journal), clock) as intake:
        entries = [FeedEntry(feed="iot-json", mark="complete", until=MONDAY), FeedEntry(feed="iot-json", mark="silent")]
        intake.submit([Offer(entry=entry) for entry in entries]).result()
        clock.advance(timedelta(hours=5))
        watch = SilenceWatch(FEEDS, intake, clock)
        watch.take_up([], journal.read(0))
        clock.advance(timedelta(hours=1))
        watch.look()
        watch.look()
        assert (journal.head(), watch.next_at()) == (2, None)


@pytest.mark.parametrize(
    "body", [b"[]", b"", b'[{"device_id": "G1", "ts": 1772413200, "metrics": {}}]'], ids=["empty", "nothing", "heartbeat"]
)
def test_a_sign_of_life_without_a_record_keeps_a_feed_speaking(world: World, body: bytes) -> None:
    """An empty input and a heartbeat are journalled as complete up to the usual delay, a few times within a limit, not each."""
    reading(world, 0)
    for minute in range(5, 241, 5):
        world.at(f"{minute}m")
        world.call("POST", IOT, content=body, headers={"content-type": "application/json"})
    world.app.settle()
    told = marks(world)
    assert {one[:2] for one in told} == {("iot-json", "complete")}
    assert len(told) == 8, "four in each two hours"
    [feed] = [one for one in world.read("/v1/feeds") if one["feed"] == "iot-json"]
    assert feed["complete_until"] == "2026-03-02T04:55:00Z"
    world.at("6h")
    assert [one[1:] for one in marks(world)[8:]] == [("silent", timedelta(hours=6))]
    world.call("POST", IOT, content=body, headers={"content-type": "application/json"})
    world.app.settle()
    assert state(world) == "speaking"


def test_only_new_rejections_are_something_said(world: World) -> None:
    """A record that was rejected is something said; the very same input again is not."""
    bad = b'[{"device_id": "G1", "ts": "gestern", "metrics": {"pressure_kpa": 1}}]'
    for when in ("0s", "1h"):
        world.at(when)
        world.call("POST", IOT, content=bad, headers={"content-type": "application/json"})
    world.at("9h")
    assert marks(world) == [("iot-json", "silent", timedelta(hours=2))]


def test_a_full_export_with_one_bad_row_keeps_a_feed_speaking(world: World) -> None:
    """The same table every hour, mostly known records and a row that is never mended: the sender is alive."""
    at = int(MONDAY.timestamp())
    good = {"device_id": "G1", "ts": at, "metrics": {"pressure_kpa": 2.0}}
    table = json.dumps([good, good | {"ts": "gestern"}]).encode()
    for hour in range(6):
        world.at(f"{hour}h")
        world.call("POST", IOT, content=table, headers={"content-type": "application/json"})
    world.app.settle()
    assert {one[1] for one in marks(world)} == {"complete"}
    assert state(world) == "speaking"


def test_a_sign_that_the_journal_refused_is_taken_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sends again after a refusal is heard: the first attempt has left no trace."""
    clock, journal = ManualClock(MONDAY), MemoryJournal()
    taken = Taken("iot-json", "", (), accepted=0, revisions=0, duplicates=0, rejected=0, skipped=0, unresolved=0)
    with Appender(journal, Identity.in_memory(journal), clock) as intake:
        watch = SilenceWatch(FEEDS, intake, clock)
        watch.take_up([], [])
        with monkeypatch.context() as patched:
            patched.setattr(intake, "submit", _full)
            with pytest.raises(StoreUnavailable):
                watch.heard(taken, clock.now())
        watch.heard(taken, clock.now())
        assert [record.entry.mark for record in journal.read(0) if isinstance(record.entry, FeedEntry)] == ["complete"]


def test_a_mark_that_is_journalled_late_is_journalled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the disk stands still each look waits for the same mark."""
    clock, journal, free = ManualClock(MONDAY), MemoryJournal(), threading.Event()
    sync = journal.sync

    def late() -> None:
        assert free.wait(20), "nobody let the disk go"
        sync()

    with Appender(journal, Identity.in_memory(journal), clock) as intake:
        intake.submit([Offer(entry=FeedEntry(feed="iot-json", mark="complete", until=MONDAY))]).result()
        watch = SilenceWatch(FEEDS, intake, clock)
        watch.take_up([], journal.read(0))
        monkeypatch.setattr(journal, "sync", late)
        monkeypatch.setattr("app.synced.PATIENCE", 0.05)
        clock.advance(timedelta(hours=3))
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                watch.look()
        free.set()
        monkeypatch.setattr("app.synced.PATIENCE", 20)
        watch.look()
        watch.look()
        assert [record.entry.mark for record in journal.read(1) if isinstance(record.entry, FeedEntry)] == ["silent"]


def _full(_offers: object) -> None:
    problem = "the intake queue is full"
    raise StoreUnavailable(problem)


def test_a_feed_says_that_it_is_complete(world: World) -> None:
    """By its own credential, up to an instant with an offset; it is kept, never goes back, and counts as speaking."""
    path = "/v1/feeds/penalties/complete"
    told = world.call("POST", path, "feed", json={"until": "2026-03-02T08:00:00+08:00"}).json()
    assert told["until"] == "2026-03-02T08:00:00+08:00"
    world.call("POST", path, "feed", json={"until": "2026-03-01T08:00:00+08:00"})
    world.app.settle()
    [feed] = [one for one in world.read("/v1/feeds") if one["feed"] == "penalties"]
    assert (feed["state"], feed["complete_until"], feed["accepted"]) == ("speaking", "2026-03-02T00:00:00Z", 0)
    world.at("12d")
    assert marks(world)[2:] == [("penalties", "silent", timedelta(days=11))]


@pytest.mark.parametrize(
    ("who", "feed", "until", "status"),
    [
        ("feed", "licences", "2026-03-02T00:00:00Z", 403),
        ("admin", "penaltys", "2026-03-02T00:00:00Z", 404),
        ("feed", "penalties", "2036-03-02T00:00:00Z", 422),
        ("feed", "penalties", "2026-03-02T00:00:00", 400),
        ("lead", "penalties", "2026-03-02T00:00:00Z", 403),
    ],
)
def test_a_word_that_cannot_be_taken_is_refused(world: World, who: str, feed: str, until: str, status: int) -> None:
    """Of another's feed, of none, of the future, without an offset, by a department: nothing is journalled."""
    assert world.ask(who, "POST", f"/v1/feeds/{feed}/complete", json={"until": until}).status_code == status
    assert marks(world) == []


def test_coverage_of_a_warning_tells_of_the_silent_feed(tmp_path: Path) -> None:
    """A warning raised while a feed that carries its source is silent says that not all was heard."""
    with World(tmp_path / "w") as world:
        canonical = {"id": "p", "source": "penalty", "kind": "penalty.decided", "occurred_at": "2026-03-02T09:00:00+08:00", "matter": "gas"}
        world.signals({**canonical, "object_id": GAS, "value": 1.0, "unit": "CNY"})
        world.post(penalty(1, "0.1"))
        world.at("12d")
        assert ("penalties", "silent") in [one[:2] for one in marks(world)]
        at = (world.clock.now() - timedelta(minutes=1)).isoformat()
        world.signals({**canonical, "id": "q", "occurred_at": at, "object_id": GAS, "value": 60000.0, "unit": "CNY"})
        [warning] = world.warnings()
        told = world.story(warning["id"])
        assert (told["warning"]["coverage"], told["warning"]["silent"]) == (0.5, ["penalties"])
        assert [(one["by"], one["points"]) for one in told["why"]["held"] if one["reason"] == "silent"] == [("penalties", 0.5)]
