"""The log of a cluster exported, on real brokers and a real PostgreSQL: what was put in, in an order that a replay gives the same from."""

from __future__ import annotations

import json
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import KafkaAdminClient
from kafka.structs import TopicPartition

from app.clock import SystemClock
from app.cluster.consumed import ConsumedLog
from app.exporting import export_log
from app.folder import Part
from domain.errors import IllegalValue, NotFound
from domain.partitions import partition_of
from domain.records import ObjectsEntry, SignalEntry
from storage import audit
from tests.app.test_command_line import run
from tests.campaigns.oracle import Answer, replayed
from tests.cluster.test_areas import AREAS
from tests.cluster.test_backfill import publish_more
from tests.cluster.test_confirmed import confirm, unplaced
from tests.cluster.world import Cluster, Make, leak
from tests.factories import make_object

pytestmark = [pytest.mark.service("kafka"), pytest.mark.service("postgresql")]


def settings_file(cluster: Cluster, **more: object) -> Path:
    """Return the settings of a deployment as a file that commands are given."""
    own, path = cluster.settings.kafka, cluster.folder / "cluster.toml"
    lines = [f"database_url = {json.dumps(cluster.settings.database_url)}", *(f"{name} = {value}" for name, value in more.items())]
    lines += ["[kafka]", f'bootstrap = "{own.bootstrap}"', f'prefix = "{own.prefix}"', f"partitions = {own.partitions}"]
    lines += [f"replicas = {own.replicas}", f"min_insync = {own.min_insync}", "reduced_durability = true"]
    path.write_text("\n".join(lines) + "\n")
    return path


def exported(cluster: Cluster, *more: object) -> tuple[list[dict[str, Any]], str]:
    """Return the records that the command writes, and what it says beside them."""
    told = run("journal", "export", "--config", settings_file(cluster), "--data", cluster.folder / "nothing", *more)
    assert told.exit_code == 0, told.output
    return [json.loads(line) for line in told.stdout.splitlines()], told.stderr


def judged(cluster: Cluster) -> list[Answer]:
    """Return the warnings of the workers as a replay tells its own."""
    return sorted((id_, level, ",".join(sorted(rules.split(",")))) for id_, level, rules in cluster.warnings())


