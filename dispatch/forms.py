"""Forms (表单) of answers: data, so that a page, an API error and a check say the same."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

from domain.base import Noun
from domain.messages import text

TEXT_LIMIT = 4000  # characters of one answer


class Choice(Noun, frozen=True, kw_only=True):
    """One legal value and its Chinese title."""

    value: str
    title: str


class Field(Noun, frozen=True, kw_only=True):
    """One question. `when` limits it to forms in which another field has one of the values."""

    name: str
    title: str
    kind: Literal["text", "choice", "number", "list"] = "text"
    required: bool = False
    choices: tuple[Choice, ...] = ()
    when: tuple[str, tuple[str, ...]] | None = None


class Form(Noun, frozen=True, kw_only=True):
    """The questions of one action."""

    name: str
    title: str
    fields: tuple[Field, ...]


FINDINGS: Final = (
    Choice(value="confirmed", title="属实"),
    Choice(value="unfounded", title="不属实"),
    Choice(value="unverifiable", title="无法核实"),
)
# How a warning may end (rule 7 of the trade); `reassign` needs a return instead, so it is not among them.
VERDICTS: Final = (
    Choice(value="handled", title="属实已处置"),
    Choice(value="in_procedure", title="属实已立案或移送"),
    Choice(value="tracking", title="属实整改中（跟踪）"),
    Choice(value="partly", title="部分属实"),
    Choice(value="duplicate", title="重复"),
)
_NOT_CONFIRMED: Final = ("finding", ("unfounded", "unverifiable"))
_VERIFY: Final = (
    Field(name="finding", title="核查结论", kind="choice", required=True, choices=FINDINGS),
    Field(
        name="means",
        title="核查方式",
        kind="choice",
        required=True,
        choices=(
            Choice(value="data", title="数据比对"),
            Choice(value="phone", title="书面或电话核实"),
            Choice(value="video", title="视频核查"),
            Choice(value="planned_visit", title="并入计划内检查"),
            Choice(value="on_site", title="现场核查"),
        ),
    ),
    Field(name="facts", title="核查情况", required=True),
    # A visit needs an approval (国办发〔2024〕54号); a policy never creates one.
    Field(name="approval", title="入企检查审批文号", required=True, when=("means", ("on_site",))),
    Field(name="cause", title="不属实或无法核实的原因", required=True, when=_NOT_CONFIRMED),
)
_HANDLE: Final = (
    Field(name="measure", title="处置措施", required=True),
    Field(name="proof", title="佐证（案号、照片、文书）", kind="list", required=True),
    Field(name="case_number", title="立案或移送文号"),
)
_FEEDBACK: Final = (
    Field(name="result", title="处置结果", required=True),
    Field(name="verdict", title="办理结论", kind="choice", required=True, choices=VERDICTS),
    Field(name="case_number", title="立案或移送文号", required=True, when=("verdict", ("in_procedure",))),
    Field(name="follow_up", title="整改期限与跟踪安排", required=True, when=("verdict", ("tracking",))),
)
_GAS: Final = (
    *_FEEDBACK,
    Field(
        name="supply_cut",
        title="是否停气",
        kind="choice",
        required=True,
        choices=(Choice(value="yes", title="是"), Choice(value="no", title="否")),
    ),
    Field(name="households", title="涉及用户数（户）", kind="number", required=True),
    Field(name="leak_found", title="泄漏点位置", when=("verdict", ("handled", "tracking", "in_procedure"))),
)

FORMS: Final[Mapping[str, Form]] = MappingProxyType(
    {
        "verify.default": Form(name="verify.default", title="核查反馈表", fields=_VERIFY),
        "handle.default": Form(name="handle.default", title="处置情况表", fields=_HANDLE),
        "feedback.default": Form(name="feedback.default", title="处置反馈表", fields=_FEEDBACK),
        "feedback.gas": Form(name="feedback.gas", title="燃气风险处置反馈表", fields=_GAS),
    }
)


def form(action: str, forms: Mapping[str, str]) -> Form:
    """Return the form of verify, handle or feedback under a policy's `forms`; raises KeyError for a name that policies refuse."""
    return FORMS[f"{action}.{forms.get(action, 'default')}"]


def problems(sheet: Form, answers: Mapping[str, Any], language: str = "zh-CN") -> list[str]:
    """Return what is wrong with the answers, in the order of the form's fields; an empty list means complete.

    >>> problems(FORMS["handle.default"], {"measure": "停气", "proof": ["照片1"]})
    []
    """
    found = []
    for field in sheet.fields:
        asked = field.when is None or answers.get(field.when[0]) in field.when[1]
        value = answers.get(field.name)
        if value in (None, "", []):
            if asked and field.required:
                found.append(text("form.missing", language, field=field.name, title=field.title) + _legal(field))
        elif wrong := _wrong(field, value, language):
            found.append(wrong)
    names = [field.name for field in sheet.fields]
    found += [text("form.unknown", language, field=name, legal=", ".join(names)) for name in answers if name not in names]
    return found


def _wrong(field: Field, value: Any, language: str) -> str:
    if field.kind == "choice" and value not in [choice.value for choice in field.choices]:
        return text("form.bad_choice", language, field=field.name, title=field.title) + _legal(field)
    if field.kind == "number" and (isinstance(value, bool) or not isinstance(value, int | float)):
        return text("form.bad_number", language, field=field.name, title=field.title)
    if field.kind == "list" and not (isinstance(value, list) and all(isinstance(part, str) and part for part in value)):
        return text("form.bad_list", language, field=field.name, title=field.title)
    if field.kind == "text" and not (isinstance(value, str) and value.strip()):
        return text("form.bad_text", language, field=field.name, title=field.title)
    if field.kind == "text" and len(value) > TEXT_LIMIT:
        return text("form.too_long", language, field=field.name, title=field.title, limit=TEXT_LIMIT)
    return ""


def _legal(field: Field) -> str:
    return f"（{'、'.join(f'{choice.value} {choice.title}' for choice in field.choices)}）" if field.choices else ""
