"""Writes docs/packs.md from the shipped packs: `python -m tests.docs.packs_page`; a test keeps the file equal."""

from __future__ import annotations

from pathlib import Path

from domain.kinds import KINDS
from domain.levels import DEFAULT_LEVELS
from rules.load import load_rules
from rules.ruleset import Rule, RuleSet
from tests.campaigns.mutants import PACKS, packs

PAGE = Path(__file__).parents[2] / "docs" / "packs.md"
HEAD = """# 随附规则包 Shipped packs

本页由程序从 `rules/packs/` 生成（`python -m tests.docs.packs_page`），请勿手改。
This page is generated from `rules/packs/`; do not edit it by hand.

共 {packs} 个规则包、{rules} 条规则、{tests} 个测试。每条规则都有法律依据、责任部门、预案和测试，
并写明触发它的一条真实记录：来自哪个数据源、映射成哪种信号。
没有两条规则在去掉数值、时长和代码之后说的是同一件事；改动规则的任何一个界限、窗口或得分，它自己的测试就会失败，
由演练 `rule-mutation` 逐一改动查证（见 campaigns.md）。
得分为 0 的规则只记录命中：它们说的是检查、处罚、审批本身，不给监管对象加分。
预案编号是各地自己预案的代号；法律依据以最新文本为准，启用前请由法制机构核对。

{packs} packs, {rules} rules, {tests} tests. Each rule has a basis, an owner, a plan, tests, and names a record that triggers it.
No two rules say the same when numbers, lengths of time and codes are taken out; another threshold, window or score in one of them makes
its own tests fail, which campaign `rule-mutation` holds by changing each (see campaigns.md).
Rules of 0 points only record a hit: they are about inspecting, fining and licensing, and add nothing to an object's score.
"""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _level(rule: Rule) -> str:
    if not rule.points:
        return "只记录"
    level = DEFAULT_LEVELS.highest(rule.at_least, DEFAULT_LEVELS.level(rule.points, ""))
    return f"{rule.points:g} {level}".strip()


def _line(rule: Rule) -> str:
    record = rule.record
    told = f"{record.feed}：{KINDS[record.kind][0]}{f'（{record.matter}）' if record.matter else ''}" if record else ""
    about = "对象" if rule.by == "object" else "区域"
    cells = (f"`{rule.id}`", rule.title, about, _level(rule), rule.owner, f"`{rule.plan}`", told, "；".join(rule.basis))
    return "| " + " | ".join(map(_cell, cells)) + " |"


def page(ruleset: RuleSet) -> str:
    """Return the page as Markdown."""
    docs = packs()
    parts = [HEAD.format(packs=len(docs), rules=len(ruleset.rules), tests=len(ruleset.cases))]
    for file, doc in docs.items():
        own = [_line(rule) for rule in ruleset.rules if rule.pack == doc["pack"]]
        table = [
            "| 规则 Rule | 名称 | 针对 | 得分与等级 | 责任部门 | 预案 | 触发的记录 | 依据 |",
            "|---|---|---|---|---|---|---|---|",
            *own,
        ]
        parts.append(f"## {doc['title']} `{file}`\n\n" + "\n".join(table) + "\n")
    return "\n".join(parts)


def shipped() -> RuleSet:
    """Return the shipped rules."""
    return load_rules({path.name: path.read_text(encoding="utf-8") for path in sorted(PACKS.glob("*.yaml"))})


if __name__ == "__main__":
    PAGE.write_text(page(shipped()), encoding="utf-8")
