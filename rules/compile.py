"""From a parsed pack to the tables of `rules.ruleset`: names are qualified, expressions compiled, durations read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, Final, Literal

import msgspec

from domain.instants import SHANGHAI, parse_rfc3339
from rules.cases import Case, make_case
from rules.documents import NAME, IndicatorDoc, PackDoc, RuleDoc
from rules.durations import duration
from rules.expressions import Constant, Known, Scope, compile_expression, literal
from rules.positions import Mapping as MapTree
from rules.positions import Path, Scalar, find, place
from rules.problems import Phrase, Problems
from rules.ruleset import Aggregate, Expression, Indicator, Rule, Window
from rules.sources import sources_of
from rules.syntax import parse
from rules.templates import compile_template
from rules.vocabulary import AGGREGATES, ANOMALY, CALENDAR_WINDOWS, NUMERIC, REGION_BY, RESERVED, UNITS, Type

SHORTEST: Final = timedelta(minutes=1)
LONGEST: Final = timedelta(days=1100)  # three years: state is kept for as long as the longest window
_KINDS: Final = (*AGGREGATES, ANOMALY)


@dataclass(frozen=True, slots=True)
class ParsedPack:
    """A pack file that has the right shape; `tree` knows where everything stands."""

    file: str
    tree: MapTree
    doc: PackDoc


@dataclass(frozen=True, slots=True)
class CompiledPack:
    """The tables of one pack, and what `rules.lint` judges by."""

    parsed: ParsedPack
    params: Mapping[str, Constant]
    indicators: Mapping[str, Indicator]  # by local name, inputs before users
    rules: tuple[Rule, ...]
    cases: tuple[Case, ...]


@dataclass(slots=True)
class _Compiler:
    parsed: ParsedPack
    problems: Problems
    params: dict[str, Constant] = field(default_factory=dict)
    known: dict[str, Known] = field(default_factory=dict)
    indicators: dict[str, Indicator] = field(default_factory=dict)
    cases: list[Case] = field(default_factory=list)

    def problem(self, path: Path, key: str, **values: object) -> None:
        self.problems.add(self.parsed.file, place(self.parsed.tree, path), key, **values)

    def report(self, path: Path) -> Callable[[int, str, Mapping[str, object]], None]:
        """Return where an expression at `path` sends its problems."""
        scalar = find(self.parsed.tree, path)

        def report(offset: int, key: str, values: Mapping[str, object]) -> None:
            mark = scalar.within(offset) if isinstance(scalar, Scalar) else place(self.parsed.tree, path)
            self.problems.add(self.parsed.file, mark, key, **dict(values))

        return report

    # Parameters

    def read_params(self) -> None:
        for name, value in self.parsed.doc.params.items():
            path = ("params", name)
            if not re.fullmatch(NAME, name):
                self.problem(path, "rules.not_shaped", read=name, field="params", shape=Phrase("rules.shape.name"))
                continue
            constant = self._param(path, value)
            if constant is not None:
                self.params[name] = constant

    def _param(self, path: Path, value: Any) -> Constant | None:
        if isinstance(value, bool):
            return Constant("bool", value)
        if isinstance(value, int | float):
            return Constant("number", float(value))
        if isinstance(value, str):
            scalar = find(self.parsed.tree, path)
            quoted = isinstance(scalar, Scalar) and scalar.quoted
            return (None if quoted else literal(value)) or Constant("text", value)
        members = [self._param((*path, index), each) for index, each in enumerate(value)] if isinstance(value, list) else []
        scalars = [each for each in members if each is not None and each.type != "set"]
        if not members or len(scalars) != len(members) or len({each.type for each in scalars}) != 1:
            self.problem(path, "rules.bad_param", read=path[-1])
            return None
        return Constant("set", tuple(scalars))

    # Indicators

    def compile_indicators(self) -> None:
        docs = self.parsed.doc.indicators
        for name, doc in docs.items():
            if not self._named(name):
                continue
            if not doc.anomaly:
                self._plain(name, doc)
        for name, doc in docs.items():
            if doc.anomaly and self._named(name):
                self._anomaly(name, doc)

    def _named(self, name: str) -> bool:
        path = ("indicators", name)
        mark = self._key(path)
        if not re.fullmatch(NAME, name):
            self.problems.add(self.parsed.file, mark, "rules.not_shaped", read=name, field="indicators", shape=Phrase("rules.shape.name"))
            return False
        if name in RESERVED:
            self.problems.add(self.parsed.file, mark, "rules.reserved", read=name)
            return False
        return True

    def _key(self, path: Path) -> Any:
        parent = find(self.parsed.tree, path[:-1])
        return parent.entries[str(path[-1])][0] if isinstance(parent, MapTree) else place(self.parsed.tree, path)

    def _written(self, name: str | int) -> set[str]:
        tree = find(self.parsed.tree, ("indicators", name))
        return set(tree.entries) if isinstance(tree, MapTree) else set()

    def _filter(self, path: Path, text: str, *, condition: bool) -> tuple[Expression, Type] | None:
        scope = Scope(self.report(path), self.params, in_filter=True)
        return compile_expression(text, scope, condition=condition)

    def _plain(self, name: str, doc: IndicatorDoc) -> None:
        path: Path = ("indicators", name)
        chosen = [kind for kind in _KINDS if kind in self._written(name)]
        if not chosen and not self._written(name) <= {field.encode_name for field in msgspec.structs.fields(IndicatorDoc)}:
            return  # a key that is none was reported; it was probably meant to be the aggregate
        if len(chosen) != 1:
            self.problem(path, "rules.one_aggregate", read=name, number=len(chosen), legal=_KINDS)
            return
        aggregate = chosen[0]
        if doc.detector:
            self.problem((*path, "detector"), "rules.only_with", read="detector", other=ANOMALY)
        where = self._filter((*path, "where"), doc.where, condition=True) if doc.where is not None else None
        of, of_type = self._of(path, aggregate, doc)
        window = self._window(path, aggregate, doc)
        result = self._result(path, aggregate, of_type, doc)
        qualified = f"{self.parsed.doc.pack}.{name}"
        self.known[name] = Known(qualified, result)
        self.indicators[name] = Indicator(
            name=qualified,
            title=doc.title or name,
            aggregate=_aggregate(aggregate),
            window=window,
            where=where[0] if where else None,
            of=of,
            as_of=doc.as_of,
            by=REGION_BY[doc.by],
            unit="CNY" if result == "money" else doc.unit,
        )

    def _of(self, path: Path, aggregate: str, doc: IndicatorDoc) -> tuple[Expression | None, Type]:
        word = AGGREGATES[aggregate]
        if word.fixed:
            return None, "count"
        compiled = self._filter((*path, aggregate), getattr(doc, aggregate), condition=False)
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

    def _window(self, path: Path, aggregate: str, doc: IndicatorDoc) -> Window | None:
        if doc.window is None:
            if aggregate != "last" and "window" not in self._written(
                path[-1]
            ):  # the newest value needs no window; everything else would grow for ever
                self.problem(path, "rules.missing_key", field="window")
            return None
        if doc.window in CALENDAR_WINDOWS:
            if doc.exact:
                self.problem((*path, "exact"), "rules.exact_calendar")
            return Window(_calendar(doc.window))
        length = duration(doc.window)
        if not SHORTEST <= length <= LONGEST:
            self.problem((*path, "window"), "rules.out_of_range", field="window", read=doc.window, low="1m", high="1100d")
            return None
        return Window("sliding", length, doc.exact)

    def _anomaly(self, name: str, doc: IndicatorDoc) -> None:
        path: Path = ("indicators", name)
        for other in sorted(self._written(name) - {"title", ANOMALY, "detector"}):
            mark = self._key((*path, other))
            self.problems.add(self.parsed.file, mark, "rules.not_with", read=other, other=ANOMALY)
        if "detector" not in self._written(name):
            self.problem(path, "rules.missing_key", field="detector")
        target = self.indicators.get(doc.anomaly)
        numeric = {each for each, known in self.known.items() if known.type in NUMERIC | {"any"} and not self.indicators[each].input}
        if target is None or doc.anomaly not in numeric:
            if doc.anomaly not in self.parsed.doc.indicators or target is not None:
                self.problem((*path, ANOMALY), "rules.unknown_input", read=doc.anomaly, legal=sorted(numeric))
            return
        qualified = f"{self.parsed.doc.pack}.{name}"
        self.known[name] = Known(qualified, "ratio")
        self.indicators[name] = Indicator(
            name=qualified,
            title=doc.title or name,
            aggregate=ANOMALY,
            window=None,
            by=target.by,
            as_of=target.as_of,
            detector=doc.detector,
            input=target.name,
        )

    # Rules

    def compile_rules(self) -> tuple[Rule, ...]:
        made = [self._rule(index, doc) for index, doc in enumerate(self.parsed.doc.rules)]
        return tuple(rule for rule in made if rule is not None)

    def _rule(self, index: int, doc: RuleDoc) -> Rule | None:
        path: Path = ("rules", index)
        by = REGION_BY[doc.subject]
        # An indicator that failed to compile was reported there: here it is only a name that exists.
        names = {name: Known(name, "any") for name in self.parsed.doc.indicators} | self.known
        say_scope = Scope(self.report((*path, "say")), self.params, names, of_area=by != "object")
        when_scope = Scope(self.report((*path, "when")), self.params, names, of_area=by != "object")
        compiled = compile_expression(doc.when, when_scope, condition=True)
        template = compile_template(doc.say, say_scope, by if isinstance(by, int) else 0)
        since, until = self._effective(path, doc)
        for number, case in enumerate(doc.tests):
            where = (*path, "tests", number)
            self.cases.append(make_case(self.parsed.file, self.parsed.tree, self.problems, doc.id, where, case))
        if compiled is None or template is None:
            return None
        self._same_area(path, compiled[0], template.indicators, by)
        pack = self.parsed.doc
        return Rule(
            id=doc.id,
            pack=pack.pack,
            title=doc.title,
            status=doc.status,
            sector=doc.matter or pack.sector,
            when=compiled[0],
            points=doc.points,
            say=template.fill,
            file=self.parsed.file,
            line=place(self.parsed.tree, path).line,
            basis=doc.basis,
            plan=doc.plan or "",
            owner=doc.owner or pack.owner,
            at_least=doc.at_least,
            cooldown=duration(doc.cooldown or "0s"),
            half_life=duration(doc.half_life),
            family=doc.family or "",
            cap=doc.cap,
            by=by,
            effective_from=since,
            effective_to=until,
            feeds=self._feeds(compiled[0]),
            says=template.indicators,
        )

    def _same_area(self, path: Path, when: Expression, said: tuple[str, ...], by: int | Literal["object"]) -> None:
        by_name = {indicator.name: (local, indicator) for local, indicator in self.indicators.items()}
        for name in dict.fromkeys((*when.indicators, *said)):
            if by == "object" or name not in by_name or by_name[name][1].by == by:
                continue
            key = (*path, "when" if name in when.indicators else "say")
            local, indicator = by_name[name]
            own = indicator.by if indicator.by == "object" else f"region({indicator.by})"
            self.problem(key, "rules.other_area", read=local, own=own, by=f"region({by})")

    def _feeds(self, when: Expression) -> tuple[str, ...]:
        """Return the sources that the rule depends on, as far as its filters name them."""
        by_name = {indicator.name: indicator for indicator in self.indicators.values()}
        found: set[str] = set(sources_of(parse(when.text), self.params) or ())
        for name in when.indicators:
            indicator = by_name.get(name)
            if indicator is not None and indicator.input:
                indicator = by_name.get(indicator.input)
            if indicator is not None and indicator.where is not None:
                found |= sources_of(parse(indicator.where.text), self.params) or frozenset()
        return tuple(sorted(found))

    def _effective(self, path: Path, doc: RuleDoc) -> tuple[datetime | None, datetime | None]:
        if doc.effective is None:
            return None, None
        since = self._day((*path, "effective", "from"), doc.effective.from_)
        last = self._day((*path, "effective", "to"), doc.effective.to)
        until = last + timedelta(days=1) if last else None
        if since and until and until <= since:
            self.problem((*path, "effective", "to"), "rules.ends_before", read=doc.effective.to)
        return since, until

    def _day(self, path: Path, text: str | None) -> datetime | None:
        if text is None:
            return None
        try:
            day = date.fromisoformat(text)
        except ValueError:
            self.problem(path, "rules.not_shaped", read=text, field=path[-1], shape=Phrase("rules.shape.date"))
            return None
        return parse_rfc3339(datetime.combine(day, time(), tzinfo=SHANGHAI).isoformat())


def _aggregate(word: str) -> Aggregate:
    kinds: dict[str, Aggregate] = {
        "count": "count", "sum": "sum", "mean": "mean", "min": "min", "max": "max", "distinct": "distinct", "last": "last",
    }  # fmt: skip
    return kinds[word]


def _calendar(word: str) -> Literal["day", "week", "month"]:
    kinds: dict[str, Literal["day", "week", "month"]] = {"day": "day", "week": "week", "month": "month"}
    return kinds[word]


def compile_pack(parsed: ParsedPack, problems: Problems) -> CompiledPack:
    """Return the pack's tables; what does not compile is reported and left out."""
    compiler = _Compiler(parsed, problems)
    compiler.read_params()
    compiler.compile_indicators()
    rules = compiler.compile_rules()
    return CompiledPack(parsed, compiler.params, compiler.indicators, rules, tuple(compiler.cases))
