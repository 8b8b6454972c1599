"""Answers to "why" from a data folder, without a server or beside it."""

from __future__ import annotations

import threading
from datetime import datetime

import msgspec
from sqlalchemy import Connection, select

from app.folder import Folder, Told, silent
from app.settings import Settings
from app.views.scope import sight, within
from app.views.why import Why, gather, reckon
from domain.errors import NotFound
from domain.messages import both
from domain.names import normalise_code, normalise_name
from domain.principals import Principal
from rules.vocabulary import REGION_DIGITS
from storage.tables import object_codes, object_names, objects, warnings
from streams.stages.inquiry import AREA, Inquiry

LISTED = 10  # objects that a message names
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


def why_not(
    folder: Folder,
    subject: str,
    rule: str,
    at: datetime | None,
    told: Told = silent,
    asker: Principal = OWNER,
) -> Inquiry:
    """Return why a rule is or is not true for a subject at an instant (None: after the last record), from a replay of the journal.

    `subject` is an object's id, code or whole name, or an area's name (`region:610113`). `told` hears how far the replay is.

    Of a warning that `asker` may not see nothing is told, neither that it is there nor its score, and of a restricted signal not its text.

    Raises:
        NotFound: the rule set of that time has no such rule, or the registry no such object.
        StoreUnavailable: there is no data folder, or it cannot be read, or brokers or database of a cluster are away.
    """
    with folder.look() as connection:
        about = _subject(connection, subject)
    found = folder.inquire(rule, about, at, told, restricted=asker.sees_all)
    if asker.sees_all:
        return found
    with folder.look() as connection:
        seen = connection.scalar(select(warnings.c.id).where(warnings.c.id == found.warning, within(asker)))
    if seen is not None:
        return found
    open_to_all = tuple(each for each in found.obstacles if each.reason != "score")
    return msgspec.structs.replace(found, score=0.0, level="", warning="", obstacles=open_to_all)


class Asking:
    """Answers `why_not` beside the running engine, one question at a time: each replays the journal from the newest snapshot on."""

    def __init__(self, settings: Settings) -> None:
        """Open nothing yet."""
        self._folder = Folder(settings)
        self._turn = threading.Lock()

    def why_not(self, asker: Principal, subject: str, rule: str, at: datetime | None) -> Inquiry:
        """Return what `why_not` does for this asker; it waits for its turn.

        Raises:
            NotFound: the rule set of that time has no such rule, or the registry no such object.
            StoreUnavailable: the data folder cannot be read.
        """
        with self._turn:
            return why_not(self._folder, subject, rule, at, asker=asker)


def _subject(connection: Connection, subject: str) -> str:
    if subject.startswith(AREA):
        return subject
    found = connection.scalar(select(objects.c.id).where(objects.c.id == subject))
    if found is None:
        same = select(object_codes.c.object_id).where(object_codes.c.code == normalise_code(subject)).order_by(object_codes.c.object_id)
        found = connection.scalar(same.limit(1))
    if found is not None:
        return str(found)
    named = select(object_names.c.object_id).where(object_names.c.normalised == normalise_name(subject)).order_by(object_names.c.object_id)
    ids = [str(each) for each in connection.scalars(named.limit(LISTED))]
    if len(ids) == 1:
        return ids[0]
    if ids:
        raise NotFound(both("object.many_named", name=subject, ids=", ".join(ids)))
    if subject.isdigit() and len(subject) in REGION_DIGITS:
        raise NotFound(both("object.not_found_area", id=subject, area=AREA + subject))
    like = select(objects.c.id, objects.c.name).where(objects.c.name.contains(subject, autoescape=True)).order_by(objects.c.id)
    near = ", ".join(f"{row.id} {row.name}" for row in connection.execute(like.limit(LISTED)))
    raise NotFound(both("object.not_found_near" if near else "object.not_found", id=subject, near=near))
