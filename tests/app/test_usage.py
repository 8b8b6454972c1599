"""Commands that were typed wrongly: what is wrong is said in both languages, with exit code 2."""

from __future__ import annotations

import sys

import pytest

from app.cli import main

WRONG = [
    ("rules status --nope", "没有这个选项：--nope / no such option: --nope"),
    ("rules backtest", "缺少 --from / missing: --from"),
    ("rules nope", "没有这个命令：nope / no such command: nope"),
    ("warnings list --limit 0", "--limit 的值不对："),
    ("rules why-not --object", "选项 --object 后面缺少值 / option --object wants a value"),
    ("doctor a b", "多余的参数：a b / too many arguments: a b"),
]


@pytest.mark.parametrize(("typed", "told"), WRONG)
def test_what_is_wrong_with_a_command_is_said_in_both_languages(
    typed: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown option or command, a missing or bad value, too much: on standard error, with where the usage stands."""
    monkeypatch.setattr(sys, "argv", ["fengsui", *typed.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    shown = capsys.readouterr()
    assert ended.value.code == 2
    assert shown.out == ""
    assert told in shown.err
    assert "Error" not in shown.err


@pytest.mark.parametrize(("typed", "code", "told"), [("--version", 0, "."), ("rules", 2, "why-not"), ("rules schema", 0, "$defs")])
def test_what_is_typed_rightly_ends_as_it_says(
    typed: str, code: int, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A flag that ends the program, a noun alone with its verbs, a command that comes to its end."""
    monkeypatch.setattr(sys, "argv", ["fengsui", *typed.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    shown = capsys.readouterr()
    assert (ended.value.code, told in shown.out + shown.err) == (code, True)
