"""Campaign `kill9`: kill a loaded `serve` again and again; nothing acknowledged is lost, nothing happens twice.

    python -m tests.campaigns.kill9 [--kills N] [--seed N] [--small] [--plant ack_before_sync]

Half of the kills come at a random time, half at a named crash point; a point that was not reached within its life is said so.
The oracle is the same load through one life of `serve` without a kill, on its own data folder.
"""

from __future__ import annotations

import contextlib
import json
import random
import sys
import threading
import time
import urllib.error
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from domain.findings import EarlyWarning
from domain.personal import tokens_in
from domain.records import SignalEntry
from storage.audit import verify_all
from storage.crashpoints import CRASH_VARIABLE, PLANT_VARIABLE, POINTS
from storage.database import Database
from storage.datadir import DataPaths
from storage.journal_folder import JournalFolder
from storage.obligations import tasks_of
from storage.tables import warnings
from tests.campaigns.entry import Campaign, Run, play
from tests.campaigns.receiver import Receiver
from tests.campaigns.serving import ROOT, Serving

# What a life of a few seconds does not come to: a segment rolls at 64 MiB, the index flushes after some thousand records; or no `serve`.
OUT_OF_REACH = frozenset(
    {"journal.before_roll", "journal.after_roll", "identity.before_flush", "source.before_offer", "source.before_commit"}
)
PACKS = ROOT / "rules" / "packs"
OBJECTS = 400
BATCH = 20
LIFE = (0.3, 1.5)  # seconds of load before a random kill
PATIENCE = 6.0  # seconds that a named point gets to be reached
RELOAD_PATIENCE = 20.0  # a candidate is checked by a child of low priority first, which a change of the folder gives up
FIRST_START = ("key.before_rename", "key.after_rename")  # keys are made once

REGISTER = "id,type,name,code,region\n" + "".join(
    f"{door}-{n},enterprise,{'网' if door == 'h' else '文'}点{n}号燃气有限公司,,610113\n" for door in "hf" for n in range(OBJECTS)
)
CATALOGUE = (
    "序号,监管领域,牵头单位,配合单位,监管事项,设定依据,监管对象,事项类别,检查方式,监管层级,sector,slug\n"
    "1,燃气,市住建局,市应急局,燃气经营检查,《城镇燃气管理条例》第四十一条,燃气经营者,重点,现场,市,gas,gas-supply\n"
)
DEPARTMENTS = """departments:
  - {id: zhujian, name: 市住建局, region: "610100", tier: city}
  - {id: yingji, name: 市应急局, region: "610100", tier: city}
  - {id: zhiban, name: 值班室, kind: duty_desk}
"""
PENALTY_HEADER = (
    "行政相对人名称,行政处罚决定书文号,违法行为类型,违法事实,处罚依据,处罚类别,处罚内容,罚款金额（万元）,"
    "处罚决定日期,处罚机关,处罚机关统一社会信用代码\n"
)


POLICY = """
policy: minutes
version: 1
match: {}
limits:
  {push: {natural: 1m}, receive: {natural: 1m}, verify: {natural: 1m}, handle: {natural: 1m}, feedback: {natural: 1m},
   accept: {natural: 1m}, total: {natural: 10m}}
reminders: [0.1, 0.3, 0.5, 0.7, 0.9]
ladder:
  - {after: {natural: 1m}, act: urge, to: department_lead}
---
policy: minutes-unrouted
version: 1
match: {unrouted: true}
limits: {designate: {natural: 10m}, total: {natural: 10m}}
"""


def settings_of(top: Path) -> dict[str, str]:
    """Return the settings of both runs: snapshots and reloads often enough to be killed in."""
    return {"FENGSUI_POLICIES": str(top / "policies"), "FENGSUI_SNAPSHOT_EVERY": "400", "FENGSUI_RELOAD_SECONDS": "0.2"}


