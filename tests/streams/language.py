"""Two rule sets in the language itself, with every aggregate, window, group and baseline, for the random worlds."""

from __future__ import annotations

from dataclasses import replace

from rules.load import load_rules
from rules.ruleset import RuleSet

WINDOWS = [
    "10h",
    "24h",
    "{w: 30h, exact}",
    "day",
    "week",
    "month",
    "quarter",
    "year",
    "tumbling(6h)",
    "tumbling(5d)",
    "session(3h)",
    "session(2d)",
    "daily(3d)",
    "daily(400d)",
]
AGGREGATES = {
    "count": "count: signals",
    "distinct": "distinct: source",
    "sum": "sum: value",
    "mean": "mean: value",
    "min": "min: value",
    "max": "max: value",
    "first": "first: value",
    "last": "last: kind",
    "stddev": "stddev: value",
    "p50": "percentile: value, rank: 50",
    "p90": "percentile: value, rank: 90.5",
    "trend": "trend: value, per: 1h",
    "since": "since: last",
    "begun": "since: first",
    "share": "percentage: severity >= $bad",
    "fresh": "new_value: kind",
    "change": "change: value",
    "enough": "mean: value, needs: 3",
}
GROUPS = ["parent", "matter", "industry", "[industry, region(6)]", "[matter, object]", "[parent, matter, region(4)]", "region(9)"]
BASELINES = [
    "  usual: {history: c_10h, periods: 3, take: mean, needs: 2}",
    "  year_ago: {history: s_month, periods: 12, take: first, needs: 1}",
    "  last_week: {history: m_week, periods: 1, take: last}",
    "  wide: {history: s_month, periods: 4, take: stddev, needs: 2}",
    "  mid: {history: c_exact, periods: 5, take: median, needs: 1}",
    "  top: {history: c_tumbling, periods: 6, take: percentile, rank: 80, needs: 1}",
    "  most: {history: c_daily, periods: 2, take: max}",
    "  least: {history: m_week, periods: 3, take: min, needs: 1}",
    "  jump: {spike: c_10h}",
    "  rise: {spike: s_month, needs: 2}",
    "  fall: {spike: c_tumbling}",
    "  hush: {flatline: c_exact, below: 2}",
    "  still: {flatline: m_week, below: 2.5}",
    "  calm: {flatline: c_10h, below: 3}",
    "  c_10h: {count: signals, window: 10h, as_of: object, where: kind in gas.*}",
    "  s_month: {sum: value, window: month, as_of: object, by: region(6)}",
    "  m_week: {mean: value, window: week}",
    "  c_exact: {count: signals, window: 3d, exact: true, as_of: object, where: source == hotline}",
    "  c_tumbling: {distinct: source, window: tumbling(7h), by: parent}",
    "  c_daily: {max: value, window: daily(5d), as_of: object}",
]
PEERS = [
    "  like: {peers: c_10h, by: [industry, region(6)], take: mean, needs: 2}",
    "  means: {peers: m_week, by: industry, take: median, needs: 1}",
    "  highs: {peers: c_daily, by: region(4), take: percentile, rank: 75, needs: 1}",
    "  apart: {peers: c_exact, by: parent, take: stddev, needs: 2}",
    "  few: {peers: c_exact, by: industry, take: max}",
    "  vs: {formula: c_10h - like}",
]
DERIVED = [
    "  double: {formula: half * 4 - by_0}",
    "  half: {formula: count_0 / 2 + sum_1 * -1}",
    "  part: {ratio: [by_4, by_0]}",
    "  unlike: {ratio: [mean_0, stddev_2]}",
    "  grown: {formula: part * part + unlike / double}",
]
NOT_DAILY = {"p50", "p90", "trend", "since", "begun", "share", "change", "enough"}


def _indicators() -> list[str]:
    """Return one line for each aggregate, each with windows in turn, both clocks and several filters."""
    lines = []
    filters = ["", "where: kind in gas.*, ", "where: source == iot, ", "where: value > $low, "]
    for place, (name, written) in enumerate(AGGREGATES.items()):
        for turn in range(3):
            window = WINDOWS[(place * 5 + turn * 3) % len(WINDOWS)]
            if window.startswith("daily") and name in NOT_DAILY:
                window = "session(7h)"
            exact = ", exact: true" if "exact" in window else ""
            window = "30h" if exact else window
            clock = ", as_of: object" if turn != 1 and name not in ("since", "begun") else ""
            by = ", by: region(6)" if turn == 2 else ""
            lines.append(f"  {name}_{turn}: {{{written}, {filters[(place + turn) % 4]}window: {window}{exact}{clock}{by}}}")
    lines += [f"  by_{n}: {{count: signals, window: 24h, as_of: object, by: {by}}}" for n, by in enumerate(GROUPS)]
    lines += [f"  sum_by_{n}: {{sum: value, window: day, by: {by}}}" for n, by in enumerate(GROUPS)]
    return lines + BASELINES + PEERS + DERIVED


def _rule(name: str, when: str, more: str = "") -> str:
    return f"  - {{id: {name}, title: {name}, status: active, basis: [b], when: '{when}', points: 30, say: x{more}}}"


def text(rules: list[str], indicators: list[str], params: str = "{low: 1, bad: 2}") -> str:
    """Return a pack."""
    return "\n".join(
        [
            "pack: p",
            "title: 随机",
            "sector: gas",
            "owner: 某局",
            "effective: {from: 2024-01-01}",
            "plan: p",
            f"params: {params}",
            "indicators:",
            *indicators,
            "rules:",
            *rules,
        ]
    )


RULES = [
    _rule("count", "count_0 >= 2 or count_1 >= 3"),
    _rule("since", "since_0 > 20h or begun_1 > 40h"),
    _rule("share", "share_0 > 50% and fresh_0"),
    _rule("change", "change_0 or change_1"),
    _rule("spread", "stddev_0 > 1 or p90_0 >= 6"),
    _rule("enough", "enough_0 > 2 or not has(enough_1)"),
    _rule("trend", "trend_0 > 0 and last_0 in gas.*"),
    _rule("groups", "by_0 >= 2 and by_1 < 5 or by_3 >= 2 or sum_by_5 > 10"),
    _rule("past", "jump >= 2 or hush or c_10h > usual + 1"),
    _rule("season", "year_ago > 1 or rise < 0.5 or top >= 2 and calm"),
    _rule("peers", "vs >= 1 or has(highs) and apart < 1 or few > 1"),
    _rule("derived", "grown > 0.1 or part == 1"),
    _rule("little", "double < 3 and sum_by_2 > 0"),
    _rule("area", "count_2 >= 3 or fresh_2", ", subject: region(6)"),
    _rule("sticky", "count_0 >= 2", ", clear_when: count_0 < 1 or by_0 < 1"),
    _rule("worst", "severity >= 2 and by_0 >= 2", ", clear_when: severity == 0"),
    _rule("spot", "count_2 >= 2", ", subject: region(6), clear_when: count_2 < 1 or share_2 < 1"),
]


def rulesets() -> dict[str, RuleSet]:
    """Return two rule sets that share most definitions; one parameter stands for the same in both, one does not."""
    first, second = _indicators(), [line.replace("where: source == iot", "where: source == hotline") for line in _indicators()]
    return {
        "v1": replace(load_rules({"p.yaml": text(RULES, first)}), version="v1"),
        "v2": replace(load_rules({"p.yaml": text(RULES[2:], second, "{low: 1, bad: 1}")}), version="v2"),
    }
