"""What every registry look-up owes the resolver: over the tables and in memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from domain.names import normalise_name
from domain.objects import RegulatedObject
from domain.ports import ObjectLookup
from domain.records import ObjectsEntry, Record
from storage import risk
from storage.database import Database
from storage.registry import MemoryObjectLookup, SqlObjectLookup
from tests.factories import T0, make_object

Apply = Callable[..., None]


@pytest.fixture(params=["sql", "memory", "memory from sql"])
def registry(database: Database, request: pytest.FixtureRequest) -> tuple[Callable[[], ObjectLookup], Apply]:
    """Return how to get at the look-up and how to change the registry."""
    memory = MemoryObjectLookup()
    seq = 0

    def lookup() -> ObjectLookup:
        if request.param == "sql":
            return SqlObjectLookup(database)
        if request.param == "memory":
            return memory
        with database.read() as connection:
            return MemoryObjectLookup.of(connection)

    def apply(version: int, *things: RegulatedObject) -> None:
        nonlocal seq
        seq += 1
        entry = ObjectsEntry(version=version, objects=things)
        memory.apply(entry)
        with database.write() as connection:
            risk.apply_records(connection, [Record(seq=seq, received_at=T0, entry=entry)])

    return lookup, apply


def test_an_empty_registry_finds_nothing(registry: tuple[Callable[[], ObjectLookup], Apply]) -> None:
    """Version 0, no candidates."""
    lookup = registry[0]()
    assert (lookup.by_id("o-1"), list(lookup.by_code("x")), list(lookup.by_name("x")), lookup.version()) == (None, [], [], 0)


def test_an_object_is_found_by_all_it_is_called(registry: tuple[Callable[[], ObjectLookup], Apply]) -> None:
    """Id, code however written, former code, name and shop sign in any spelling lead to the same object."""
    lookup, apply = registry
    thing = make_object(id="o-1", name="某某燃气有限公司", code="91610132MA6U0XXXX5", aliases=("老张液化气站", "610132100012345"))
    apply(1, thing, make_object(id="o-2", name="别的公司", code="other"))
    found = lookup()
    assert found.by_id("o-1") == thing
    for code in ("91610132MA6U0XXXX5", " 91610132ma6u0xxxx5 ", "６１０１３２100012345"):
        assert list(found.by_code(code)) == [thing]
    for name in ("某某燃气（有限责任公司）", "某某 燃气", "老张液化气站"):
        assert list(found.by_name(normalise_name(name))) == [thing]
    assert list(found.by_name("610132100012345")) == []
    assert found.version() == 1


def test_several_candidates_come_sorted(registry: tuple[Callable[[], ObjectLookup], Apply]) -> None:
    """Objects of one name or one code all come, by id."""
    lookup, apply = registry
    things = [make_object(id=f"o-{n}", name="幸福超市", code="91610132MA6U0XXXX5") for n in (3, 1, 2)]
    apply(1, *things)
    assert [thing.id for thing in lookup().by_name("幸福超市")] == ["o-1", "o-2", "o-3"]
    assert [thing.id for thing in lookup().by_code("91610132MA6U0XXXX5")] == ["o-1", "o-2", "o-3"]


def test_a_replaced_object_is_no_longer_found_by_what_it_was(registry: tuple[Callable[[], ObjectLookup], Apply]) -> None:
    """A new version of an object replaces its names and codes; others that share them stay."""
    lookup, apply = registry
    apply(1, make_object(id="o-1", name="旧名", code="11111111"), make_object(id="o-2", name="旧名", code="11111111"))
    new = make_object(id="o-1", name="新名", code="22222222")
    apply(2, new)
    found = lookup()
    assert [thing.id for thing in found.by_name("旧名")] == ["o-2"]
    assert [thing.id for thing in found.by_code("11111111")] == ["o-2"]
    assert list(found.by_name("新名")) == list(found.by_code("22222222")) == [new]
    assert (found.by_id("o-1"), found.version()) == (new, 2)


def test_the_later_of_two_entries_for_one_id_holds(registry: tuple[Callable[[], ObjectLookup], Apply]) -> None:
    """One import that names an object twice leaves one object, the later."""
    lookup, apply = registry
    apply(1, make_object(id="o-1", name="甲"), make_object(id="o-1", name="乙"))
    assert (list(lookup().by_name("甲")), [thing.name for thing in lookup().by_name("乙")]) == ([], ["乙"])
