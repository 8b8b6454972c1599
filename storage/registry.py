"""The registry of regulated objects: written from journal records, looked up by id, code and name."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

import msgspec
from sqlalchemy import Connection, bindparam, delete, func, insert, or_, select

from domain.names import looks_like_code, normalise_code, normalise_name
from domain.objects import RegulatedObject
from domain.records import ObjectsEntry
from storage.database import Database
from storage.dialects import parts, take_turns, upsert
from storage.tables import meta, object_codes, object_names, objects

_VERSION = "registry_version"
_object = msgspec.json.Decoder(RegulatedObject)
_CHUNK = 500
_OBJECT = select(objects.c.body).where(objects.c.id == bindparam("key"))
_OBJECTS = select(objects.c.body).where(objects.c.id.in_(bindparam("keys", expanding=True)))


def names_of(thing: RegulatedObject) -> list[str]:
    """Return the normalised names under which an object is found: its own, its aliases and shop signs; sorted.

    >>> names_of(RegulatedObject(id="o", type="enterprise", name="某某燃气有限公司", aliases=("某某燃气", "610132100012345")))
    ['某某燃气']
    """
    names = [thing.name, *(alias for alias in thing.aliases if not looks_like_code(alias))]
    return sorted({normalised for name in names if (normalised := normalise_name(name))})


def codes_of(thing: RegulatedObject) -> list[str]:
    """Return the normalised codes under which an object is found: its own and former ones among its aliases; sorted."""
    codes = [thing.code, *(alias for alias in thing.aliases if looks_like_code(alias))]
    return sorted({normalised for code in codes if (normalised := normalise_code(code))})


def write_objects(connection: Connection, entry: ObjectsEntry) -> None:
    """Write new and replaced objects with their names and codes, and the registry's version; what is newer already stays.

    Every partition of a cluster brings the same entry, each at its own time.
    """
    take_turns(connection, _VERSION)
    things = {thing.id: thing for thing in entry.objects}  # the later of two entries for one id holds
    done: set[str] = set()
    if registry_version(connection) >= entry.version:
        done = set(connection.scalars(select(objects.c.id).where(objects.c.version >= entry.version)))
    ids = sorted(things.keys() - done)
    for start in range(0, len(ids), _CHUNK):
        chunk = ids[start : start + _CHUNK]
        for table in (object_names, object_codes):
            connection.execute(delete(table).where(table.c.object_id.in_(chunk)))
        connection.execute(delete(objects).where(objects.c.id.in_(chunk)))
        _insert(connection, [things[id_] for id_ in chunk], entry.version)
    newest = str(max(entry.version, registry_version(connection)))
    row = upsert(meta).values(key=_VERSION, value=newest)
    connection.execute(row.on_conflict_do_update(index_elements=["key"], set_={"value": newest}))


def _insert(connection: Connection, things: Sequence[RegulatedObject], version: int) -> None:
    plain = ("id", "type", "name", "code", "code_valid", "region", "industry", "credit")
    rows = [
        {name: getattr(thing, name) for name in plain} | {"body": msgspec.json.encode(thing).decode(), "version": version}
        for thing in things
    ]
    names = [{"normalised": name, "object_id": thing.id} for thing in things for name in names_of(thing)]
    codes = [{"code": code, "object_id": thing.id} for thing in things for code in codes_of(thing)]
    for table, found in ((objects, rows), (object_names, names), (object_codes, codes)):
        if found:
            connection.execute(insert(table), found)


def get_object(connection: Connection, object_id: str) -> RegulatedObject | None:
    """Return the object of this id, None where the registry has none."""
    body = connection.scalar(_OBJECT, {"key": object_id})
    return None if body is None else _object.decode(body)


def get_objects(connection: Connection, ids: Collection[str]) -> dict[str, RegulatedObject]:
    """Return objects by their ids; those that the registry does not have are left out."""
    bodies = [body for some in parts(sorted(ids)) for body in connection.scalars(_OBJECTS, {"keys": some})]
    return {thing.id: thing for thing in map(_object.decode, bodies)}


def objects_by_code(connection: Connection, code: str) -> list[RegulatedObject]:
    """Return the objects with this code or former code, however it is written, sorted by id."""
    query = select(objects.c.body).join(object_codes, object_codes.c.object_id == objects.c.id)
    wanted = object_codes.c.code == normalise_code(code)
    return [_object.decode(body) for body in connection.scalars(query.where(wanted).order_by(objects.c.id))]


def objects_by_name(connection: Connection, normalised: str) -> list[RegulatedObject]:
    """Return the objects one of whose names has this normalised form, sorted by id."""
    query = select(objects.c.body).join(object_names, object_names.c.object_id == objects.c.id)
    wanted = object_names.c.normalised == normalised
    return [_object.decode(body) for body in connection.scalars(query.where(wanted).order_by(objects.c.id))]


def search_objects(connection: Connection, words: str, limit: int = 20) -> list[RegulatedObject]:
    """Return objects whose id or code begins with `words` or one of whose names holds it, shortest name first; [] for blank `words`."""
    code, name = normalise_code(words), normalise_name(words)
    fitting = [objects.c.id.startswith(words.strip(), autoescape=True)] if words.strip() else []
    if code:
        fitting.append(objects.c.id.in_(select(object_codes.c.object_id).where(object_codes.c.code.startswith(code, autoescape=True))))
    if name:
        fitting.append(objects.c.id.in_(select(object_names.c.object_id).where(object_names.c.normalised.contains(name, autoescape=True))))
    if not fitting:
        return []
    query = select(objects.c.body).where(or_(*fitting)).order_by(func.length(objects.c.name), objects.c.id).limit(limit)
    return [_object.decode(body) for body in connection.scalars(query)]


def all_objects(connection: Connection) -> list[RegulatedObject]:
    """Return every object as it stands, by id."""
    return [_object.decode(body) for body in connection.scalars(select(objects.c.body).order_by(objects.c.id))]


def registry_version(connection: Connection) -> int:
    """Return the registry's version, 0 for an empty one."""
    return int(connection.scalar(select(meta.c.value).where(meta.c.key == _VERSION)) or 0)


