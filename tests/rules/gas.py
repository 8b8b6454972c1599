"""A small sound pack of gas rules, and what it becomes by one change."""

from __future__ import annotations

PACK = """
pack: gas
title: 燃气
sector: gas
owner: 市住建局
params: {burst: 5}
indicators:
  leaks: {count: signals, where: "source in [complaint, hotline] and kind == gas.leak", window: 7d, as_of: object}
  channels: {distinct: source, where: "source in [complaint, hotline]", window: 7d, as_of: object}
  pressure: {mean: value, unit: kPa, where: source == iot and kind == gas.pressure, window: 10m}
  odd: {anomaly: pressure, detector: fast}
rules:
  - id: burst
    title: 激增
    status: active
    basis: [城镇燃气管理条例第四十一条]
    plan: check
    when: leaks >= $burst and channels >= 2 or odd > 0.995
    points: 40
    say: "{object.name} {leaks} 件，压力 {pressure}"
    tests:
      - name: 命中
        given:
          - {at: +0h, source: complaint, kind: gas.leak, times: 4, every: 1h}
          - {at: +5h, source: hotline, kind: gas.leak}
        expect: {hit_at: +5h}
      - name: 不报
        given: [{at: +0h, source: complaint, kind: gas.leak}]
        expect: none
effective: {from: 2024-01-01}
"""


def changed(old: str, new: str) -> str:
    """Return the pack with `new` in the place of `old`, which it must have."""
    assert old in PACK
    return PACK.replace(old, new)
