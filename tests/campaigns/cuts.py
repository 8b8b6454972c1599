"""The kernel against the Python engine (切分演练): random rule sets and signals, cut anywhere, must give the same hits and warnings.

    python -m tests.campaigns.cuts [--runs 2000] [--seed 1] [--small] [--plant short_window|late_since]

Every run draws a rule set that the kernel can run wholly (all its aggregates and windows, conditions with and, or, not, has) and lines of
signals: late, repeated under the same id, corrected, withdrawn, without an object, with numbers that sums cannot hold, in unusual JSON.
They go through the pipeline, and through the columnar replay in blocks and batches of random size from memory that begins tiny. In half of
the runs rules have points, half-lives, families, floors and cooldowns, some on trial, and signals spread over weeks, so that levels fall
and warnings end: there every outcome must be the same bytes, in the same order. In the others, whose rules only hit, plain signals go
through the kernel alone too, which is saved and restored at random places. Hits must agree one by one, the values of all indicators too,
and a snapshot must be the same bytes wherever the batches were cut. A fifth of the runs is then done again with every access to an array
checked.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from app.lines import read_line, signal_of_line
from domain.catalogue import Catalogue
from domain.findings import Outcome, RuleHit
from domain.levels import DEFAULT_LEVELS
from domain.records import Record, RulesetEntry, SignalEntry
from rules.load import load_rules
from rules.ruleset import RuleSet
from streams.kernel.columns import Columns
from streams.kernel.engine import Kernel
from streams.kernel.layout import SWEEP_AT, Batch
from streams.kernel.placement import Placement, place
from streams.kernel.signals import columns_of
from streams.kernel.watches import Standing, Watches
from streams.pipeline import Pipeline, PipelineSettings
from streams.runtimes.columnar import ColumnarReplay, hit_line, leaves_of
from streams.runtimes.findings import Findings
from streams.runtimes.replay import KnownObjects, replay
from streams.stages.windows import NEVER
from tests.campaigns.entry import Campaign, Run, play
from tests.streams.kit import values_of

PLANTS: Final = ("short_window", "late_since")
SOURCES: Final = ("hotline", "complaint", "iot", "penalty")
KINDS: Final = ("a.x", "a.y", "b.x")
AGGREGATES: Final = (
    "count: signals", "count: signals", "sum: value", "mean: value", "min: value", "max: value", "distinct: source", "distinct: kind",
    "last: value", "distinct: value", "max: severity", "sum: severity", "last: severity", "distinct: matter",
)  # fmt: skip
WHERE: Final = (
    "", "", "source == hotline", "kind in a.*", "source == iot and value > 3", "not has(value) or value <= 2.5",
    "severity >= 2 or kind == b.x",
    "matter == gas or region in ['61', '62']",
)  # fmt: skip
TESTS: Final = (
    "source == iot",
    "kind == a.x",
    "severity >= 2",
    "value > 1",
    "not (kind in a.*)",
    "value == 2",
    "has(value)",
    "matter != gas",
)
NUMBERS: Final = (0, 1, 2, 3, 5, -1, 2.5, 0.3, 0.6)


def rule_set(draw: random.Random, *, pointed: bool) -> str:
    """Return the text of a pack; rules only hit where it is not `pointed`."""
    count = draw.randint(1, 8)
    lines = ["pack: p", "title: t", "sector: s", "owner: o", "plan: q", "effective: {from: 2000-01-01}", "indicators:"]
    for number in range(count):
        window = draw.choice(["10m", "1h", "3h", "24h", "2d", "7d", "day", "week", "month"])
        exact = ", exact: true" if window[-1] in "mhd" and window[0].isdigit() and draw.random() < 0.4 else ""
        where = draw.choice(WHERE)
        where = f'where: "{where}", ' if where else ""
        as_of = draw.choice(["own", "object"])
        lines.append(f"  i{number}: {{title: i{number}, {draw.choice(AGGREGATES)}, {where}window: {window}{exact}, as_of: {as_of}}}")
    lines.append("rules:")
    for number in range(draw.randint(1, 12)):
        cooldown = f", cooldown: {draw.choice(['1h', '2d'])}" if draw.random() < 0.2 else ""
        when = _condition(draw, count, 0)
        head = f'id: r{number}, title: r{number}, when: "{when}", basis: [b]{cooldown}'
        lines.append(f"  - {{{head}, {_weight(draw, count) if pointed else 'status: active, points: 0, say: x'}}}")
    return "\n".join(lines) + "\n"


def _weight(draw: random.Random, indicators: int) -> str:
    """Return what a rule counts, for how long, and whether it is on trial; some still only hit."""
    if draw.random() < 0.2:
        return "status: active, points: 0, say: x"
    said = draw.choice(["x", f"{{i{draw.randrange(indicators)}}}"]) if draw.random() < 0.5 else "x"
    parts = [f"points: {draw.choice([5, 10, 20, 35, 60])}", f"half_life: {draw.choice(['1h', '12h', '1d', '7d', '14d', '30d'])}"]
    parts.append(f'say: "{said}", status: {draw.choice(["active"] * 5 + ["shadow"])}')
    if draw.random() < 0.3:
        parts.append(draw.choice(["family: f, cap: 25", "family: g, cap: 45"]))
    if draw.random() < 0.2:
        parts.append(f"at_least: {draw.choice(['blue', 'yellow', 'orange', 'red'])}")
    return ", ".join(parts)


def _condition(draw: random.Random, indicators: int, depth: int) -> str:
    chance = draw.random()
    if depth > 1 or chance < 0.5:
        which = f"i{draw.randrange(indicators)}"
        if draw.random() < 0.75:
            return f"{which} {draw.choice(['>=', '>', '<', '<=', '==', '!='])} {draw.choice(NUMBERS)}"
        return draw.choice([f"has({which})", f"not has({which})", draw.choice(TESTS), draw.choice(TESTS)])
    if chance < 0.9:
        joined = f" {'and' if chance < 0.7 else 'or'} ".join(_condition(draw, indicators, depth + 1) for _ in range(draw.choice([2, 2, 3])))
        return f"({joined})"
    return f"not ({_condition(draw, indicators, depth + 1)})"


def signals(draw: random.Random, *, plain: bool, weeks: bool = False) -> list[dict[str, Any]]:
    """Return signals in order of arrival; `plain` ones are new, of a known object, and easy to add up. Now and then `weeks` pass."""
    objects, at = draw.randint(1, 6), datetime(2026, 2, 26, tzinfo=UTC)
    step = draw.choice([5, 60, 600, 7200])
    numbers: list[Any] = [None, 0.1, 0.2, 0.3, -0.0, 1, 2]
    if not plain:
        numbers += [1e300, 1e-30, 1e15]
    made: list[dict[str, Any]] = []
    for number in range(draw.randint(20, 250)):
        if weeks and draw.random() < 0.05:
            at += timedelta(hours=draw.choice([6, 24, 24, 100, 240, 800]))
        at += timedelta(seconds=draw.choice([0, 1, step, step, step * 10]), microseconds=draw.choice([0, 0, 1, 999_999]))
        late = timedelta(seconds=draw.choice([0, 0, 0, 0, 300, 3600, 90_000, 3_000_000]))
        value = draw.choice([draw.choice(numbers), draw.randint(-4, 7), round(draw.uniform(-5, 9), 2)])
        signal: dict[str, Any] = {
            "id": f"s{number}",
            "source": draw.choice(SOURCES),
            "kind": draw.choice(KINDS),
            "object_id": f"o{draw.randrange(objects)}",
            "occurred_at": (at - late).isoformat(),
            "severity": draw.randint(0, 3),
            "matter": draw.choice(["", "gas", "food"]),
        }
        if value is not None:
            signal["value"] = value
        if not plain and made:
            _bend(draw, signal, made)
        made.append(signal)
    return made


def _bend(draw: random.Random, signal: dict[str, Any], before: Sequence[dict[str, Any]]) -> None:
    """Make a signal unusual now and then."""
    earlier = draw.choice(before[-30:])["id"]
    match draw.randrange(60):
        case 0:
            signal["id"] = earlier
        case 1:
            signal["corrects"] = earlier
        case 2:
            signal["withdraws"] = earlier
        case 3:
            del signal["object_id"]
        case 4:
            signal["object"] = {"code": signal.pop("object_id"), "name": '燃气 \u2028 \\ "'}
        case 5:
            signal["id"] = draw.choice(['a"b', "a\\b", "é", "燃气"]) + signal["id"]
        case 6:
            signal |= {"text": 'tab\tquote" é 燃气', "attrs": {"a": [1]}, "region": "61"}
        case 7:
            signal["feed"] = "other"
        case 8:
            received = datetime.fromisoformat(signal["occurred_at"]) + timedelta(days=draw.choice([0, 0, 1, 400]))
            signal["received_at"] = received.isoformat()


def line_of(draw: random.Random, signal: dict[str, Any]) -> str:
    """Write a signal as one of the lines that senders write."""
    if draw.random() < 0.2:
        items = list(signal.items())
        draw.shuffle(items)
        signal = dict(items)
    spread = draw.random() < 0.2
    text = json.dumps(signal, ensure_ascii=draw.random() < 0.3, separators=(", ", ": ") if spread else (",", ":"))
    return text + draw.choice(["", "", "", " ", "\r"]) + draw.choice(["\n"] * 9 + ["\n\n"])


class Counts(NamedTuple):
    """How much was compared."""

    hits: int
    others: int


class Came(NamedTuple):
    """What came of signals: the hits as lines, all other outcomes as JSON, each in order, and the last state of every warning."""

    hits: list[bytes]
    others: list[bytes]
    states: list[bytes]


def by_pipeline(ruleset: RuleSet, path: Path) -> Came:
    """Return what the Python engine finds, with rules and fusion alone."""
    hits: list[bytes] = []
    others: list[bytes] = []
    last = Findings()

    def commit(_records: Sequence[Record], outcomes: Sequence[Outcome]) -> None:
        hits.extend(hit_line(each) for each in outcomes if isinstance(each, RuleHit))
        others.extend(msgspec.json.encode(each) for each in outcomes if not isinstance(each, RuleHit))
        last.take(outcomes)

    lines = [line for line in path.read_bytes().split(b"\n") if line.strip()]
    settings = PipelineSettings(model_points=0.0)
    replay((read_line(line, path, 0) for line in lines), commit=commit, ruleset=ruleset, settings=settings)
    return Came(hits, others, list(last.lines()))


class _Interrupted(Kernel):
    """A kernel that is saved and restored now and then between two batches."""

    breaks: random.Random

    def prepare(self, columns: Columns, feed: str, now: NDArray[np.int64]) -> Batch:
        if self.breaks.random() < 0.1:
            data = self.snapshot()
            self.restore(data)
            assert self.snapshot() == data, "a snapshot that was restored is not the same bytes"
        return super().prepare(columns, feed, now)


def by_columns(draw: random.Random, ruleset: RuleSet, placement: Placement, path: Path, plant: str) -> Came:
    """Return what the columnar replay finds, the last states by a replay that looks up nothing else."""
    hits: list[bytes] = []
    others: list[bytes] = []
    last = Findings()

    def found(outcomes: Sequence[Outcome]) -> None:
        others.extend(map(msgspec.json.encode, outcomes))

    cuts = {"batch": draw.choice([1, 3, 17, 4096]), "block": draw.choice([64, 999, 1 << 20])}
    run = ColumnarReplay(ruleset, placement, signal_of_line, hits.append, found, kernel=_kernel(draw, placement, plant), **cuts)
    kernel = _kernel(draw, placement, plant)
    states = ColumnarReplay(ruleset, placement, signal_of_line, len, last.take, complete=last.complete, kernel=kernel, **cuts)
    with pytest.MonkeyPatch.context() as patched:
        if plant == "late_since":
            patched.setattr(Watches, "parts", _one_signal_late)
        run.play([path])
        states.play([path])
    return Came(b"".join(hits).splitlines(keepends=True), others, list(last.lines()))


def _one_signal_late(watches: Watches, slot: int, parts: Callable[[Watches, int], list[Standing]] = Watches.parts) -> list[Standing]:
    """Take rules that are true no more for ones that were so until the newest signal: the planted defect."""
    newest = watches.times(slot)[0]
    return [part if part.true else part._replace(since=newest) for part in parts(watches, slot)]


def _kernel(draw: random.Random, placement: Placement, plant: str) -> Kernel:
    """Return a kernel with little memory, that forgets old rows early."""
    rise = draw.choice([0.0, DEFAULT_LEVELS.levels[0].at])  # with 0 fusion looks at every contribution that begins
    kernel = _Interrupted(placement, leaves_of(placement), first_rise=rise, room=draw.choice([2, 4, 64]))
    kernel.breaks = random.Random(draw.random())
    kernel.state.counters[SWEEP_AT] = draw.choice([4, 30, 1 << 20])
    if plant == "short_window":
        kernel.tables = kernel.tables._replace(span=kernel.tables.span - (kernel.tables.span > 1))
    return kernel


def _entry(given: dict[str, Any]) -> SignalEntry:
    feed, signal, _ = signal_of_line(json.dumps(given).encode(), Path("plain.ndjson"), 0)
    return SignalEntry(feed=feed, signal=signal, resolution=KnownObjects()(signal), digest="")


def readable(ruleset: RuleSet, entries: Sequence[SignalEntry]) -> tuple[list[bytes], Pipeline]:
    """Return the hits of the pipeline, as lines, and the pipeline as it stands behind the last signal."""
    pipeline = Pipeline(DEFAULT_LEVELS, Catalogue(), lambda _version: ruleset, {}, PipelineSettings())
    now = entries[0].signal.occurred_at
    pipeline.step([Record(seq=1, received_at=now, entry=RulesetEntry(version=ruleset.version))])
    found = []
    for number, entry in enumerate(entries, start=2):
        now = max(now, entry.signal.occurred_at)
        outcomes = pipeline.step([Record(seq=number, received_at=now, entry=entry)])
        found += [hit_line(each) for each in outcomes if isinstance(each, RuleHit)]
    return found, pipeline


def alone(draw: random.Random, placement: Placement, entries: Sequence[SignalEntry], plant: str) -> tuple[list[bytes], Kernel]:
    """Return the hits of plain signals and the kernel that found them, saved and restored on its way."""
    kernel = _kernel(draw, placement, plant)
    kernel.state.counters[SWEEP_AT] = 40  # when rows are forgotten is part of what a snapshot holds
    found, done, now = [], 0, np.int64(-NEVER)
    while done < len(entries):
        some = entries[done : done + draw.choice([1, 2, 7, 50, 400])]
        columns = columns_of(some, kernel.texts, range(done, done + len(some)))
        times = np.maximum.accumulate(np.maximum(columns.at, now))
        batch, now = kernel.prepare(columns, "plain", times), times[-1]
        step = kernel.feed(batch, 0, len(some))
        assert step.end == len(some), "a plain signal was taken for one seen before"
        assert not len(step.reached), "a plain signal was left to the pipeline"
        for signal, rule in zip(step.hit_signal.tolist(), step.hit_rule.tolist(), strict=True):
            entry = some[signal]
            hit = {"signal": entry.signal.id, "object_id": entry.resolution.object_id, "rule": placement.rules[rule].id}
            found.append(json.dumps(hit, ensure_ascii=False).encode() + b"\n")
        done += len(some)
        if draw.random() < 0.2:
            data, kernel = kernel.snapshot(), _kernel(draw, placement, plant)
            kernel.restore(data)
            assert kernel.snapshot() == data, "a snapshot that was restored is not the same bytes"
    return found, kernel


def one(seed: int, folder: Path, plant: str = "") -> tuple[list[str], Counts]:
    """Run one seed; return what was wrong, and how much was compared."""
    draw = random.Random(seed)
    pointed = seed % 2 == 0
    ruleset = load_rules({"p.yaml": rule_set(draw, pointed=pointed)})
    placement = place(ruleset)
    assert placement.whole, placement.reasons
    path = folder / "some.ndjson"
    path.write_text("".join(line_of(draw, each) for each in signals(draw, plain=False, weeks=pointed)), encoding="utf-8")
    wanted = by_pipeline(ruleset, path)
    found = by_columns(draw, ruleset, placement, path, plant)
    wrong = []
    if found.hits != wanted.hits:
        wrong.append(f"seed {seed}: other hits through the columnar replay")
    if found.others != wanted.others:
        wrong.append(f"seed {seed}: {_difference(found.others, wanted.others)}")
    if found.states != wanted.states:
        wrong.append(f"seed {seed}: last states: {_difference(found.states, wanted.states)}")
    counts = Counts(len(wanted.hits), len(wanted.others))
    if pointed:
        return wrong, counts
    given = [_entry(each) for each in signals(draw, plain=True)]
    plain, pipeline = readable(ruleset, given)
    runs = [alone(draw, placement, given, plant) for _ in range(2)]
    cooled = any(rule.cooldown for rule in placement.rules)  # a matter of the replay, not of the kernel
    if not cooled and any(hits != plain for hits, _ in runs):
        wrong.append(f"seed {seed}: other hits through the kernel alone")
    things = {entry.resolution.object_id for entry in given}
    if any(kernel.values(kernel.slot_of(thing)) != values_of(pipeline, thing) for _, kernel in runs for thing in things):
        wrong.append(f"seed {seed}: other values of indicators")
    if runs[0][1].snapshot() != runs[1][1].snapshot():
        wrong.append(f"seed {seed}: another snapshot after other cuts")
    return wrong, counts._replace(hits=counts.hits + (0 if cooled else len(plain)))


def _difference(found: Sequence[bytes], wanted: Sequence[bytes]) -> str:
    """Return the first outcome in which two runs differ."""
    place = next((n for n, (one, other) in enumerate(zip(found, wanted, strict=False)) if one != other), min(len(found), len(wanted)))
    shown = [each[place].decode() if place < len(each) else "nothing" for each in (found, wanted)]
    return f"outcome {place} of {len(wanted)} is not that of the pipeline\n    found  {shown[0]}\n    wanted {shown[1]}"


def body(run: Run) -> tuple[list[str], str]:
    """Compare every run, and a fifth of them again with every access to an array checked."""
    wrong: list[str] = []
    hits = others = 0
    for number in range(run.count):
        if number % 100 == 0 and sys.stderr.isatty():
            sys.stderr.write(f"\r{number}/{run.count}")
        found, count = one(run.seed * 1_000_000 + number, run.folder, run.plant)
        wrong += found
        hits += count.hits
        others += count.others
    if not run.small and not run.plant and "NUMBA_BOUNDSCHECK" not in os.environ:
        again = [sys.executable, "-m", CAMPAIGN.module, "--runs", str(max(1, run.count // 5)), "--seed", str(run.seed)]
        checked = subprocess.run(again, env=os.environ | {"NUMBA_BOUNDSCHECK": "1"}, capture_output=True, text=True, check=False)
        sys.stdout.write(f"with checked access, {checked.stdout}{checked.stderr}")
        if checked.returncode:
            wrong.append("with every access checked it fell short")
    return wrong, f"cuts: seed {run.seed}, {run.count} runs, {hits:,} hits and {others:,} other outcomes compared"


CAMPAIGN: Final = Campaign(module="tests.campaigns.cuts", about=__doc__, plants=PLANTS, counts="runs", full=2000, small=60)


if __name__ == "__main__":
    sys.exit(play(CAMPAIGN, body))
