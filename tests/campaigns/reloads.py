"""Campaign `reloads`: change the rules of a loaded `serve` again and again, soundly and not; nothing is judged by half a set.

    python -m tests.campaigns.reloads [--reloads N] [--seed N] [--small] [--plant mixed_set]

One sound change in ten adds an indicator, which is one reload in twenty; in every fifth of those the service is killed while the child
counts back. Two oracles: the set whose mark a hit bears has to be the one that was active at its record, in all packs; and hits and
values have to be those of a replay of the journal that works every back-fill out anew, and of one that had the last set all along.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import threading
import time
import urllib.error
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.folder import Folder
from app.history import JournalHistory
from app.pipelines import make_pipeline
from app.settings import Settings
from domain.findings import RuleHit
from domain.records import Record, RulesetEntry, SignalEntry
from rules.load import version_of
from rules.ruleset import RuleSet
from storage.artifacts import ArtifactStore
from storage.crashpoints import PLANT_VARIABLE
from streams.pipeline import Pipeline
from tests.campaigns.entry import Campaign, Run, play
from tests.campaigns.kill9 import CATALOGUE, DEPARTMENTS, OBJECTS, REGISTER
from tests.campaigns.rule_turns import BAD, many, packs
from tests.campaigns.serving import Serving
from tests.streams.kit import values_of

SETTINGS = {"FENGSUI_RELOAD_SECONDS": "0.05", "FENGSUI_SNAPSHOT_EVERY": "5000"}
SENDERS = 2
BATCH = 2
PAUSE = 0.05  # seconds between two requests of one sender
CALM = 2.0  # seconds without reloads, before, after, and between every TURNS of them: the same load in the same minutes
TURNS = 20
PATIENCE = 90.0
POLL = 0.02  # seconds between two looks at the log
HUGE = 100  # every so many changes the set has ten thousand rules
NEW_INDICATOR = 10  # every so many sound changes
KILL = 5  # every so many new indicators


@dataclass
class Sender:
    """Sends batches one after another, each until it is acknowledged, and notes when each answer came and after how long."""

    serving: Serving
    token: str
    seed: int
    number: int
    end: threading.Event
    answered: list[tuple[float, float]] = field(default_factory=list)  # (when, seconds)
    acknowledged: int = 0

    def run(self) -> None:
        """Send until the end."""
        batch = 0
        while not self.end.is_set():
            body = json.dumps(self._batch(batch)).encode()
            while True:
                began = time.monotonic()
                try:
                    self.serving.call("POST", "/v1/signals", body, token=self.token, timeout=10)
                except urllib.error.HTTPError as error:
                    if error.code not in {429, 503}:
                        raise
                except OSError:
                    pass
                else:
                    self.answered.append((began, time.monotonic() - began))
                    break
                time.sleep(0.05)
            self.acknowledged += BATCH
            batch += 1
            time.sleep(PAUSE)

    def _batch(self, number: int) -> list[dict[str, Any]]:
        rng = random.Random(f"{self.seed}:{self.number}:{number}")
        made = []
        for place in range(BATCH):
            minute = number // 3
            made.append(
                {
                    "id": f"r{self.number}-{number}-{place}",
                    "source": rng.choice(["complaint", "hotline"]),
                    "kind": rng.choice(["gas.leak", "gas.unlicensed_sale", "other.request"]),
                    "object": {"id": f"h-{min(int(rng.paretovariate(0.7)) - 1, OBJECTS - 1)}"},
                    "occurred_at": f"2026-03-{1 + minute // 1440 % 28:02d}T{minute // 60 % 24:02d}:{minute % 60:02d}:00+08:00",
                    "severity": rng.choice([1, 2, 3]),
                }
            )
        return made


@dataclass
class Reloads:
    """The changes of one run, and what became of them."""

    serving: Serving
    rng: random.Random
    plant: str
    every: int = NEW_INDICATOR
    kill: int = KILL
    turns: dict[str, int] = field(default_factory=dict)  # version → turn
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    kills: int = 0
    turn: int = 0
    indicators: int = 0
    last: float = 0.0  # longest from a change to its effect, in seconds
    memory: int = 0  # most that the service held between two turns, in MB

    def write(self, texts: dict[str, str]) -> None:
        """Put the files there, each as a whole."""
        folder = self.serving.rules
        folder.mkdir(exist_ok=True)
        for name, text in texts.items():
            new = folder / f".{name}"
            new.write_text(text, encoding="utf-8")
            new.rename(folder / name)
        for path in folder.glob("*.yaml"):
            if path.name not in texts:
                path.unlink()

    def change(self, number: int) -> None:
        """Make the change of a number: every second one is sound."""
        kinds = list(BAD)
        if number % 2 == 0:
            self.sound()
        elif number % HUGE == HUGE // 2 - 1:
            self.huge()
        else:
            self.bad(kinds[number // 2 % len(kinds)])

    def weigh(self) -> None:
        """Note what the service holds in memory."""
        self.memory = max(self.memory, self.serving.memory())

    def sound(self) -> None:
        """Change to the next sound set and wait until it is active; sometimes with a new indicator, sometimes through a kill."""
        self.turn += 1
        fresh = self.turn % self.every == 0
        self.indicators += fresh
        texts = packs(self.turn, self.indicators)
        version = version_of(texts)
        self.turns[version] = self.turn
        began, mark = time.monotonic(), self._log.stat().st_size
        self.write(texts)
        if fresh and self.indicators % self.kill == 0:
            time.sleep(self.rng.uniform(0.2, 1.2))
            self.serving.kill()
            self.start()
            self.kills += 1
        if self._until(lambda: self._logged(mark, '"rules.activated"', version)):
            self.last = max(self.last, time.monotonic() - began)
            self.outcomes["activated" if not fresh else "activated with a new indicator"] += 1
        else:
            self.wrong.append(f"turn {self.turn} is not active after {PATIENCE:.0f} s")

    def huge(self) -> None:
        """Add ten thousand drafts: a sound set, which has to come into effect without holding anything up."""
        texts = packs(self.turn, self.indicators)
        many(texts)
        version = version_of(texts)
        self.turns[version] = self.turn
        mark = self._log.stat().st_size
        self.write(texts)
        if not self._until(lambda: self._logged(mark, '"rules.activated"', version)):
            self.wrong.append(f"ten thousand rules are not active after {PATIENCE:.0f} s")
        self.outcomes["of ten thousand rules"] += 1

    def bad(self, kind: str) -> None:
        """Spoil the set and wait until it is refused; the next sound one mends it."""
        before = self.status()["ruleset"]
        texts = packs(self.turn, self.indicators)
        BAD[kind](texts)
        mark = self._log.stat().st_size
        self.write(texts)
        if not self._until(lambda: self._logged(mark, '"rules.refused"')):
            self.wrong.append(f"{kind}: not refused after {PATIENCE:.0f} s")
        if self.status()["ruleset"] != before:
            self.wrong.append(f"{kind}: another set runs")
        self.outcomes[f"refused ({kind})"] += 1

    def start(self) -> None:
        """Start a life of the service."""
        self.serving.start(**({PLANT_VARIABLE: self.plant} if self.plant else {}))
        assert self.serving.wait_ready()

    def status(self) -> Any:
        """Return what the service says of itself."""
        return self.serving.call("GET", "/v1/status")

    @property
    def _log(self) -> Path:
        return self.serving.data.with_name(f"{self.serving.data.name}.log")

    def _logged(self, mark: int, *words: str) -> bool:
        """Tell whether a line with these words was logged since `mark`: asking the service itself would be load that only reloads have."""
        with self._log.open(encoding="utf-8") as log:
            log.seek(mark)
            return any(all(word in line for word in words) for line in log)

    def _until(self, reached: Callable[[], bool]) -> bool:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if reached():
                return True
            time.sleep(POLL)
        return False


def p99(answered: list[tuple[float, float]], spans: list[tuple[float, float]]) -> float:
    """Return the 99th percentile, in seconds, of the answers that began within `spans`."""
    took = [seconds for at, seconds in answered if any(begin <= at < end for begin, end in spans)]
    return statistics.quantiles(took, n=100)[98] if len(took) > 1 else 0.0


def prepare(serving: Serving) -> str:
    """Import the registers and return the token of the feed."""
    for name, content in (("objects.csv", REGISTER), ("catalogue.csv", CATALOGUE), ("departments.yaml", DEPARTMENTS)):
        path = f"/v1/import/{name.partition('.')[0]}?name={name}"
        serving.call("POST", path, content.encode(), content_type="application/octet-stream")
    token: str = serving.call("POST", "/v1/access", json.dumps({"name": "reloads", "role": "feed", "feed": "signals"}).encode())["token"]
    return token


def hits_of(pipeline: Pipeline, records: Iterator[Record]) -> dict[tuple[int, str, str], str]:
    """Return the hits of a replay: record, rule and subject → message."""
    return {
        (out.seq, out.rule, out.subject): out.message for record in records for out in pipeline.step((record,)) if isinstance(out, RuleHit)
    }


def check(run: Reloads, acknowledged: int, scratch: Path) -> tuple[list[str], str]:
    """Return everything that is wrong in the data folder after the run, and what was compared."""
    folder = Folder(Settings(data=run.serving.data, rules=run.serving.rules))
    with folder.look() as connection:
        rows = connection.exec_driver_sql("SELECT seq, rule, subject, message FROM hits").all()
    lived = {(row.seq, row.rule, row.subject): row.message for row in rows}
    records = list(folder.journal.read(0))
    wrong = list(run.wrong)
    kept = sum(isinstance(record.entry, SignalEntry) for record in records)
    if kept < acknowledged:
        wrong.append(f"{acknowledged} signals were acknowledged, {kept} are in the journal")
    mixed = _mixed(run, lived, records)
    if mixed:
        wrong.append(f"{len(mixed)} hits of a set that was not active, e.g. {mixed[:3]}")

    def replayed(what: list[Record], load: Callable[[str], RuleSet]) -> tuple[Pipeline, dict[tuple[int, str, str], str]]:
        """Replay with every back-fill worked out anew."""
        past = JournalHistory(folder.journal, ArtifactStore(scratch / "none"), tuple)
        pipeline = make_pipeline(folder.settings, load, past)
        return pipeline, hits_of(pipeline, iter(what))

    again, expected = replayed(records, folder.ruleset)
    if expected != lived:
        differ = sorted(key for key in expected.keys() | lived.keys() if expected.get(key) != lived.get(key))
        wrong.append(f"{len(differ)} hits differ from a replay of the journal, e.g. {differ[:3]}")
    last = folder.ruleset([record.entry for record in records if isinstance(record.entry, RulesetEntry)][-1].version)
    always, steady = replayed(records, lambda _: last)
    lost = _lost(again, always)
    if lost:
        wrong.append(f"{len(lost)} values differ from those of the last set alone, e.g. {lost[:3]}")
    both = [{key: told for key, told in found.items() if key[1].startswith("steady")} for found in (lived, steady)]
    if both[0] != both[1]:
        wrong.append(f"rules that never changed hit {len(both[0])} times, without reloads {len(both[1])} times")
    if not lived:
        wrong.append("no rule hit: nothing was compared")
    return wrong, f"{len(lived)} hits and {sum(len(values_of(again, key)) for key in _keys(again))} values compared"


def _mixed(run: Reloads, lived: dict[tuple[int, str, str], str], records: list[Record]) -> list[str]:
    """Return the hits that bear another turn's mark than the set that was active at their record."""
    active = {}
    turn = ""
    for record in records:
        if isinstance(record.entry, RulesetEntry):
            turn = str(run.turns[record.entry.version])
        active[record.seq] = turn
    return [
        f"{rule} at {seq} by {told}" for (seq, rule, _), told in sorted(lived.items()) if rule[:2] in {"a-", "b-"} and told != active[seq]
    ]