@dataclass
class Load:
    """A sender that repeats each batch until it is acknowledged, so that the order of what is there never depends on the kills."""

    serving: Serving
    token: str
    seed: int
    batches: int = 10**9  # or until `end` is set
    acknowledged: set[tuple[str, str]] = field(default_factory=set)
    sent: int = 0
    pause: float = 0.01
    end: threading.Event = field(default_factory=threading.Event)
    refusals: Counter[int] = field(default_factory=Counter)

    def run(self) -> None:
        """Send everything; files go to the inbox beside the requests, about other objects."""
        for number in range(self.batches):
            if self.end.is_set():
                return
            signals = batch_of(self.seed, number)
            self._until_acknowledged(json.dumps(signals).encode())
            self.acknowledged.update(("signals", signal["id"]) for signal in signals)
            self.sent = number + 1
            if number % 5 == 0:
                self._drop_file(number)
            time.sleep(self.pause)

    def _until_acknowledged(self, body: bytes) -> None:
        while True:
            try:
                answer = self.serving.call("POST", "/v1/signals", body, token=self.token, timeout=5)
            except urllib.error.HTTPError as error:
                self.refusals[error.code] += 1
                if error.code not in {503, 429}:
                    raise
            except OSError:
                self.refusals[0] += 1
            else:
                assert answer["rejected"] == 0, answer
                return
            time.sleep(0.05)

    def _drop_file(self, number: int) -> None:
        folder = self.serving.data / "inbox" / "penalties"
        folder.mkdir(parents=True, exist_ok=True)
        hidden = folder / f".{number:06d}.csv"
        hidden.write_text(PENALTY_HEADER + penalties_of(number), encoding="gb18030")
        hidden.rename(folder / f"{number:06d}.csv")


def batch_of(seed: int, number: int) -> list[dict[str, Any]]:
    """Return one batch of signals; a few objects get most of them, so that warnings are raised."""
    rng = random.Random(f"{seed}:{number}")
    made = []
    for place in range(BATCH):
        minute = number * 7 + place % 7
        made.append(
            {
                "id": f"k-{number}-{place}",
                "source": rng.choice(["complaint", "hotline", "complaint"]),
                "kind": rng.choice(["gas.leak", "gas.leak", "gas.unlicensed_sale", "other.request"]),
                "object": {"id": f"h-{min(int(rng.paretovariate(0.7)) - 1, OBJECTS - 1)}"},
                "occurred_at": f"2026-03-{1 + minute // 1440 % 28:02d}T{minute // 60 % 24:02d}:{minute % 60:02d}:00+08:00",
                "severity": rng.choice([1, 2, 3]),
                "text": f"回电{caller_of(number)}" if place == 0 else "",
            }
        )
    return made


def penalties_of(number: int) -> str:
    """Return the rows of one penalty file."""
    told = "安全,未按规定检查燃气设施,《城镇燃气管理条例》,罚款,罚款三万元,3"
    day = f"2026-03-{1 + number % 28:02d}"
    return "".join(
        f"文点{(number * 3 + place) % OBJECTS}号燃气有限公司,罚{number}-{place},{told},{day},市住建局,11610100MB2A00000X\n"
        for place in range(5)
    )


def prepare(serving: Serving, receiver: Receiver) -> str:
    """Import the registers, register the endpoints, and return the token of the feed."""
    serving.call("POST", "/v1/import/objects?name=objects.csv", REGISTER.encode(), content_type="application/octet-stream")
    serving.call("POST", "/v1/import/catalogue?name=catalogue.csv", CATALOGUE.encode(), content_type="application/octet-stream")
    serving.call("POST", "/v1/import/departments?name=departments.yaml", DEPARTMENTS.encode(), content_type="application/octet-stream")
    for department in ("zhujian", "yingji", "zhiban"):
        address = json.dumps({"url": f"{receiver.url}/{department}"}).encode()
        receiver.secrets[department] = serving.call("PUT", f"/v1/departments/{department}/endpoint", address)["secret"]
    grant = json.dumps({"name": "kill9", "role": "feed", "feed": "signals"}).encode()
    token: str = serving.call("POST", "/v1/access", grant)["token"]
    return token


def write_rules(folder: Path, turn: int) -> None:
    """Put the shipped packs there, with a comment that makes each turn another rule set."""
    folder.mkdir(exist_ok=True)
    for pack in sorted(PACKS.glob("*.yaml")):
        new = folder / f".{pack.name}"
        new.write_text(f"{pack.read_text(encoding='utf-8')}\n# {turn}\n", encoding="utf-8")
        new.rename(folder / pack.name)


