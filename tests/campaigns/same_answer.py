"""Campaign `same-answer`: one input through `serve`, a cluster of one worker, a cluster of three and `replay`: the same warnings.

    python -m tests.campaigns.same_answer [--signals N] [--seed N] [--small] [--only WAY] [--plant stale_snapshot]

All are real processes; the clusters are fed by a `fengsui edge` over HTTP and consume through Faust's own assignment. The cluster of
three begins with two workers; the third comes when half is sent, one of the first two goes when three quarters are, and another takes
its place. Compared are the ids of warnings, their levels, and which rules they bear. Signals come late, are corrected and withdrawn, and
calls are repeated as by senders that lost their answer. When half is sent more rules are put in force, about objects, chains and counties:
their thresholds lie where nobody comes who counts from there on alone.

Rules read areas, chains and trades in both sets, and one what is usual among peers: it is judged everywhere, but nothing can be usual
before a night has passed, which a run of some minutes does not see; that it may, `tests.cluster.test_areas` shows.
"""

# Long because: the rules, the input and the four ways that are held against each other are read together.

from __future__ import annotations

import json
import logging
import random
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import select

from app.clock import SystemClock
from app.rule_folder import read_folder
from deploy.kafka.local import LocalKafka
from domain.objects import Relation
from domain.records import ObjectsEntry, Prepared, Record, RulesetEntry
from rules.load import load_rules
from storage.database import Database
from storage.datadir import DataPaths
from storage.registry import write_objects
from storage.tables import progress, warnings
from tests.campaigns.entry import Campaign, Run, play
from tests.campaigns.moving import STILL, Bar, StandsStill, wait_moving
from tests.campaigns.oracle import Answer, answer, differences, replayed
from tests.campaigns.serving import Serving
from tests.cluster.world import Cluster, environment
from tests.conftest import which
from tests.factories import make_object
from tests.postgres import PostgresServer

