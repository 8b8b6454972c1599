"""Indicators made of other indicators: each is compiled after those that it is made of, and a circle is refused with its path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from rules.documents import IndicatorDoc
from rules.expressions import KnownIndicator, Scope, compile_expression
from rules.indicators import KINDS, LONGEST, Counting, length_of
from rules.literals import Constant
from rules.parsed import ParsedPack
from rules.positions import Path
from rules.problems import Phrase, Problems
from rules.ruleset import Indicator
from rules.syntax import Binary, ExpressionError, Name, parse
from rules.trees import walk
from rules.vocabulary import AGGREGATES, ANOMALY, BASELINES, NUMERIC, ONLY_WITH, PEER_TAKES, Type

_NUMERIC: Final[frozenset[Type]] = NUMERIC | {"any"}


@dataclass(slots=True)
class _Compiler(Counting):
    """`broken` are made of others, and not compiled: their problems are told once."""

    broken: set[str] = field(default_factory=set)

    def compile(self) -> None:
        """Compile those that count signals first, then those that are made of others, each after what it is made of."""
        docs = self.parsed.doc.indicators
        made = []
        for name, doc in docs.items():
            if not self.named(name):
                continue
            how = self._made(name)
            if how:
                made.append(name)
            else:
                self.plain(name, doc)
        for name in made:
            self._derive(name, [])

    def _made(self, name: str) -> str:
        """Return how an indicator is made of others, "" for one that counts signals or says more than one thing."""
        chosen = [kind for kind in KINDS if kind in self.written(("indicators", name))]
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
            if how == "peers":
                self._peers(name, doc)
            elif how in BASELINES:
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

    def _only(self, path: Path, how: str, *more: str) -> None:
        """Report the keys that do not go with `how`, which takes over everything else from what it is made of."""
        for other in sorted(set(self.written(path)) - {"title", how, *more}):
            self.problem_of_key((*path, other), "rules.not_with", read=other, other=how)

    def _keep(self, name: str, doc: IndicatorDoc, result: Type, **more: Any) -> None:
        """Add an indicator that is made of others."""
        qualified = f"{self.parsed.doc.pack}.{name}"
        self.known[name] = KnownIndicator(qualified, result, more.get("formula"))
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
        if base.window is not None and (periods + 1) * length_of(base.window) > LONGEST:
            self.problem((*path, "periods" if "periods" in written else how), "rules.too_long_ago", read=periods, high="1100d")
        if doc.needs > periods and how == "history":
            self.problem((*path, "needs"), "rules.needs_more", read=doc.needs, periods=periods)
        result: Type = {"spike": "ratio", "flatline": "bool"}.get(how) or self.known[target].type  # type: ignore[assignment]  # of two types
        self._keep(
            name, doc, result, aggregate=how, window=base.window, where=base.where, of=base.of, as_of=base.as_of, by=base.by,
            input=base.name, base=base, periods=periods, take=doc.take, rank=doc.rank or 0.0, needs=doc.needs, below=doc.below or 0.0,
            unit=base.unit if how == "history" else "",
        )  # fmt: skip

    def _peers(self, name: str, doc: IndicatorDoc) -> None:
        """Compile an indicator about what another one comes to among objects of the same kind."""
        path: Path = ("indicators", name)
        self._only(path, "peers", "by", "take", "rank", "needs")
        written = self.written(path)
        for key in ("by", "take"):
            if key not in written:
                self.problem(path, "rules.missing_key", field=key)
        self._rank(path, written, taken=doc.take)
        if doc.take and doc.take not in PEER_TAKES:
            self.problem((*path, "take"), "rules.not_legal", read=doc.take, field="take", legal=tuple(sorted(PEER_TAKES)))
        parts = (doc.by,) if isinstance(doc.by, str) else doc.by
        if "by" in written and not set(parts).isdisjoint({"object", "matter"}):
            self.problem((*path, "by"), "rules.not_peers")
        legal = sorted(each for each in self._numbers() if self._has_past(self.indicators[each]) and self.indicators[each].by == "object")
        if doc.peers not in legal:
            self._unknown_input((*path, "peers"), doc.peers, legal)
            return
        base = self.indicators[doc.peers]
        self._keep(
            name, doc, self.known[doc.peers].type, aggregate="peers", by=self.by(path, doc), input=base.name, take=doc.take,
            rank=doc.rank or 0.0, needs=doc.needs, unit=base.unit,
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


def compile_indicators(
    parsed: ParsedPack, problems: Problems, params: Mapping[str, Constant]
) -> tuple[dict[str, KnownIndicator], dict[str, Indicator]]:
    """Return what expressions may name and the indicators, both by local name, inputs before users; what is wrong is reported."""
    compiler = _Compiler(parsed, problems, params)
    compiler.compile()
    return compiler.known, compiler.indicators
