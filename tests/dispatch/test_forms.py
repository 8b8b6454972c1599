"""Forms of answers."""

from __future__ import annotations

from typing import Any

import pytest

from dispatch.forms import FORMS, form, problems
from tests.dispatch.timeline import FEEDBACK, HANDLE, UNFOUNDED, VERIFY


@pytest.mark.parametrize(
    ("name", "answers"),
    [("verify.default", VERIFY), ("verify.default", UNFOUNDED), ("handle.default", HANDLE), ("feedback.default", FEEDBACK)],
)
def test_a_complete_form_has_no_problem(name: str, answers: dict[str, Any]) -> None:
    """What the other tests send is complete."""
    assert problems(FORMS[name], answers) == []


@pytest.mark.parametrize(
    ("name", "answers", "expected"),
    [
        (
            "verify.default",
            {"finding": "maybe", "means": "on_site", "facts": " "},
            [
                "核查结论（finding）不在可选范围（confirmed 属实、unfounded 不属实、unverifiable 无法核实）",
                "核查情况（facts）应为文字",
                "缺少入企检查审批文号（approval）",
            ],
        ),
        ("verify.default", UNFOUNDED | {"cause": ""}, ["缺少不属实或无法核实的原因（cause）"]),
        ("handle.default", {"measure": "停气", "proof": []}, ["缺少佐证（案号、照片、文书）（proof）"]),
        ("handle.default", {"measure": "停气", "proof": "照片"}, ["佐证（案号、照片、文书）（proof）应为文字列表"]),
        ("feedback.default", FEEDBACK | {"verdict": "in_procedure"}, ["缺少立案或移送文号（case_number）"]),
        ("feedback.gas", FEEDBACK | {"supply_cut": "yes", "households": True}, ["涉及用户数（户）（households）应为数字"]),
        ("handle.default", HANDLE | {"colour": "red"}, ["表单没有 colour 这一项；可填：measure, proof, case_number"]),
        ("handle.default", HANDLE | {"measure": "长" * 4001}, ["处置措施（measure）超过4000字"]),
    ],
)
def test_every_problem_of_a_form_is_named(name: str, answers: dict[str, Any], expected: list[str]) -> None:
    """Missing, wrong, unknown and too long answers, in the order of the form, with the legal values."""
    assert problems(FORMS[name], answers) == expected


def test_messages_come_in_english_too() -> None:
    """The language is the caller's."""
    assert problems(FORMS["handle.default"], {"measure": "x"}, "en") == ["proof is missing"]


def test_a_policy_names_its_forms() -> None:
    """The gas form asks for more than the default one."""
    assert form("feedback", {"feedback": "gas"}).title == "燃气风险处置反馈表"
    assert form("feedback", {}).title == "处置反馈表"