PARTITIONS = 6
CALL = 100  # signals of one call at least, and a hundred calls at most
CALLS = 100
AGAIN = 9  # one call in so many is repeated
SIGNALS_AN_OBJECT = 50
SPAN = timedelta(hours=46)  # of the signals' times; less than the quiet period, after which a warning ends
FEED = "signals"
THREE, ONE, SERVE = "three workers", "one worker", "serve"  # the ways that are held against replay
CHAINS = 5
MADE = (
    ("hotline", "gas.leak"),
    ("complaint", "gas.leak"),
    ("hotline", "gas.smell"),
    ("opinion", "gas.smell"),
    ("iot", "gas.pressure"),
    ("department", "gas.repair"),
    ("inspection", "gas.check"),
)
STREETS = ("610113001", "610113002", "610113003", "610114001", "610114002")
# Points are a third of a point above multiples of five: no sum of them is the limit of a level, so that it makes no difference by how
# much they faded in the minutes that one way takes longer than the other. Areas count what is never taken back, since records that came
# in one call have no common order in a cluster.
RULES = """\
pack: gas
title: 燃气安全
sector: gas
owner: 市住建局
effective: {from: 2024-01-01}
plan: response
indicators:
  leaks: {title: 近一日泄漏反映, count: signals, where: kind == gas.leak, window: 24h, exact: true}
  smells: {title: 近6小时异味反映, count: signals, where: kind == gas.smell, window: 6h}
  worst: {title: 最重, max: severity, window: 12h, exact: true}
  pressure: {title: 压力合计, sum: value, where: source == iot, window: 3h, exact: true, unit: kPa}
  newest: {title: 最近压力, last: value, where: source == iot, unit: kPa}
  channels: {title: 渠道数, distinct: source, window: 24h}
  today: {title: 当日件数, count: signals, window: day}
  street_checks: {title: 街道检查, count: signals, by: region(9), where: kind == gas.check, window: 7d}
  county_objects: {title: 区县受检对象, distinct: object, by: region(6), where: kind == gas.check, window: 7d, exact: true}
rules:
  - {id: many-leaks, title: 泄漏反映集中, status: active, basis: [城镇燃气管理条例第四十一条], when: leaks >= 4, points: 35.3,
     family: people, cap: 45.3, say: "{leaks}次"}
  - {id: many-smells, title: 异味反映集中, status: active, basis: [城镇燃气管理条例第四十一条], when: smells >= 2 and channels >= 3,
     points: 20.3, family: people, cap: 45.3, say: "{smells}次"}
  - {id: severe, title: 严重且压力异常, status: active, basis: [城镇燃气管理条例第四十一条], when: worst >= 3 and newest > 5,
     points: 25.3, say: "{newest}"}
  - {id: after-repair, title: 维修后又漏, status: active, basis: [城镇燃气管理条例第四十一条],
     when: {first: kind == gas.repair, then: kind == gas.leak, within: 6h}, points: 15.3, say: 维修后又漏}
  - {id: together, title: 多项并存, status: active, basis: [城镇燃气管理条例第四十一条],
     when: {at_least: 2, of: [many-leaks, severe, "today >= 12"]}, points: 10.3, say: 多项并存}
  - {id: high-pressure, title: 压力过高, status: active, basis: [城镇燃气管理条例第四十一条], when: pressure > 18, points: 20.3,
     at_least: orange, say: "{pressure}"}
  - {id: busy, title: 当日反映多, status: active, basis: [城镇燃气管理条例第四十一条], when: today >= 10, points: 5.3,
     cooldown: 2h, say: "{today}件"}
  - {id: trial, title: 试运行, status: shadow, basis: [城镇燃气管理条例第四十一条], when: channels >= 4, points: 40.3, say: "{channels}"}
  - {id: street, title: 街道检查多, status: active, subject: region(9), basis: [城镇燃气管理条例第四十条], when: street_checks >= 40,
     points: 65.3, say: "{street_checks}次"}
  - {id: county, title: 区县受检面广, status: active, subject: region(6), basis: [城镇燃气管理条例第四十条], when: county_objects >= 20,
     points: 45.3, say: "{county_objects}户"}
"""
# In a sector of their own, so that the rules of the first one stay where objects are judged.
GROUPS = """\
pack: chains
title: 连锁
sector: food
owner: 市消防救援支队
effective: {from: 2024-01-01}
plan: response
indicators:
  chain_sites: {title: 同一上级受检对象, distinct: object, by: parent, where: kind == gas.check, window: 7d, exact: true}
  trade_checks: {title: 同业检查, count: signals, by: [industry, region(6)], where: kind == gas.check, window: 7d}
  checks: {title: 近7天检查, count: signals, where: kind == gas.check, window: 7d}
  usual: {title: 同业近7天检查, peers: checks, by: industry, take: median}
rules:
  - {id: chain, title: 同一上级多户受检, status: active, basis: [城镇燃气管理条例第四十条], when: chain_sites >= 2 and checks >= 1,
     points: 45.3, say: "{chain_sites}户"}
  - {id: trade, title: 同业检查多, status: active, basis: [城镇燃气管理条例第四十条], when: trade_checks >= 6 and checks >= 2,
     points: 20.3, say: "{trade_checks}次"}
  - {id: odd, title: 检查多于同业, status: active, basis: [城镇燃气管理条例第四十条], when: checks > usual, points: 15.3, say: "{usual}"}
"""


def later(count: int) -> str:
    """Return the pack that is put in force when half of `count` signals is sent; one signal in seven is a check."""
    checks = count / len(MADE)
    return f"""\
pack: later
title: 后来的规则
sector: transport
owner: 市交通局
effective: {{from: 2024-01-01}}
plan: response
indicators:
  county_checks: {{title: 区县检查, count: signals, by: region(6), where: kind == gas.check, window: 7d}}
  chain_checks: {{title: 同一上级检查, count: signals, by: parent, where: kind == gas.check, window: 7d, exact: true}}
  own_checks: {{title: 检查, count: signals, where: kind == gas.check, window: 7d}}
rules:
  - {{id: later-county, title: 区县检查多, status: active, subject: region(6), basis: [城镇燃气管理条例第四十条],
     when: county_checks >= {int(checks * 0.33)}, points: 65.3, say: "{{county_checks}}次"}}
  - {{id: later-chain, title: 同一上级检查多, status: active, basis: [城镇燃气管理条例第四十条],
     when: chain_checks >= {int(checks / CHAINS * 0.6)} and own_checks >= 1, points: 45.3, say: "{{chain_checks}}次"}}
"""