def write_policies(folder: Path) -> None:
    """Write a policy whose limits are a minute, so that timers fire within a campaign."""
    folder.mkdir(exist_ok=True)
    (folder / "minutes.yaml").write_text(POLICY, encoding="utf-8")


def caller_of(number: int) -> str:
    """Return the personal value that a batch names."""
    return f"138{number:08d}"


def erase(serving: Serving) -> None:
    """Erase the first batch's personal value; the service may die of it."""
    with contextlib.suppress(OSError):
        serving.call("POST", "/v1/personal/erase", json.dumps({"value": caller_of(0), "reason": "kill9"}).encode(), timeout=5)


def settle(serving: Serving, files: int) -> None:
    """Wait until everything that was taken is applied and delivered."""
    end = time.monotonic() + 120
    folder = serving.data / "inbox" / "penalties"
    while time.monotonic() < end:
        waiting = list(folder.glob("*.csv"))
        figures = serving.call("GET", "/v1/status")
        outbox = [row for row in serving.call("GET", "/v1/outbox?state=waiting&limit=1000") if row["status"] is None]
        if not waiting and not outbox and figures["applied"] == figures["head"]:
            return
        time.sleep(0.2)
    raise TimeoutError(f"not settled after 120 s: {len(waiting)} files, {len(outbox)} deliveries, {figures}, {files} files written")


def warnings_in(data: Path) -> dict[str, Any]:
    """Return what must be equal in both runs: each warning's subject, matter, level, rules and evidence."""
    found = {}
    with Database.look(DataPaths(data).database) as connection:
        for body in connection.execute(warnings.select()).mappings():
            warning = msgspec.json.decode(body["body"], type=EarlyWarning)
            evidence = sorted((one.feed, one.id) for one in warning.evidence)
            found[warning.id] = [warning.subject, warning.matter, warning.level, sorted(warning.rules), evidence]
    return found


def check(data: Path, load: Load, receiver: Receiver) -> list[str]:
    """Return everything that is wrong in a data folder after a run."""
    wrong = []
    counted: Counter[tuple[str, str]] = Counter()
    carried: set[str] = set()
    paths = DataPaths(data)
    for record in JournalFolder(paths.journal).read(0):
        if isinstance(record.entry, SignalEntry):
            counted[record.entry.feed, record.entry.signal.id] += 1
            carried.update(tokens_in(record.entry.signal.text))
    lost = [key for key in load.acknowledged if counted[key] == 0]
    twice = [key for key, count in counted.items() if count > 1]
    if lost:
        wrong.append(f"{len(lost)} acknowledged signals are not there, e.g. {sorted(lost)[:3]}")
    if twice:
        wrong.append(f"{len(twice)} signals are there twice, e.g. {sorted(twice)[:3]}")
    files = sum(1 for key in counted if key[0] == "penalties")
    expected = 5 * len(range(0, load.sent, 5))
    if files != expected:
        wrong.append(f"{files} penalties of {expected} files' rows are there")
    with Database.look(paths.database) as connection:
        for warning_id, reason in verify_all(connection).items():
            wrong.append(f"audit chain of {warning_id}: {reason}")
        for (warning_id, task_id), status in receiver.answered.items():
            stages = {task.id: task.stage.value for task in tasks_of(connection, warning_id)}
            if status == 200 and stages.get(task_id) in {None, "generated", "pushed"}:
                wrong.append(f"task {task_id} was received and stands at {stages.get(task_id)}")
        held = set(connection.exec_driver_sql("SELECT token FROM personal_values").scalars())
        wrong += [f"token {token} is journalled and its value was never kept" for token in sorted(carried - held)]
        wrong += ["no signal carries a token: nothing was compared"] * (not carried)
        rows = connection.exec_driver_sql("SELECT id, state FROM outbox WHERE endpoint_id != ''").all()
        wrong += [f"delivery {row.id} is {row.state}" for row in rows if row.state != "sent"]
        wrong += [f"delivery {row.id} is sent and was never received" for row in rows if row.id not in receiver.ids]
        wrong += [f"receiver got {one}, which is no delivery" for one in receiver.ids - {row.id for row in rows}]
    wrong += [f"receiver: {what}" for what in receiver.complaints]
    return wrong


