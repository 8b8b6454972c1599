"""What a million objects cost in the kernel: 60 indicators, of which three are active for each object.

    python benchmarks/kernel_memory.py [OBJECTS=1000000]

Every object gets three signals of kinds that feed one indicator each, an hour apart. Prints the bytes of every array, the peak of the
process, the time for a signal when objects are met at random, and what a snapshot weighs and takes.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from domain.objects import Resolution
from domain.records import SignalEntry
from domain.signals import Signal
from rules.load import load_rules
from streams.kernel.columns import Columns, Texts
from streams.kernel.engine import Kernel
from streams.kernel.placement import place
from streams.stages.windows import from_us

INDICATORS = 60
BATCH = 4096
START = 1_772_000_000_000_000
HOUR = 3_600_000_000
WINDOWS = ("24h", "7d", "90d")
AGGREGATES = ("count: signals", "sum: value", "mean: value", "max: value")


def pack() -> str:
    """Return a pack in which kind n feeds indicator n."""
    lines = ["pack: memory", "title: m", "sector: m", "owner: m", "plan: m", "effective: {from: 2000-01-01}", "indicators:"]
    for number in range(INDICATORS):
        aggregate, window = AGGREGATES[number % len(AGGREGATES)], WINDOWS[number % len(WINDOWS)]
        lines.append(f"  i{number}: {{title: m, {aggregate}, where: kind == k{number}, window: {window}, as_of: object}}")
    lines.append("rules:")
    lines += [f'  - {{id: m{n}, title: m, status: active, when: "i{n} >= 1000", points: 0, say: m, basis: [m]}}' for n in range(INDICATORS)]
    return "\n".join(lines) + "\n"


def fixed_width(prefix: str, numbers: np.ndarray, digits: int) -> Texts:
    """Return texts of one width."""
    data = "".join([f"{prefix}{number:0{digits}d}" for number in numbers.tolist()]).encode()
    width = len(prefix) + digits
    starts = np.arange(len(numbers)) * width
    return Texts(np.frombuffer(data + bytes(8), np.uint8), starts, starts + width)


def columns(things: np.ndarray, kinds: np.ndarray, at: np.ndarray, first: int) -> Columns:
    """Return signals of some objects."""
    names = [f"k{number}" for number in kinds.tolist()]
    data = "".join(names).encode()
    ends = np.cumsum([len(name) for name in names])
    kind = Texts(np.frombuffer(data + bytes(8), np.uint8), ends - np.array([len(name) for name in names]), ends)

    def entry(number: int) -> SignalEntry:
        signal = Signal(id="x", source="iot", kind=names[number], occurred_at=from_us(int(at[number])), value=1.0)
        return SignalEntry(feed="m", signal=signal, resolution=Resolution(object_id="x"), digest="")

    count = len(things)
    source = Texts(np.frombuffer(b"iot" + bytes(8), np.uint8), np.zeros(count, np.int64), np.full(count, 3))
    numbers = np.arange(first, first + count)
    return Columns(
        ids=fixed_width("s", numbers, 9),
        objects=fixed_width("91610100MA", things, 8),
        fields={"source": source, "kind": kind},
        at=at,
        severity=np.zeros(count, np.int64),
        value=np.ones(count),
        handle=numbers,
        entry=entry,
    )


def main(objects: int = 1_000_000) -> None:
    """Measure."""
    kernel = Kernel(place(load_rules({"memory.yaml": pack()})))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    done = 0
    draw = np.random.default_rng(1)
    seconds = 0.0
    for turn in range(4):
        turns = np.arange(objects) if turn < 3 else draw.integers(0, objects, objects)
        for first in range(0, objects, BATCH):
            things = turns[first : first + BATCH]
            at = np.full(len(things), START + turn * HOUR)
            given = columns(things, (things * 7 + 20 * (turn % 3)) % INDICATORS, at, done)
            done += len(things)
            batch = kernel.prepare(given, "m", np.maximum.accumulate(given.at))
            began = time.process_time()
            step = kernel.feed(batch, 0, len(things))
            seconds += (time.process_time() - began) * (turn == 3)
            assert step.end == len(things)
    used = {
        name: array.nbytes for name, array in kernel.state._asdict().items() if name != "reals"
    } | {"names": sum(array.nbytes for array in kernel.objects.table)}  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{objects:,} objects, {done:,} signals: arrays {sum(used.values()) >> 20} MiB",
        {name: f"{size >> 20} MiB" for name, size in used.items()},
    )
    print(f"process: {before >> 10} MiB before, {peak >> 10} MiB at most; {1e9 * seconds / objects:.0f} ns a signal at random")
    began = time.perf_counter()
    data = kernel.snapshot()
    print(f"snapshot: {len(data) >> 20} MiB in {time.perf_counter() - began:.2f} s")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
