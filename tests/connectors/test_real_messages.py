"""Real citizens' messages, where the machine has them: FENGSUI_REAL_DATA names the folder that holds `messages-4326.xlsx`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.inbound.edge import Edge
from domain.clock import ManualClock
from domain.rejections import REASONS
from storage.identity import Identity
from storage.intake import Appender
from storage.memory_journal import MemoryJournal
from storage.registry import MemoryObjectLookup
from tests.connectors.senders import FEEDS, KEY

RECORDS = 4_326
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def messages() -> bytes:
    """The workbook; skipped where it is not."""
    folder = os.environ.get("FENGSUI_REAL_DATA", "")
    found = sorted(Path(folder).rglob("messages-4326.xlsx")) if folder else []
    if not found:
        pytest.skip("set FENGSUI_REAL_DATA to a folder that holds messages-4326.xlsx")
    return found[0].read_bytes()


@pytest.fixture
def journal() -> Iterator[tuple[MemoryJournal, Edge]]:
    """A journal in memory and an edge before it."""
    made = MemoryJournal()
    intake = Appender(made, Identity.in_memory(made), ManualClock(NOW))
    yield made, Edge(intake, MemoryObjectLookup(), KEY)
    intake.close()


def test_no_real_message_is_dropped(messages: bytes, journal: tuple[MemoryJournal, Edge]) -> None:
    """Accepted, rejected, duplicate and revised messages add up to all of them; every rejection has a reason; twice changes nothing."""
    made, edge = journal
    first = edge.take(FEEDS["netizen-messages"], messages, "messages-4326.xlsx", NOW)
    assert first.accepted + first.rejected + first.duplicates + first.revisions == first.records == RECORDS
    assert set(first.reasons()) <= set(REASONS)
    assert all(result.reason and result.message for result in first.results if result.status == "rejected")
    assert first.accepted > 0.99 * RECORDS
    second = edge.take(FEEDS["netizen-messages"], messages, "messages-4326.xlsx", NOW)
    assert second.duplicates == first.accepted
    assert made.head() == RECORDS + first.rejected