def story(seed: int, count: int, began: datetime) -> list[dict[str, Any]]:
    """Return signals in the order in which they are sent, the newest of them an hour before `began`."""
    rng = random.Random(seed)  # repeatable on purpose
    objects = max(count // SIGNALS_AN_OBJECT, 4)
    made: list[dict[str, Any]] = []
    latest: dict[str, str] = {}
    for number in range(count):
        thing = f"o-{min(int(rng.paretovariate(0.9)) - 1, objects - 1) if rng.random() < 0.2 else rng.randrange(objects)}"
        late = timedelta(seconds=rng.choice([0, 0, 0, 30, 900, 7_200]))
        at = began - timedelta(hours=1) - SPAN * (count - number) / count - late
        source, kind = rng.choice(MADE)
        given: dict[str, Any] = {
            "id": f"s-{number}",
            "source": source,
            "kind": kind,
            "object": {"id": thing},
            "occurred_at": at.isoformat(),
            "severity": rng.choice([0, 1, 1, 2, 3]),
        }
        if source == "iot":
            given |= {"value": rng.choice([2.5, 4.0, 6.5, 8.0]), "unit": "kPa"}
        bent = rng.random()
        if kind == "gas.check":
            pass
        elif thing in latest and bent < 0.04:
            given["corrects" if bent < 0.02 else "withdraws"] = latest.pop(thing)
        else:
            latest[thing] = given["id"]
        made.append(given)
    return made


def write_rules(folder: Path, more: str = "") -> str:
    """Write the packs, with `more` of them; return the version of the set."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {"gas": RULES, "chains": GROUPS, "later": more}.items():
        if text:
            (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return load_rules(read_folder(folder)).version


def by_replay(folder: Path, signals: Sequence[dict[str, Any]], began: datetime) -> list[Answer]:
    """Return what `fengsui replay` gives; all was received at once, as it is, nearly, elsewhere."""
    before, after = folder / "rules-before", folder / "rules-after"
    first, second = write_rules(before), write_rules(after, later(len(signals)))
    half = len(signals) // 2
    received = {"received_at": began.isoformat(), "feed": FEED}
    given = [json.dumps(each | received, ensure_ascii=False) for each in signals]
    entry = RulesetEntry(version=second, prepared=Prepared(first=2))  # from the first set on: the registry has no number of its own
    given.insert(half, msgspec.json.encode(Record(seq=3 + half, received_at=began, entry=entry)).decode())
    given.insert(0, msgspec.json.encode(Record(seq=2, received_at=began, entry=RulesetEntry(version=first))).decode())
    file = folder / "signals.ndjson"
    file.write_text("".join(f"{line}\n" for line in given), encoding="utf-8")
    objects = folder / "objects.csv"
    objects.write_text(_register(signals), encoding="utf-8")
    return replayed(before, file, folder, "--rules", str(after), "--objects", str(objects))


def by_serve(folder: Path, signals: Sequence[dict[str, Any]]) -> list[Answer]:
    """Return what a `serve` gives."""
    rules, half = folder / "rules-of-serve", len(signals) // 2
    write_rules(rules)
    serving = Serving(folder / "serve", rules)
    serving.data.mkdir()
    serving.start()
    try:
        assert serving.wait_ready(), f"it did not start; see {serving.data.name}.log"
        serving.call("POST", "/v1/import/objects?name=objects.csv", _register(signals).encode(), content_type="application/octet-stream")
        send(serving, signals[:half], SERVE)
        wait_moving(lambda: len(set(_progress(serving))) == 1, lambda: _progress(serving), "serve is at the end of its journal")
        version = write_rules(rules, later(len(signals)))
        wait_moving(
            lambda: serving.call("GET", "/v1/status")["ruleset"] == version, lambda: _progress(serving), "the later rules are in force"
        )
        send(serving, signals[half:], SERVE)
        wait_moving(lambda: len(set(_progress(serving))) == 1, lambda: _progress(serving), "serve is at the end of its journal")
        assert serving.stop() == 0
    finally:
        serving.kill()
    with Database.look(DataPaths(serving.data).database) as connection:
        return sorted(answer(body) for body in connection.scalars(select(warnings.c.body)))


def _progress(serving: Serving) -> tuple[int, int]:
    """Return how far it has judged, and the end of its journal."""
    figures = serving.call("GET", "/v1/status", timeout=60)
    return figures["applied"], figures["head"]


class Town:
    """One cluster with its edge: a context manager."""

    def __init__(self, stack: ExitStack, kafka: LocalKafka, postgres: PostgresServer, folder: Path, plant: str, every: int) -> None:
        """Make the topics and tables, put the rules in force, start an edge."""
        self.cluster = Cluster(kafka, postgres.fresh(), folder.name, folder, partitions=PARTITIONS, rules=RULES)
        stack.callback(self.cluster.close)
        self.moved = 0  # partitions that went from one worker to another under load
        self._more: dict[str, Any] = {"plant": plant, "snapshot_every": every}
        write_rules(self.cluster.rules)
        self.cluster.activate()
        self.edge = Serving(folder / "edge", self.cluster.rules, settings=environment(self.cluster.settings), role="edge")
        self.edge.data.mkdir()
        stack.callback(self.edge.kill)

    def register(self, signals: Sequence[dict[str, Any]]) -> None:
        """Tell every partition of the objects, and the edge."""
        entry = ObjectsEntry(version=1, objects=tuple(_objects(signals)))
        with self.cluster.database.write() as connection:
            write_objects(connection, entry)
        self.cluster.send([entry])
        self.edge.start()

    def put_in_force(self, more: str) -> None:
        """Put more rules in force, behind all that is sent; nothing that is sent from here on comes before them."""
        write_rules(self.cluster.rules, more)
        self.cluster.activate()

    def work(self, *names: str) -> None:
        """Start workers."""
        for name in names:
            self.cluster.start(name, **self._more)

    def owners(self) -> dict[int, str]:
        """Return who has each partition."""
        rows = select(progress.c.partition, progress.c.owner).where(progress.c.topic == self.cluster.topic)
        with self.cluster.database.read() as connection:
            return {row.partition: row.owner for row in connection.execute(rows)}

    def settled(self, workers: int) -> dict[int, str]:
        """Wait until all partitions are shared among so many workers, and return by whom each is held."""
        self.await_moving(
            lambda: len(self.owners()) == PARTITIONS and len(set(self.owners().values())) == workers,
            f"{workers} workers share the partitions",
        )
        return self.owners()

    def await_moving(self, fine: Callable[[], bool], what: str) -> None:
        """Wait as long as the cluster moves on; raises StandsStill, or where a worker ended that nobody ended."""
        wait_moving(fine, self._progress, what)

    def _progress(self) -> str:
        """Return how far frames and groups are, and who has what."""
        for name, worker in self.cluster.workers.items():
            if worker.poll() not in {None, 0}:
                raise StandsStill(f"{name} ended with {worker.poll()}: {self.cluster.log(name)[-1500:]}")
        frames, groups, owners = self.cluster.done(), self.cluster.done(self.cluster.groups), self.owners()
        return f"frames {sorted(frames.items())}, groups {sorted(groups.items())}, held by {len(set(owners.values()))}"

    def answers(self) -> list[Answer]:
        """Return the warnings once everything is judged, and end its processes."""
        self.await_moving(self.cluster.judged, "everything is judged")
        found = [(id_, level, ",".join(sorted(rules.split(",")))) for id_, level, rules in self.cluster.warnings()]
        for worker in self.cluster.workers.values():  # the machine is for the next way
            worker.kill()
        self.edge.kill()
        return found


def by_one_worker(town: Town, signals: Sequence[dict[str, Any]]) -> list[Answer]:
    """Return what a cluster of one worker gives."""
    town.register(signals)
    town.work("only")
    assert town.edge.wait_ready(), "the edge did not start; see its log"
    half = len(signals) // 2
    send(town.edge, signals[:half], ONE)
    town.put_in_force(later(len(signals)))
    send(town.edge, signals[half:], ONE)
    return town.answers()


def by_three_workers(town: Town, signals: Sequence[dict[str, Any]]) -> list[Answer]:
    """Return what a cluster gives whose partitions move twice under load."""
    town.register(signals)
    town.work("first", "second")
    assert town.edge.wait_ready(), "the edge did not start; see its log"
    half, rest = len(signals) // 2, len(signals) * 3 // 4
    send(town.edge, signals[:half], THREE)
    town.put_in_force(later(len(signals)))
    two = town.settled(2)
    town.work("third")
    send(town.edge, signals[half:rest], THREE)
    three = town.settled(3)
    town.cluster.workers["first"].send_signal(signal.SIGTERM)
    town.work("fourth")
    send(town.edge, signals[rest:], THREE)
    again = _changed(town, three)
    town.moved = sum(two[number] != three[number] for number in two) + sum(three[number] != again[number] for number in three)
    return town.answers()


def _changed(town: Town, before: dict[int, str]) -> dict[int, str]:
    """Wait until the worker that went has no partition any more, and three share them."""
    gone = str(town.cluster.workers["first"].pid)

    def handed_on() -> bool:
        owners = town.owners()
        return len(set(owners.values())) == 3 and not any(owner.endswith(f":{gone}") for owner in owners.values())

    assert any(owner.endswith(f":{gone}") for owner in before.values())
    town.await_moving(handed_on, "the partitions of the worker that went are taken over")
    return town.owners()


def send(door: Serving, signals: Sequence[dict[str, Any]], who: str) -> None:
    """Post signals in calls, some twice, one after the other."""
    call, bar = max(CALL, len(signals) // CALLS), Bar(f"  sending to {who}")
    for number, start in enumerate(range(0, len(signals), call)):
        body = json.dumps(signals[start : start + call]).encode()
        for _ in range(2 if number % AGAIN == AGAIN - 1 else 1):
            told = door.call("POST", "/v1/signals", body, timeout=STILL)
            assert told["rejected"] == 0, told
        bar.at(f"{min(start + call, len(signals)):,} of {len(signals):,}")
    bar.end()


def _objects(signals: Sequence[dict[str, Any]]) -> Iterator[Any]:
    for name in sorted({each["object"]["id"] for each in signals}):
        number = int(name.removeprefix("o-"))
        yield make_object(
            id=name,
            name=f"{name}号燃气有限公司",
            region=STREETS[number % len(STREETS)],
            industry=("D45", "H62")[number % 2],
            relations=(Relation(kind="parent", object_id=f"o-{number * 7 % CHAINS}"),),
        )


def _register(signals: Sequence[dict[str, Any]]) -> str:
    """Return the objects as a file that is imported."""
    rows = [
        f"{each.id},{each.type},{each.name},{each.region},{each.industry},parent:{each.relations[0].object_id}\n"
        for each in _objects(signals)
    ]
    return "id,type,name,region,industry,relations\n" + "".join(rows)


@contextmanager
def services(folder: Path) -> Iterator[tuple[LocalKafka, PostgresServer]]:
    """Give one broker and PostgreSQL."""
    server = which("postgres")
    assert server, "PostgreSQL is missing: make services"
    (folder / "kafka").mkdir()
    with LocalKafka(folder / "kafka") as kafka, PostgresServer(Path(server).parent) as postgres:
        yield kafka, postgres


def body(given: Run) -> tuple[list[str], str]:
    """Let all four answer, and compare; with a planted defect only the cluster whose partitions move is asked."""
    for library in ("aiokafka", "kafka"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    began = SystemClock().now().astimezone(UTC).replace(microsecond=0)
    signals = story(given.seed, given.count, began)
    every = max(given.count // PARTITIONS // 10, 20)
    wrong: list[str] = []
    with ExitStack() as stack:
        kafka, postgres = stack.enter_context(services(given.folder))
        three = Town(stack, kafka, postgres, given.folder / "three", given.plant, every)
        expected = by_replay(given.folder, signals, began)
        ways: dict[str, Callable[[], list[Answer]]] = {THREE: lambda: by_three_workers(three, signals)}
        if not given.plant:
            one = Town(stack, kafka, postgres, given.folder / "one", "", every)
            ways |= {ONE: lambda: by_one_worker(one, signals), SERVE: lambda: by_serve(given.folder, signals)}
        for who, ask in ways.items():
            if given.given.only not in {"", who}:
                continue
            try:
                wrong += differences(ask(), expected, who)
            except (StandsStill, OSError, AssertionError) as why:  # the others are asked all the same
                wrong.append(f"{who}: {type(why).__name__}: {why}")
    levels = {level for _, level, _ in expected}
    bearing = {rule for _, _, rules in expected for rule in rules.split(",")}
    wrong += ["no partition moved: the rebalance proved nothing"] * (three.moved == 0 and not wrong and given.given.only in {"", THREE})
    lacking = {"chain", "trade", "street", "county", "later-county", "later-chain"} - bearing
    wrong += [f"nothing was said by {', '.join(sorted(lacking))}"] * bool(lacking)
    wrong += [f"only {len(levels)} levels and {len(bearing)} rules occurred"] * (len(levels) < 3 or len(bearing) < 10)
    line = (
        f"same-answer: {len(signals)} signals, {len(expected)} warnings of {len(levels)} levels by {len(bearing)} rules, "
        f"{three.moved} partitions moved under load, seed {given.seed}"
    )
    return wrong, line


CAMPAIGN = Campaign(
    module="tests.campaigns.same_answer",
    about=__doc__,
    plants=("stale_snapshot",),
    counts="signals",
    full=100_000,
    small=3_000,
    more={"only": {"default": "", "choices": ("", THREE, ONE, SERVE), "help": "the one way that is asked"}},
)


if __name__ == "__main__":
    sys.exit(play(CAMPAIGN, body))
