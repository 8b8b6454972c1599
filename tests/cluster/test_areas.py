"""Rules about areas and groups with three partitions, on real brokers and a real PostgreSQL: as one pipeline says that sees everything."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from app.clock import SystemClock
from app.cluster.publishing import publish
from app.rule_folder import read_folder
from connectors.kafka.intake import KafkaIntake
from domain.errors import IllegalValue
from domain.objects import RegulatedObject, Relation, Resolution
from domain.partitions import partition_of
from domain.records import ObjectsEntry, RulesetEntry, SignalEntry
from rules.load import load_rules
from storage import backfills, risk
from storage.admission import storable
from tests.cluster.world import RULES, Cluster, Make
from tests.factories import at, make_entry, make_object

pytestmark = [pytest.mark.service("kafka"), pytest.mark.service("postgresql")]
AREAS = RULES.replace(
    "rules:\n",
    """\
  street_leaks:
    title: 街道近7天反映泄漏的对象
    distinct: object
    by: region(9)
    where: kind == gas.leak
    window: 7d
    exact: true
  county_leaks:
    title: 区县近1天泄漏反映
    count: signals
    by: region(6)
    where: kind == gas.leak
    window: 1d
    exact: true
rules:
  - id: street
    title: 同一街道多户泄漏
    status: active
    subject: region(9)
    basis: [城镇燃气管理条例第四十条]
    when: street_leaks >= 5
    points: 70
    say: "{street_leaks}户"
  - id: county
    title: 区县泄漏增多
    status: active
    subject: region(6)
    basis: [城镇燃气管理条例第四十条]
    when: county_leaks >= 60
    points: 65
    say: "{county_leaks}次"
""",
)


GROUPS = AREAS.replace(
    "rules:\n",
    """\
  chain_sites:
    title: 同一上级近7天反映泄漏的对象
    distinct: object
    by: parent
    where: kind == gas.leak
    window: 7d
    as_of: object
  trade_leaks:
    title: 同业同区县近1天泄漏反映
    count: signals
    by: [industry, region(6)]
    where: kind == gas.leak
    window: 1d
    exact: true
rules:
  - id: chain
    title: 同一上级多户泄漏
    status: active
    basis: [城镇燃气管理条例第四十条]
    when: chain_sites >= 4 and leaks >= 2
    points: 30
    say: "{chain_sites}户"
  - id: trade
    title: 同业泄漏增多
    status: active
    basis: [城镇燃气管理条例第四十条]
    when: trade_leaks >= 20
    points: 0
    cooldown: 1d
    say: "{trade_leaks}次"
""",
)


PEERS = RULES.replace(
    "rules:\n",
    """\
  usual:
    title: 同业近7天泄漏反映
    peers: leaks
    by: industry
    take: percentile
    rank: 75
rules:
  - id: odd
    title: 泄漏反映多于同业
    status: active
    basis: [城镇燃气管理条例第四十条]
    when: leaks > usual
    points: 30
    say: "{leaks}次，同业{usual}"