def killed_run(top: Path, receiver: Receiver, *, kills: int, seed: int, plant: str) -> tuple[Load, str]:
    """Kill a loaded serve `kills` times, let it come to rest, and return its load and what the kills were."""
    rng = random.Random(seed)
    write_rules(top / "rules", 0)
    write_policies(top / "policies")
    serving = Serving(top / "killed", top / "rules", settings=settings_of(top))
    receiver.api = serving.url
    named: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for point in FIRST_START[:kills]:
        serving.start(**{CRASH_VARIABLE: f"{point}:1"})
        (missed if serving.wait_ready() else named)[point] += 1
        serving.kill()
    serving.start()
    assert serving.wait_ready()
    load = Load(serving, prepare(serving, receiver), seed)
    thread = threading.Thread(target=load.run, daemon=True)
    thread.start()
    serving.kill()
    points = [name for name in POINTS if name not in OUT_OF_REACH and name not in FIRST_START]
    environment = {PLANT_VARIABLE: plant} if plant else {}
    longest = 0.0
    for number in range(kills - sum((named + missed).values())):
        point = points[number // 2 % len(points)] if number % 2 else ""
        reloading = point.startswith("reload.")
        nth = rng.randint(1, 4)
        armed = {CRASH_VARIABLE: f"{point}:{1 if reloading else nth}"} if point else {}
        before = time.monotonic()
        serving.start(**environment, **armed)
        ready = serving.wait_ready()
        longest = max(longest, time.monotonic() - before)
        end = time.monotonic() + (RELOAD_PATIENCE if reloading else PATIENCE if point else rng.uniform(*LIFE))
        if ready and reloading:
            write_rules(top / "rules", number)
        while ready and serving.alive() and time.monotonic() < end:
            if point.startswith("erase."):
                erase(serving)
            time.sleep(0.01)
        if point:
            (missed if serving.alive() else named)[point] += 1
        serving.kill()
        assert thread.is_alive(), "the load has ended: kills without it show nothing"
    load.end.set()
    serving.start()
    assert serving.wait_ready()
    thread.join(120)
    settle(serving, len(range(0, load.sent, 5)))
    serving.stop()
    kinds = f"{sum(named.values())} at {len(named)} named points, not reached: {', '.join(sorted(missed)) or 'none'}"
    return load, f"{kills} kills ({kinds}), longest restart {longest:.1f} s"


def calm_run(top: Path, receiver: Receiver, *, batches: int, seed: int) -> Path:
    """Send the same load through one life of serve and return its data folder."""
    calm = Serving(top / "calm", top / "rules", settings=settings_of(top))
    receiver.api = calm.url
    calm.start()
    assert calm.wait_ready()
    Load(calm, prepare(calm, receiver), seed, batches, pause=0.0).run()
    settle(calm, len(range(0, batches, 5)))
    calm.stop()
    return calm.data


def run(top: Path, *, kills: int, seed: int, plant: str) -> tuple[list[str], str]:
    """Make both runs and return what is wrong and the line of figures."""
    with Receiver() as receiver:
        load, told = killed_run(top, receiver, kills=kills, seed=seed, plant=plant)
        wrong = check(load.serving.data, load, receiver)
    with Receiver() as receiver:
        calm = calm_run(top, receiver, batches=load.sent, seed=seed)
    killed, uninterrupted = warnings_in(load.serving.data), warnings_in(calm)
    if killed != uninterrupted:
        differ = [one for one in killed.keys() | uninterrupted.keys() if killed.get(one) != uninterrupted.get(one)]
        wrong.append(f"{len(differ)} warnings differ from the uninterrupted run, e.g. {sorted(differ)[:3]}")
    if not uninterrupted:
        wrong.append("the load raised no warning: nothing was compared")
    line = f"kill9: {told}, {len(load.acknowledged)} signals acknowledged, {len(killed)} warnings, seed {seed}"
    return wrong, line


def body(given: Run) -> tuple[list[str], str]:
    """Kill and compare."""
    return run(given.folder, kills=given.count, seed=given.seed, plant=given.plant)


CAMPAIGN = Campaign(module="tests.campaigns.kill9", about=__doc__, plants=("ack_before_sync",), counts="kills", full=50, small=6)


if __name__ == "__main__":
    sys.exit(play(CAMPAIGN, body))
