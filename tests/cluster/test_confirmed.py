"""What people confirm over to another partition, corrected and withdrawn later, on real brokers and a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from domain.objects import Resolution
from domain.partitions import partition_of
from domain.records import ResolutionEntry, SignalEntry
from tests.cluster.world import Cluster, Make
from tests.factories import at, make_entry

pytestmark = [pytest.mark.service("kafka"), pytest.mark.service("postgresql")]


def unplaced(id_: str, number: int, **kw: str) -> SignalEntry:
    """Return a complaint whose object nobody knows."""
    return make_entry(id=id_, feed="feed", resolution=Resolution(), occurred_at=at(number / 60), **kw)


def confirm(cluster: Cluster, told: Sequence[tuple[SignalEntry, str]]) -> None:
    """Say of signals which objects they are about."""
    several = cluster.settings.kafka.partitions
    entries = [
        ResolutionEntry(feed=entry.feed, signal_id=entry.signal.id, object_id=about, by="li", partition=partition_of(about, several))
        for entry, about in told
    ]
    cluster.send(entries)
    cluster.until(cluster.judged)


def test_what_corrects_or_withdraws_a_confirmed_signal_reaches_the_partition_of_its_object(make: Make) -> None:
    """Three complaints about each of six objects, confirmed by a person, so the rule speaks of all; some are corrected to say something
    else, some are corrected and stay, some are withdrawn: what the database says is what one replay says."""  # noqa: D205, D209  # one sentence
    cluster = make(partitions=3)
    cluster.activate()
    cluster.start("first")
    objects = [f"obj-{number}" for number in range(6)]
    sent = [unplaced(f"u-{number}", number) for number in range(18)]
    cluster.send(sent, call=6)
    confirm(cluster, [(entry, objects[nth % 6]) for nth, entry in enumerate(sent)])
    away = sum(partition_of(f"feed\0u-{nth}", 3) != partition_of(objects[nth % 6], 3) for nth in range(18))
    assert 0 < away < 18
    assert cluster.warnings() == cluster.replayed()
    assert len(cluster.warnings()) == 6
    changes = [unplaced(f"c-{nth}", nth, corrects=f"u-{nth}", kind="gas.smell") for nth in (0, 6)]
    changes += [unplaced(f"c-{nth}", nth, corrects=f"u-{nth}") for nth in (1, 7, 13)]
    changes += [unplaced(f"w-{nth}", nth, withdraws=f"u-{nth}") for nth in (2, 8, 14, 3)]
    cluster.send(changes, call=1)
    cluster.until(cluster.judged)
    cluster.kill("first")
    cluster.start("second")
    cluster.send([unplaced(f"x-{nth}", nth, withdraws=f"c-{nth}") for nth in (1, 7)])
    cluster.until(cluster.judged)
    assert cluster.warnings() == cluster.replayed()
    assert len(cluster.replayed(standing=True)) < 6
    assert cluster.warnings(standing=True) == cluster.replayed(standing=True)
