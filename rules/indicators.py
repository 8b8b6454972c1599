"""From the indicators of a parsed pack to those of `rules.ruleset`: aggregates, windows and groups are read and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import msgspec

from rules.documents import NAME, IndicatorDoc
from rules.durations import duration
from rules.expressions import KnownIndicator, Scope, compile_expression
from rules.literals import Constant
from rules.parsed import Reporter
from rules.positions import Path
from rules.problems import Phrase
from rules.ruleset import SESSION_GAPS, By, Expression, Indicator, Part, Window
from rules.vocabulary import (
    AGGREGATES,
    ANOMALY,
    BASELINES,
    CALENDAR_WINDOWS,
    DERIVED,
    GROUPS,
    NUMERIC,
    ONLY_WITH,
    RESERVED,
    UNITS,
    WINDOWS,
    Type,
)

SHORTEST: Final = timedelta(minutes=1)
LONGEST: Final = timedelta(days=1100)  # three years: state is kept for as long as the longest window
_DAY: Final = timedelta(days=1)
KINDS: Final = (*AGGREGATES, *BASELINES, *DERIVED, ANOMALY)
_NUMERIC: Final[frozenset[Type]] = NUMERIC | {"any"}
_CALL: Final = re.compile(rf"({'|'.join(WINDOWS)})\((.+)\)")


@dataclass(slots=True)
class Counting(Reporter):
    """Compiles the indicators that count signals."""

    params: Mapping[str, Constant] = field(default_factory=dict)
    known: dict[str, KnownIndicator] = field(default_factory=dict)
    indicators: dict[str, Indicator] = field(default_factory=dict)

    @staticmethod
    def _sound(name: str) -> bool:
        return re.fullmatch(NAME, name) is not None and name not in RESERVED

    def named(self, name: str) -> bool:
        """Tell whether an indicator may have this name; what is wrong with it is reported."""
        path = ("indicators", name)
        if not re.fullmatch(NAME, name):
            self.problem_of_key(path, "rules.not_shaped", read=name, field="indicators", shape=Phrase("rules.shape.name"))
        elif name in RESERVED:
            self.problem_of_key(path, "rules.reserved", read=name)
        return self._sound(name)

    def plain(self, name: str, doc: IndicatorDoc) -> None:
        """Compile an indicator that counts signals."""
        path: Path = ("indicators", name)
        written = self.written(path)
        chosen = [kind for kind in KINDS if kind in written]
        if not chosen and not set(written) <= {field.encode_name for field in msgspec.structs.fields(IndicatorDoc)}:
            return  # a key that is none was reported; it was probably meant to be the aggregate
        if len(chosen) != 1:
            self.problem(path, "rules.one_aggregate", read=name, number=len(chosen), legal=KINDS)
            return
        aggregate = chosen[0]
        self._companions(path, aggregate, written)
        where = self._filter((*path, "where"), doc.where, condition=True) if doc.where is not None else None
        of, of_type = self._of(path, aggregate, doc)
        result = self._result(path, aggregate, of_type, doc)
        qualified = f"{self.parsed.doc.pack}.{name}"
        self.known[name] = KnownIndicator(qualified, result, share=aggregate == "percentage")
        self.indicators[name] = Indicator(
            name=qualified,
            title=doc.title or name,
            aggregate=aggregate,  # type: ignore[arg-type]  # a key of AGGREGATES, which a test holds equal to the literal
            window=self._window(path, aggregate, doc, written),
            where=where[0] if where else None,
            of=of,
            as_of="object" if aggregate == "since" else doc.as_of,
            by=self.by(path, doc),
            unit="CNY" if result == "money" else doc.unit,
            needs=doc.needs,
            rank=doc.rank or 0.0,
            per=duration(doc.per) if doc.per is not None else _DAY,
            end=doc.since,
        )

    def _companions(self, path: Path, aggregate: str, written: Mapping[str, Any]) -> None:
        """Report keys that go with other aggregates, and those that this one wants and has not."""
        for key, words in ONLY_WITH.items():
            if key in written and aggregate not in words:
                self.problem_of_key((*path, key), "rules.only_with", read=key, other=" / ".join(words))
        if aggregate == "percentile" and "rank" not in written:
            self.problem(path, "rules.missing_key", field="rank")
        if aggregate == "since" and "as_of" in written:
            self.problem_of_key((*path, "as_of"), "rules.not_with", read="as_of", other="since")

    def _filter(self, path: Path, text: str, *, condition: bool) -> tuple[Expression, Type] | None:
        scope = Scope(self.report(path), self.params, in_filter=True)
        return compile_expression(text, scope, condition=condition)

    def _of(self, path: Path, aggregate: str, doc: IndicatorDoc) -> tuple[Expression | None, Type]:
        word = AGGREGATES[aggregate]
        if word.fixed:
            return None, "count"
        compiled = self._filter((*path, aggregate), getattr(doc, aggregate), condition=aggregate == "percentage")
        if compiled is None:
            return None, "any"
        expression, of_type = compiled
        if of_type not in word.takes:
            self.problem((*path, aggregate), "rules.cannot_aggregate", read=aggregate, type=Phrase(f"rules.type.{of_type}"))
            return expression, "any"
        return expression, of_type

    def _result(self, path: Path, aggregate: str, of_type: Type, doc: IndicatorDoc) -> Type:
        gives = AGGREGATES[aggregate].gives or of_type
        unit = UNITS.get(doc.unit)
        if unit is not None and unit.dimension == "money" and unit.scale != "1":
            self.problem((*path, "unit"), "rules.money_in_yuan", read=doc.unit)
        if gives != "any" or not doc.unit:
            return gives
        return "money" if unit is not None and unit.dimension == "money" else "number"

    def _window(self, path: Path, aggregate: str, doc: IndicatorDoc, written: Mapping[str, Any]) -> Window | None:
        if doc.window is None:
            # What one signal decides needs no window: the engine keeps a limited number for it. Everything else would grow for ever.
            if not AGGREGATES[aggregate].boundless and "window" not in written:
                self.problem(path, "rules.missing_key", field="window")
            return None
        call = _CALL.fullmatch(doc.window)
        if doc.exact and (doc.window in CALENDAR_WINDOWS or call is not None):
            self.problem((*path, "exact"), "rules.exact_calendar")
        if doc.window in CALENDAR_WINDOWS:
            return Window(doc.window)  # type: ignore[arg-type]  # a key of CALENDAR_WINDOWS
        kind = call[1] if call is not None else "sliding"
        try:
            length = duration(call[2] if call is not None else doc.window)
        except ValueError:
            length = timedelta.max
        longest = LONGEST / SESSION_GAPS if kind == "session" else LONGEST
        if not SHORTEST <= length <= longest:
            high = "11d" if kind == "session" else "1100d"
            self.problem((*path, "window"), "rules.out_of_range", field="window", read=doc.window, low="1m", high=high)
            return None
        if kind == "daily":
            self._daily(path, aggregate, length, written)
        return Window(kind, length, doc.exact)  # type: ignore[arg-type]  # "sliding" or a key of WINDOWS

    def _daily(self, path: Path, aggregate: str, length: timedelta, written: Mapping[str, Any]) -> None:
        if length % _DAY:
            self.problem((*path, "window"), "rules.whole_days")
        if not AGGREGATES[aggregate].daily:
            legal = tuple(name for name, word in AGGREGATES.items() if word.daily)
            self.problem((*path, "window"), "rules.not_daily", read=aggregate, legal=legal)
        if "needs" in written:
            self.problem_of_key((*path, "needs"), "rules.not_with", read="needs", other="daily(…)")

    def by(self, path: Path, doc: IndicatorDoc) -> By:
        """Return what an indicator is kept for, parts in the order of the vocabulary: equal groups are the same group."""
        if isinstance(doc.by, str):
            return _part(doc.by)
        if len(doc.by) < 2:
            self.problem((*path, "by"), "rules.one_part", read=doc.by[0] if doc.by else "object")
        regions = [word for word in doc.by if word.startswith("region")]
        if len(set(doc.by)) != len(doc.by) or len(regions) > 1:
            self.problem((*path, "by"), "rules.same_part_twice")
        return tuple(_part(word) for word in GROUPS if word in doc.by)


def _part(word: str) -> Part:
    return int(word[7:-1]) if word.startswith("region") else word  # type: ignore[return-value]  # a word of GROUPS


def by_text(by: By) -> str:
    """Return a group as an author writes it.

    >>> by_text("object"), by_text(6), by_text(("industry", 6))
    ('object', 'region(6)', '[industry, region(6)]')
    """
    if isinstance(by, tuple):
        return f"[{', '.join(by_text(part) for part in by)}]"
    return f"region({by})" if isinstance(by, int) else by


def length_of(window: Window) -> timedelta:
    """Return how long a window is at the longest."""
    days = {"day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}.get(window.kind)
    return window.length if days is None else timedelta(days=days)
