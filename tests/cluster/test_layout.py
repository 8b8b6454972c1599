"""What is wrong with topics, decided without a broker."""

from __future__ import annotations

import dataclasses

import pytest

from connectors.kafka.layout import NAMES, Layout, Mark, Topic, differences, moves, to_mend
from domain.partitions import PLACEMENT

LAYOUT = Layout(prefix="city", partitions=6)


def _topics(**changes: Topic) -> dict[str, Topic]:
    """Return topics as `apply` makes them, with other ones in place of those named."""
    made = {name: Topic(partitions=LAYOUT.partitions_of(name), replicas=3, config=LAYOUT.config(name)) for name in NAMES}
    return {LAYOUT.topic(name): changes.get(name, topic) for name, topic in made.items()}


def _frames(**config: str) -> Topic:
    changed = {name.replace("_", "."): value for name, value in config.items()}
    return Topic(partitions=6, replicas=3, config=LAYOUT.config("frames") | changed)


def _wrong(found: dict[str, Topic], layout: Layout = LAYOUT, mark: Mark | None = None) -> list[tuple[str, bool, str]]:
    return [(one.topic, one.mendable, one.what) for one in differences(layout, found, mark)]


def test_topics_as_they_are_made_are_right() -> None:
    """What `apply` makes, `check` accepts."""
    assert _wrong(_topics(), mark=Mark(partitions=6, placement=PLACEMENT)) == []


def test_missing_topics_are_to_be_made() -> None:
    """An empty cluster lacks all five, and nothing else."""
    found = differences(LAYOUT, {}, None)
    assert [one.topic for one in found] == [f"city.{name}" for name in ("frames", "groups", "control", "warnings", "events")]
    assert all(one.missing and one.mendable for one in found)


@pytest.mark.parametrize("there", [5, 7, 1])
def test_another_number_of_partitions_is_refused(there: int) -> None:
    """More or fewer partitions than the settings say split objects: no tool may do that."""
    [(topic, mendable, told)] = _wrong(_topics(frames=dataclasses.replace(_frames(), partitions=there)))
    assert (topic, mendable) == ("city.frames", False)
    assert f"has {there} partitions, 6 are wanted" in told


def test_a_changed_setting_is_refused_by_the_mark() -> None:
    """Settings and topics may agree and still differ from what the deployment began with: the mark remembers."""
    [(topic, mendable, told)] = _wrong(_topics(), mark=Mark(partitions=12, placement=PLACEMENT))
    assert (topic, mendable) == ("city", False)
    assert "12/crc32" in told
    assert "6/crc32" in told


@pytest.mark.parametrize("placement", [0, PLACEMENT - 1, PLACEMENT + 1])
def test_sectors_that_would_move_are_refused(placement: int) -> None:
    """A version that judges sectors elsewhere, older or newer, would leave their warnings behind; one partition has no elsewhere."""
    [(topic, mendable, told)] = _wrong(_topics(), mark=Mark(partitions=6, placement=placement))
    assert (topic, mendable) == ("city.control", False)
    assert f"set up with placement {placement or '?'}, this version has {PLACEMENT}" in told
    assert [one.mendable for one in differences(LAYOUT, _topics(), Mark(6, placement=placement), unused=True)] == [True]
    single = dataclasses.replace(LAYOUT, partitions=1)
    assert not moves(single, Mark(1, placement=placement))


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"cleanup_policy": "compact"}, "cleanup.policy=compact"),
        ({"cleanup_policy": "compact,delete"}, "cleanup.policy=compact,delete"),
        ({"retention_ms": "604800000"}, "retention.ms=604800000"),
        ({"retention_bytes": "1000000"}, "retention.bytes=1000000"),
        ({"min_insync_replicas": "1"}, "min.insync.replicas=1"),
        ({"unclean_leader_election_enable": "true"}, "unclean.leader.election.enable"),
        ({"message_timestamp_type": "CreateTime"}, "message.timestamp.type"),
        ({"max_message_bytes": "1048588"}, "max.message.bytes=1048588"),
    ],
)
def test_a_setting_that_loses_records_is_found_and_can_be_mended(config: dict[str, str], told: str) -> None:
    """Each is named with what it does, and `apply` puts back exactly that setting."""
    wrong = differences(LAYOUT, _topics(frames=_frames(**config)), None)
    [one] = wrong
    assert one.mendable
    assert told in one.what
    [(key, value)] = config.items()
    assert to_mend(wrong) == {"city.frames": {key.replace("_", "."): LAYOUT.config("frames")[key.replace("_", ".")]}}
    assert value != LAYOUT.config("frames")[key.replace("_", ".")]


def test_outputs_may_be_deleted_and_compacted() -> None:
    """Warnings are copies of what the database holds: how long they stay is the operator's matter."""
    config = LAYOUT.config("warnings") | {"cleanup.policy": "compact", "retention.ms": "1000"}
    assert _wrong(_topics(warnings=Topic(partitions=6, replicas=3, config=config))) == []


def test_a_log_that_is_kept_long_enough_is_accepted() -> None:
    """Where the settings allow 30 days, 31 are enough and 29 are not."""
    layout = dataclasses.replace(LAYOUT, retention_days=30)
    enough, short = (_topics(frames=_frames(retention_ms=str(days * 86_400_000))) for days in (31, 29))
    assert "city.frames" not in [topic for topic, _, _ in _wrong(enough, layout)]
    assert [topic for topic, _, _ in _wrong(short, layout)] == ["city.frames"]


def test_too_few_replicas_need_the_operators_word() -> None:
    """One copy loses what was acknowledged with its machine: refused, unless reduced durability is asked for."""
    few = {name: dataclasses.replace(topic, replicas=1) for name, topic in _topics().items()}
    refused = _wrong(few)
    assert [mendable for _, mendable, _ in refused] == [False] * 10
    assert sum("has 1 replicas, 3 are wanted" in told for _, _, told in refused) == 5
    assert sum("take nothing" in told for _, _, told in refused) == 5
    single = dataclasses.replace(LAYOUT, replicas=1, min_insync=1)
    assert "--reduced-durability" in _wrong(_topics(), single)[0][2]
    reduced = dataclasses.replace(single, reduced_durability=True)
    few = {name: dataclasses.replace(topic, config=reduced.config("frames")) for name, topic in few.items()}
    assert _wrong(few, reduced) == []