def of_type(records: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Return the entries of one type."""
    return [record["entry"] for record in records if record["entry"]["type"] == kind]


def cut(cluster: Cluster, partition: int, before: int) -> None:
    """Delete the beginning of a partition's log, as retention does."""
    admin = KafkaAdminClient(bootstrap_servers=cluster.settings.kafka.bootstrap)
    admin.delete_records({TopicPartition(cluster.topic, partition): before})
    admin.close()


def test_an_export_is_what_was_put_in(make: Make, tmp_path: Path) -> None:
    """Three partitions: every signal once and in the order of receipt, what all partitions were told once, numbered from 1; a replay of it
    gives the very warnings of the workers."""  # noqa: D205, D209  # one sentence
    cluster = make(partitions=3, rules=AREAS)
    version = cluster.activate()
    cluster.send([ObjectsEntry(version=1, objects=tuple(make_object(id=f"obj-{number:03d}", region="610113001") for number in range(40)))])
    sent = [leak(number) for number in range(200)]
    cluster.send(sent, call=20)
    cluster.send(sent[:50], call=50)  # told again: no record comes of it
    cluster.start()
    cluster.until(cluster.judged)
    records, told = exported(cluster, "--rules", tmp_path / "sets")
    assert told == ""
    assert [record["seq"] for record in records] == list(range(1, len(records) + 1))
    assert sorted(record["received_at"] for record in records) == [record["received_at"] for record in records]
    assert sorted(each["signal"]["id"] for each in of_type(records, "signal")) == sorted(each.signal.id for each in sent)
    assert [each["version"] for each in of_type(records, "ruleset")] == [version]
    assert [len(each["objects"]) for each in of_type(records, "objects")] == [40]
    with cluster.database.read() as connection:
        [taken] = audit.trail(connection, "journal")
    assert (taken.what, json.loads(taken.detail)) == ("journal_exported", {"since": None, "until": None, "partitions": []})
    file = tmp_path / "log.ndjson"
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert replayed(next((tmp_path / "sets").iterdir()), file, tmp_path) == judged(cluster)
    assert len(cluster.warnings()) > 40, "of objects and of areas"


def test_what_people_confirmed_stands_once_and_counts_in_a_replay(make: Make, tmp_path: Path) -> None:
    """A confirmation is in the log of every partition, and says what only partitions need; an export has it as one process does."""
    cluster = make(partitions=3)
    cluster.activate()
    cluster.start()
    objects = [f"obj-{number}" for number in range(6)]
    sent = [unplaced(f"u-{number}", number) for number in range(18)]
    cluster.send(sent, call=6)
    confirm(cluster, [(entry, objects[nth % 6]) for nth, entry in enumerate(sent)])
    records, _ = exported(cluster)
    confirmed = of_type(records, "resolution")
    assert sorted(each["signal_id"] for each in confirmed) == sorted(each.signal.id for each in sent)
    assert all(each.get("partition", -1) == -1 and each.get("content") is None for each in confirmed)
    assert of_type(records, "moved") == []
    file = tmp_path / "log.ndjson"
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert replayed(cluster.rules, file, tmp_path) == judged(cluster)
    assert len(cluster.warnings()) == 6


def test_an_activation_that_counts_back_does_so_in_a_replay(make: Make, tmp_path: Path) -> None:
    """Each partition counted its own log back; the export says that all of it counts, and both sets stand beside it."""
    cluster = make(partitions=3)
    cluster.activate()
    cluster.start()
    cluster.send([leak(number) for number in range(200)], call=20)
    cluster.await_done()
    publish_more(cluster)
    cluster.send([leak(number) for number in range(200, 240)], call=20)
    cluster.until(cluster.judged)
    file, sets = tmp_path / "log.ndjson", tmp_path / "sets"
    records, told = exported(cluster, "--rules", sets, "--out", file)
    assert (records, told) == ([], "")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []
    first, second = sorted(sets.iterdir())
    assert replayed(first, file, tmp_path, "--rules", str(second)) == judged(cluster)
    assert sum("fortnight" in rules for *_, rules in cluster.warnings()) == 40


def test_a_part_has_what_it_cannot_be_read_without(make: Make) -> None:
    """From an instant to another: signals received in between, behind the objects and rules of before; of one partition, its own alone."""
    cluster = make(partitions=3)
    cluster.activate()
    cluster.start()
    cluster.send([ObjectsEntry(version=1, objects=(make_object(id="obj-001"),))])
    cluster.send([leak(number) for number in range(60)], call=20)
    since = SystemClock().now()
    cluster.send([leak(number) for number in range(60, 120)], call=20)
    until = SystemClock().now()
    cluster.send([leak(number) for number in range(120, 150)], call=10)
    cluster.until(cluster.judged)
    records, told = exported(cluster, "--from", since.isoformat(), "--to", until.isoformat())
    assert told == ""
    assert sorted(each["signal"]["id"] for each in of_type(records, "signal")) == sorted(f"s-{number}" for number in range(60, 120))
    assert [record["entry"]["type"] for record in records[:2]] == ["ruleset", "objects"]
    alone, _ = exported(cluster, "--partition", 1, "--to", since.isoformat())
    mine = [f"s-{number}" for number in range(60) if partition_of(f"obj-{number * 7 % 40:03d}", 3) == 1]
    assert (sorted(each["signal"]["id"] for each in of_type(alone, "signal")), len(of_type(alone, "ruleset"))) == (sorted(mine), 1)
    with pytest.raises(IllegalValue, match="0 to 2"):
        export_log(cluster.settings, len, Part(), [3])
    told_after = run("journal", "export", "--config", settings_file(cluster), "--after", 5)
    assert (told_after.exit_code, "--from" in told_after.stderr) == (2, True)


def test_a_deleted_beginning_is_told(make: Make) -> None:
    """Retention deleted what one partition began with: the export begins where all of them are whole and says when that is; what was in
    force stands before it, and whoever asks for more is refused with that instant."""  # noqa: D205, D209  # one sentence
    cluster = make(partitions=2)
    version = cluster.activate()
    cluster.start()
    cluster.send([ObjectsEntry(version=1, objects=(make_object(id="obj-001"),))])
    cluster.send([leak(number) for number in range(100)], call=10)
    cluster.await_done()
    early = SystemClock().now()
    cluster.send([leak(number) for number in range(100, 160)], call=10)
    cluster.until(cluster.judged)
    kept = {partition: next(offset for offset, said, _ in cluster.log_of(partition) if said > early) for partition in range(2)}
    whole = max(said for partition in range(2) for offset, said, _ in cluster.log_of(partition) if offset == kept[partition])
    frames = (frame for partition in range(2) for _, said, frame in cluster.log_of(partition) if said >= whole)
    later = {offer.entry.signal.id for frame in frames for offer in frame.offers if isinstance(offer.entry, SignalEntry)}
    assert later
    for partition, before in kept.items():
        cut(cluster, partition, before)
    records, told = exported(cluster)
    names = {each["signal"]["id"] for each in of_type(records, "signal")}
    assert names == later, "what was received from that instant on, of both partitions"
    assert [each["version"] for each in of_type(records, "ruleset")] == [version]
    assert [each["id"] for each in of_type(records, "objects")[0]["objects"]] == ["obj-001"]
    assert "retention has deleted the log's beginning" in told
    log = ConsumedLog(cluster.settings, cluster.database)
    assert log.whole_since() == whole
    refused = run("journal", "export", "--config", settings_file(cluster), "--from", (early - timedelta(days=1)).isoformat())
    assert (refused.exit_code, "the log is whole from" in refused.stderr) == (2, True)
    with pytest.raises(NotFound):
        log.part(Part(since=early - timedelta(days=1)))


def test_brokers_that_are_away_are_told_in_a_sentence(make: Make, tmp_path: Path) -> None:
    """No traceback, no half a file; what the address is and what to do."""
    cluster = make(partitions=1)
    cluster.activate()
    cluster.start()
    cluster.await_done()
    cluster.settings = cluster.settings.model_copy(update={"kafka": cluster.settings.kafka.model_copy(update={"bootstrap": "127.0.0.1:9"})})
    told = run("journal", "export", "--config", settings_file(cluster), "--out", tmp_path / "log.ndjson")
    assert (told.exit_code, told.stdout) == (2, "")
    assert "Kafka at 127.0.0.1:9 cannot be reached" in told.stderr
    assert list(tmp_path.glob("*log.ndjson*")) == []
