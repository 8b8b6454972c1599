"""What `fengsui replay` gives for the log that workers consumed, exported as `fengsui journal export` does: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from app.engine import VARIABLE
from app.exporting import export_log, whole_file
from app.folder import Part
from domain.records import SignalEntry
from tests.campaigns.serving import ROOT
from tests.cluster.world import Cluster

Answer = tuple[str, str, str]  # a warning's id, level and rules


def export(cluster: Cluster, file: Path) -> int:
    """Write the consumed log as `fengsui journal export` does; return how many signals have a name in it, as the brokers have it."""
    with whole_file(file) as out:
        done = export_log(cluster.settings, out.write, Part())
    assert (done.begins, done.unjudged) == (None, 0), "all of the log is judged, and nothing of it is deleted"
    frames = (frame for number in range(cluster.settings.kafka.partitions) for *_, frame in cluster.log_of(number))
    offered = (offer.entry for frame in frames for offer in frame.offers)
    return len({(entry.feed, entry.signal.id) for entry in offered if isinstance(entry, SignalEntry)})


def replayed(rules: Path, signals: Path, folder: Path, *more: str) -> list[Answer]:
    """Run `fengsui replay` on the sources of the engine, whatever is tried, and return its warnings, sorted."""
    out = folder / f"{signals.stem}-replayed.ndjson"
    command = [sys.executable, "-m", "app.cli", "replay", "--rules", str(rules), "--signals", str(signals), "--out", str(out), *more]
    sources = os.environ | {VARIABLE: "no"}
    done = subprocess.run(command, cwd=ROOT, env=sources, capture_output=True, text=True, check=False)
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
