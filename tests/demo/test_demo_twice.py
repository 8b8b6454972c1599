"""The demo depends on nothing but its seed."""

from __future__ import annotations

import sys
from pathlib import Path

from app.demo.run import Month


def test_the_same_seed_gives_the_same_summary(memory: Path) -> None:
    """Lock-step time: two runs differ in nothing but their wall times, however the threads of the second take turns."""
    told = []
    usual = sys.getswitchinterval()
    for turn, interval in (("first", usual), ("second", 0.1)):
        sys.setswitchinterval(interval)
        data = memory / turn
        data.mkdir(mode=0o700)
        month = Month(3, data, port=0, progress=lambda _now, _records: None, days=11)
        try:
            told.append(month.run())
        finally:
            sys.setswitchinterval(usual)
            month.close()
        del told[-1]["wall_seconds"]
    assert told[0] == told[1]
    assert told[0]["warnings"] > 0
