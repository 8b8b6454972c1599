"""Warnings and hits as rows: written once, told in order, found again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, select

from domain.findings import EarlyWarning, EpisodeEnded, RuleHit, WarningRaised, WarningUpdated
from storage.database import Database
from storage.findings import apply_outcomes, get_warning, list_warnings, story
from storage.tables import hits
from tests.factories import T0, at


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    """Give the inside of one transaction, over every kind of database."""
    with database.write() as connection:
        yield connection


def warning(id_: str = "w1", **kw: Any) -> EarlyWarning:
    """Return a yellow gas warning about o-1."""
    given: dict[str, Any] = {
        "id": id_, "subject": "o-1", "object_id": "o-1", "matter": "gas-use", "sector": "gas", "region": "610113", "level": "yellow",
        "current_level": "yellow", "score": 45.0, "raised_at": T0, "updated_at": T0, "episode": 1, "ruleset": "r1", "rules": ("gas.a",),
    }  # fmt: skip
    return EarlyWarning(**(given | kw))


def hit(seq: int = 1, **kw: Any) -> RuleHit:
    """Return a hit about o-1."""
    given: dict[str, Any] = {
        "rule": "gas.a", "subject": "o-1", "object_id": "o-1", "matter": "gas-use", "feed": "test", "signal": "s-1", "at": T0,
        "values": {"complaints": 3}, "message": "三次投诉",
    }  # fmt: skip
    return RuleHit(seq=seq, **(given | kw))


def ties(connection: Connection) -> list[tuple[int, str | None]]:
    """Return seq and warning of every hit."""
    return [(row[0], row[1]) for row in connection.execute(select(hits.c.seq, hits.c.warning_id).order_by(hits.c.seq, hits.c.rule))]


def test_a_warning_comes_back_as_raised(connection: Connection) -> None:
    """Every field, with an open episode; an unknown id is None."""
    apply_outcomes(connection, [WarningRaised(warning=warning())])
    assert get_warning(connection, "w1") == warning()
    [stored] = list_warnings(connection)
    assert (stored.risk_state, stored.ended_reason) == ("open", "")
    assert get_warning(connection, "w2") is None


def test_the_story_is_told_in_order_and_once(connection: Connection) -> None:
    """Raised, joined, risen, ended, each once though outcomes are recomputed; drifting scores are kept, not told."""
    risen = warning(level="orange", current_level="orange", score=61.0, updated_at=at(2))
    drifted = msgspec.structs.replace(risen, score=60.5, updated_at=at(3))
    raised = WarningRaised(warning=warning())
    apply_outcomes(connection, [raised, WarningUpdated(warning=warning(updated_at=at(1)), reason="joined")])
    apply_outcomes(connection, [raised, WarningUpdated(warning=risen, reason="level_raised")])
    apply_outcomes(connection, [WarningUpdated(warning=drifted, reason="rescored")])
    ended = EpisodeEnded(warning_id="w1", at=at(9), reason="quiet")
    apply_outcomes(connection, [ended, ended])
    assert [(event.at, event.kind) for event in story(connection, "w1")] == [
        (T0, "raised"), (at(1), "joined"), (at(2), "level_raised"), (at(9), "ended"),
    ]  # fmt: skip
    [stored] = list_warnings(connection)
    assert (stored.warning, stored.risk_state, stored.ended_reason) == (drifted, "ended", "quiet")


def test_a_hit_is_tied_to_the_open_warning_of_its_subject_and_matter(connection: Connection) -> None:
    """In the call that raises, in later ones, but not across matters, shadows or ended episodes; signal-only hits are tied to none."""
    apply_outcomes(connection, [hit(1), WarningRaised(warning=warning())])
    apply_outcomes(connection, [hit(2), hit(3, matter="other"), hit(4, signal_only=True), hit(5, shadow=True)])
    apply_outcomes(connection, [EpisodeEnded(warning_id="w1", at=at(1), reason="closed")])
    apply_outcomes(connection, [hit(6)])
    apply_outcomes(connection, [hit(7), WarningRaised(warning=warning("w2", episode=2))])
    assert ties(connection) == [(1, "w1"), (2, "w1"), (3, None), (4, None), (5, None), (6, None), (7, "w2")]


def test_the_same_hit_is_one_row(connection: Connection) -> None:
    """One rule, subject and signal give one row, however often it is computed; another rule or subject gives another."""
    apply_outcomes(connection, [hit(1), hit(1), hit(1, rule="gas.b"), hit(1, subject="region:610113")])
    apply_outcomes(connection, [hit(1)])
    assert len(ties(connection)) == 3


def test_warnings_are_listed_by_what_is_asked(connection: Connection) -> None:
    """Newest first in pages, by state, level and object; shadow warnings only when asked for."""
    given = [warning(f"w{n}", raised_at=at(n // 2), subject=f"o-{n}", object_id=f"o-{n}") for n in range(5)]
    given.append(warning("red", raised_at=at(9), level="red", subject="o-9", object_id="o-9"))
    given.append(warning("trial", shadow=True, raised_at=at(9)))
    apply_outcomes(connection, [WarningRaised(warning=one) for one in given])
    apply_outcomes(connection, [EpisodeEnded(warning_id="w0", at=at(9), reason="quiet")])

    def ids(**kw: Any) -> list[str]:
        return [stored.warning.id for stored in list_warnings(connection, **kw)]

    assert ids() == ["red", "w4", "w2", "w3", "w0", "w1"]
    assert (ids(risk_state="ended"), ids(level="red"), ids(object_id="o-3"), ids(shadow=True)) == (["w0"], ["red"], ["w3"], ["trial"])
    assert ids(limit=3) == ["red", "w4", "w2"]
    assert ids(before=(at(1), "w2")) == ["w3", "w0", "w1"]


@pytest.mark.parametrize("said", ["", "三次\t投诉\\\r\n", 'null "' + r"\u0000\N", "{}"])
def test_a_hit_comes_back_as_found(connection: Connection, said: str) -> None:
    """Whatever its texts hold, and numbers as large as partitions make them; again, among new ones, it is there once."""
    found = hit(2**62 + 1, message=said, values={"complaints": 3, "value": 0.1, "said": said})
    apply_outcomes(connection, [found])
    apply_outcomes(connection, [found, hit(2**62 + 2, shadow=True, suppressed="quiet")])
    one, other = connection.execute(select(hits).order_by(hits.c.seq)).all()
    assert (one.seq, one.rule, one.subject, one.at, one.shadow, one.warning_id, one.message) == (
        found.seq,
        "gas.a",
        "o-1",
        T0,
        False,
        None,
        said,
    )
    assert (msgspec.json.decode(one.values), one.suppressed) == (found.values, None)
    assert (other.seq, other.shadow, other.suppressed) == (2**62 + 2, True, "quiet")


def test_a_nul_in_a_hit_does_not_stop_the_others(connection: Connection) -> None:
    """A database that cannot hold it has its picture; what stands beside it is as it was."""
    apply_outcomes(connection, [hit(1, message="a\0b"), hit(2, message=r"a\u0000b")])
    told = list(connection.scalars(select(hits.c.message).order_by(hits.c.seq)))
    assert told == ["a\u2400b" if connection.dialect.name == "postgresql" else "a\0b", r"a\u0000b"]
