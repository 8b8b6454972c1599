"""Filters of lists: a value that nothing can have is refused with the legal ones, since an empty list would look like an answer."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, select

from domain.departments import DUTY_DESK
from domain.errors import IllegalValue
from domain.instants import parse_rfc3339
from domain.kinds import SECTORS
from domain.levels import DEFAULT_LEVELS
from domain.messages import both, in_each, text
from domain.rejections import REASONS
from rules.problems import nearest
from storage import obligations, risk
from storage.duty_tables import cases
from storage.tables import warnings

STATUSES = ("unrouted", "open", "closed", "withdrawn")  # of a warning
LEVELS = tuple(level.name for level in DEFAULT_LEVELS.levels)
REJECTION_STATUSES = ("open", "replayed", "dismissed")
DELIVERY_STATES = ("waiting", "sent", "dead", "cancelled")
SHOWN = 40  # legal values that a message lists; a city has hundreds of items


def instant_of(field: str, written: str) -> datetime | None:
    """Return an instant that was written as RFC 3339, None for "".

    Raises:
        IllegalValue: it is none, or has no offset; the message shows one.
    """
    if not written:
        return None
    try:
        return parse_rfc3339(written)
    except ValueError as error:
        raise IllegalValue(both("api.illegal_value", field=field, value=written, legal="2026-03-02T09:00:00+08:00", near="")) from error


def check_value(field: str, value: str, legal: Collection[str]) -> None:
    """Refuse a value that is none of `legal`, which are named in their order; "" is no filter.

    Raises:
        IllegalValue: with the legal values and the nearest one.
    """
    if not value or value in legal:
        return
    listed = ", ".join(list(legal)[:SHOWN]) + (" …" if len(legal) > SHOWN else "")
    closest = nearest(value, legal)

    def say(language: str) -> str:
        near = text("intake.near", language, near=closest) if closest else ""
        return text("api.illegal_value", language, field=field, value=value, legal=listed or "–", near=near)

    raise IllegalValue(in_each(say))


def check_warning_filters(connection: Connection, *, status: str, level: str, matter: str, department: str) -> None:
    """Refuse a filter of warnings that no warning can fit; raises IllegalValue.

    A matter may be a catalogue item, a sector, or an item of an earlier catalogue under which there are warnings.
    """
    check_value("status", status, STATUSES)
    check_value("level", level, LEVELS)
    check_department(connection, department)
    if matter and matter not in SECTORS:
        items = [item.slug for item in risk.current_catalogue(connection).items]
        if matter not in items and not _under(connection, matter):
            check_value("matter", matter, [*items, *SECTORS])


def _under(connection: Connection, matter: str) -> bool:
    """Say whether there is a warning under a matter that the catalogue does not hold any more."""
    routed = select(cases.c.warning_id).where(cases.c.matter == matter).limit(1)
    found = select(warnings.c.id).where(warnings.c.matter == matter).limit(1)
    return any(connection.execute(query).first() is not None for query in (routed, found))


def check_department(connection: Connection, department: str) -> None:
    """Refuse a department that the directory does not name; raises IllegalValue."""
    if department not in {"", DUTY_DESK}:
        check_value("department", department, [unit.id for unit in obligations.directory(connection).departments])


def check_rejection_filters(reason: str, status: str) -> None:
    """Refuse a reason or status that no rejection has; raises IllegalValue."""
    check_value("reason", reason, REASONS)
    check_value("status", status, REJECTION_STATUSES)
