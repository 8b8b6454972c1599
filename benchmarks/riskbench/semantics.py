"""What RiskBench asks, exactly: eight indicators of an object, and rule sets over them of any size.

Every window is cut into 24 buckets; a signal at `t` (milliseconds since the epoch) is in bucket `t // (length / 24)`. An object's clock is
the greatest `t` it has seen. A signal whose bucket is not one of the clock's bucket and the 23 before it does not count in that window.
After every signal all indicators of its object are read at the clock and all rules are evaluated: a hit is a rule that is true now and was
not after the object's previous signal.

The rule sets are drawn from a fixed seed, so set 20 is the first 20 rules of set 100, and that the first 100 of set 1,000.
"""

from __future__ import annotations

import random
from typing import Final, NamedTuple

MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
BUCKETS: Final = 24
SEED: Final = 7
SIZES: Final = (20, 100)  # the sets that are committed as rule packs


class Windowed(NamedTuple):
    """An indicator: over which signals, in which window (ms), what is made of them, and the thresholds that rules name."""

    name: str
    length: int
    aggregate: str  # in the words of the rule language
    where: str
    thresholds: tuple[float, ...]


INDICATORS: Final = (
    Windowed("tickets_24h", 24 * HOUR, "count: signals", "source == hotline", (5, 20, 60, 200)),
    Windowed("complaints_7d", 7 * DAY, "count: signals", "source == complaint", (8, 30, 100, 400)),
    Windowed("penalties_90d", 90 * DAY, "sum: value", "source == penalty", (20000.0037, 100000.0037, 400000.0037, 2000000.0037)),
    Windowed("rulings_180d", 180 * DAY, "count: signals", "source == ruling", (2, 5, 12, 30)),
    Windowed("iot_exceed_1h", HOUR, "count: signals", "source == iot and value > 80", (2, 3, 5, 8)),
    Windowed("iot_mean_10m", 10 * MINUTE, "mean: value", "source == iot", (66.0037, 72.0037, 78.0037, 84.0037)),
    Windowed("sources_7d", 7 * DAY, "distinct: source", "", (4, 5, 6)),
    Windowed("video_24h", 24 * HOUR, "count: signals", "source == video", (3, 8, 20, 50)),
)
MATTERS: Final = ("gas", "food", "elevator", "fire", "chemical", "construction", "traffic", "environment")


class Condition(NamedTuple):
    """`field operator value`, where the field is an indicator, or `severity` or `matter` of the signal."""

    field: str
    operator: str
    value: float | str


def rules(count: int) -> list[list[Condition]]:
    """Return `count` different rules, each the conditions that must all hold."""
    draw = random.Random(SEED)
    thresholds = {indicator.name: indicator.thresholds for indicator in INDICATORS}
    names = list(thresholds)
    found: dict[tuple[str, ...], list[Condition]] = {}
    while len(found) < count:
        wanted = draw.choice([2, 2, 3])
        fields = draw.sample(names, wanted if draw.random() < 0.4 else wanted - 1)
        rule = [Condition(field, ">=" if draw.random() < 0.8 else ">", draw.choice(thresholds[field])) for field in fields]
        if len(rule) < wanted:
            of_severity = draw.random() < 0.3
            rule.append(
                Condition("severity", ">=", draw.choice([2, 3, 3])) if of_severity else Condition("matter", "==", draw.choice(MATTERS))
            )
        found.setdefault(tuple(sorted(str(tuple(condition)) for condition in rule)), rule)
    return list(found.values())
