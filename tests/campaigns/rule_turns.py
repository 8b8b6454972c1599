"""The rule sets of the campaign `reloads`, turn by turn, and the ways in which they are spoilt."""

from __future__ import annotations

from collections.abc import Callable

STEADY = """pack: steady
title: 不变的规则
sector: gas
owner: 市住建局
plan: gas-response
effective: {from: 2026-01-01}
indicators:
  leaks_7d: {title: 近7日泄漏, count: signals, where: kind == gas.leak, window: 7d}
  worst_7d: {title: 近7日最重, max: severity, window: 7d, exact: true}
rules:
  - {id: steady-leaks, title: 泄漏, status: active, basis: [某条], when: leaks_7d >= 4, points: 0, cooldown: 1h, say: "{leaks_7d}"}
  - {id: steady-worst, title: 最重, status: active, basis: [某条], when: severity >= 3 and leaks_7d >= 1, points: 40, say: "{worst_7d}"}
"""


def packs(turn: int, indicators: int) -> dict[str, str]:
    """Return the sound set of a turn: two packs bear its number, and so many indicators have come in its time."""
    found = {"steady.yaml": STEADY}
    for name in ("a", "b"):
        more = "".join(
            f"  i{n}: {{title: 指标{n}, count: signals, where: severity >= {n % 3 + 1}, window: {n + 2}h}}\n" for n in range(indicators)
        )
        known = "".join(
            f"  - {{id: {name}-i{n}, title: 规则{n}, status: active, basis: [某条], when: i{n} >= 2, points: 0, say: '{turn}'}}\n"
            for n in range(indicators)
        )
        found[f"turn-{name}.yaml"] = (
            f"pack: turn-{name}\ntitle: 第{turn}版\nsector: gas\nowner: 市住建局\neffective: {{from: 2026-01-01}}\n"
            f"indicators:\n  all: {{title: 全部, count: signals, window: 1h}}\n{more}"
            f"rules:\n  - {{id: {name}-mark, title: 标记, status: active, basis: [某条], when: severity >= 2, points: 0, say: '{turn}'}}\n"
            + known
        )
    return found


def _appended(text: str) -> Callable[[dict[str, str]], None]:
    def spoil(texts: dict[str, str]) -> None:
        texts["turn-b.yaml"] += text

    return spoil


def _swapped(old: str, new: str) -> Callable[[dict[str, str]], None]:
    def spoil(texts: dict[str, str]) -> None:
        texts["turn-b.yaml"] = texts["turn-b.yaml"].replace(old, new)

    return spoil


def many(texts: dict[str, str]) -> None:
    """Add ten thousand drafts in four packs."""
    for part in range(4):
        rules = "".join(
            f"  - {{id: m{part}-{n}, title: 规则, status: draft, when: severity >= 2, points: 1, say: 'x'}}\n" for n in range(2500)
        )
        texts[f"many-{part}.yaml"] = f"pack: many-{part}\ntitle: 多\nsector: gas\nowner: 某局\nindicators: {{}}\nrules:\n{rules}"


BOMB = "".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9) if n else '1'}]\n" for n in range(12))
BAD: dict[str, Callable[[dict[str, str]], None]] = {
    "unknown key": _swapped("points: 0", "pionts: 0"),
    "bad type": _swapped("points: 0", "points: [viele]"),
    "cycle": _swapped("indicators:\n", "indicators:\n  p: {title: 甲, formula: q + 1}\n  q: {title: 乙, formula: p + 1}\n"),
    "duplicate id": _swapped("id: b-mark", "id: a-mark"),
    "10 MB": _appended("# " + "x" * (10 * 2**20) + "\n"),
    "alias bomb": lambda texts: texts.update({"bomb.yaml": BOMB}),
    "bad regex": _swapped("when: severity >= 2", "when: text matches '(a+)+('"),
}
