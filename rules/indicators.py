"""From the indicators of a parsed pack to those of `rules.ruleset`: aggregates, windows and groups are read and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Literal

import msgspec

from rules.documents import NAME, IndicatorDoc
from rules.durations import duration
from rules.expressions import Constant, Known, Scope, compile_expression
from rules.parsed import ParsedPack, Reporter
from rules.positions import Path
from rules.problems import Phrase, Problems
from rules.ruleset import SESSION_GAPS, By, Expression, Indicator, Part, Window
from rules.syntax import Binary, ExpressionError, Name, parse
from rules.trees import walk
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
_KINDS: Final = (*AGGREGATES, *BASELINES, *DERIVED, ANOMALY)
_NUMERIC: Final[frozenset[Type]] = NUMERIC | {"any"}
_CALL: Final = re.compile(rf"({'|'.join(WINDOWS)})\((.+)\)")


@dataclass(slots=True)
class _Compiler(Reporter):
    params: Mapping[str, Constant] = field(default_factory=dict)
    known: dict[str, Known] = field(default_factory=dict)
    indicators: dict[str, Indicator] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)  # made of others, and not compiled

    def compile(self) -> None:
        """Compile those that count signals first, then those that are made of others, each after what it is made of."""
        docs = self.parsed.doc.indicators
        made = []
        for name, doc in docs.items():
            if not self._named(name):
                continue
            how = self._made(name)
            if how:
                made.append(name)
            else:
                self._plain(name, doc)
        for name in made:
            self._derive(name, [])

    def _made(self, name: str) -> str:
        """Return how an indicator is made of others, "" for one that counts signals or says more than one thing."""
        chosen = [kind for kind in _KINDS if kind in self.written(("indicators", name))]
        return chosen[0] if len(chosen) == 1 and chosen[0] not in AGGREGATES else ""

    def _derive(self, name: str, path: list[str]) -> None:
        """Compile an indicator made of others after them; `path` is how it was come to."""
        if name in path:
            circle = [*path[path.index(name) :], name]
            self.problem(("indicators", path[-1], self._made(path[-1])), "rules.indicator_circle", read=" → ".join(circle))
            self.broken.update(circle)
            return
        if name in self.indicators or name in self.broken:
            return
        doc = self.parsed.doc.indicators[name]
        how = self._made(name)
        for each in self._named_by(how, doc):
            if each in self.parsed.doc.indicators and self._made(each):
                self._derive(each, [*path, name])
        if name not in self.broken:
            self.broken.add(name)  # until it is compiled: its problems are told once
            if how in BASELINES:
                self._baseline(name, doc, how)
            else:
                {"anomaly": self._anomaly, "ratio": self._ratio, "formula": self._formula}[how](name, doc)

    @staticmethod
    def _named_by(how: str, doc: IndicatorDoc) -> tuple[str, ...]:
        """Return the names that an indicator's own words hold, in order."""
        if how == "ratio":
            return doc.ratio
        if how != "formula":
            return (getattr(doc, how),)
        try:
            return tuple(node.path for node in walk(parse(doc.formula)) if isinstance(node, Name))
        except ExpressionError:
            return ()  # it is told when it is compiled

    @staticmethod
    def _sound(name: str) -> bool:
        return re.fullmatch(NAME, name) is not None and name not in RESERVED

    def _named(self, name: str) -> bool:
        path = ("indicators", name)
        if not re.fullmatch(NAME, name):
            self.problem_of_key(path, "rules.not_shaped", read=name, field="indicators", shape=Phrase("rules.shape.name"))
        elif name in RESERVED:
            self.problem_of_key(path, "rules.reserved", read=name)
        return self._sound(name)

    def _plain(self, name: str, doc: IndicatorDoc) -> None:
        path: Path = ("indicators", name)
        written = self.written(path)
        chosen = [kind for kind in _KINDS if kind in written]
        if not chosen and not set(written) <= {field.encode_name for field in msgspec.structs.fields(IndicatorDoc)}:
            return  # a key that is none was reported; it was probably meant to be the aggregate
        if len(chosen) != 1:
            self.problem(path, "rules.one_aggregate", read=name, number=len(chosen), legal=_KINDS)
            return
        aggregate = chosen[0]
        self._companions(path, aggregate, written)
        where = self._filter((*path, "where"), doc.where, condition=True) if doc.where is not None else None
        of, of_type = self._of(path, aggregate, doc)
        result = self._result(path, aggregate, of_type, doc)
        qualified = f"{self.parsed.doc.pack}.{name}"
        self.known[name] = Known(qualified, result)
        self.indicators[name] = Indicator(
            name=qualified,
            title=doc.title or name,
            aggregate=aggregate,  # type: ignore[arg-type]  # a key of AGGREGATES, which a test holds equal to the literal
            window=self._window(path, aggregate, doc, written),
            where=where[0] if where else None,
            of=of,
            as_of="object" if aggregate == "since" else doc.as_of,
            by=self._by(path, doc),
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
            # One signal needs no window; everything else would grow for ever.
            if not AGGREGATES[aggregate].boundless and "window" not in written:
                self.problem(path, "rules.missing_key", field="window")
            return None
        call = _CALL.fullmatch(doc.window)
        if doc.exact and (doc.window in CALENDAR_WINDOWS or call is not None):
            self.problem((*path, "exact"), "rules.exact_calendar")
        if doc.window in CALENDAR_WINDOWS:
            return Window(doc.window)  # type: ignore[arg-type]  # a key of CALENDAR_WINDOWS
        kind = call[1] if call is not None else "sliding"
        length = duration(call[2] if call is not None else doc.window)
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

    def _only(self, path: Path, how: str, *more: str) -> None:
        """Report the keys that do not go with `how`, which takes over everything else from what it is made of."""
        for other in sorted(set(self.written(path)) - {"title", how, *more}):
            self.problem_of_key((*path, other), "rules.not_with", read=other, other=how)

    def _keep(self, name: str, doc: IndicatorDoc, result: Type, **more: Any) -> None:
        """Add an indicator that is made of others."""
        qualified = f"{self.parsed.doc.pack}.{name}"
        self.known[name] = Known(qualified, result)
        given: dict[str, Any] = {"name": qualified, "title": doc.title or name, "window": None, "unit": "CNY" if result == "money" else ""}
        self.indicators[name] = Indicator(**(given | more))
        self.broken.discard(name)

    def _baseline(self, name: str, doc: IndicatorDoc, how: str) -> None:
        """Compile an indicator about another one's past."""
        path: Path = ("indicators", name)
        own = [key for key, words in ONLY_WITH.items() if how in words]
        self._only(path, how, *own)
        written = self.written(path)
        for key in {"history": ("periods", "take"), "flatline": ("below",)}.get(how, ()):
            if key not in written:
                self.problem(path, "rules.missing_key", field=key)
        self._rank(path, written, taken=doc.take)
        target = getattr(doc, how)
        legal = sorted(each for each in self._numbers() if self._has_past(self.indicators[each]))
        if target not in legal:
            self._unknown_input((*path, how), target, legal)
            return
        base = self.indicators[target]
        periods = {"history": doc.periods or 1, "spike": 1}.get(how, 0)
        if base.window is not None and (periods + 1) * _length(base.window) > LONGEST:
            self.problem((*path, "periods" if "periods" in written else how), "rules.too_long_ago", read=periods, high="1100d")
        result: Type = {"spike": "ratio", "flatline": "bool"}.get(how) or self.known[target].type  # type: ignore[assignment]  # of two types
        self._keep(
            name, doc, result, aggregate=how, window=base.window, where=base.where, of=base.of, as_of=base.as_of, by=base.by,
            input=base.name, base=base, periods=periods, take=doc.take, rank=doc.rank or 0.0, needs=doc.needs, below=doc.below or 0.0,
            unit=base.unit if how == "history" else "",
        )  # fmt: skip

    @staticmethod
    def _has_past(indicator: Indicator) -> bool:
        """Tell whether an indicator counts signals in windows that follow each other."""
        window = indicator.window
        return not indicator.made_of and window is not None and window.kind != "session" and indicator.aggregate != "since"

    def _unknown_input(self, path: Path, read: str, legal: list[str]) -> None:
        if read not in self.parsed.doc.indicators:
            self.problem(path, "rules.unknown_input", read=read, legal=legal)
        elif read in self.indicators:  # else its own problem was told
            self.problem(path, "rules.no_past", read=read, legal=legal)

    def _rank(self, path: Path, written: Mapping[str, Any], *, taken: str) -> None:
        if taken == "percentile" and "rank" not in written:
            self.problem(path, "rules.missing_key", field="rank")
        if taken != "percentile" and "rank" in written:
            self.problem_of_key((*path, "rank"), "rules.only_with", read="rank", other="percentile")

    def _ratio(self, name: str, doc: IndicatorDoc) -> None:
        path: Path = ("indicators", name)
        self._only(path, "ratio", "unit")
        if len(doc.ratio) != 2:
            self.problem((*path, "ratio"), "rules.ratio_of_two", read=len(doc.ratio))
            return
        unknown = [(place, each) for place, each in enumerate(doc.ratio) if each not in self._numbers()]
        for place, each in unknown:
            if each not in self.broken:
                self.problem((*path, "ratio", place), "rules.unknown_input", read=each, legal=sorted(self._numbers()))
        if unknown:
            return
        one, other = (self.known[each] for each in doc.ratio)
        if "any" not in {one.type, other.type} and one.type != other.type:
            types = {"one": Phrase(f"rules.type.{one.type}"), "other": Phrase(f"rules.type.{other.type}")}
            self.problem((*path, "ratio"), "rules.different_units", left=doc.ratio[0], right=doc.ratio[1], **types)
            return
        self._worked_out(name, doc, "ratio", f"{doc.ratio[0]} / {doc.ratio[1]}", "ratio")

    def _formula(self, name: str, doc: IndicatorDoc) -> None:
        path: Path = ("indicators", name, "formula")
        self._only(path[:-1], "formula", "unit")
        try:
            tree = parse(doc.formula)
        except ExpressionError as error:
            self.report(path)(error.offset, error.key, error.values)
            return
        names = [node for node in walk(tree) if isinstance(node, Name)]
        foreign = [node for node in names if node.path not in self.parsed.doc.indicators]
        for node in foreign:
            self.report(path)(node.at, "rules.formula_of_indicators", {"read": node.path, "legal": sorted(self._numbers())})
        if foreign or any(node.path in self.broken for node in names):
            return
        if not names:
            self.problem(path, "rules.formula_without_indicator")
            return
        if isinstance(tree, Binary) and tree.operator == "/" and isinstance(tree.left, Name) and isinstance(tree.right, Name):
            left, right = self.known[tree.left.path].type, self.known[tree.right.path].type
            if left == right:
                self.problem(path, "rules.write_ratio", read=f"ratio: [{tree.left.path}, {tree.right.path}]")
                return
        self._worked_out(name, doc, "formula", doc.formula, "")

    def _worked_out(self, name: str, doc: IndicatorDoc, how: str, text: str, result: Type | Literal[""]) -> None:
        path: Path = ("indicators", name, how)
        compiled = compile_expression(text, Scope(self.report(path), self.params, self.known), condition=False)
        if compiled is None:
            return
        expression, of_type = compiled
        if of_type not in _NUMERIC:
            self.problem(path, "rules.not_a_number", read=text, type=Phrase(f"rules.type.{of_type}"))
            return
        by_name = {each.name: each for each in self.indicators.values()}
        groups = {by_name[each].by for each in expression.indicators}
        self._keep(
            name, doc, result or of_type, aggregate=how, formula=expression, inputs=expression.indicators,
            by=groups.pop() if len(groups) == 1 else "object",
        )  # fmt: skip

    def _numbers(self) -> set[str]:
        """Return the indicators compiled so far that are numbers, or may be."""
        return {name for name, known in self.known.items() if known.type in _NUMERIC}

    def _by(self, path: Path, doc: IndicatorDoc) -> By:
        """Return what an indicator is kept for, parts in the order of the vocabulary: equal groups are the same group."""
        if isinstance(doc.by, str):
            return _part(doc.by)
        if len(doc.by) < 2:
            self.problem((*path, "by"), "rules.one_part", read=doc.by[0] if doc.by else "object")
        regions = [word for word in doc.by if word.startswith("region")]
        if len(set(doc.by)) != len(doc.by) or len(regions) > 1:
            self.problem((*path, "by"), "rules.same_part_twice")
        return tuple(_part(word) for word in GROUPS if word in doc.by)

    def _anomaly(self, name: str, doc: IndicatorDoc) -> None:
        path: Path = ("indicators", name)
        self._only(path, ANOMALY, "detector")
        if "detector" not in self.written(path):
            self.problem(path, "rules.missing_key", field="detector")
        target = self.indicators.get(doc.anomaly)
        numeric = {each for each in self._numbers() if not self.indicators[each].made_of}
        if target is None or doc.anomaly not in numeric:
            if doc.anomaly not in self.parsed.doc.indicators or target is not None:
                self.problem((*path, ANOMALY), "rules.unknown_input", read=doc.anomaly, legal=sorted(numeric))
            return
        self._keep(name, doc, "ratio", aggregate=ANOMALY, by=target.by, as_of=target.as_of, detector=doc.detector, input=target.name)


def _length(window: Window) -> timedelta:
    """Return how long a window is at the longest."""
    days = {"day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}.get(window.kind)
    return window.length if days is None else timedelta(days=days)


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


def compile_indicators(
    parsed: ParsedPack, problems: Problems, params: Mapping[str, Constant]
) -> tuple[dict[str, Known], dict[str, Indicator]]:
    """Return what expressions may name and the indicators, both by local name, inputs before users; what is wrong is reported."""
    compiler = _Compiler(parsed, problems, params)
    compiler.compile()
    return compiler.known, compiler.indicators