def _keys(pipeline: Pipeline) -> list[str]:
    return [f"h-{n}" for n in range(OBJECTS) if values_of(pipeline, f"h-{n}")]


def _lost(pipeline: Pipeline, always: Pipeline) -> list[str]:
    keys = sorted({*_keys(pipeline), *_keys(always)})
    return [key for key in keys if values_of(pipeline, key) != values_of(always, key)]


def run_campaign(serving: Serving, *, reloads: int, seed: int, plant: str, small: bool) -> tuple[list[str], str]:
    """Make the run and return what is wrong and the line of figures."""
    rng = random.Random(seed)
    run = Reloads(serving, rng, plant, every=2, kill=2) if small else Reloads(serving, rng, plant)
    calm = 1.0 if small else CALM
    run.write(packs(0, 0))
    run.turns[version_of(packs(0, 0))] = 0
    run.start()
    token = prepare(serving)
    end = threading.Event()
    senders = [Sender(serving, token, seed, number, end) for number in range(SENDERS)]
    threads = [threading.Thread(target=sender.run, daemon=True) for sender in senders]
    for thread in threads:
        thread.start()
    time.sleep(calm)  # what is slow only once
    quiet: list[tuple[float, float]] = []
    busy: list[tuple[float, float]] = []

    def rest() -> None:
        began = time.monotonic()
        time.sleep(calm)
        quiet.append((began, time.monotonic()))

    rest()
    started = time.monotonic()
    for number in range(reloads):
        began, kills = time.monotonic(), run.kills
        run.change(number)
        if run.kills == kills:
            busy.append((began, time.monotonic()))
        if number % TURNS == TURNS - 1:
            rest()
            run.weigh()
            sys.stderr.write(f"[{number + 1}/{reloads} reloads] {time.monotonic() - started:.0f} s, {run.kills} kills, {run.memory} MB\n")
    rest()
    end.set()
    for thread in threads:
        thread.join(30)
    run._until(lambda: (told := run.status())["applied"] == told["head"])  # its own module
    run.weigh()
    sys.stderr.write("comparing with replays of the journal\n")
    serving.stop()
    wrong, compared = check(run, sum(sender.acknowledged for sender in senders), serving.data.parent)
    answered = [one for sender in senders for one in sender.answered]
    calm_p99, busy_p99 = p99(answered, quiet), p99(answered, busy)
    if not small and busy_p99 > 2 * calm_p99:
        wrong.append(f"p99 of intake is {busy_p99 * 1000:.0f} ms during reloads, {calm_p99 * 1000:.0f} ms without")
    refused = sum(count for name, count in run.outcomes.items() if name.startswith("refused"))
    fresh = run.outcomes["activated with a new indicator"]
    huge = run.outcomes["of ten thousand rules"]
    line = (
        f"reloads: {reloads} ({run.outcomes['activated']} activated, {fresh} with a new indicator, {huge} of ten thousand rules, "
        f"{refused} refused, {run.kills} kills of the service meanwhile), {len(answered) * BATCH} signals, {compared}, "
        f"p99 of intake {calm_p99 * 1000:.0f} ms calm and {busy_p99 * 1000:.0f} ms reloading, "
        f"longest way into effect {run.last:.1f} s, at most {run.memory} MB of memory, seed {seed}"
    )
    return wrong, line


def body(run: Run) -> tuple[list[str], str]:
    """Reload a server of its own under load; in small the time of answers is told, not judged."""
    serving = Serving(run.folder / "data", run.folder / "rules", settings=SETTINGS)
    try:
        return run_campaign(serving, reloads=run.count, seed=run.seed, plant=run.plant, small=run.small)
    finally:
        serving.kill()


CAMPAIGN = Campaign(module="tests.campaigns.reloads", about=__doc__, plants=("mixed_set",), counts="reloads", full=2000, small=10)


if __name__ == "__main__":
    sys.exit(play(CAMPAIGN, body))
