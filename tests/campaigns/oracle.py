"""What `fengsui replay` gives for the log that workers consumed: a process of its own, which shares nothing with them but the log."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from pathlib import Path

import msgspec

from domain.records import Record, RulesetEntry, SignalEntry
from tests.campaigns.serving import ROOT
from tests.cluster.world import Cluster

Answer = tuple[str, str, str]  # a warning's id, level and rules


def export(cluster: Cluster, file: Path) -> int:
    """Write the consumed log as a journal export, in the order of receipt, each name once; return how many signals it has.

    Time never goes back within a partition, as for the worker; ticks are left out, a replay makes its own.
    """
    merged: list[tuple[datetime, int, SignalEntry | RulesetEntry]] = []
    seen: set[tuple[str, str]] = set()
    for partition in range(cluster.settings.kafka.partitions):
        received: datetime | None = None
        for _, said, frame in cluster.log_of(partition):
            received = said if received is None else max(received, said)
            for offer in frame.offers:
                entry = offer.entry
                if isinstance(entry, SignalEntry):
                    name = (entry.feed, entry.signal.id)
                    if name not in seen:
                        seen.add(name)
                        merged.append((received, partition, entry))
                elif isinstance(entry, RulesetEntry) and partition == 0:
                    merged.append((received, -1, msgspec.structs.replace(entry, prepared=None)))  # it comes first of all
    merged.sort(key=lambda one: (not isinstance(one[2], RulesetEntry), one[0], one[1]))
    with file.open("wb") as out:
        for seq, (received, _, entry) in enumerate(merged, start=1):
            out.write(msgspec.json.encode(Record(seq=seq, received_at=received, entry=entry)) + b"\n")
    return len(seen)


def replayed(rules: Path, signals: Path, folder: Path, *more: str) -> list[Answer]:
    """Run `fengsui replay` and return its warnings, sorted."""
    out = folder / f"{signals.stem}-replayed.ndjson"
    command = [sys.executable, "-m", "app.cli", "replay", "--rules", str(rules), "--signals", str(signals), "--out", str(out), *more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return sorted(answer(line) for line in out.read_bytes().splitlines())


def answer(body: bytes | str) -> Answer:
    """Return what must be equal of a warning in JSON."""
    found = msgspec.json.decode(body)
    return found["id"], found["level"], ",".join(sorted(found["rules"]))


def differences(found: list[Answer], expected: list[Answer], who: str) -> list[str]:
    """Return what differs from the answer that is expected, in one line, none where nothing does."""
    if found == expected:
        return []
    missing, more = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    twice = len(found) - len(set(found))
    return [
        f"{who}: {len(missing)} warnings are missing or other, {len(more)} are not expected, {twice} twice; e.g. {(missing + more)[:2]}"
    ]
