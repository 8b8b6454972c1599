"""A pack of 60 indicators with all aggregates, windows and fields, drawn from a seed, and an evaluator that is plain at any cost.

The evaluator keeps every signal of an object and works each indicator out anew from all of them, by the words of the rule language's
reference: so it shares no idea with an engine that could be wrong in both. It is for some thousand signals.
"""

from __future__ import annotations

import json
import math
import operator
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

SEED: Final = 60
INDICATORS: Final = 60
RULES: Final = 40
OBJECTS: Final = 40
CHINA: Final = timezone(timedelta(hours=8))
SOURCES: Final = ("hotline", "complaint", "iot", "penalty", "inspection", "video")
KINDS: Final = ("gas.leak", "gas.odour", "food.expired", "fire.smoke", "lift.trapped")
MATTERS: Final = ("gas", "food", "fire", "")
SLIDING: Final = {"10m": 600, "1h": 3600, "6h": 21_600, "24h": 86_400, "3d": 259_200, "7d": 604_800}
CALENDAR: Final = ("day", "week", "month")
COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    ">=": operator.ge, ">": operator.gt, "<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
FILTERS: Final[dict[str, Callable[[dict[str, Any]], bool]]] = {
    "": lambda _: True,
    "source == iot": lambda s: s["source"] == "iot",
    "source in [hotline, complaint]": lambda s: s["source"] in {"hotline", "complaint"},
    "kind in gas.*": lambda s: s["kind"].startswith("gas."),
    "matter == food and severity >= 2": lambda s: s["matter"] == "food" and s["severity"] >= 2,
    "value > 40": lambda s: s["value"] is not None and s["value"] > 40,
    "source == iot and not has(value)": lambda s: s["source"] == "iot" and s["value"] is None,
    "kind == fire.smoke or severity == 3": lambda s: s["kind"] == "fire.smoke" or s["severity"] == 3,
}
AGGREGATES: Final = (
    ("count", "signals"), ("count", "signals"), ("sum", "value"), ("mean", "value"), ("min", "value"), ("max", "value"),
    ("distinct", "source"), ("distinct", "kind"), ("distinct", "value"), ("last", "value"), ("sum", "severity"), ("max", "severity"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Drawn:
    """An indicator."""

    name: str
    aggregate: str
    field: str
    where: str
    window: str
    exact: bool
    own: bool

    def text(self) -> str:
        """Return it in the rule language."""
        where = f'where: "{self.where}", ' if self.where else ""
        exact = ", exact: true" if self.exact else ""
        as_of = "own" if self.own else "object"
        return f"  {self.name}: {{title: {self.name}, {self.aggregate}: {self.field}, {where}window: {self.window}{exact}, as_of: {as_of}}}"


def drawn(count: int = INDICATORS) -> tuple[list[Drawn], list[list[tuple[str, str, float]]]]:
    """Return so many indicators, and the rules as comparisons of which all must hold."""
    draw = random.Random(SEED)
    found = []
    for number in range(count):
        window = draw.choice([*SLIDING, *CALENDAR])
        exact = window in SLIDING and draw.random() < 0.4
        aggregate, of = draw.choice(AGGREGATES)
        found.append(Drawn(f"i{number}", aggregate, of, draw.choice(list(FILTERS)), window, exact, draw.random() < 0.5))
    limit = {"count": (1, 9), "distinct": (1, 5), "sum": (0, 300), "mean": (20, 80), "min": (0, 60), "max": (1, 100), "last": (10, 90)}
    rules = []
    for _ in range(RULES):
        chosen = draw.sample(found, draw.choice([1, 2, 2, 3]))
        rules.append(
            [(each.name, draw.choice(list(COMPARE)), draw.randint(*limit[each.aggregate]) + draw.choice([0, 0.5])) for each in chosen]
        )
    return found, rules


def signals(count: int) -> list[dict[str, Any]]:
    """Return signals in order of arrival, one in ten late by up to three days."""
    draw = random.Random(SEED + 1)
    at = datetime(2026, 3, 30, tzinfo=CHINA)
    made = []
    for number in range(count):
        at += timedelta(seconds=draw.choice([1, 30, 300, 1200]), microseconds=draw.choice([0, 500_000]))
        late = timedelta(seconds=draw.randrange(259_200)) if draw.random() < 0.1 else timedelta()
        made.append({
            "id": f"s{number}",
            "source": draw.choice(SOURCES),
            "kind": draw.choice(KINDS),
            "object_id": f"o{min(int(draw.expovariate(0.15)), OBJECTS - 1)}",
            "matter": draw.choice(MATTERS),
            "occurred_at": (at - late).isoformat(),
            "severity": draw.randrange(4),
            "value": draw.choice([None, round(draw.uniform(0, 100), 2), float(draw.randrange(100)), 0.1]),
        })  # fmt: skip
    return made


def _first_inside(window: str, clock: datetime, *, exact: bool) -> Callable[[datetime], bool]:
    """Return the test whether an instant is not before the window that ends at `clock`."""
    if window in SLIDING:
        length = SLIDING[window]
        if exact:
            return lambda at: at > clock - timedelta(seconds=length)
        width = Fraction(length, 24)
        return lambda at: _bucket(at, width) > _bucket(clock, width) - 24
    here = clock.astimezone(CHINA)
    midnight = here.replace(hour=0, minute=0, second=0, microsecond=0)
    begins = midnight - timedelta(days={"day": 0, "week": here.weekday(), "month": here.day - 1}[window])
    return lambda at: at >= begins


def _bucket(at: datetime, width: Fraction) -> int:
    since = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return math.floor(Fraction(since, 1_000_000) / width)


def value(indicator: Drawn, seen: list[dict[str, Any]]) -> float | None:
    """Return an indicator of an object whose signals so far are `seen`, in order of arrival."""
    chosen = [each for each in seen if FILTERS[indicator.where](each)]
    counted: list[dict[str, Any]] = []
    clock = datetime(1, 1, 2, tzinfo=CHINA)
    for each in seen:  # a signal that is too old when it comes is never counted
        if not indicator.own or each in chosen:
            clock = max(clock, each["at"])
        if FILTERS[indicator.where](each) and _first_inside(indicator.window, clock, exact=indicator.exact)(each["at"]):
            counted.append(each)
    if not counted:
        return 0 if indicator.aggregate in {"count", "distinct"} else None
    inside = _first_inside(indicator.window, clock, exact=indicator.exact)
    left = [each for each in counted if inside(each["at"])]
    if indicator.aggregate == "count":
        return len(left)
    values = [each[indicator.field] for each in left if each[indicator.field] is not None]
    if indicator.aggregate == "distinct":
        return len(set(values))
    if indicator.aggregate == "sum":
        return math.fsum(values)
    if not values:
        return None
    if indicator.aggregate == "mean":
        return math.fsum(values) / len(values)
    if indicator.aggregate == "last":
        newest = max(range(len(left)), key=lambda place: (left[place][indicator.field] is not None, left[place]["at"], place))
        return left[newest][indicator.field]
    return (min if indicator.aggregate == "min" else max)(values)


def evaluate(given: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Return every hit as (signal, object, rule), in order."""
    indicators, rules = drawn()
    by_name = {each.name: each for each in indicators}
    read = {name for rule in rules for name, _, _ in rule}
    seen: dict[str, list[dict[str, Any]]] = {}
    true: dict[str, set[int]] = {}
    hits = []
    for signal in given:
        thing = signal["object_id"]
        seen.setdefault(thing, []).append(signal | {"at": datetime.fromisoformat(signal["occurred_at"])})
        values = {name: value(by_name[name], seen[thing]) for name in sorted(read)}
        now = {
            number
            for number, rule in enumerate(rules)
            if all((found := values[name]) is not None and COMPARE[how](found, limit) for name, how, limit in rule)
        }
        hits += [(signal["id"], thing, f"sixty-{number:02d}") for number in sorted(now - true.get(thing, set()))]
        true[thing] = now
    return hits


def write_pack(folder: Path, count: int = INDICATORS) -> None:
    """Write a pack with so many indicators into `folder`."""
    indicators, rules = drawn(count)
    lines = ["pack: sixty", "title: sixty", "sector: bench", "owner: bench", "plan: bench", "effective: {from: 2000-01-01}", "indicators:"]
    lines += [each.text() for each in indicators]
    lines.append("rules:")
    for number, rule in enumerate(rules):
        when = " and ".join(f"{name} {how} {limit}" for name, how, limit in rule)
        lines.append(f'  - {{id: sixty-{number:02d}, title: r, status: active, when: "{when}", points: 0, say: r, basis: [bench]}}')
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sixty.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write(folder: Path, path: Path, count: int) -> list[tuple[str, str, str]]:
    """Write the pack into `folder` and signals to `path`; return the hits that there must be."""
    write_pack(folder)
    given = signals(count)
    with path.open("w", encoding="utf-8") as file:
        for each in given:
            file.write(json.dumps({key: found for key, found in each.items() if found not in (None, "")}) + "\n")
    return evaluate(given)
