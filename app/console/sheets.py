"""The forms of actions: which questions a page asks for each, and how a posted form becomes an answer."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from typing import Any

from app.answers import Answer
from app.console.words import ENGLISH
from dispatch.desk import SIGNATURE_FIELD
from dispatch.forms import Choice, Field, Form, form
from domain.base import Noun
from domain.departments import Department, Directory
from domain.messages import CATALOGUE, text
from domain.tasks import Action, Task, WarningCase

PREFIX = "f."
ON_FORMS = {Action.VERIFY: "verify", Action.HANDLE: "handle", Action.FEED_BACK: "feedback"}
# The first of these that is legal is what moves the task on: it stands open, all others are folded.
NEXT_STEPS = (Action.RECEIVE, Action.VERIFY, Action.HANDLE, Action.FEED_BACK, Action.ACCEPT, Action.DESIGNATE)
# Their reason goes into the record, whoever decides them.
_REASONED = (
    Action.SEND_BACK,
    Action.REFUSE_EXTENSION,
    Action.SUPERVISE,
    Action.WAIVE,
    Action.WITHDRAW,
    Action.REOPEN,
    Action.REQUEST_EXTENSION,
)


class Sheet(Noun, frozen=True, kw_only=True):
    """One action with its form; `key` makes a repeated click harmless, `main` is what moves the task on."""

    action: Action
    form: Form
    task: str
    version: int
    key: str
    main: bool


def sheets(
    actions: Iterable[Action], case: WarningCase, task: Task | None, directory: Directory, who: str, *, english: bool = False
) -> tuple[Sheet, ...]:
    """Return the forms of these legal actions, the next steps first."""
    target, version = (task.id, task.version) if task is not None else ("", case.version)
    actions = tuple(actions)
    following = next((one for one in NEXT_STEPS if one in actions), None)
    found = [
        Sheet(
            action=action,
            form=_in_english(_form(action, case, task, directory)) if english else _form(action, case, task, directory),
            task=target,
            version=version,
            key="page-" + hashlib.sha256(f"{who}\x1f{target or case.id}\x1f{version}\x1f{action}".encode()).hexdigest()[:24],
            main=action is following,
        )
        for action in actions
    ]
    return tuple(sorted(found, key=lambda sheet: (not sheet.main, sheet.action not in NEXT_STEPS)))


def _form(action: Action, case: WarningCase, task: Task | None, directory: Directory) -> Form:
    if action in ON_FORMS:
        return form(ON_FORMS[action], case.policy.forms)
    return Form(name=action.value, title=text(f"action.{action.value}"), fields=_fields(action, case, task, directory))


def _fields(action: Action, case: WarningCase, task: Task | None, directory: Directory) -> tuple[Field, ...]:
    reason = Field(name="reason", title=text("field.reason"), required=True)
    match action:
        case Action.RETURN:
            choices = tuple(Choice(value=one, title=_titled("return_reason", one)) for one in case.policy.returns.reasons)
            basis = Field(name="basis", title=text("field.basis"), required=True)
            return (Field(name="reason", title=text("field.return_reason"), kind="choice", required=True, choices=choices), basis)
        case Action.TRANSFER:
            own = task.department if task is not None else ""
            units = [unit for unit in directory.departments if directory.same_line(own, unit.id)]
            return (_department(units),)
        case Action.DESIGNATE:
            return (_department([unit for unit in directory.departments if unit.kind == "department"]), reason)
        case Action.PAUSE:
            choices = tuple(Choice(value=one.reason, title=_titled("pause_reason", one.reason)) for one in case.policy.pauses)
            return (Field(name="reason", title=text("field.pause_reason"), kind="choice", required=True, choices=choices),)
        case Action.REPORT:
            return (Field(name="text", title=text("field.text"), required=True),)
        case Action.ACCEPT:
            signing = case.policy.signature and task is not None and task.role == "lead"
            return (Field(name=SIGNATURE_FIELD, title=text("field.signed_by"), required=True),) if signing else ()
        case Action.ASSESS:
            attended = Field(name="attended", title=text("field.attended"), kind="list", required=True)
            return (Field(name="minutes", title=text("field.minutes"), required=True), attended)
        case _:
            return (reason,) if action in _REASONED else ()


def _department(units: Iterable[Department]) -> Field:
    choices = tuple(Choice(value=unit.id, title=unit.name) for unit in units)
    return Field(name="department", title=text("field.department"), kind="choice", required=True, choices=choices)


def _titled(area: str, code: str, otherwise: str = "", language: str = "zh-CN") -> str:
    """Return the title of a code; a deployment's own policy or form may name others than the shipped ones."""
    key = f"{area}.{code}"
    return text(key, language) if key in CATALOGUE else otherwise or code


def _in_english(sheet: Form) -> Form:
    """Return a form with English titles where the catalogue has them; forms are data and carry Chinese ones."""
    fields = []
    for field in sheet.fields:
        area = {"reason": "pause_reason" if sheet.name == "pause" else "return_reason"}.get(field.name, "choice")
        choices = field.choices
        if field.name != "department":
            choices = tuple(Choice(value=one.value, title=_titled(area, one.value, one.title, ENGLISH)) for one in choices)
        title = _titled("field", field.name, field.title, ENGLISH)
        fields.append(Field(name=field.name, title=title, kind=field.kind, required=field.required, choices=choices, when=field.when))
    action = sheet.name.split(".")[0].replace("feedback", "feed_back")
    return Form(name=sheet.name, title=_titled("action", action, sheet.title, ENGLISH), fields=tuple(fields))


def read(posted: Mapping[str, str], sheet: Sheet, operator: str) -> Answer:
    """Return the answer that a posted form gives: a list has one entry per line, a number is a number where it reads as one.

    Fields left empty are left out; what is wrong is for `dispatch` to say, in the same words for every door.
    """
    said: dict[str, Any] = {}
    for field in sheet.form.fields:
        value = posted.get(PREFIX + field.name, "").strip()
        if field.kind == "list":
            lines = [line.strip() for line in value.splitlines() if line.strip()]
            if lines:
                said[field.name] = lines
        elif value:
            said[field.name] = _number(value) if field.kind == "number" else value
    version = posted.get("version", "")
    return Answer(
        action=sheet.action.value,
        task=sheet.task,
        form=said,
        note=posted.get("note", "").strip(),
        operator=operator,
        version=int(version) if version.isdecimal() else sheet.version,  # what was read, so that a change in between is noticed
    )


def _number(value: str) -> float | str:
    try:
        number = float(value)
    except ValueError:
        return value
    return number if math.isfinite(number) else value
