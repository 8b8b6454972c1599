"""How many signals a second the exact engine takes on one core: 60 indicators, 50 rules, small windows, few indicators per signal.

    python benchmarks/pipeline_speed.py [SIGNALS=200000] [OBJECTS=20000]

Prints the rate with rules that rarely hit, and with rules that hit often. Entries are made beforehand: decoding and the journal are not
in the figure. The seed is fixed, so two runs do the same work.
"""

from __future__ import annotations

import random
import resource
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from domain.catalogue import Catalogue
from domain.levels import DEFAULT_LEVELS
from domain.objects import Resolution
from domain.records import Record, RulesetEntry, SignalEntry
from domain.signals import ObjectRef, Signal
from rules.load import load_rules
from streams.pipeline import Pipeline, PipelineSettings
from streams.runtimes.collector import settle_collector

KINDS = [
    f"{sector}.{what}" for sector in ("gas", "food", "lift", "fire", "chem", "site") for what in ("leak", "odour", "noise", "stop", "other")
]
SOURCES = ["hotline", "complaint", "penalty", "inspection", "iot", "video"]
WINDOWS = ["1h", "6h", "24h", "3d"]
AGGREGATES = ["count: signals", "count: signals", "sum: value", "mean: value", "max: value", "distinct: source", "last: value"]
BATCH = 512


def pack(indicators: int, rules: int, *, often: bool) -> str:
    """Write a pack: each indicator selects one source and one kind, or one sector's kinds."""
    r = random.Random(11)
    lines = ["pack: bench", "title: 基准", "sector: gas", "owner: 市住建局", "effective: {from: 2024-01-01}", "plan: bench", "indicators:"]
    aggregates = []
    for n in range(indicators):
        kind = r.choice(KINDS)
        where = f"source == {r.choice(SOURCES)} and kind == {kind}" if n % 3 else f"kind in {kind.split('.')[0]}.*"
        if n % 10 == 9:
            where += " and value > 50"
        aggregates.append(r.choice(AGGREGATES))
        lines.append(f"  i{n}: {{title: 指标{n}, {aggregates[-1]}, where: {where}, window: {r.choice(WINDOWS)}}}")
    lines.append("rules:")
    for n in range(rules):
        first, second = r.sample(range(indicators), 2)
        limits = [3 if often else 40, 2 if often else 30]
        limits = [limit if "value" not in aggregates[which] else 30 * limit for limit, which in zip(limits, (first, second), strict=True)]
        when = (
            f"i{first} >= {limits[0]}" + (f" and i{second} >= {limits[1]}" if n % 2 else "") + (" and severity >= 2" if n % 10 == 3 else "")
        )
        said = f"basis: [城镇燃气管理条例 第四十一条], say: 第{n}条"
        lines.append(f"  - {{id: r{n}, title: 规则{n}, status: active, when: '{when}', points: 20, {said}}}")
    return "\n".join(lines)


def records(count: int, objects: int) -> list[Record]:
    """Make signals of objects of very different popularity, 5 % of them late."""
    r = random.Random(7)
    start = datetime(2026, 3, 1, tzinfo=UTC)
    names = [f"o-{n}" for n in range(objects)]
    about = r.choices(names, cum_weights=list(accumulate((n + 1) ** -0.8 for n in range(objects))), k=count)
    made = [Record(seq=1, received_at=start, entry=RulesetEntry(version="bench"))]
    for n in range(count):
        received = start + timedelta(seconds=n * 2)
        signal = Signal(
            id=f"s{n}",
            source=r.choice(SOURCES),  # type: ignore[arg-type]  # one of the literal's values
            kind=r.choice(KINDS),
            occurred_at=received - timedelta(minutes=r.randrange(600) if r.random() < 0.05 else 0),
            object=ObjectRef(id=about[n]),
            region="610113001",
            severity=r.choice([0, 0, 0, 1, 1, 2, 3]),
            value=round(r.uniform(0, 100), 2),
        )
        resolution = Resolution(object_id=about[n], method="id", confidence=1.0)
        made.append(
            Record(seq=n + 2, received_at=received, entry=SignalEntry(feed="bench", signal=signal, resolution=resolution, digest=""))
        )
    return made


def measure(name: str, made: list[Record], text: str) -> None:
    """Run the records and print the rate of CPU time."""
    ruleset = load_rules({"bench.yaml": text})
    pipeline = Pipeline(DEFAULT_LEVELS, Catalogue(), lambda _version: ruleset, {}, PipelineSettings())
    settle_collector()
    outcomes = 0
    start = time.process_time()
    for first in range(0, len(made), BATCH):
        outcomes += len(pipeline.step(made[first : first + BATCH]))
        pipeline.next_wake()
    seconds = time.process_time() - start
    began = time.process_time()
    size = len(pipeline.snapshot())
    snapshot = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{name}: {len(made) / seconds:,.0f} signals/s, {outcomes:,} outcomes, snapshot {size / 1e6:.1f} MB in {snapshot:.2f} s, "
        f"peak {peak:.0f} MiB (with the input), {pipeline.counters()}"
    )


def main(count: int = 200_000, objects: int = 20_000) -> None:
    """Measure both packs."""
    made = records(count, objects)
    measure("rare hits", made, pack(60, 50, often=False))
    measure("many hits", made, pack(60, 50, often=True))


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
