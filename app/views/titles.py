"""Titles of what is stored by id: departments, matters and subjects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from sqlalchemy import Connection, select

from domain.catalogue import Catalogue
from domain.departments import DUTY_DESK
from domain.kinds import SECTORS
from domain.messages import text
from storage.duty_tables import departments
from storage.tables import catalogues, objects

_catalogue = msgspec.json.Decoder(Catalogue)
AREA = "region:"


class Titles:
    """The titles of one moment, read once for a page."""

    def __init__(self, connection: Connection) -> None:
        """Read departments and the newest catalogue; subjects are read when they are asked for."""
        self._connection = connection
        self._departments: Mapping[str, str] = {
            row.id: row.name for row in connection.execute(select(departments.c.id, departments.c.name))
        }
        body = connection.scalar(select(catalogues.c.body).order_by(catalogues.c.version.desc()).limit(1))
        items = _catalogue.decode(body).items if body is not None else ()
        self._matters = {item.code: item.title for item in items if item.code} | {item.slug: item.title for item in items}
        self._objects: dict[str, str] = {}

    def department(self, department_id: str) -> str:
        """Return a department's name, its id where the directory does not have it."""
        named = self._departments.get(department_id)
        if named is None and department_id == DUTY_DESK:
            return text("unit.duty_desk")
        return named or department_id

    def matter(self, slug: str) -> str:
        """Return the title of a catalogue item, or of a sector."""
        if slug in self._matters:
            return self._matters[slug]
        return SECTORS[slug][0] if slug in SECTORS else slug

    def load_subjects(self, object_ids: Iterable[str]) -> None:
        """Read the names of many objects at once."""
        wanted = sorted({one for one in object_ids if one} - set(self._objects))
        for start in range(0, len(wanted), 500):
            query = select(objects.c.id, objects.c.name).where(objects.c.id.in_(wanted[start : start + 500]))
            self._objects |= {row.id: row.name for row in self._connection.execute(query)}
        self._objects |= {one: "" for one in wanted if one not in self._objects}  # so that nobody asks for it again

    def subject(self, subject: str, object_id: str) -> str:
        """Return an object's name, or what an area is called; the id where neither is known."""
        if subject.startswith(AREA):
            return text("unit.area", region=subject.removeprefix(AREA))
        if object_id and object_id not in self._objects:
            self.load_subjects([object_id])
        return self._objects.get(object_id) or subject
