"""A settings file that is wrong is told as what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.commands.output import USAGE
from tests.app.test_why import run


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('rule = "packs"', "没有名为 rule 的设置；是否想写 rules？"),
        ("port = 99999", "设置 port 不合要求"),
        ("port =", "不是有效的 TOML"),
    ],
)
def test_a_wrong_settings_file_is_named_with_what_is_wrong(written: str, said: str, tmp_path: Path) -> None:
    """By every command that reads one, without a traceback."""
    config = tmp_path / "fengsui.toml"
    config.write_text(written + "\n", encoding="utf-8")
    for command in (("serve", "--config", config), ("rules", "diff", "a", "b", "--config", config)):
        told = run(*command)
        assert told.exit_code == USAGE, told.output
        assert f"{config}:0:0" in told.stderr
        assert said in told.stderr
