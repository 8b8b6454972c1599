"""The door of a cluster on a real broker: what is answered is in the topic, where it belongs, and once more told is answered as known."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from connectors.kafka.access import Access
from connectors.kafka.diagnosis import Presence
from connectors.kafka.intake import KafkaIntake, Name, Sent
from deploy.kafka.local import LocalKafka, free_port
from domain.clock import ManualClock
from domain.digest import digest_of
from domain.errors import StoreUnavailable
from domain.frames import Frame, decode
from domain.objects import Resolution
from domain.partitions import Place, partition_of
from domain.ports import Offer, Receipt
from domain.records import AnyEntry, RulesetEntry, SignalEntry
from storage.admission import storable
from tests.cluster.world import PATIENCE
from tests.factories import T0, make_entry

pytestmark = pytest.mark.service("kafka")
PARTITIONS = 4


def _offers(*ids: str, object_id: str = "o-1", **kw: object) -> list[Offer]:
    return [Offer(entry=make_entry(id=id_, resolution=Resolution(object_id=object_id), **kw)) for id_ in ids]


class _Door:
    """An intake over a topic of its own, and what the topic holds."""

    def __init__(
        self, kafka: LocalKafka, topic: str, stored: Mapping[Name, Sent] | None = None, config: dict[str, str] | None = None
    ) -> None:
        self.bootstrap, self.topic = kafka.bootstrap, topic
        self.sent: list[AnyEntry] = []
        self.asked: list[Name] = []
        with KafkaAdminClient(bootstrap_servers=kafka.bootstrap) as admin:
            admin.create_topics([NewTopic(topic, PARTITIONS, 1, topic_configs={"max.message.bytes": "10000000"} | (config or {}))])

        def whereabouts(names: Sequence[Name]) -> Mapping[Name, Sent]:
            self.asked += names
            return {name: (stored or {})[name] for name in names if name in (stored or {})}

        self.intake = KafkaIntake(
            Access(kafka.bootstrap),
            topic,
            PARTITIONS,
            ManualClock(T0),
            prepare=storable,
            whereabouts=whereabouts,
            on_sent=self.sent.extend,
            by="edge-1",
        )

    def frames(self) -> list[tuple[int, int, Frame]]:
        """Return (partition, offset, frame) of the whole topic."""
        reader = KafkaConsumer(bootstrap_servers=self.bootstrap)
        partitions = [TopicPartition(self.topic, number) for number in range(PARTITIONS)]
        reader.assign(partitions)
        reader.seek_to_beginning(*partitions)
        ends = reader.end_offsets(partitions)
        found = []
        while any(reader.position(one) < ends[one] for one in partitions):
            for messages in reader.poll(200).values():
                for message in messages:
                    frame = decode(message.value)
                    assert isinstance(frame, Frame)
                    found.append((message.partition, message.offset, frame))
        reader.close()
        return sorted(found, key=lambda one: one[:2])


@pytest.fixture
def door(kafka: LocalKafka, prefix: str) -> Iterator[_Door]:
    """Give a started door."""
    made = _Door(kafka, f"{prefix}.frames")
    with made.intake:
        yield made


def _ids(entries: Sequence[AnyEntry]) -> list[str]:
    return [entry.signal.id for entry in entries if isinstance(entry, SignalEntry)]


def test_what_is_answered_stands_where_the_receipt_says(door: _Door) -> None:
    """Signals of many objects: each is in its object's partition, at the offset and place of its receipt, in the order of the call."""
    offers = [offer for number in range(200) for offer in _offers(f"s-{number}", object_id=f"o-{number % 17}")]
    receipts = door.intake.submit(offers).result(PATIENCE)
    frames = {(partition, offset): frame for partition, offset, frame in door.frames()}
    assert len(frames) <= PARTITIONS * 2  # many signals a frame: that is what makes it quick
    for offer, receipt in zip(offers, receipts, strict=True):
        at = Place.of(receipt.seq)
        assert isinstance(offer.entry, SignalEntry)
        assert at.partition == partition_of(offer.entry.resolution.object_id, PARTITIONS)
        there = frames[at.partition, at.offset].offers[at.nth].entry
        assert isinstance(there, SignalEntry)
        assert there.signal == offer.entry.signal
        assert there.digest == digest_of(offer.entry.signal)
    for partition in range(PARTITIONS):
        told = [_ids([offer.entry for offer in frame.offers]) for (at, _), frame in sorted(frames.items()) if at == partition]
        numbers = [int(one.removeprefix("s-")) for ids in told for one in ids]
        assert numbers == sorted(numbers)
    assert _ids(door.sent) == [f"s-{number}" for number in range(200)]


