"""SIGKILL of a process that acknowledges records: whatever it acknowledged is there, once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from domain.records import SignalEntry
from storage.crashpoints import CRASH_VARIABLE, PLANT_VARIABLE, POINTS
from storage.identity import Identity
from storage.journal import Journal
from storage.journal_folder import JournalFolder

CHILD = Path(__file__).with_name("acking.py")


def run(folder: Path, prefix: str, count: int, *, kill_after: int | None = None, **environment: str) -> tuple[list[str], int]:
    """Run the sender, kill it after `kill_after` lines, and return the ids it printed and its exit status."""
    child = subprocess.Popen(
        [sys.executable, str(CHILD), str(folder), prefix, str(count)], stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )
    assert child.stdout is not None
    acked: list[str] = []
    for n, line in enumerate(child.stdout, start=1):
        acked += line.split()
        if n == kill_after:
            child.send_signal(signal.SIGKILL)
    return acked, child.wait(20)


def kept(folder: Path) -> Counter[str]:
    """Return how often each id is in the journal, which must open, read alike from outside, and match its index."""
    with Journal.open(folder / "journal") as journal:
        records = list(journal.read(0))
        assert [record.seq for record in records] == list(range(1, len(records) + 1))
        assert list(JournalFolder(folder / "journal").read(0)) == records
        counts = Counter(record.entry.signal.id for record in records if isinstance(record.entry, SignalEntry))
        identity = Identity.open(folder / "identity.db", journal)
        assert len(identity.lookup(("test", id_) for id_ in counts)) == len(counts)
        identity.close()
    return counts


def test_five_kills_lose_no_acknowledged_record(tmp_path: Path) -> None:
    """A sender killed five times in a row in the middle of its work: every acknowledged id is in the journal exactly once."""
    acked: list[str] = []
    for run_number in range(5):
        ids, status = run(tmp_path, f"r{run_number}", 1_000_000, kill_after=3 + run_number * 37)
        assert status == -signal.SIGKILL
        acked += ids
        counts = kept(tmp_path)
        assert set(acked) <= set(counts)
        assert set(counts.values()) == {1}


@pytest.mark.parametrize("point", [name for name in POINTS if name.split(".")[0] in {"journal", "intake", "identity"}])
def test_a_kill_at_every_point_of_the_intake_loses_nothing(tmp_path: Path, point: str) -> None:
    """The point is reached, the process dies there, and every acknowledged id is in the journal exactly once."""
    times = 1 if point == "identity.before_flush" else 7
    acked, status = run(tmp_path, "p", 300, **{CRASH_VARIABLE: f"{point}:{times}"})
    assert status == -signal.SIGKILL
    counts = kept(tmp_path)
    assert set(acked) <= set(counts)
    assert set(counts.values()) == {1}


def test_the_planted_defect_is_caught(tmp_path: Path) -> None:
    """An appender that answers before it writes loses acknowledged records under the same kill: the check above can fail."""
    acked, status = run(tmp_path, "p", 300, **{CRASH_VARIABLE: "journal.before_write:7", PLANT_VARIABLE: "ack_before_sync"})
    assert status == -signal.SIGKILL
    assert not set(acked) <= set(kept(tmp_path))