""",
)


def leak_in(number: int, **kw: Any) -> SignalEntry:
    """Return the complaint of that number: its object and its street, of three in two counties, follow from it."""
    resolution = Resolution(object_id=f"obj-{number * 7 % 40:03d}", method="id", confidence=1.0)
    region = ("610113001", "610113002", "610199001")[number % 3]
    return make_entry(id=f"s-{number}", resolution=resolution, occurred_at=at(number / 60), region=region, **kw)


def sites() -> Iterator[RegulatedObject]:
    """Yield the objects: five chains, two trades."""
    for number in range(40):
        yield make_object(
            id=f"obj-{number:03d}",
            region="610113",
            industry=("D45", "H62")[number % 2],
            relations=(Relation(kind="parent", object_id=f"obj-{number % 5:03d}"),) if number >= 5 else (),
        )


def await_areas(cluster: Cluster) -> None:
    """Wait until everything has been judged: from that moment on the warnings are those of one replay."""
    cluster.until(cluster.judged)
    assert cluster.warnings() == cluster.replayed()


def read(cluster: Cluster, name: str) -> list[dict[str, Any]]:
    """Return everything in an output topic."""
    topic = cluster.settings.kafka.layout().topic(name)  # type: ignore[arg-type]  # one of its names
    reader = KafkaConsumer(bootstrap_servers=cluster.settings.kafka.bootstrap)
    places = [TopicPartition(topic, number) for number in range(3)]
    reader.assign(places)
    reader.seek_to_beginning(*places)
    ends = reader.end_offsets(places)
    found: list[dict[str, Any]] = []
    while any(reader.position(place) < end for place, end in ends.items()):
        for place, messages in reader.poll(200).items():
            for message in messages:
                event = json.loads(message.value)
                assert partition_of(message.key.decode(), 3) == place.partition
                found.append(event)
    reader.close()
    return found


def test_areas_are_judged_over_three_partitions_while_workers_come_and_go(make: Make) -> None:
    """Two workers, one killed under load and one stopped in order, corrections and withdrawals between: the warnings of areas are those of
    one replay of everything, and the output topic has each of them under its last level."""  # noqa: D205, D209  # one sentence
    cluster = make(partitions=3, rules=AREAS)
    cluster.activate()
    cluster.start("first")
    cluster.start("second")
    cluster.send([leak_in(number) for number in range(300)], call=20)
    cluster.until(lambda: len(cluster.signal_ids()) >= 60)
    cluster.kill("first")
    cluster.send([leak_in(number) for number in range(300, 450)], call=20)
    moved = [leak_in(number + 1000, corrects=f"s-{number}") for number in range(0, 40, 4)]
    moved += [leak_in(number + 1001, corrects=f"s-{number}") for number in range(101, 140, 4)]  # about another object, in another street
    cluster.send([*moved, *(leak_in(number + 2000, withdraws=f"s-{number}") for number in range(60, 90, 3))])
    cluster.start("third")
    await_areas(cluster)
    assert cluster.kill("second", signal.SIGTERM) == 0
    cluster.send([leak_in(number) for number in range(450, 500)])
    await_areas(cluster)
    told = read(cluster, "warnings")
    last = {event["data"]["id"]: event["data"]["level"] for event in told if event["type"] != "fengsui.warning.ended"}
    assert last == {id_: level for id_, level, _ in cluster.warnings()}
    assert {event["data"]["subject"] for event in told if event["type"] == "fengsui.warning.raised"} >= {
        "region:610113001", "region:610113002", "region:610199001", "region:610113",
    }  # fmt: skip
    assert all(event["specversion"] == "1.0" and event["source"].endswith("/live") for event in told)
    hits = read(cluster, "events")
    assert {"leaks", "street", "county"} <= {event["data"]["rule"] for event in hits}
    assert len({event["id"] for event in (*told, *hits)}) <= len(told) + len(hits)


def test_objects_are_judged_by_what_their_groups_came_to(make: Make) -> None:
    """Chains and trades lie in all three partitions; two workers, one killed under load, corrections, withdrawals and a change of the
    registry between: the warnings, to which the rules about chains add, are those of one replay of everything."""  # noqa: D205, D209  # one sentence
    cluster = make(partitions=3, rules=GROUPS)
    cluster.activate()
    cluster.send([ObjectsEntry(version=1, objects=tuple(sites()))])
    cluster.start("first")
    cluster.start("second")
    cluster.send([leak_in(number) for number in range(100)], call=20)
    cluster.until(lambda: len(cluster.signal_ids()) >= 40)
    cluster.kill("first")
    moved = [leak_in(number + 1001, corrects=f"s-{number}") for number in range(0, 40, 4)]
    cluster.send([*moved, *(leak_in(number + 2000, withdraws=f"s-{number}") for number in range(60, 90, 3))])
    joins = make_object(id="obj-007", region="610113", industry="D45", relations=(Relation(kind="parent", object_id="obj-001"),))
    cluster.send([ObjectsEntry(version=2, objects=(joins,))])
    cluster.send([leak_in(number) for number in range(100, 160)])
    cluster.start("third")
    await_areas(cluster)
    rules = {rule for _, _, named in cluster.warnings() for rule in named.split(",")}
    assert {"leaks", "chain"} <= rules
    assert "trade" in {event["data"]["rule"] for event in read(cluster, "events")}


@pytest.mark.parametrize("beforehand", [True, False])
def test_rules_about_areas_and_groups_that_come_later_count_from_the_past_on(make: Make, beforehand: bool) -> None:
    """A hundred complaints, then rules about counties, chains and trades, with what was counted beforehand or without: what comes
    then raises what one replay of everything raises that counts back; a county is told of that had most of its complaints before."""  # noqa: D205, D209  # one sentence
    cluster = make(partitions=3, rules=RULES.replace("points: 65", "points: 0"))
    cluster.activate()
    cluster.send([ObjectsEntry(version=1, objects=tuple(sites()))])
    cluster.start("first")
    cluster.send([leak_in(number) for number in range(100)], call=20)
    cluster.send([leak_in(number + 1000, corrects=f"s-{number}") for number in range(0, 40, 4)])
    cluster.await_done()
    cluster.kill("first")
    (cluster.rules / "gas.yaml").write_text(GROUPS)
    done = publish(cluster.settings, cluster.rules, "test", SystemClock())
    assert {"gas.street_leaks", "gas.county_leaks", "gas.chain_sites", "gas.trade_leaks"} <= set(done.fresh)
    with cluster.database.write() as connection:
        names = backfills.names(connection)
        assert {f"{done.version}/{which}" for which in ("areas", "groups")} <= set(names)
        if not beforehand:
            backfills.clear(connection, ())
    cluster.start("second")
    cluster.send([leak_in(number) for number in range(100, 160)], call=20)
    await_areas(cluster)
    rules = {rule for _, _, named in cluster.warnings() for rule in named.split(",")}
    assert {"leaks", "chain", "county"} <= rules


def test_rules_that_would_leave_open_warnings_behind_are_refused(make: Make) -> None:
    """A rule with points that reads a group would have its whole sector judged elsewhere; without points it is put in force."""
    cluster = make(partitions=3, rules=AREAS)
    version = cluster.activate()
    cluster.start()
    cluster.await_done()
    (cluster.rules / "gas.yaml").write_text(GROUPS)
    with pytest.raises(IllegalValue, match=f"gas .*{version}"):
        cluster.activate()
    (cluster.rules / "gas.yaml").write_text(GROUPS.replace("points: 30", "points: 0"))
    assert cluster.activate() != version


class _Stopped:
    """A clock that stands still."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


