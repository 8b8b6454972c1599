"""Answers to "why" from a data folder, without a server."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, select

from app.folder import Folder
from app.views.scope import sight
from app.views.why import Why, gather, reckon
from domain.errors import NotFound
from domain.messages import text
from domain.names import normalise_code
from domain.principals import Principal
from storage.tables import object_codes, objects
from streams.stages.inquiry import AREA, Inquiry

OWNER = Principal(name="command line", role="admin")  # whoever can read the folder's files


def why_of(folder: Folder, warning_id: str) -> Why:
    """Return why a warning of a data folder stands.

    Raises:
        NotFound: there is no such warning.
        StoreUnavailable: there is no database, or it cannot be read.
    """
    with folder.look() as connection:
        trail = gather(connection, sight(connection, OWNER, warning_id))
    return reckon(trail, folder.ruleset)


def why_not(folder: Folder, subject: str, rule: str, at: datetime | None, told: Callable[[int, int], object]) -> Inquiry:
    """Return why a rule is or is not true for a subject at an instant (None: after the last record), from a replay of the journal.

    `subject` is an object's id or code, or an area's name (`region:610113`). `told` hears how far the replay is.

    Raises:
        NotFound: the rule set of that time has no such rule, or the registry no such object.
        StoreUnavailable: there is no data folder, or it cannot be read.
    """
    with folder.look() as connection:
        about = _subject(connection, subject)
    return folder.pipeline(at, told).inquire(rule, about)


def _subject(connection: Connection, subject: str) -> str:
    if subject.startswith(AREA):
        return subject
    found = connection.scalar(select(objects.c.id).where(objects.c.id == subject))
    if found is None:
        same = select(object_codes.c.object_id).where(object_codes.c.code == normalise_code(subject)).order_by(object_codes.c.object_id)
        found = connection.scalar(same.limit(1))
    if found is None:
        raise NotFound(f"{text('object.not_found', id=subject)} / {text('object.not_found', 'en', id=subject)}")
    return str(found)
