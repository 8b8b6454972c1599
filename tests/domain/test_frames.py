"""Frames, partitions and places: what every process of a cluster has to compute alike."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.frames import VERSION, BadFrame, Frame, decode, encode, sealed, split
from domain.objects import Resolution
from domain.partitions import MOST_IN_FRAME, MOST_OFFSETS, MOST_PARTITIONS, Place, partition_of, routing_key
from domain.ports import Offer
from domain.records import MovedEntry, RejectionEntry, RulesetEntry, SignalEntry, TickEntry
from tests.factories import make_signal

AT = datetime(2026, 3, 1, tzinfo=UTC)


def _offer(identity: str, object_id: str = "o-1") -> Offer:
    return Offer(entry=SignalEntry(feed="hotline", signal=make_signal(id=identity), resolution=Resolution(object_id=object_id), digest="d"))


def test_a_frame_comes_back_as_it_was() -> None:
    """What is encoded is decoded, with every kind of entry."""
    rejection = RejectionEntry(feed="f", batch="b", position=1, reason="future", field="", message="", raw=b"\xff\x00")
    frame = Frame(
        received_at=AT, offers=(_offer("1"), Offer(entry=rejection, keep=False), Offer(entry=RulesetEntry(version="v"))), by="edge-1"
    )
    assert decode(encode(frame)) == frame


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (None, "foreign"),
        (b"", "cut"),
        (b'{"some": "json"}', "foreign"),
        (encode(Frame(received_at=AT, offers=(_offer("1"),)))[:-1], "cut"),
        (encode(Frame(received_at=AT, offers=(_offer("1"),)))[:9], "cut"),
        (b"FSFRAME" + bytes([VERSION + 1]) + b"\0\0\0\0later", "newer"),
        (sealed(b"\x93\x01\x02\x03"), "foreign"),
    ],
)
def test_what_is_no_whole_frame_is_told_apart(message: bytes | None, reason: str) -> None:
    """Foreign and cut messages are set aside, one of a newer version is waited for: nobody may take one for the other."""
    found = decode(message)
    assert isinstance(found, BadFrame)
    assert found.reason == reason
    assert found.detail


def test_what_moved_in_a_log_from_before_is_read() -> None:
    """A frame of format 3, whose moved entry has no number, is one that nobody asks whether it came before."""
    entry = MovedEntry(feed="hotline", gone=("1",), before=7)
    frame = Frame(received_at=AT, offers=(Offer(entry=entry),), by="partition 1")
    plain = msgspec.to_builtins(frame)
    assert plain["offers"][0]["entry"].pop("number") == 0
    message = bytearray(sealed(msgspec.msgpack.encode(plain)))
    message[7] = 3
    assert decode(bytes(message)) == frame


@given(st.binary(max_size=300), st.integers(0, 300), st.integers(1, 255))
@settings(derandomize=True, max_examples=300)
def test_no_damaged_frame_is_taken(other: bytes, place: int, flip: int) -> None:
    """Any bytes, and any frame with one byte changed, are refused without an exception; one that says now that it is of an earlier version
    is read as it was."""  # noqa: D205, D209  # one sentence reads best
    assert isinstance(decode(other), BadFrame)
    frame = Frame(received_at=AT, offers=(_offer("1"), _offer("2")))
    whole = bytearray(encode(frame))
    whole[place % len(whole)] ^= flip
    found = decode(bytes(whole))
    assert found == frame if whole[7] < VERSION else isinstance(found, BadFrame)


@given(st.integers(0, MOST_PARTITIONS - 1), st.integers(0, MOST_OFFSETS - 2), st.integers(0, MOST_IN_FRAME - 1))
@settings(derandomize=True, max_examples=300)
def test_a_place_is_a_number_and_back(partition: int, offset: int, nth: int) -> None:
    """The number of a record says where it stands, fits a signed 64-bit column, and is never 0."""
    place = Place(partition, offset, nth)
    assert Place.of(place.seq()) == place
    assert 0 < place.seq() < 2**62


def test_numbers_grow_along_a_partition() -> None:
    """The order of the numbers within a partition is that of its log."""
    places = [Place(5, 0, 0), Place(5, 0, MOST_IN_FRAME - 1), Place(5, 1, 0), Place(5, 900_000, 3)]
    numbers = [place.seq() for place in places]
    assert numbers == sorted(set(numbers))


def test_a_place_out_of_range_is_refused() -> None:
    """No number is ever shared by two places."""
    with pytest.raises(ValueError, match="4096 records in a frame"):
        Place(0, 0, MOST_IN_FRAME).seq()


def test_partitions_do_not_depend_on_the_hash_seed() -> None:
    """Two processes with other hash seeds send an object to the same partition."""
    code = "from domain.partitions import partition_of as p; print([p(f'对象-{n}', 24) for n in range(50)])"
    said = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."}
        ).stdout
        for seed in ("1", "2")
    }
    assert said == {f"{[partition_of(f'对象-{number}', 24) for number in range(50)]}\n"}


def test_objects_spread_over_all_partitions() -> None:
    """A thousand objects leave no partition of 24 empty, and none has three times its share."""
    counts = [0] * 24
    for number in range(1000):
        counts[partition_of(f"obj-{number:06d}", 24)] += 1
    assert min(counts) > 0
    assert max(counts) < 3 * 1000 / 24


def test_a_signal_goes_where_its_object_is() -> None:
    """The object decides; a signal without one goes by its name, a correction of such a one to where that is."""
    assert routing_key(_offer("1").entry) == "o-1"
    unknown = _offer("1", object_id="").entry
    correction = SignalEntry(feed="hotline", signal=make_signal(id="2", corrects="1"), resolution=Resolution(), digest="d")
    assert routing_key(unknown) == routing_key(correction) == "hotline\x001"


def test_what_every_partition_needs_has_no_key() -> None:
    """A rule set is for all partitions; a tick is of one worker's own."""
    assert routing_key(RulesetEntry(version="v")) is None
    with pytest.raises(TypeError):
        routing_key(TickEntry())


@given(st.lists(st.integers(1, 40), max_size=60))
@settings(derandomize=True)
def test_splitting_keeps_order_and_limits(sizes: list[int]) -> None:
    """Nothing is lost or moved, and only a record that is too large by itself exceeds a limit."""
    offers = [(size, _offer(str(place))) for place, size in enumerate(sizes)]
    frames = split(offers, most_records=5, most_bytes=50)
    assert [offer for frame in frames for offer in frame] == [offer for _, offer in offers]
    by_id = {str(place): size for place, size in enumerate(sizes)}
    for frame in frames:
        assert 1 <= len(frame) <= 5
        assert sum(by_id[offer.entry.signal.id] for offer in frame if isinstance(offer.entry, SignalEntry)) <= 50
