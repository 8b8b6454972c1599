"""A settings file that is wrong is told as what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.commands.output import USAGE
from app.settings import load_settings
from tests.app.test_why import run


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('rule = "packs"', "没有名为 rule 的设置；是否想写 rules？"),
        ("port = 99999", "设置 port 不合要求"),
        ("port =", "不是有效的 TOML"),
        ('[[kafka.sources]]\ntopic = "fengsui.events"\nfeed = "signals"', "是本部署自己的，不能作为数据来源"),
        ('[[kafka.sources]]\ntopic = "t"\nfeed = "f"\n[[kafka.sources]]\ntopic = "t"\nfeed = "f"', "两次作为数据源 f 的来源"),
        ('[[kafka.sources]]\ntopic = "t"\nfeed = "f"\ntls = true', "设置了 tls 而没有 bootstrap"),
        ('[[kafka.sources]]\ntopic = "t"', "设置 kafka.sources.0.feed 不合要求"),
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


def test_sources_come_from_a_file_or_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A topic named like one of ours is a source where it is on other brokers; without brokers of its own a source has the cluster's."""
    config = tmp_path / "fengsui.toml"
    config.write_text(
        '[kafka]\nbootstrap = "a:1"\n[[kafka.sources]]\ntopic = "t"\nfeed = "f"\n'
        '[[kafka.sources]]\ntopic = "fengsui.events"\nfeed = "signals"\nbootstrap = "b:2"\ntls = true\n',
        encoding="utf-8",
    )
    kafka = load_settings(config).kafka
    assert [(kafka.access_of(one).bootstrap, kafka.access_of(one).tls, kafka.group_of(one)) for one in kafka.sources] == [
        ("a:1", False, "fengsui.f.t"),
        ("b:2", True, "fengsui.signals.fengsui.events"),
    ]
    monkeypatch.setenv("FENGSUI_KAFKA__SOURCES", '[{"topic": "u", "feed": "g", "group": "own"}]')
    kafka = load_settings().kafka
    assert [(one.topic, kafka.group_of(one)) for one in kafka.sources] == [("u", "own")]
