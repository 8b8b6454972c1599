"""The worker on real brokers and a real PostgreSQL: the same answer as a replay, whatever happens to the processes."""

from __future__ import annotations

import signal
import urllib.request

import httpx
import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select

from app.cluster.worker import WorkerRole
from deploy.kafka.local import free_port
from domain.frames import Frame, encode
from domain.ports import Offer
from storage.tables import rejections
from tests.cluster.world import PATIENCE, Cluster, Make, leak
from tests.factories import T0

pytestmark = [pytest.mark.service("kafka"), pytest.mark.service("postgresql")]


def test_one_worker_gives_what_a_replay_gives(make: Make) -> None:
    """A thousand signals through edge, broker, worker and database: the warnings of a separate replay of the log, and each signal once."""
    cluster = make()
    version = cluster.activate()
    cluster.start()
    cluster.send([leak(number) for number in range(1000)])
    cluster.send([leak(number) for number in range(0, 1000, 7)])  # told again, after the edge has forgotten or by another one
    cluster.await_done()
    assert cluster.signal_ids() == sorted(f"s-{number}" for number in range(1000))
    warnings = cluster.warnings()
    assert len(warnings) == 40
    assert warnings == cluster.replayed()
    cluster.until(lambda: version in cluster.status())


def scraped(port: int) -> dict[str, float]:
    """Return what a worker's metrics say, by names and values of labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return {f"{one.name}{sorted(one.labels.values())}": one.value for family in families for one in family.samples}


def _lagging(told: dict[str, float]) -> list[str]:
    return [key for key, value in told.items() if key.startswith("fengsui_partition_lag_frames") and value]


def _probed(port: int, probe: str = "readyz") -> tuple[int, str]:
    """Return the status of a probe, 0 while nobody listens, and what it says."""
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/{probe}", trust_env=False)
    except httpx.TransportError:
        return 0, ""
    return answer.status_code, answer.text


def test_a_worker_serves_its_metrics(make: Make) -> None:
    """On a port of its own: what it committed, by partition, with nothing left to do; what is no frame is counted as set aside.

    Beside them it says whether it is ready: not before rules are in force.
    """
    cluster, port = make(partitions=2), free_port()
    cluster.start(metrics_port=port)
    cluster.until(lambda: "run fengsui rules publish" in _probed(port)[1])
    assert [_probed(port)[0], _probed(port, "healthz")[0]] == [503, 200]
    cluster.activate()
    cluster.send([leak(number) for number in range(300)])
    producer = KafkaProducer(bootstrap_servers=cluster.settings.kafka.bootstrap)
    producer.send(cluster.topic, value=b"no frame", partition=1).get(PATIENCE)
    producer.close()
    cluster.await_done()

    def settled() -> bool:
        """Every frame, ticks that followed among them, is committed, and the loop's last look has seen it."""
        told, done = scraped(port), cluster.done()
        same = all(told.get(f"fengsui_partition_offset_done['{number}']") == done[number] for number in (0, 1))
        return same and told["fengsui_worker_frames_total[]"] == sum(done.values()) + 2 and not _lagging(told)

    cluster.until(settled)
    assert _probed(port) == (200, '{"status":"ready"}')
    told = scraped(port)
    assert (told["fengsui_partitions[]"], told["fengsui_worker_signals_total[]"]) == (4, 300)
    assert told["fengsui_worker_frames_total[]"] <= told["fengsui_commit_seconds_count[]"]
    assert sorted(key for key in told if key.startswith("fengsui_partition_epoch")) == [
        f"fengsui_partition_epoch['{label}']" for label in ("0", "1", "groups-0", "groups-1")
    ]
    assert told["fengsui_partition_set_aside_total['1']"] == 1
    for number in ("0", "1"):
        assert told[f"fengsui_partition_epoch['{number}']"] >= 1
        assert told[f"fengsui_partition_quarantined_records['{number}']"] == 0
        assert told[f"fengsui_partition_waiting['{number}', 'database']"] == 0


def test_a_killed_worker_goes_on_behind_its_last_commit(make: Make) -> None:
    """Killed again and again under load, each time at another place: no signal is lost or taken twice, and the answer is the replay's."""
    cluster = make()
    cluster.activate()
    for round_ in range(2):
        cluster.start(f"round-{round_}")
        cluster.send([leak(number) for number in range(round_ * 500, (round_ + 1) * 500)], call=20)
        before = cluster.done().get(0, -1)
        cluster.until(lambda before=before: cluster.done().get(0, -1) > before)
        cluster.kill(f"round-{round_}")
    cluster.start("last")
    cluster.await_done()
    assert cluster.signal_ids() == sorted(f"s-{number}" for number in range(1000))
    assert cluster.warnings() == cluster.replayed()