def test_objects_are_held_against_their_peers_of_all_partitions(make: Make) -> None:
    """Complaints of the day before yesterday, then more after the nights: what is usual in a trade was worked out from objects of all three
    partitions, and the warnings are those of one replay."""  # noqa: D205, D209  # one sentence
    cluster = make(partitions=3, rules=PEERS)
    clock = _Stopped(SystemClock().now() - timedelta(hours=36))
    cluster.intake.close()
    cluster.intake = KafkaIntake(cluster.settings.kafka.access(), cluster.topic, 3, clock, prepare=storable)
    cluster.intake.start()
    texts = read_folder(cluster.rules)
    version = load_rules(texts).version
    with cluster.database.write() as connection:
        risk.store_ruleset(connection, version, texts, "test")

    def complaint(number: int, about: int) -> SignalEntry:
        resolution = Resolution(object_id=f"obj-{about:03d}", method="id", confidence=1.0)
        return make_entry(
            id=f"s-{number}", resolution=resolution, occurred_at=clock.at - timedelta(minutes=200 - number), region="610113001"
        )

    cluster.send([RulesetEntry(version=version)])
    cluster.send([ObjectsEntry(version=1, objects=tuple(sites()))])
    cluster.send([complaint(number, number * number % 40 if number % 3 else number % 40) for number in range(120)], call=10)
    clock.at = SystemClock().now()
    cluster.send([complaint(number, number % 40) for number in range(120, 160)], call=10)
    cluster.start()
    await_areas(cluster)
    odd = ["odd" in rules for *_, rules in cluster.warnings()]
    assert 0 < sum(odd) < 40
