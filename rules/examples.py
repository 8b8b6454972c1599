"""Whole examples of what the tables of the reference page only list: a test loads them as the page prints them."""

from __future__ import annotations

from typing import Final

PACK: Final = """\
pack: ebike
title: 电动自行车
sector: gas
owner: 市消防救援支队
plan: ebike-response
effective: {from: 2026-01-01}
params: {burst: 4, most: 3}
indicators:
  complaints_30d: {count: signals, where: "source in [complaint, hotline]", window: 30d}
  usual: {history: complaints_30d, periods: 3, take: median, needs: 2} # 与自身此前三个窗口相比
  others: {peers: complaints_30d, by: [industry, region(6)], take: percentile, rank: 90, needs: 5} # 与同行业同区县相比
  <name>_1h: # 模板：each 的每一项写出一个指标
    each: [{name: lel, kind: gas.concentration, unit: "%LEL"}, {name: kpa, kind: gas.pressure, unit: kPa}]
    max: value
    unit: <unit>
    where: source == iot and kind == <kind>
    window: 1h
rules:
  - id: ebike-many-complaints
    title: 投诉多于往常，也多于同行
    status: shadow
    when: complaints_30d >= $burst and complaints_30d > $most * usual and complaints_30d > others
    points: 30
    say: "{object.name}近30日投诉{complaints_30d}件"
  - id: ebike-<name>-high # 模板：得分、时长也可以由各项填入
    each: [{name: lel, limit: 20, pts: 60, wait: 12h}, {name: kpa, limit: 5, pts: 40, wait: 1d}]
    title: 读数过高
    status: shadow
    when: <name>_1h >= <limit>
    points: <pts>
    cooldown: <wait>
    say: "{object.name}读数{<name>_1h}"
  - id: ebike-not-inspected
    title: 投诉之后无人检查
    status: shadow
    when: {first: source == hotline and kind == gas.leak, then_not: source == inspection, within: 48h}
    points: 30
    say: "{object.name}被投诉后48小时无人检查"
    tests:
      - name: 两日内没有检查
        given: [{at: +0h, source: hotline, kind: gas.leak}]
        expect: {hit_at: +48h}
      - name: 检查的数据源静默，无法判定
        given: [{at: +0h, source: hotline, kind: gas.leak}]
        feeds: [{at: +10h, silent: inspection}]
        expect: blind
"""
OVERRIDE: Final = """\
reason: 老旧小区集中
owner: 雁塔区消防救援大队
until: 2026-12-31
params:
  ebike: {burst: 3}
"""
TUNING: Final = """\
filters:
  - id: winter
    rules: [ebike-lel-*]
    when: "'露天' in object.labels"
    reason: 露天停放点冬季读数偏高
    owner: 市消防救援支队
    until: 2027-03-15
"""
FILES: Final = {"ebike.yaml": PACK, "overrides/610113.yaml": OVERRIDE, "tuning/winter.yaml": TUNING}


def page() -> str:
    """Return the examples as a section of the reference page."""
    shown = "\n\n".join(f"`{name}`：\n\n```yaml\n{text}```" for name, text in FILES.items())
    return f"## 完整的例子 Whole examples\n\n{shown}\n"
