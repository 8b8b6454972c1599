"""Lists of warnings (预警), and the doors to one of them: its canonical form and its story."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Connection, and_, false, func, or_, select, tuple_, type_coerce
from sqlalchemy import case as when

from app.views.clocks import LIVE
from app.views.filters import check_warning_filters
from app.views.scope import decode_warning, sight, within
from app.views.story import WarningStory, story
from app.views.summary import CanonicalWarning, WarningSummary, canonical_of, summarise
from app.views.titles import Titles
from domain.base import Noun
from domain.errors import NotFound
from domain.instants import SHANGHAI
from domain.messages import both
from domain.principals import Principal
from domain.tasks import Task, WarningCase
from storage.duty_tables import cases, tasks
from storage.tables import warnings

__all__ = [
    "CanonicalWarning",
    "WarningPage",
    "WarningStory",
    "WarningSummary",
    "canonical",
    "list_warnings",
    "live_warnings",
    "story",
]

_case = msgspec.json.Decoder(WarningCase)
_task = msgspec.json.Decoder(Task)
_joined = warnings.join(cases, cases.c.warning_id == warnings.c.id)
_CHUNK = 200  # rows read at once while a filter that SQL cannot express is applied
_NEVER = datetime.max.replace(tzinfo=SHANGHAI)


class WarningPage(Noun, frozen=True, kw_only=True):
    """One page, the most urgent first; `next` is the `after` of the following page, "" on the last one."""

    warnings: tuple[WarningSummary, ...]
    next: str = ""


def list_warnings(
    connection: Connection,
    principal: Principal,
    now: datetime,
    *,
    status: str = "",
    level: str = "",
    matter: str = "",
    department: str = "",
    overdue: bool = False,
    limit: int = 100,
    after: str = "",
) -> WarningPage:
    """Return the warnings that the principal may see; filters that are "" keep everything.

    Unrouted ones come first, then open ones by the end of their whole limit, then ended ones, the newest first: an order that SQL can
    page through. `status` is open, unrouted, closed or withdrawn; `matter` a catalogue item or a sector; `overdue` keeps those one of
    whose visible clocks has passed. `limit` is 1 to 1000.

    Raises:
        NotFound: `after` is no warning that the principal may see.
        IllegalValue: a filter has a value that no warning can have.
    """
    check_warning_filters(connection, status=status, level=level, matter=matter, department=department)
    wanted = [*_filters(principal, status, level, matter, department), *([cases.c.status.in_(LIVE)] if overdue else [])]
    limit = min(max(limit, 1), 1000)
    titles, found = Titles(connection), list[WarningSummary]()
    place = _place(connection, principal, after) if after else None
    chunk = _CHUNK if overdue else limit + 1
    while len(found) <= limit:
        rows = _rows(connection, wanted, place, chunk)
        found += [one for one in _summaries(connection, principal, rows, titles, now) if one.overdue or not overdue]
        if len(rows) < chunk:
            break
        place = (rows[-1].rank, rows[-1].place, rows[-1].id)
    shown = tuple(found[:limit])
    return WarningPage(warnings=shown, next=shown[-1].id if len(found) > limit else "")


def live_warnings(
    connection: Connection,
    principal: Principal,
    now: datetime,
    *,
    level: str = "",
    matter: str = "",
    department: str = "",
    overdue: bool = False,
) -> list[WarningSummary]:
    """Return all open warnings that the principal may see in the order of their urgency: unrouted ones, then by the next due time.

    Raises:
        IllegalValue: a filter has a value that no warning can have.
    """
    check_warning_filters(connection, status="", level=level, matter=matter, department=department)
    wanted = [*_filters(principal, "", level, matter, department), cases.c.status.in_(LIVE)]
    rows = _rows(connection, wanted, None, None)
    found = [one for one in _summaries(connection, principal, rows, Titles(connection), now) if one.overdue or not overdue]
    return sorted(found, key=lambda one: (one.status != "unrouted", one.due_at or _NEVER, one.id))


def _filters(principal: Principal, status: str, level: str, matter: str, department: str) -> list[ColumnElement[bool]]:
    wanted = [within(principal)]
    if status:
        wanted.append(cases.c.status == status)
    if level:
        wanted.append(warnings.c.level == level)
    if matter:
        wanted.append(or_(cases.c.matter == matter, warnings.c.matter == matter, warnings.c.sector == matter))
    if department:
        wanted.append(_of_department(principal, department))
    return wanted


def _of_department(principal: Principal, department: str) -> ColumnElement[bool]:
    """Keep the warnings of a department; a cooperating one does not find out where a third department has a part."""
    has_task = warnings.c.id.in_(select(tasks.c.warning_id).where(tasks.c.department == department))
    if principal.sees_all or department == principal.department:
        return has_task
    return or_(cases.c.lead == department, and_(cases.c.lead == principal.department, has_task)) if principal.department else false()


# What a list is ordered by: (rank, place, id), all ascending; times are integers in the tables.
_RANK = when({"unrouted": 0, "open": 1}, value=cases.c.status, else_=2)
_RAISED = type_coerce(warnings.c.raised_at, BigInteger)
_PLACE = when((cases.c.status.in_(LIVE), func.coalesce(type_coerce(cases.c.due_at, BigInteger), _RAISED)), else_=-_RAISED)
_ORDER = (_RANK, _PLACE, warnings.c.id)


def _place(connection: Connection, principal: Principal, after: str) -> tuple[int, int, str]:
    query = select(_RANK.label("rank"), _PLACE.label("place")).select_from(_joined).where(warnings.c.id == after, within(principal))
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(both("warning.not_found", id=after))
    return row.rank, row.place, after


def _rows(
    connection: Connection, wanted: Sequence[ColumnElement[bool]], place: tuple[int, int, str] | None, limit: int | None
) -> Sequence[Any]:
    columns = (warnings.c.id, _RANK.label("rank"), _PLACE.label("place"), warnings.c.body, cases.c.body.label("case_body"))
    query = select(*columns).select_from(_joined).where(*wanted).order_by(*_ORDER)
    if place is not None:
        query = query.where(tuple_(*_ORDER) > place)
    return connection.execute(query.limit(limit)).all()


def _summaries(connection: Connection, principal: Principal, rows: Sequence[Any], titles: Titles, now: datetime) -> list[WarningSummary]:
    found = [(decode_warning(row.body), _case.decode(row.case_body)) for row in rows]
    titles.load_subjects(warning.object_id for warning, _ in found)
    by_warning = _tasks_by_warning(connection, [warning.id for warning, _ in found])
    return [summarise(principal, warning, case, by_warning.get(warning.id, ()), titles, now) for warning, case in found]


def _tasks_by_warning(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[Task, ...]]:
    found: dict[str, tuple[Task, ...]] = {}
    for start in range(0, len(ids), 500):
        for body in connection.execute(select(tasks.c.body).where(tasks.c.warning_id.in_(ids[start : start + 500]))).scalars():
            task = _task.decode(body)
            found[task.warning_id] = (*found.get(task.warning_id, ()), task)
    return found


def canonical(connection: Connection, principal: Principal, warning_id: str) -> CanonicalWarning:
    """Return the canonical warning.

    Raises:
        NotFound: no such warning, or none that the principal may know of.
    """
    return canonical_of(connection, sight(connection, principal, warning_id))
