"""From an expression's text to a checked, compiled `Expression`: names, types and units are settled before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from rules import evaluation, fields, patterns
from rules.evaluation import Run
from rules.facts import Facts
from rules.literals import Constant, Regional, number
from rules.problems import Phrase
from rules.ruleset import Explained, Expression
from rules.syntax import (
    AnyNode,
    Binary,
    Call,
    ExpressionError,
    Items,
    Junction,
    Name,
    Number,
    Param,
    Prefix,
    Text,
    Truth,
    Unary,
    parse,
)
from rules.trees import show
from rules.vocabulary import ALIASES, ATTRS, FAMILIES, FIELDS, FUNCTIONS, LATER, NUMERIC, Type

# A number without a unit goes with these: 5 in `complaints_7d >= 5`, 0.8 in `share > 0.8`.
_PLAIN: Final[frozenset[Type]] = frozenset({"number", "count", "ratio"})


@dataclass(frozen=True, slots=True)
class KnownIndicator:
    """An indicator that an expression may name: its qualified name, the type of its value, and what it is worked out by, if it is.

    `share` says that it is a part of a whole, which people read in per cent.
    """

    qualified: str
    type: Type
    formula: Expression | None = None
    share: bool = False


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression may read, and where its problems go: `report(offset, key, values)`."""

    report: Callable[[int, str, Mapping[str, object]], None]
    params: Mapping[str, Constant] = field(default_factory=dict)
    indicators: Mapping[str, KnownIndicator] = field(default_factory=dict)
    in_filter: bool = False  # `where` and `sum: …` see one signal, no indicators
    of_area: bool = False  # a rule about an area has no object


@dataclass(frozen=True, slots=True)
class Term:
    """A checked part: its type, its evaluation, and what the parts above it need to know."""

    node: AnyNode
    type: Type
    run: Run
    parts: tuple[Term, ...] = ()
    constant: Constant | None = None
    indicator: str = ""
    legal: tuple[str, ...] = ()
    regional: tuple[Regional, ...] = ()  # of a parameter that regions override
    formula: Expression | None = None  # of an indicator that is worked out from others


def _type(of: Type) -> Phrase:
    return Phrase(f"rules.type.{of}")


