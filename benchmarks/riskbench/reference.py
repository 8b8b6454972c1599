"""RiskBench's reference: the plain answer that a good Python programmer writes by hand for exactly these indicators and rules.

    python -m benchmarks.riskbench.reference SIGNALS --rules 20 [--hits OUT]

One process, one core: msgspec decodes, dicts and deques hold the windows, the rules of the set are compiled into one function. It knows
nothing of packs, identities, corrections or levels; what it gives is what every engine must give for the same lines. Prints one JSON line
with the number of hits and their digest; `--hits` writes a line `signal object rule-number` for each, in order.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import time
from collections import deque
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import msgspec

from benchmarks.riskbench.semantics import BUCKETS, INDICATORS, Condition, rules

WIDTH = {indicator.name: indicator.length // BUCKETS for indicator in INDICATORS}
NAMES = list(WIDTH)
# What a signal of each source feeds: the indicator, and whether the signal's value is added up or the signal counted.
FEEDS = {
    "hotline": ("tickets_24h", False),
    "complaint": ("complaints_7d", False),
    "penalty": ("penalties_90d", True),
    "ruling": ("rulings_180d", False),
    "video": ("video_24h", False),
}


class Signal(msgspec.Struct, gc=False):
    """A line of the input."""

    id: str
    source: str
    kind: str
    object_id: str
    matter: str
    region: str
    occurred_at: datetime
    severity: int
    value: float
    text: str


class Window:
    """A sliding window of buckets [number, total, count], oldest first, with running sums over them."""

    __slots__ = ("buckets", "count", "total")

    def __init__(self) -> None:
        self.buckets: deque[list[Any]] = deque()
        self.total: float = 0
        self.count = 0

    def add(self, bucket: int, oldest: int, amount: float) -> None:
        """Add to a bucket, unless it is `oldest` or older: that is outside."""
        if bucket <= oldest:
            return
        self.total += amount
        self.count += 1
        buckets = self.buckets
        place = len(buckets)
        while place and buckets[place - 1][0] > bucket:
            place -= 1
        if place and buckets[place - 1][0] == bucket:
            found = buckets[place - 1]
            found[1] += amount
            found[2] += 1
        else:
            buckets.insert(place, [bucket, amount, 1])

    def expire(self, oldest: int) -> None:
        """Drop what is outside."""
        buckets = self.buckets
        while buckets and buckets[0][0] <= oldest:
            _, total, count = buckets.popleft()
            self.total -= total
            self.count -= count
        if not buckets:
            self.total = self.count = 0


class Tracked:
    """An object: its clock, its windows, the newest bucket of each source, and a bit for every rule that is true."""

    __slots__ = ("clock", "newest", "true", "windows")

    def __init__(self) -> None:
        self.clock = 0
        self.true = 0
        self.windows: dict[str, Window] = {}
        self.newest: dict[str, int] = {}

    def add(self, name: str, at: int, amount: float) -> None:
        """Let a signal at `at` count in a window."""
        window = self.windows.get(name)
        if window is None:
            window = self.windows[name] = Window()
        width = WIDTH[name]
        window.add(at // width, self.clock // width - BUCKETS, amount)

    def take(self, signal: Signal, at: int) -> None:
        """Let a signal count wherever it does."""
        self.clock = max(self.clock, at)
        source = signal.source
        if source == "iot":
            self.add("iot_mean_10m", at, signal.value)
            if signal.value > 80:
                self.add("iot_exceed_1h", at, 1)
        else:
            name, adds_up = FEEDS[source]
            self.add(name, at, signal.value if adds_up else 1)
        bucket = at // WIDTH["sources_7d"]
        if self.newest.get(source, -1) < bucket:
            self.newest[source] = bucket

    def values(self) -> list[float]:
        """Read all indicators at the clock."""
        found: list[float] = []
        for name in NAMES:
            oldest = self.clock // WIDTH[name] - BUCKETS
            if name == "sources_7d":
                found.append(sum(bucket > oldest for bucket in self.newest.values()))
                continue
            window = self.windows.get(name)
            if window is None:
                found.append(0)
                continue
            window.expire(oldest)
            found.append((window.total / window.count if window.count else 0.0) if name == "iot_mean_10m" else window.total)
        return found


def compiled(chosen: list[list[Condition]]) -> Any:
    """Return one function of all values that gives a bit for every rule that is true."""
    lines = [f"def evaluate({', '.join(NAMES)}, severity, matter):", "    true = 0"]
    for number, rule in enumerate(chosen):
        test = " and ".join(f"{field} {operator} {value!r}" for field, operator, value in rule)
        lines.append(f"    if {test}: true |= {1 << number}")
    namespace: dict[str, Any] = {}
    exec("\n".join([*lines, "    return true"]), namespace)  # our own rules: what makes this the fastest plain answer
    return namespace["evaluate"]


def run(path: Path, count: int, sink: IO[str] | None) -> dict[str, Any]:
    """Read all signals; return the figures."""
    evaluate, decode = compiled(rules(count)), msgspec.json.Decoder(Signal).decode
    objects: dict[str, Tracked] = {}
    hits, signals, digest = 0, 0, hashlib.sha256()
    began = time.process_time()
    with path.open("rb") as lines:
        for line in lines:
            signal = decode(line)
            thing = objects.get(signal.object_id)
            if thing is None:
                thing = objects[signal.object_id] = Tracked()
            thing.take(signal, round(signal.occurred_at.timestamp() * 1000))
            true = evaluate(*thing.values(), signal.severity, signal.matter)
            fresh = true & ~thing.true
            thing.true = true
            signals += 1
            while fresh:
                lowest = fresh & -fresh
                fresh ^= lowest
                hits += 1
                row = f"{signal.id} {signal.object_id} {lowest.bit_length() - 1}\n"
                digest.update(row.encode())
                if sink is not None:
                    sink.write(row)
    seconds = time.process_time() - began
    return {
        "signals": signals,
        "objects": len(objects),
        "hits": hits,
        "digest": digest.hexdigest()[:16],
        "seconds": round(seconds, 3),
        "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(prog="reference", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("signals", type=Path)
    parser.add_argument("--rules", type=int, default=20)
    parser.add_argument("--hits", type=Path)
    given = parser.parse_args()
    if given.hits is None:
        told = run(given.signals, given.rules, None)
    else:
        with given.hits.open("w", encoding="utf-8") as sink:
            told = run(given.signals, given.rules, sink)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
