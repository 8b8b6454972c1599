"""Rows that are written many at once, over every kind of database: what comes back is what was written."""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import select

from domain.records import SignalEntry
from storage import risk
from storage.database import Database
from storage.tables import signals
from tests.factories import make_record

ODD = ["", "\\N", "\\", "\\t", "tab\there", "one\ntwo\r\nthree", "\\.", "\"quoted\" 'too'", "泄漏 ☃ \U0001f525", "  edges  "]


@pytest.mark.parametrize("alone", [True, False])
def test_text_comes_back_as_it_was(database: Database, alone: bool) -> None:
    """Backslashes, tabs, line ends, NULL's own spelling, other alphabets: in a call of their own and among plain rows."""
    records = [make_record(number, id=f"{number}{text}", kind=text, text=text) for number, text in enumerate(ODD, start=1)]
    records += [make_record(100 + number, id=f"plain-{number}", value=None) for number in range(3)]
    calls = [[record] for record in records] if alone else [records]
    with database.write() as connection:
        for call in calls:
            risk.apply_records(connection, call, after=0)
    with database.read() as connection:
        rows = connection.execute(select(signals).order_by(signals.c.seq)).all()
    assert [(row.id, row.kind) for row in rows[: len(ODD)]] == [(f"{number}{text}", text) for number, text in enumerate(ODD, start=1)]
    assert [msgspec.json.decode(row.body, type=SignalEntry) for row in rows] == [record.entry for record in records]