class _Checker:
    """Checks and compiles one expression; problems are reported, and an `any` stands in for what was wrong."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.indicators: dict[str, None] = {}
        self.fields: dict[str, None] = {}
        self.regional = False

    def _problem(self, node: AnyNode, key: str, **values: object) -> Term:
        self._scope.report(node.at, key, values)
        return Term(node, "any", evaluation.constant(None))

    def check(self, node: AnyNode) -> Term:
        match node:
            case Number():
                return self._constant(node, number(node))
            case Text():
                return self._constant(node, Constant("text", node.value))
            case Truth():
                return self._constant(node, Constant("bool", node.value))
            case Param():
                return self._param(node)
            case Name():
                return self._name(node)
            case Call():
                return self._call(node)
            case Unary():
                return self._unary(node)
            case Junction():
                return self._junction(node)
            case Binary():
                return self._binary(node)
            case Items() | Prefix():
                return self._problem(node, "rules.only_after_in", read=show(node))

    def _binary(self, node: Binary) -> Term:
        match node.operator:
            case "in":
                return self._in(node)
            case "contains":
                return self._contains(node)
            case "matches":
                return self._matches(node)
            case "==" | "!=":
                return self._equality(node)
            case "<" | "<=" | ">" | ">=":
                return self._order(node)
        return self._arithmetic(node)

    def truth(self, node: AnyNode) -> Term:
        """Check a part that must be true or false."""
        term = self.check(node)
        if term.type == "any":
            return Term(node, "bool", evaluation.truth(term.run), term.parts, indicator=term.indicator)
        if term.type != "bool":
            return self._problem(node, "rules.not_a_condition", read=show(node), type=_type(term.type))
        return term

    @staticmethod
    def _constant(node: AnyNode, constant: Constant) -> Term:
        return Term(node, constant.type, evaluation.constant(constant.value), constant=constant)

    def _param(self, node: Param) -> Term:
        constant = self._scope.params.get(node.name)
        if constant is None:
            lists = node.name.startswith("@")
            legal = tuple(name for name in self._scope.params if name.startswith("@") == lists)
            return self._problem(node, "rules.unknown_list" if lists else "rules.unknown_param", read=node.name, legal=legal)
        if constant.regional:
            self.regional = True
            return Term(node, constant.type, fields.regional(constant), regional=constant.regional)
        return self._constant(node, constant)

    def _name(self, node: Name) -> Term:
        known = self._scope.indicators.get(node.path)
        if known is not None:
            self.indicators[known.qualified] = None
            return Term(node, known.type, evaluation.indicator(known.qualified), indicator=known.qualified, formula=known.formula)
        if node.path in FIELDS:
            return self._field(node)
        if node.path.startswith(ATTRS) and not node.path.endswith("."):
            self.fields[node.path] = None
            return Term(node, "any", evaluation.attribute(node.path.removeprefix(ATTRS)))
        family = next((each for each in FAMILIES if node.path.startswith(each) and node.path.count(".") == 2), None)
        if family is not None and not self._scope.of_area:
            self.fields[node.path] = None
            return Term(node, FAMILIES[family].type, fields.member(node.path), legal=FAMILIES[family].legal)
        if node.path in LATER:
            return self._problem(node, "rules.later", read=node.path, instead=LATER[node.path])
        key = "rules.unknown_field" if self._scope.in_filter else "rules.unknown_name"
        return self._problem(node, key, read=node.path, legal=(*self._scope.indicators, *FIELDS, *ALIASES))

    def _field(self, node: Name) -> Term:
        known = FIELDS[node.path]
        if self._scope.of_area and (node.path == "object" or node.path.startswith("object.")):
            return self._problem(node, "rules.object_of_area", read=node.path)
        self.fields[node.path] = None
        return Term(node, known.type, fields.READERS[node.path], legal=known.legal)

    def _call(self, node: Call) -> Term:
        function = FUNCTIONS.get(node.name)
        if function is None:
            if node.name in LATER:
                return self._problem(node, "rules.later", read=node.name, instead=LATER[node.name])
            return self._problem(node, "rules.unknown_function", read=node.name, legal=tuple(FUNCTIONS))
        argument = self.check(node.argument)
        if argument.type not in function.takes:
            return self._problem(node, "rules.wrong_argument", read=node.name, type=_type(argument.type))
        return Term(node, function.gives or argument.type, evaluation.call(node.name, argument.run), (argument,))

    def _unary(self, node: Unary) -> Term:
        if node.operator == "not":
            term = self.truth(node.operand)
            return Term(node, "bool", evaluation.negate(term.run), (term,))
        term = self.check(node.operand)
        if term.type not in NUMERIC and term.type != "any":
            return self._problem(node, "rules.not_a_number", read=show(node.operand), type=_type(term.type))
        if term.constant is not None:
            return self._constant(node, Constant(term.type, -term.constant.value))
        return Term(node, term.type, evaluation.minus(term.run), (term,))

    def _junction(self, node: Junction) -> Term:
        terms = tuple(self.truth(term) for term in node.terms)
        runs = tuple(term.run for term in terms)
        return Term(node, "bool", (evaluation.all_of if node.operator == "and" else evaluation.any_of)(runs), terms)

    def _same_unit(self, node: Binary, left: Term, right: Term) -> bool:
        if "any" in {left.type, right.type} or left.type == right.type:
            return True
        if "number" in {left.type, right.type} and {left.type, right.type} <= _PLAIN:
            return True
        key = "rules.different_units" if {left.type, right.type} <= NUMERIC else "rules.different_types"
        self._problem(node, key, left=show(node.left), one=_type(left.type), right=show(node.right), other=_type(right.type))
        return False

    def _order(self, node: Binary) -> Term:
        left, right = self.check(node.left), self.check(node.right)
        for term in (left, right):
            if term.type not in NUMERIC and term.type != "any":
                return self._problem(term.node, "rules.not_ordered", read=show(term.node), type=_type(term.type), operator=node.operator)
        self._same_unit(node, left, right)
        run = evaluation.compare(node.operator, left.run, right.run)
        if right.constant is not None:
            limit = right.constant.value
            run = (
                evaluation.indicator_to(node.operator, left.indicator, limit)
                if left.indicator and left.type != "bool"
                else evaluation.compare_to(node.operator, left.run, limit)
            )
        return Term(node, "bool", run, (left, right))

    def _code(self, left: Term, node: AnyNode) -> Term:
        """Check what a text is compared with: a bare word that names nothing is a code, and so are bare digits."""
        if left.type in {"text", "any"}:
            if isinstance(node, Name) and not self._is_known(node.path):
                return self._legal(left, node, node.path)
            if isinstance(node, Number) and not node.unit and left.type == "text":
                return self._legal(left, node, node.digits)
            if isinstance(node, Text):
                return self._legal(left, node, node.value)
        return self.check(node)

    def _is_known(self, name: str) -> bool:
        return name in self._scope.indicators or name in FIELDS or name.startswith((ATTRS, *FAMILIES))

    def _legal(self, left: Term, node: AnyNode, value: str) -> Term:
        if left.legal and value not in left.legal:
            return self._problem(node, "rules.not_legal", read=value, field=show(left.node), legal=left.legal)
        return self._constant(node, Constant("text", value))

    def _equality(self, node: Binary) -> Term:
        left = self.check(node.left)
        if left.type == "set":
            return self._problem(node, "rules.set_compared", read=show(node.left))
        right = self._code(left, node.right)
        if right.type == "set":
            return self._problem(node, "rules.set_compared", read=show(node.right))
        self._same_unit(node, left, right)
        run = evaluation.equal_to(left.run, right.constant.value) if right.constant else evaluation.equal(left.run, right.run)
        return Term(node, "bool", run if node.operator == "==" else evaluation.negate(run), (left, right))

    def _members(self, left: Term, node: AnyNode) -> tuple[Term, ...]:
        """Return the constants that `node` lists, parameters that are lists opened up."""
        if not isinstance(node, Items):
            return self._opened(self._code(left, node))
        return tuple(member for each in node.members if not isinstance(each, Prefix) for member in self._opened(self._code(left, each)))

    @staticmethod
    def _opened(term: Term) -> tuple[Term, ...]:
        if term.constant is None or term.type != "set":
            return (term,)
        return tuple(Term(term.node, each.type, evaluation.constant(each.value), constant=each) for each in term.constant.value)

    def _in(self, node: Binary) -> Term:
        left = self.check(node.left)
        if isinstance(node.right, Items) and not node.right.members:
            return self._problem(node.right, "rules.empty_list")
        if isinstance(node.right, Items | Param | Prefix):
            return self._in_list(node, left)
        right = self.check(node.right)
        if right.type not in {"set", "any"} or left.type not in {"text", "any"}:
            return self._problem(node, "rules.not_a_set", read=show(node.right))
        return Term(node, "bool", evaluation.in_set(left.run, right.run), (left, right))

    def _in_list(self, node: Binary, left: Term) -> Term:
        listed = node.right.members if isinstance(node.right, Items) else (node.right,)
        prefixes = tuple(f"{each.path}." for each in listed if isinstance(each, Prefix))
        if prefixes and left.type not in {"text", "any"}:
            return self._problem(node, "rules.prefix_of_text", read=show(node.left), type=_type(left.type))
        members = () if isinstance(node.right, Prefix) else self._members(left, node.right)
        for member in members:
            if member.constant is None and member.type != "any":
                self._problem(member.node, "rules.list_member")
            elif member.constant is not None and left.legal and str(member.constant.value) not in left.legal:
                self._problem(member.node, "rules.not_legal", read=member.constant.value, field=show(left.node), legal=left.legal)
            else:
                self._same_unit(node, left, member)
        codes = frozenset(member.constant.value for member in members if member.constant is not None)
        return Term(node, "bool", evaluation.member(left.run, codes, prefixes), (left,))

    def _contains(self, node: Binary) -> Term:
        left = self.check(node.left)
        if left.type not in {"text", "any"}:
            return self._problem(node.left, "rules.contains_text", read=show(node.left), type=_type(left.type))
        words = tuple(
            member.constant.value for member in self._members(left, node.right) if member.constant and member.constant.type == "text"
        )
        if not words or not all(words) or isinstance(node.right, Prefix):
            return self._problem(node.right, "rules.contains_words", read=show(node.right))
        return Term(node, "bool", evaluation.contains(left.run, words), (left,))

    def _matches(self, node: Binary) -> Term:
        left, pattern = self.check(node.left), self.check(node.right)
        if left.type not in {"text", "any"}:
            return self._problem(node.left, "rules.matches_text", read=show(node.left), type=_type(left.type))
        if pattern.constant is None or pattern.type != "text":
            return self._problem(node.right, "rules.pattern_is_text", read=show(node.right))
        try:
            return Term(node, "bool", patterns.matches(left.run, pattern.constant.value), (left,))
        except patterns.PatternError as error:
            return self._problem(node.right, "rules.bad_pattern", read=pattern.constant.value, reason=str(error))

    def _arithmetic(self, node: Binary) -> Term:
        left, right = self.check(node.left), self.check(node.right)
        for term in (left, right):
            if term.type not in NUMERIC and term.type != "any":
                return self._problem(term.node, "rules.not_a_number", read=show(term.node), type=_type(term.type))
        run = evaluation.calculate(node.operator, left.run, right.run)
        return Term(node, self._dimension(node, left, right), run, (left, right))

    def _dimension(self, node: Binary, left: Term, right: Term) -> Type:
        """Return the dimension of a calculation: money plus money is money, money by money is a ratio, money by 2 is money."""
        one, other = left.type, right.type
        if "any" in {one, other}:
            return "any"
        if node.operator in {"+", "-"}:
            self._same_unit(node, left, right)
            return other if one == "number" else one
        if node.operator == "/" and one == other:
            return "number" if one == "number" else "ratio"
        if other in {"number", "ratio"}:
            return one
        if one in {"number", "ratio"} and node.operator == "*":
            return other
        if other == "count":
            return one if node.operator == "/" else other if one == "count" else one
        self._problem(node, "rules.no_such_unit", read=show(node), one=_type(one), other=_type(other))
        return "any"


def explain(term: Term, facts: Facts) -> Explained:
    """Return the term and every part of it with its text and its value; of a formula, what it was worked out from."""
    operator = term.node.operator if isinstance(term.node, Binary | Junction | Unary) else ""
    parts = tuple(explain(part, facts) for part in term.parts)
    if term.formula is not None:
        parts = (*parts, term.formula.explain(facts))
    return Explained(show(term.node), term.run(facts), parts, operator, fields.in_force(term.regional, facts))


def compile_expression(text: str, scope: Scope, *, condition: bool) -> tuple[Expression, Type] | None:
    """Return the compiled expression and its type, or None after reporting what is wrong with it.

    A `condition` must be true or false; without it the value may be of any type.
    """
    reported: list[int] = []

    def report(offset: int, key: str, values: Mapping[str, object]) -> None:
        reported.append(offset)
        scope.report(offset, key, values)

    try:
        node = parse(text)
    except ExpressionError as error:
        report(error.offset, error.key, error.values)
        return None
    checker = _Checker(Scope(report, scope.params, scope.indicators, scope.in_filter, scope.of_area))
    term = checker.truth(node) if condition else checker.check(node)
    if reported:
        return None
    expression = Expression(
        text=text,
        evaluate=term.run,
        indicators=tuple(checker.indicators),
        fields=tuple(checker.fields),
        regional=checker.regional,
        explainer=lambda facts: explain(term, facts),
        term=term,
    )
    return expression, term.type