def next_version(connection: Connection, what: Literal["registry", "catalogue"], known: int) -> int:
    """Return a version that nobody was given before, greater than `known`, and note that it is taken.

    Call it in one's turn (`Database.turn`): records have to come into the log in the order of their versions. It is noted since a version
    may be on its way there, seen by nobody yet.
    """
    key = f"{what}_version_given"
    take_turns(connection, key)
    given = int(connection.scalar(select(meta.c.value).where(meta.c.key == key)) or 0)
    value = str(max(given, known) + 1)
    row = upsert(meta).values(key=key, value=value)
    connection.execute(row.on_conflict_do_update(index_elements=["key"], set_={"value": value}))
    return int(value)


def count_objects(connection: Connection) -> dict[str, int]:
    """Return how many objects of each type there are."""
    rows = connection.execute(select(objects.c.type, func.count()).group_by(objects.c.type).order_by(objects.c.type))
    return {row[0]: row[1] for row in rows}


class SqlObjectLookup:
    """`domain.ports.ObjectLookup` over the tables: as new as the last commit, one query per question."""

    def __init__(self, database: Database) -> None:
        """Ask `database`."""
        self._database = database

    def by_id(self, object_id: str) -> RegulatedObject | None:
        """Return the object of this id."""
        with self._database.read() as connection:
            return get_object(connection, object_id)

    def by_code(self, code: str) -> Sequence[RegulatedObject]:
        """Return the objects with this code or former code, sorted by id."""
        with self._database.read() as connection:
            return objects_by_code(connection, code)

    def by_name(self, normalised: str) -> Sequence[RegulatedObject]:
        """Return the objects one of whose names or aliases has this normalised form, sorted by id."""
        with self._database.read() as connection:
            return objects_by_name(connection, normalised)

    def version(self) -> int:
        """Return the registry's version."""
        with self._database.read() as connection:
            return registry_version(connection)


class MemoryObjectLookup:
    """`domain.ports.ObjectLookup` in memory, for the hot path, replays and the demo: feed it the registry's records."""

    def __init__(self) -> None:
        """Start empty, at version 0."""
        self._objects: dict[str, RegulatedObject] = {}
        self._names: dict[str, set[str]] = {}
        self._codes: dict[str, set[str]] = {}
        self._version = 0
        self._read = 0  # up to which version the tables were read
        self._lock = threading.Lock()

    @classmethod
    def of(cls, connection: Connection) -> MemoryObjectLookup:
        """Return one with everything that the tables hold."""
        lookup = cls()
        lookup.apply(ObjectsEntry(version=registry_version(connection), objects=tuple(all_objects(connection))))
        lookup._read = lookup._version
        return lookup

    def refresh(self, connection: Connection) -> None:
        """Take in what the tables have and this does not, where another process feeds them.

        What was applied here may be newer than something of another process that the tables show only now: it is not passed over.
        """
        newest = registry_version(connection)
        if newest > self._read and newest >= self._version:
            rows = connection.scalars(select(objects.c.body).where(objects.c.version > self._read).order_by(objects.c.id))
            self._take(ObjectsEntry(version=newest, objects=tuple(_object.decode(body) for body in rows)))
            self._read = newest

    def apply(self, entry: ObjectsEntry) -> None:
        """Take in new and replaced objects; an entry that is not newer than what is known changes nothing."""
        if entry.version > self._version:
            self._take(entry)

    def _take(self, entry: ObjectsEntry) -> None:
        with self._lock:
            for thing in entry.objects:
                before = self._objects.get(thing.id)
                if before is not None:
                    _drop(self._names, names_of(before), before.id)
                    _drop(self._codes, codes_of(before), before.id)
                self._objects[thing.id] = thing
                for name in names_of(thing):
                    self._names.setdefault(name, set()).add(thing.id)
                for code in codes_of(thing):
                    self._codes.setdefault(code, set()).add(thing.id)
            self._version = entry.version

    def by_id(self, object_id: str) -> RegulatedObject | None:
        """Return the object of this id."""
        return self._objects.get(object_id)

    def by_code(self, code: str) -> Sequence[RegulatedObject]:
        """Return the objects with this code or former code, sorted by id."""
        return self._sorted(self._codes, normalise_code(code))

    def by_name(self, normalised: str) -> Sequence[RegulatedObject]:
        """Return the objects one of whose names or aliases has this normalised form, sorted by id."""
        return self._sorted(self._names, normalised)

    def version(self) -> int:
        """Return the registry's version."""
        return self._version

    def _sorted(self, index: dict[str, set[str]], key: str) -> list[RegulatedObject]:
        with self._lock:
            return [self._objects[object_id] for object_id in sorted(index.get(key, ()))]


def _drop(index: dict[str, set[str]], keys: Iterable[str], object_id: str) -> None:
    for key in keys:
        index[key].discard(object_id)
        if not index[key]:
            del index[key]
