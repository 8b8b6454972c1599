"""What a data folder knows of the world that rules are written for: its departments and the items of its catalogue."""

from __future__ import annotations

from pathlib import Path

from domain.errors import StoreUnavailable
from rules.lint import Surroundings
from storage import obligations, risk
from storage.database import Database
from storage.datadir import DataPaths


def surroundings(data: Path) -> Surroundings:
    """Return what was imported into a data folder, beside a running `serve` or after it; nothing where there is no database."""
    try:
        with Database.look(DataPaths(data).database) as connection:
            items = risk.current_catalogue(connection).items
            departments = obligations.directory(connection).departments
    except StoreUnavailable:
        return Surroundings()
    return Surroundings(
        matters=frozenset(word for item in items for word in (item.slug, item.sector, item.code) if word),
        departments=frozenset(word for each in departments for word in (each.id, each.name, *each.aliases)),
    )