@pytest.mark.parametrize("where", ["database", "folder"])
def test_a_snapshot_bounds_what_is_read_again(make: Make, where: str) -> None:
    """A worker that was stopped in order left a snapshot: the next one starts there, on another data folder, and not at the beginning."""
    cluster = make()
    if where == "folder":
        cluster.also["KAFKA__SNAPSHOTS"] = cluster.folder / "snapshots"
    cluster.activate()
    cluster.start("first")
    cluster.send([leak(number) for number in range(700)])
    cluster.await_done()
    assert cluster.kill("first", signal.SIGTERM) == 0
    at = cluster.done()[0]
    cluster.start("second")
    cluster.send([leak(number) for number in range(700, 1000)])
    cluster.await_done()
    assert f'"snapshot": {at}' in cluster.log("second")
    assert cluster.warnings() == cluster.replayed()


def test_offsets_that_kafka_has_are_not_what_we_resume_from(make: Make) -> None:
    """The group's offsets in Kafka are set past everything: the worker goes on behind what the database has."""
    cluster = make()
    cluster.activate()
    cluster.start("first")
    cluster.send([leak(number) for number in range(200)])
    cluster.await_done()
    cluster.kill("first")
    done = cluster.done()[0]
    cluster.send([leak(number) for number in range(200, 400)])
    group = f"{cluster.settings.kafka.prefix}-workers"
    cluster.until(lambda: _claim(cluster, group, cluster.ends()[0] + 1))
    cluster.start("second")
    cluster.await_done()
    assert cluster.done()[0] > done
    assert cluster.signal_ids() == sorted(f"s-{number}" for number in range(400))
    assert cluster.warnings() == cluster.replayed()


def _claim(cluster: Cluster, group: str, offset: int) -> bool:
    """Commit an offset for the workers' group, once the dead worker is no member any more; tell whether that was possible."""
    place = TopicPartition(cluster.topic, 0)
    with KafkaAdminClient(bootstrap_servers=cluster.settings.kafka.bootstrap) as admin:
        try:
            admin.alter_group_offsets(group, {place: OffsetAndMetadata(offset, "", -1)})
            found = admin.list_group_offsets(group)[group]
        except KafkaError:
            return False
        return place in found and int(found[place].offset) == offset


def test_foreign_messages_and_cut_frames_are_set_aside(make: Make) -> None:
    """What is no frame, or not whole, is kept as a rejection with its place and its bytes; what comes behind it counts."""
    cluster = make()
    cluster.activate()
    cluster.start()
    cluster.send([leak(number) for number in range(100)])
    producer = KafkaProducer(bootstrap_servers=cluster.settings.kafka.bootstrap, acks="all")
    frame = encode(Frame(received_at=T0, offers=(Offer(entry=leak(999)),)))
    places = [producer.send(cluster.topic, value=value, partition=0).get(PATIENCE).offset for value in (b"hello", frame[:-3], b"")]
    producer.close()
    cluster.send([leak(number) for number in range(100, 200)])
    cluster.await_done()
    with cluster.database.read() as connection:
        rows = connection.execute(select(rejections).order_by(rejections.c.seq)).all()
    assert [(row.feed, row.position, row.reason, bytes(row.raw)) for row in rows] == [
        ("kafka", places[0], "foreign_message", b"hello"),
        ("kafka", places[1], "cut_message", frame[:-3]),
        ("kafka", places[2], "cut_message", b""),
    ]
    assert len(cluster.signal_ids()) == 200
    assert cluster.warnings() == cluster.replayed()


def test_conflicting_content_is_judged_in_the_order_of_the_log(make: Make) -> None:
    """The same name with other content: a rejection behind the first, also where the worker is killed and reads both again."""
    cluster, port = make(), free_port()
    cluster.activate()
    cluster.start("first", metrics_port=port)
    cluster.send([leak(1), leak(1, severity=3), leak(2), leak(2)], call=1)
    cluster.await_done()
    refused = f"fengsui_records_total{sorted([leak(1).feed, 'rejected'])}"  # which its edge took for accepted
    cluster.until(lambda: scraped(port).get(refused) == 1)
    cluster.kill("first")
    cluster.start("second")
    cluster.send([leak(1, severity=2), leak(3)], call=1)
    cluster.await_done()
    with cluster.database.read() as connection:
        found = [row.reason for row in connection.execute(select(rejections).order_by(rejections.c.seq))]
    assert found == ["conflicting_content", "conflicting_content"]
    assert cluster.signal_ids() == ["s-1", "s-2", "s-3"]


def test_a_worker_whose_letters_stay_ends(make: Make) -> None:
    """Where what partitions tell each other is sent no more, the process ends to be started anew, instead of judging on without it."""
    cluster = make(partitions=2)
    ended: list[int] = []
    with WorkerRole(cluster.settings.model_copy(update={"data": cluster.folder / "own"}), die=ended.append) as role:
        role.look({}, {})  # as the loop does each second; the post was never begun
        assert ended == [70]