def test_calls_keep_their_order(door: _Door) -> None:
    """A hundred calls that do not wait for each other are in the partition in their order, in fewer frames than calls."""
    futures = [door.intake.submit(_offers(f"s-{number}")) for number in range(100)]
    numbers = [future.result(PATIENCE)[0].seq for future in futures]
    assert numbers == sorted(set(numbers))
    frames = door.frames()
    assert [one for _, _, frame in frames for one in _ids([offer.entry for offer in frame.offers])] == [
        f"s-{number}" for number in range(100)
    ]
    assert len(frames) < 100


def test_the_same_again_is_a_duplicate(door: _Door) -> None:
    """The same content again gets the number of the first and is not sent; other content of the name goes to the same partition."""
    [first] = door.intake.submit(_offers("s-1")).result(PATIENCE)
    again = door.intake.submit([*_offers("s-1"), *_offers("s-2")]).result(PATIENCE)
    assert [(one.status, one.seq == first.seq) for one in again] == [("duplicate", True), ("accepted", False)]
    elsewhere = next(f"o-{number}" for number in range(99) if partition_of(f"o-{number}", PARTITIONS) != Place.of(first.seq).partition)
    [other] = door.intake.submit(_offers("s-1", object_id=elsewhere, severity=3)).result(PATIENCE)
    assert (other.status, Place.of(other.seq).partition) == ("accepted", Place.of(first.seq).partition)


def test_rows_are_asked_for_what_was_not_sent_lately(kafka: LocalKafka, prefix: str) -> None:
    """What another edge sent is found in the rows: a duplicate is answered, a correction goes to where the corrected signal is."""
    known = make_entry(id="old")
    stored = {("test", "old"): Sent(digest_of(known.signal), 3, Place(3, 7, 1).seq())}
    door = _Door(kafka, f"{prefix}.frames", stored)
    with door.intake as intake:
        [again] = intake.submit(_offers("old")).result(PATIENCE)
        [correction] = intake.submit(_offers("new", object_id="", corrects="old")).result(PATIENCE)
    assert again == Receipt(status="duplicate", seq=Place(3, 7, 1).seq())
    assert Place.of(correction.seq).partition == 3
    assert door.asked == [("test", "old"), ("test", "new"), ("test", "old")]


def test_a_rule_set_goes_to_every_partition(door: _Door) -> None:
    """What all partitions need is answered once all of them have it."""
    [receipt] = door.intake.submit([Offer(entry=RulesetEntry(version="v1"))]).result(PATIENCE)
    assert receipt.status == "accepted"
    assert [(partition, offset) for partition, offset, _ in door.frames()] == [(number, 0) for number in range(PARTITIONS)]


def test_a_record_that_cannot_be_written_is_kept_as_a_rejection(door: _Door) -> None:
    """A number beyond 64 bits becomes a rejection in the topic and spoils nobody else."""
    receipts = door.intake.submit([*_offers("big", attrs={"n": 2**70}), *_offers("fine")]).result(PATIENCE)
    assert [receipt.status for receipt in receipts] == ["accepted", "accepted"]
    kinds = sorted(type(offer.entry).__name__ for _, _, frame in door.frames() for offer in frame.offers)
    assert kinds == ["RejectionEntry", "SignalEntry"]


