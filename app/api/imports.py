"""Imports of the registry, the catalogue and the departments: the rows that are right go in, the others are named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from litestar import post
from litestar.params import RawBody

from app.api import bodies
from app.api.given import ServicesGiven
from app.api.parameters import FileName
from app.api.roles import ADMINS
from app.synced import offer, synced
from connectors.inbound.catalogue import read_catalogue
from connectors.inbound.departments import read_departments
from connectors.inbound.registry import read_objects
from domain.base import Noun
from domain.errors import Problem
from domain.messages import both
from domain.records import CatalogueEntry, ObjectsEntry
from storage import obligations, registry, risk

OBJECTS_A_RECORD = 1_000  # so that no journal record grows without bound
E = TypeVar("E", ObjectsEntry, CatalogueEntry)


class Imported(Noun, frozen=True, kw_only=True):
    """What an import did; `problems` name row and column, `version` is the registry's or catalogue's after it, null for departments."""

    imported: int
    version: int | None
    problems: tuple[dict[str, object], ...]


def _shown(problems: Sequence[Problem]) -> tuple[dict[str, object], ...]:
    return tuple({"row": one.line, "column": one.column, "message": one.message, "severity": one.severity} for one in problems)


def _journalled(services: ServicesGiven, entry: E) -> E:
    """Journal an entry and wait until pages and queries show it."""
    [receipt] = synced(offer(services.intake, [entry]))
    services.await_shown(receipt.seq)
    return entry


@post(
    "/v1/import/objects",
    summary=both("operation.import_objects"),
    operation_class=bodies.OBJECTS_FILE,
    opt={"roles": ADMINS},
    status_code=200,
    sync_to_thread=True,
)
def import_objects(services: ServicesGiven, name: FileName, body: RawBody) -> Imported:
    """Add or replace regulated objects by id; `name` is the file's, its ending tells the format."""
    found = read_objects(body, name)
    version = services.lookup.version()
    for start in range(0, len(found.objects), OBJECTS_A_RECORD):
        with services.database.turn("registry"):  # versions come into the log in their order, whoever imports beside us
            with services.database.write() as connection:
                known = max(registry.registry_version(connection), services.lookup.version())
                version = registry.next_version(connection, "registry", known)
            entry = ObjectsEntry(version=version, objects=found.objects[start : start + OBJECTS_A_RECORD])
            services.lookup.apply(_journalled(services, entry))  # the next signal may come before the engine has the record
    return Imported(imported=len(found.objects), version=version, problems=_shown(found.problems))


@post(
    "/v1/import/catalogue",
    summary=both("operation.import_catalogue"),
    operation_class=bodies.CATALOGUE_FILE,
    opt={"roles": ADMINS},
    status_code=200,
    sync_to_thread=True,
)
def import_catalogue(services: ServicesGiven, name: FileName, body: RawBody) -> Imported:
    """Make the file the next version of the catalogue; rows with an error are left out and named."""
    with services.database.turn("catalogue"):
        with services.database.write() as connection:
            version = registry.next_version(connection, "catalogue", risk.current_catalogue(connection).version)
        found = read_catalogue(body, name, version)
        _journalled(services, CatalogueEntry(catalogue=found.catalogue))
    return Imported(imported=len(found.catalogue.items), version=version, problems=_shown(found.problems))


@post(
    "/v1/import/departments",
    summary=both("operation.import_departments"),
    operation_class=bodies.DEPARTMENTS_FILE,
    opt={"roles": ADMINS},
    status_code=200,
    sync_to_thread=True,
)
def import_departments(services: ServicesGiven, name: FileName, body: RawBody) -> Imported:
    """Add or replace departments by id."""
    found = read_departments(body, name)
    with services.database.write() as connection:
        obligations.put_departments(connection, found.directory.departments)
    return Imported(imported=len(found.directory.departments), version=None, problems=_shown(found.problems))
