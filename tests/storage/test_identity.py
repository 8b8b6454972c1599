"""The index of identities: exact, derived, and made again whenever it cannot be trusted."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from domain.records import Record
from storage.identity import FLUSH, Identity, Known
from storage.journal import Journal
from tests.factories import at, make_record


def fill(journal: Journal, first: int, last: int, *, hour: float = 0.0) -> list[Record]:
    """Write records with ids of their own and return them."""
    records = [make_record(seq, received_at=at(hour), id=f"s-{seq}", digest=f"d{seq}") for seq in range(first, last + 1)]
    journal.append(records)
    journal.sync()
    return records


def everything(identity: Identity, last: int) -> dict[str, Known]:
    """Return what is known of the ids up to `last`."""
    return {id_: known for (_, id_), known in identity.lookup(("test", f"s-{n}") for n in range(1, last + 1)).items()}


def expected(first: int, last: int) -> dict[str, Known]:
    """Return what `fill` made known."""
    return {f"s-{n}": Known(f"d{n}", n, 0) for n in range(first, last + 1)}


def test_an_index_knows_what_the_journal_has(tmp_path: Path) -> None:
    """Every key of a journal of several portions is found, before and after a restart; others are not."""
    with Journal.open(tmp_path / "journal") as journal:
        fill(journal, 1, FLUSH + 100)
        for _ in range(2):
            identity = Identity.open(tmp_path / "identity.db", journal)
            assert everything(identity, FLUSH + 200) == expected(1, FLUSH + 100)
            assert identity.lookup([("other", "s-1")]) == {}
            identity.close()


def test_what_was_not_written_is_read_from_the_journal(tmp_path: Path) -> None:
    """An index that was never closed misses nothing: it reads on from its position."""
    with Journal.open(tmp_path / "journal") as journal:
        identity = Identity.open(tmp_path / "identity.db", journal)
        identity.update(fill(journal, 1, FLUSH))
        identity.update(fill(journal, FLUSH + 1, FLUSH + 10))
        again = Identity.open(tmp_path / "identity.db", journal)
        assert everything(again, FLUSH + 10) == expected(1, FLUSH + 10)
        assert again.position() == FLUSH + 10
        again.close()
        identity._connection.close()


def damage_header(path: Path) -> None:
    """Make the file no database."""
    path.write_bytes(b"rubbish" * 1000)


def damage_page(path: Path) -> None:
    """Overwrite every page but the first."""
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)


def go_ahead(path: Path) -> None:
    """Let it claim more than the journal has."""
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE position SET seq = seq + 1000")
        connection.execute("INSERT INTO keys VALUES ('test', 's-999999', 'x', 9, 0)")


def other_journal(path: Path) -> None:
    """Let it be the index of a journal with the same length and other times."""
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE position SET received_at = received_at + 1")
        connection.execute("UPDATE keys SET digest = 'x'")


def other_version(path: Path) -> None:
    """Let another version have made it."""
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")


@pytest.mark.parametrize("harm", [damage_header, damage_page, go_ahead, other_journal, other_version, Path.unlink])
def test_an_index_of_no_use_is_made_again(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    """A damaged, foreign, longer or missing file is replaced by what the journal says."""
    path = tmp_path / "identity.db"
    with Journal.open(tmp_path / "journal") as journal:
        identity = Identity.open(path, journal)
        identity.update(fill(journal, 1, 500))
        identity.close()
        harm(path)
        identity = Identity.open(path, journal)
        assert everything(identity, 500) == expected(1, 500)
        assert identity.lookup([("test", "s-999999")]) == {}
        identity.close()


def test_damage_that_shows_while_running_is_mended(tmp_path: Path) -> None:
    """Pages that go bad under a running index are met by a lookup, which answers from a new one."""
    path = tmp_path / "identity.db"
    with Journal.open(tmp_path / "journal") as journal:
        identity = Identity.open(path, journal)
        identity.update(fill(journal, 1, FLUSH * 3))
        identity.close()
        identity = Identity.open(path, journal)
        damage_page(path)
        assert everything(identity, FLUSH * 3) == expected(1, FLUSH * 3)
        identity.close()


def test_keys_leave_with_their_records(tmp_path: Path) -> None:
    """After retention the index knows only what the journal still has."""
    with Journal.open(tmp_path / "journal", segment_bytes=1_000) as journal:
        identity = Identity.open(tmp_path / "identity.db", journal)
        for seq in range(1, 60):
            identity.update(fill(journal, seq, seq))
        identity.close()
        journal.forget_before(30)
        first = journal.first()
        assert 1 < first <= 30
        for _ in range(2):
            identity = Identity.open(tmp_path / "identity.db", journal, first=first)
            assert everything(identity, 60) == expected(first, 59)
            identity.close()
            (tmp_path / "identity.db").unlink()


def test_a_write_that_fails_costs_no_knowledge(tmp_path: Path) -> None:
    """A full disk under the index is no error of the intake: lookups go on from memory and the next start catches up."""
    with Journal.open(tmp_path / "journal") as journal:
        identity = Identity.open(tmp_path / "identity.db", journal)
        pages = identity._connection.execute("PRAGMA page_count").fetchone()[0]
        identity._connection.execute(f"PRAGMA max_page_count = {pages}")
        identity.update(fill(journal, 1, FLUSH))
        assert everything(identity, FLUSH) == expected(1, FLUSH)
        identity._connection.execute("PRAGMA max_page_count = 1000000")
        identity.update(fill(journal, FLUSH + 1, FLUSH * 2))
        assert identity._pending == {}
        assert everything(identity, FLUSH * 2) == expected(1, FLUSH * 2)
        identity.close()
