"""RiskBench's rule sets in the product's own rule language.

    python -m benchmarks.riskbench.packs            writes the committed folders again: rules20, rules100, points20, points100
    python -m benchmarks.riskbench.packs 1000 OUT   writes a set of any size to a folder

`rules…` only hit (`points: 0`), `points…` are the same rules with points, which go through fusion and raising. Ids are rb-000, rb-001, …
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from benchmarks.riskbench.semantics import DAY, HOUR, INDICATORS, MINUTE, SIZES, Condition, rules

HERE: Final = Path(__file__).parent
POINTS: Final = 10


def duration(ms: int) -> str:
    """Return a length as authors write it.

    >>> duration(7 * DAY), duration(10 * MINUTE)
    ('7d', '10m')
    """
    for unit, length in (("d", DAY), ("h", HOUR), ("m", MINUTE)):
        if ms % length == 0:
            return f"{ms // length}{unit}"
    raise ValueError(f"{ms} ms is no whole number of minutes")


def condition(of: Condition) -> str:
    """Return a condition in the rule language."""
    return f"{of.field} {of.operator} {of.value}"


def pack(count: int, points: int) -> str:
    """Return the text of the pack with the first `count` rules."""
    lines = [
        "# 由 benchmarks/riskbench/packs.py 生成 / written by benchmarks/riskbench/packs.py",
        "pack: riskbench",
        f"title: RiskBench {count} 条规则",
        "sector: riskbench",
        "owner: RiskBench",
        "effective: {from: 2000-01-01}",
        "plan: bench",
        "",
        "indicators:",
    ]
    for each in INDICATORS:
        where = f"where: {each.where}, " if each.where else ""
        lines.append(f"  {each.name}: {{title: {each.name}, {each.aggregate}, {where}window: {duration(each.length)}, as_of: object}}")
    lines += ["", "rules:"]
    for number, rule in enumerate(rules(count)):
        lines += [
            f"  - id: rb-{number:03d}",
            f"    title: RiskBench {number}",
            "    status: active",
            f"    when: {' and '.join(condition(each) for each in rule)}",
            f"    points: {points}",
            f"    say: RiskBench {number}",
            "    basis: [RiskBench v1]",
        ]
    return "\n".join(lines) + "\n"


def write(folder: Path, count: int, points: int = 0) -> None:
    """Write a pack into `folder`, which is made where it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "riskbench.yaml").write_text(pack(count, points), encoding="utf-8")


def committed() -> dict[Path, tuple[int, int]]:
    """Return the folders that are committed, each with its number of rules and their points."""
    return {HERE / f"{name}{count}": (count, points) for count in SIZES for name, points in (("rules", 0), ("points", POINTS))}


def main(argv: list[str]) -> None:
    """Write one set, or the committed ones."""
    if argv:
        write(Path(argv[1]), int(argv[0]))
        return
    for folder, (count, points) in committed().items():
        write(folder, count, points)


if __name__ == "__main__":
    main(sys.argv[1:])
