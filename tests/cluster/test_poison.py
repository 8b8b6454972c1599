"""A record that kills every worker that steps it, on real processes that share nothing but brokers and database."""

from __future__ import annotations

import itertools
import signal
import time

import pytest

from app.cluster.aside import aside
from app.cluster.plants import DEADLY
from app.doctor import examine
from domain.objects import Resolution
from tests.cluster.world import PATIENCE, Make, leak
from tests.factories import at, make_entry

pytestmark = [pytest.mark.service("kafka"), pytest.mark.service("postgresql")]
DEATHS = 4


def test_a_record_that_kills_is_set_aside_after_a_few_deaths_in_all(make: Make) -> None:
    """Two workers, each replaced by a new one with a data folder of its own when it dies: four die, and everything else is judged."""
    cluster = make(partitions=2)
    cluster.activate()
    names = (f"worker-{number}" for number in itertools.count())
    alive = [next(names), next(names)]
    for name in alive:
        cluster.start(name, plant="deadly_signal")
    cluster.until(lambda: all('"epoch"' in cluster.status(name) for name in alive))
    deadly = make_entry(id=DEADLY, resolution=Resolution(object_id="obj-bad", method="id", confidence=1.0), occurred_at=at(1))
    cluster.send([*(leak(number) for number in range(100)), deadly, *(leak(number) for number in range(100, 200))], call=40)
    dead: list[str] = []
    ends = cluster.ends()
    end = time.monotonic() + PATIENCE
    while any(cluster.done().get(number, -1) < last for number, last in ends.items()):
        for place, name in enumerate(alive):
            status = cluster.workers[name].poll()
            if status is not None:
                assert status == -signal.SIGKILL, cluster.log(name)[-3000:]
                dead.append(name)
                alive[place] = next(names)
                cluster.start(alive[place], plant="deadly_signal")
        assert len(dead) <= DEATHS
        assert time.monotonic() < end, [cluster.log(name)[-2000:] for name in alive]
        time.sleep(0.2)
    assert len(dead) == DEATHS
    told = "".join(cluster.log(name) for name in alive)
    assert told.count("partition.record_quarantined") == 1
    with cluster.database.read() as connection:
        shown = aside(connection)
    assert [(one.type, one.feed, one.id) for one in shown] == [("signal", deadly.feed, DEADLY)], "the api shows it, wherever it was judged"
    [said] = [one for one in examine(cluster.folder / "nobody", cluster.rules, settings=cluster.settings) if one.what == "records"]
    assert (said.ok, said.detail.startswith("1 条记录使研判进程崩溃")) == (False, True)
    assert cluster.signal_ids() == sorted([DEADLY, *(f"s-{number}" for number in range(200))])
    assert cluster.warnings() == cluster.replayed()
