"""Raw input goes when its feed's retention is over, and only then."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from app.retention import Retention
from app.wiring import load_mappings
from domain.clock import ManualClock
from domain.errors import NotFound
from storage.raw import RawStore
from tests.factories import T0


def test_raw_input_is_deleted_the_day_after_its_retention_is_over(tmp_path: Path) -> None:
    """What is younger stays; deleting the raw input is what erases personal values."""
    mappings = load_mappings(None)
    clock = ManualClock(T0)
    raw = RawStore(tmp_path)
    kept_for = mappings["penalties"].retention
    first = raw.put("penalties", clock.now(), b"first")
    clock.advance(timedelta(days=1))
    second = raw.put("penalties", clock.now(), b"second")
    retention = Retention(raw, mappings, clock)

    clock.move_to(T0 + kept_for)
    assert retention.enforce() == 0
    clock.advance(timedelta(days=1))
    assert retention.enforce() == 1

    assert raw.get(second) == b"second"
    with pytest.raises(NotFound):
        raw.get(first)
