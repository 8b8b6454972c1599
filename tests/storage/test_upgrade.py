"""A data folder of an earlier version is taken up with what it holds."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext, MigrationStep, RevisionStep
from alembic.script import ScriptDirectory

from dispatch.route import route
from storage import intake_reads, migrate, obligations, outbox
from storage.database import Database
from storage.tables import hits
from tests.dispatch.timeline import CATALOGUE, Story
from tests.factories import make_entry, make_warning

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def made_by(revision: str, file: Path) -> sa.Engine:
    """Return a database file as the version of `revision` made it."""
    script = ScriptDirectory(str(migrate._FOLDER))
    steps: list[RevisionStep] = [
        MigrationStep.upgrade_from_script(script.revision_map, one) for one in list(script.iterate_revisions(revision, "base"))[::-1]
    ]
    engine = sa.create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"fn": lambda *_: steps, "transactional_ddl": True})
        with Operations.context(context):
            context.run_migrations()
    return engine


def test_used_keys_and_tokens_of_links_are_taken_out_of_what_is_stored(tmp_path: Path) -> None:
    """A case that kept its answers' keys is read again, and a message keeps its link without the token that opens it."""
    engine = made_by("v0002_duty", tmp_path / "x.db")
    case = route(make_warning(), CATALOGUE, Story().context, NOW).case
    kept = json.loads(obligations._json(case)) | {"answered": [{"key": "k", "digest": "d", "task_id": "t", "version": 2}]}
    links = {"warning": "https://x/warnings/w1", "answer": "https://x/answer/abc_DEF-123"}
    message = {"type": "task.assigned", "timestamp": "", "data": {"message": "说明 https://x/answer/abc", "links": links}}
    with engine.begin() as connection:
        row = {"id": case.id, "at": 0, "body": json.dumps(kept)}
        connection.execute(
            sa.text("INSERT INTO cases VALUES (:id, 'open', 1, 'orange', 'gas-use', '610113', 'housing', NULL, :at, NULL, :body)"), row
        )
        row = {"id": "n1", "at": 0, "body": json.dumps(message).encode()}
        connection.execute(
            sa.text("INSERT INTO outbox VALUES (:id, 'w1', 't1', 'housing', 'e', 'e1', :body, :at, 'dead', 10, NULL, NULL, 500, '', NULL)"),
            row,
        )
    engine.dispose()
    with Database.open(tmp_path / "x.db") as database, database.read() as connection:
        assert obligations.get_case(connection, case.id) == case
        taken = outbox.get(connection, "n1")
        assert (taken.attempt, taken.series_from, taken.state) == (10, 0, "dead")
        assert json.loads(taken.body)["data"] == {**message["data"], "links": links | {"answer": "https://x/answer/"}}


def test_the_filter_that_kept_a_hit_back_moves_out_of_its_values(tmp_path: Path) -> None:
    """Only rows that name one are changed, and the count by filters reads their index alone."""
    engine = made_by("v0011_letters", tmp_path / "x.db")
    kept = {1: {"gas.n": 3, "suppressed": "heating"}, 2: {"gas.n": 4}}
    with engine.begin() as connection:
        for seq, values in kept.items():
            row = {"seq": seq, "values": json.dumps(values, separators=(",", ":"))}
            connection.execute(sa.text("INSERT INTO hits VALUES (:seq, 'gas-one', 'o-1', 0, false, NULL, '', :values)"), row)
    engine.dispose()
    with Database.open(tmp_path / "x.db") as database, database.read() as connection:
        found = connection.execute(sa.select(hits.c.seq, hits.c["values"], hits.c.suppressed).order_by(hits.c.seq)).all()
        assert [tuple(row) for row in found] == [(1, '{"gas.n":3}', "heating"), (2, '{"gas.n":4}', None)]
        count = "SELECT suppressed, count(*) FROM hits WHERE at > 0 AND suppressed IS NOT NULL GROUP BY suppressed"
        plan = connection.execute(sa.text(f"EXPLAIN QUERY PLAN {count}")).all()
        assert "USING COVERING INDEX hits_kept_back" in plan[0].detail


def test_signals_keep_all_they_said_without_the_columns_that_nobody_asked_for(tmp_path: Path) -> None:
    """A signal of before is read with its text, region and value, which its body holds; the confirm queue is found by its index as ever."""
    engine = made_by("v0015_source_marks", tmp_path / "x.db")
    entries = [make_entry(id=f"s-{seq}", text="泄漏", region="610113", value=0.5, unit="MPa", severity=2) for seq in (1, 2)]
    with engine.begin() as connection:
        for seq, entry in enumerate(entries, start=1):
            row = {"seq": seq, "id": entry.signal.id, "object": "o-1" if seq == 1 else "", "body": msgspec.json.encode(entry).decode()}
            columns = (
                ":seq, 'test', :id, 0, :object, 'id', 1.0, 'iot', 'gas.leak', '', '610113', 0, 0, 2, 0.5, 'MPa', '泄漏', 'active', :body"
            )
            connection.execute(sa.text(f"INSERT INTO signals VALUES ({columns})"), row)
    engine.dispose()
    with Database.open(tmp_path / "x.db") as database, database.read() as connection:
        assert [(one.seq, one.entry) for one in intake_reads.signals_of_object(connection, "o-1")] == [(1, entries[0])]
        assert [(one.seq, one.entry) for one in intake_reads.unresolved_signals(connection)] == [(2, entries[1])]
        made = connection.execute(sa.text("SELECT name, sql FROM sqlite_master WHERE tbl_name = 'signals' AND type = 'index'")).all()
        assert {name for name, _ in made if not name.startswith("sqlite")} == {"signals_by_key", "signals_by_object", "signals_unresolved"}
        assert all((name == "signals_unresolved") == ("WHERE object_id = ''" in sql) for name, sql in made if sql)