def test_brokers_that_are_away_when_a_producer_is_to_be_replaced_cost_no_lane(kafka: LocalKafka, prefix: str) -> None:
    """Behind a refused frame a new producer is needed: while no broker answers the sender is told so, and later the lane goes on."""
    door = _Door(kafka, f"{prefix}.frames", config={"max.message.bytes": "2000"})
    with door.intake as intake:
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="MessageSizeTooLarge"):
                intake.submit(_offers("long", text="燃气" * 2_000)).result(20)
            reached, intake._access = intake._access, Access(f"127.0.0.1:{free_port()}")
            with pytest.raises(StoreUnavailable, match="cannot be reached"):
                intake.submit(_offers("s-1")).result(20)
            intake._access = reached
        [receipt] = intake.submit(_offers("s-1")).result(20)
        assert (receipt.status, intake.trouble(), intake.pending()) == ("accepted", "", (0, 0))


def test_a_defect_in_a_lane_is_told(kafka: LocalKafka, prefix: str) -> None:
    """What nobody foresaw ends the intake, which says so and takes nothing more, instead of a lane that takes offers and sends none."""
    door = _Door(kafka, f"{prefix}.frames")
    door.intake.start()
    door.intake._clock = None  # type: ignore[assignment]  # the defect
    door.intake.submit(_offers("s-1"))
    end = time.monotonic() + 20
    while door.intake.alive() and time.monotonic() < end:
        time.sleep(0.01)
    assert "closed" in door.intake.trouble()
    with pytest.raises(StoreUnavailable):
        door.intake.submit(_offers("s-2"))
    door.intake.close()


def test_where_nobody_listens_the_start_says_so() -> None:
    """A door without a broker does not open."""
    address = f"127.0.0.1:{free_port()}"
    intake = KafkaIntake(Access(address), "t", 1, ManualClock(T0), prepare=storable)
    with pytest.raises(StoreUnavailable, match=f"Kafka at {address} cannot be reached"):
        intake.start()


def test_a_broker_that_is_away_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the broker is dead nobody is answered, and soon nothing more is taken; then all of it stands there once, in order."""
    monkeypatch.setattr("connectors.kafka.intake.STUCK_SECONDS", 0.5)
    with LocalKafka(tmp_path) as mortal:
        door = _Door(mortal, "frames")
        with door.intake as intake:
            assert intake.submit(_offers("before")).result(PATIENCE)
            mortal.signal_broker(0, signal.SIGKILL)
            during = [intake.submit(_offers(f"during-{number}")) for number in range(20)]
            with pytest.raises(TimeoutError):
                during[0].result(1)
            with pytest.raises(StoreUnavailable, match="has not acknowledged"):
                intake.submit(_offers("refused"))
            assert f"Kafka at {mortal.bootstrap} cannot be reached" in intake.trouble()
            mortal.start_broker(0)
            mortal.await_ready()
            assert [future.result(PATIENCE)[0].status for future in during] == ["accepted"] * 20
            assert intake.trouble() == ""
        found = [one for _, _, frame in door.frames() for one in _ids([offer.entry for offer in frame.offers])]
        assert found == ["before", *(f"during-{number}" for number in range(20))]


def test_that_the_broker_is_away_is_known_before_anybody_writes(tmp_path: Path) -> None:
    """One look that finds nobody may be a hiccup, two tell; one that finds somebody takes it back."""
    with LocalKafka(tmp_path) as mortal:
        presence = Presence(Access(mortal.bootstrap))
        presence.look()
        mortal.signal_broker(0, signal.SIGKILL)
        presence.look()
        assert presence.away == ""
        presence.look()
        assert f"Kafka at {mortal.bootstrap} cannot be reached" in presence.away
        mortal.start_broker(0)
        mortal.await_ready()
        presence.look()
        assert presence.away == ""


def test_a_door_that_closes_answers_everybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever still waits for a dead broker when the process ends is refused, not left waiting."""
    monkeypatch.setattr("connectors.kafka.intake.CLOSE_SECONDS", 0.1)
    with LocalKafka(tmp_path) as mortal:
        door = _Door(mortal, "frames")
        with door.intake as intake:
            mortal.signal_broker(0, signal.SIGKILL)
            waiting = [intake.submit(_offers(f"s-{number}")) for number in range(3)]
        for future in waiting:
            with pytest.raises(StoreUnavailable, match="closed"):
                future.result(0)
    assert door.sent == []
