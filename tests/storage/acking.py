"""A process that sends records to a journal and prints each id once it is acknowledged: `acking.py FOLDER PREFIX COUNT`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from domain.clock import ManualClock
from domain.ports import Offer
from storage.identity import Identity
from storage.intake import Appender
from storage.journal import Journal
from tests.factories import T0, make_entry


def main(folder: Path, prefix: str, count: int) -> None:
    """Send calls of one to four records, a fifth of them repeats of the call before."""
    journal = Journal.open(folder / "journal", segment_bytes=4_000)
    appender = Appender(journal, Identity.open(folder / "identity.db", journal), ManualClock(T0))
    for n in range(count):
        ids = [f"{prefix}-{n - (n % 5 == 4)}-{part}" for part in range(1 + n % 4)]
        appender.submit([Offer(entry=make_entry(id=id_, digest="d")) for id_ in ids]).result(20)
        print(*ids, flush=True)
    appender.close()
    journal.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
