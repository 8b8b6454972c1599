"""From a parsed pack to the tables of `rules.ruleset`: names are qualified, expressions compiled, durations read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

from domain.messages import text
from rules.cases import Case, make_case
from rules.chinese import meant
from rules.conditions import Condition, ConditionReader, RuleHead
from rules.derived import compile_indicators
from rules.documents import NAME, RuleDoc
from rules.durations import duration
from rules.expressions import KnownIndicator, Scope
from rules.indicators import by_text
from rules.literals import Constant, literal
from rules.overrides import Override, overridden
from rules.parsed import ParsedPack, Reporter
from rules.pauses import pause
from rules.positions import Path, Scalar, find, place
from rules.problems import Phrase, Problems
from rules.ruleset import Indicator, Rule, Trigger
from rules.sources import sources_of
from rules.syntax import parse
from rules.templates import compile_template
from rules.vocabulary import REGION_BY, UNITS

_NUMBER_LIKE: Final = re.compile(r"[+-]?\d|[零一二两三四五六七八九十百千万]+$")


@dataclass(frozen=True, slots=True)
class CompiledPack:
    """The tables of one pack, and what `rules.lint` judges by."""

    parsed: ParsedPack
    params: Mapping[str, Constant]
    indicators: Mapping[str, Indicator]  # by local name, inputs before users
    rules: tuple[Rule, ...]
    cases: tuple[Case, ...]


@dataclass(slots=True)
class _Compiler(Reporter):
    heads: Mapping[str, RuleHead]
    params: dict[str, Constant] = field(default_factory=dict)
    known: dict[str, KnownIndicator] = field(default_factory=dict)
    indicators: dict[str, Indicator] = field(default_factory=dict)
    cases: list[Case] = field(default_factory=list)

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
            found = None if quoted else literal(value)
            if found is None and not quoted and _NUMBER_LIKE.match(value):
                unit = meant(value.lstrip("+-0123456789.,， "), UNITS)
                near = text("rules.near", self.problems.language, near=unit) if unit else ""
                self.problem(path, "rules.bad_number", read=value, near=near)
                return Constant("any", None)  # told here: what is compared with it is right for all that is known
            return found or Constant("text", value)
        members = [self._param((*path, index), each) for index, each in enumerate(value)] if isinstance(value, list) else []
        scalars = [each for each in members if each is not None and each.type != "set"]
        if not members or len(scalars) != len(members) or len({each.type for each in scalars}) != 1:
            self.problem(path, "rules.bad_param", read=path[-1])
            return None
        return Constant("set", tuple(scalars))

    # Rules

    def compile_rules(self) -> tuple[Rule, ...]:
        # An indicator that failed to compile was reported there: here it is only a name that exists.
        names = {name: KnownIndicator(name, "any") for name in self.parsed.doc.indicators} | self.known
        made = [self._rule(index, doc, names) for index, doc in enumerate(self.parsed.doc.rules)]
        return tuple(rule for rule in made if rule is not None)

    def _rule(self, index: int, doc: RuleDoc, names: Mapping[str, KnownIndicator]) -> Rule | None:
        pause()
        path: Path = ("rules", index)
        by = REGION_BY[doc.subject]
        say_scope = Scope(self.report((*path, "say")), self.params, names, of_area=by != "object")
        condition = ConditionReader(self.report, self.problem, self.params, names, self.heads).read(path, doc, by)
        template = compile_template(doc.say, say_scope, by if isinstance(by, int) else 0)
        since, until = self.effective(path, doc.effective)
        for number, case in enumerate(doc.tests):
            where = (*path, "tests", number)
            self.cases.append(make_case(self.parsed.file, self.parsed.tree, self.problems, doc.id, where, case))
        if condition is None or template is None:
            return None
        when = condition.when
        self._same_area(path, condition, template.indicators, by)
        pack = self.parsed.doc
        return Rule(
            id=doc.id,
            pack=pack.pack,
            title=doc.title,
            status=doc.status,
            sector=doc.matter or pack.sector,
            when=when,
            points=doc.points,
            say=template.fill,
            file=self.parsed.file,
            line=place(self.parsed.tree, path).line,
            basis=doc.basis,
            plan=doc.plan or pack.plan or "",
            owner=doc.owner or pack.owner,
            at_least=doc.at_least,
            cooldown=duration(doc.cooldown or "0s"),
            half_life=duration(doc.half_life),
            family=doc.family or "",
            cap=doc.cap,
            by=by,
            effective_from=since,
            effective_to=until,
            feeds=self._feeds(condition),
            says=template.indicators,
            sequence=condition.sequence,
            hold=duration(doc.for_ or "0s"),
            clear=condition.clear,
            min_evidence=doc.min_evidence,
            record=Trigger(doc.record.feed, doc.record.kind, doc.record.matter or "") if doc.record else None,
            renamed_from=doc.renamed_from or "",
        )

    def _same_area(self, path: Path, condition: Condition, said: tuple[str, ...], by: int | Literal["object"]) -> None:
        by_name = {indicator.name: (local, indicator) for local, indicator in self.indicators.items()}
        cleared = condition.clear.indicators if condition.clear is not None else ()
        for name in dict.fromkeys((*condition.when.indicators, *cleared, *said)):
            if by == "object" or name not in by_name or by_name[name][1].by == by:
                continue
            key = "when" if name in condition.when.indicators else "clear_when" if name in cleared else "say"
            local, indicator = by_name[name]
            self.problem((*path, key), "rules.other_area", read=local, own=by_text(indicator.by), by=by_text(by))

    def _feeds(self, condition: Condition) -> tuple[str, ...]:
        """Return the sources that the rule depends on, as far as its filters name them; those of rules it refers to come later."""
        by_name = {indicator.name: indicator for indicator in self.indicators.values()}
        found: set[str] = set()
        for each in condition.texts:
            found |= sources_of(parse(each), self.params) or frozenset()
        if condition.sequence is not None:
            found |= {*condition.sequence.first_sources, *condition.sequence.then_sources}
        waiting = list(condition.when.indicators)
        while waiting:
            indicator = by_name.get(waiting.pop())
            if indicator is not None and indicator.where is not None:
                found |= sources_of(parse(indicator.where.text), self.params) or frozenset()
            waiting += indicator.made_of if indicator is not None else ()
        return tuple(sorted(found))


def heads_of(packs: Sequence[ParsedPack]) -> dict[str, RuleHead]:
    """Return what the rules of all packs may know of one another, by id; of two with one id the first."""
    heads: dict[str, RuleHead] = {}
    for pack in packs:
        for index, doc in enumerate(pack.doc.rules):
            pause()
            mark = f"{pack.file}:{place(pack.tree, ('rules', index, 'id')).line}"
            heads.setdefault(doc.id, RuleHead(doc.id, REGION_BY[doc.subject], doc.status, mark, doc.points))
    return heads


def compile_pack(
    parsed: ParsedPack,
    problems: Problems,
    heads: Mapping[str, RuleHead],
    lists: Mapping[str, Constant] = MappingProxyType({}),
    overrides: Sequence[Override] = (),
) -> CompiledPack:
    """Return the pack's tables; what does not compile is reported and left out.

    `heads` are the rules of all packs, `lists` the list files by name, with their "@", `overrides` what regions
    change of its parameters.
    """
    compiler = _Compiler(parsed, problems, heads, dict(lists))
    compiler.read_params()
    compiler.params = overridden(parsed.doc.pack, compiler.params, overrides, problems)
    compiler.known, compiler.indicators = compile_indicators(parsed, problems, compiler.params)
    rules = compiler.compile_rules()
    return CompiledPack(parsed, compiler.params, compiler.indicators, rules, tuple(compiler.cases))
