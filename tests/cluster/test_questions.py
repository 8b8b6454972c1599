"""What a rule's author asks of a cluster: backtests and why a rule did not hit, as a `serve` with the same records in its journal says."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from app.clock import SystemClock
from app.cluster.child import AskingChild
from app.cluster.shelves import VERSION
from app.explaining import OWNER
from app.rule_folder import read_folder
from domain.errors import Conflict, NotFound
from domain.objects import Relation
from domain.records import ObjectsEntry, Record
from storage import risk
from storage.database import Database
from storage.datadir import DataPaths
from storage.journal import Journal
from storage.partition_snapshots import newest
from storage.tables import partition_snapshots, progress
from tests.app.test_command_line import run
from tests.cluster.test_areas import AREAS, GROUPS
from tests.cluster.test_export import cut, exported, settings_file
from tests.cluster.world import Cluster, Make, leak
from tests.factories import make_object

pytestmark = [pytest.mark.service("kafka"), pytest.mark.service("postgresql")]


def as_serve(cluster: Cluster, folder: Path, version: str) -> Path:
    """Return the data folder of a `serve` in whose journal stands what the cluster consumed."""
    records = [msgspec.convert(each, Record) for each in exported(cluster)[0]]
    folder.mkdir()
    paths = DataPaths(folder)
    with Journal.open(paths.journal) as journal:
        journal.append(records)
        journal.sync()
    database = Database.open(paths.database)
    with database.write() as connection:
        risk.store_ruleset(connection, version, read_folder(cluster.rules), "test")
        risk.apply_records(connection, records)
    database.close()
    return folder


def told(command: str, *more: object) -> dict[str, Any]:
    """Return what a command of `fengsui rules` says in JSON."""
    result = run("rules", command, *more, "--output", "json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def objects_of(count: int) -> ObjectsEntry:
    """Return the first objects that complaints are about: all in one street and one industry, most of them branches of the first five."""
    things = [
        make_object(
            id=f"obj-{number:03d}",
            region="610113001",
            industry="D45",
            relations=(Relation(kind="parent", object_id=f"obj-{number % 5:03d}"),) if number >= 5 else (),
        )
        for number in range(count)
    ]
    return ObjectsEntry(version=1, objects=tuple(things))


def test_a_backtest_says_what_it_says_of_the_same_records_in_a_journal(make: Make, tmp_path: Path) -> None:
    """Three partitions, a candidate that wants fewer complaints: the whole report is that of a `serve`; the active set's side of it are the
    warnings that the workers really raised."""  # noqa: D205, D209  # one sentence
    cluster = make(partitions=3, rules=AREAS)
    version = cluster.activate()
    cluster.send([objects_of(40)])
    cluster.send([leak(number, region="610113001") for number in range(100)], call=20)
    cluster.start()
    cluster.until(cluster.judged)
    serve = as_serve(cluster, tmp_path / "serve", version)
    candidate = tmp_path / "candidate"
    candidate.mkdir()
    (candidate / "gas.yaml").write_text(AREAS.replace("leaks >= 3", "leaks >= 2"))
    now = SystemClock().now()
    period = ("--from", (now - timedelta(hours=1)).isoformat(), "--to", (now + timedelta(hours=1)).isoformat(), "--rules", candidate)
    config = settings_file(cluster)
    report = told("backtest", *period, "--config", config)
    assert report == told("backtest", *period, "--data", serve)
    assert report["old"]["warnings"] == len(cluster.warnings())
    assert report["signals"] == 100
    assert report["added"] > 0


def test_why_not_says_what_it_says_of_the_same_records_in_a_journal(make: Make, tmp_path: Path) -> None:
    """Rules about objects, areas, and objects beside their area, of an object and of an area, now and as of earlier: the whole answer."""
    cluster = make(partitions=3, rules=GROUPS)
    version = cluster.activate()
    cluster.send([objects_of(40)])
    cluster.start(snapshot_every=20)
    cluster.send([leak(number, region="610113001") for number in range(60)], call=10)
    cluster.until(cluster.judged)
    early = SystemClock().now()
    cluster.send([leak(number, region="610113001") for number in range(60, 100)], call=10)
    cluster.until(cluster.judged)
    with cluster.database.read() as connection:
        assert any(newest(connection, cluster.topic, number, VERSION) for number in range(3)), "there is a snapshot to begin from"
    serve, config = as_serve(cluster, tmp_path / "serve", version), settings_file(cluster)
    late = SystemClock().now() + timedelta(minutes=5)
    names = [each["id"] for each in told("list", cluster.rules)]
    for moment in (late, early):
        for rule in names:
            given = ("--rule", rule, "--object", "obj-007", "--at", moment.isoformat())
            assert told("why-not", *given, "--config", config) == told("why-not", *given, "--data", serve), (rule, moment)
    given = ("--rule", "street", "--object", "region:610113001", "--at", late.isoformat())
    area = told("why-not", *given, "--config", config)
    assert area == told("why-not", *given, "--data", serve)
    assert area["values"]["gas.street_leaks"] == 40
    beside = told("why-not", "--rule", "trade", "--object", "obj-007", "--at", late.isoformat(), "--config", config)
    assert beside["values"]["gas.trade_leaks"] > 20, "of objects of all partitions"
    now = told("why-not", "--rule", "leaks", "--object", "obj-007", "--config", config)
    assert now["parts"] == told("why-not", "--rule", "leaks", "--object", "obj-007", "--data", serve)["parts"]
    for wrong, why in ((("--rule", "leak"), "leaks"), (("--rule", "leaks", "--object", "nobody"), "nobody")):
        refused = run("rules", "why-not", "--object", "obj-007", *wrong, "--config", config)
        assert (refused.exit_code, why in refused.stderr) == (2, True)


def test_a_question_writes_nothing_and_waits_for_nobody(make: Make) -> None:
    """Beside a worker that runs: no epoch, mark or snapshot changes, and the worker goes on; so it does in the child of an api."""
    cluster = make(partitions=2)
    cluster.activate()
    cluster.send([objects_of(10)])
    cluster.send([leak(number, 10) for number in range(20)], call=5)
    cluster.start()
    cluster.until(cluster.judged)
    before = _rows(cluster)
    found = AskingChild(cluster.settings).why_not(OWNER, "obj-003", "leaks", None)
    assert [(part.left, part.right) for part in found.parts] == [(2, 3)]
    assert _rows(cluster) == before
    cluster.send([leak(number, 10) for number in range(20, 40)], call=5)
    cluster.until(cluster.judged)
    assert len(cluster.warnings()) == 10


def test_a_child_that_takes_too_long_or_too_much_is_ended(make: Make) -> None:
    """Whoever asked is told what to do instead; what the child itself refuses is refused in its words."""
    cluster = make()
    cluster.activate()
    cluster.send([objects_of(10)])
    cluster.start()
    cluster.await_done()
    with pytest.raises(Conflict, match=r"no answer within 0\.05 s"):
        AskingChild(cluster.settings, seconds=0.05).why_not(OWNER, "obj-003", "leaks", None)
    with pytest.raises(Conflict, match="more than 40 MiB"):
        AskingChild(cluster.settings, memory=40 * 2**20).why_not(OWNER, "obj-003", "leaks", None)
    with pytest.raises(NotFound, match="nobody"):
        AskingChild(cluster.settings).why_not(OWNER, "nobody", "leaks", None)


def test_a_deleted_beginning_is_told_to_whoever_looks_back_beyond_it(make: Make) -> None:
    """A backtest that reads from later on goes; one that wants more, and a question that no snapshot reaches, say since when the log is."""
    cluster = make(partitions=2)
    cluster.activate()
    cluster.send([objects_of(40)])
    cluster.start()
    cluster.send([leak(number, region="610113001") for number in range(80)], call=10)
    cluster.await_done()
    middle = SystemClock().now()
    cluster.send([leak(number, region="610113001") for number in range(80, 160)], call=10)
    cluster.until(cluster.judged)
    kept = {partition: next(offset for offset, said, _ in cluster.log_of(partition) if said > middle) for partition in range(2)}
    for partition, before in kept.items():
        cut(cluster, partition, before)
    config, end = settings_file(cluster), (SystemClock().now() + timedelta(hours=1)).isoformat()
    given = ("--to", end, "--rules", cluster.rules, "--config", config)
    begins = _received(cluster, kept)
    refused = run("rules", "backtest", "--from", begins.isoformat(), *given)
    assert (refused.exit_code, "the log is whole from" in refused.stderr) == (2, True)
    report = told("backtest", "--from", begins.isoformat(), "--warm-up", "0s", *given)
    assert 0 < report["signals"] <= 80
    assert (report["added"], report["removed"]) == (0, 0)
    asked = ("--rule", "leaks", "--object", "obj-007", "--config", config)
    refused = run("rules", "why-not", *asked, "--at", (middle - timedelta(minutes=1)).isoformat())
    assert refused.exit_code == 2


def _received(cluster: Cluster, kept: dict[int, int]) -> datetime:
    return max(said for partition in kept for offset, said, _ in cluster.log_of(partition) if offset == kept[partition])


def _rows(cluster: Cluster) -> list[Any]:

    with cluster.database.read() as connection:
        rows = select(progress.c.topic, progress.c.partition, progress.c.epoch, progress.c.takeovers, progress.c.mark)
        kept = select(partition_snapshots.c.topic, partition_snapshots.c.partition, partition_snapshots.c.offset)
        return [*map(tuple, connection.execute(rows)), *map(tuple, connection.execute(kept))]
