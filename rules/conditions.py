"""What a rule waits for: an expression, a sequence or absence of signals, or so many of several conditions and other rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal, NamedTuple

from rules import evaluation
from rules.documents import SLUG, RuleDoc, WhenDoc
from rules.durations import duration
from rules.evaluation import Run
from rules.expressions import KnownIndicator, Scope, compile_expression
from rules.facts import Facts
from rules.literals import Constant
from rules.problems import nearest
from rules.ruleset import Explained, Expression, Sequence, course_of, truth_of
from rules.sources import sources_of
from rules.syntax import parse

Path = tuple[str | int, ...]
SHORTEST: Final = timedelta(minutes=1)
LONGEST: Final = timedelta(days=1100)  # three years: what a condition waits for is kept for as long
_SEQUENCE: Final = ("first", "then", "then_not", "within")
_MANY: Final = ("at_least", "of")
# A rule that runs may only rest on rules that run at least as earnestly: what is on trial must not raise what is delivered.
WEIGHT: Final[dict[str, int]] = {"deprecated": 0, "draft": 0, "shadow": 1, "active": 2}


class RuleHead(NamedTuple):
    """What other rules may know of a rule before it is compiled; `mark` is where its id stands, `file:line`."""

    id: str
    by: Literal["object"] | int
    status: str
    mark: str
    points: float = 1.0


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition; `sources` are the only ones that it looks at, as far as its filters name them."""

    when: Expression
    sequence: Sequence | None = None
    clear: Expression | None = None
    texts: tuple[str, ...] = ()  # the expressions over indicators and fields that it is made of


def expressions(doc: RuleDoc) -> Iterator[tuple[Path, str]]:
    """Yield each expression of a rule's condition with its place below the rule; a rule that is referred to is a bare name."""
    if isinstance(doc.when, str):
        yield ("when",), doc.when
    else:
        for key in ("first", "then", "then_not"):
            text = getattr(doc.when, key)
            if text is not None:
                yield ("when", key), text
        for index, text in enumerate(doc.when.of):
            yield ("when", "of", index), text
    if doc.clear_when is not None:
        yield ("clear_when",), doc.clear_when


@dataclass(frozen=True, slots=True)
class ConditionReader:
    """Compiles the condition of one rule after another of a pack.

    `report(path)` is where an expression at `path` sends its problems, `problem(path, key, **values)` where all others go.
    """

    report: Callable[[Path], Callable[[int, str, Mapping[str, object]], None]]
    problem: Callable[..., None]
    params: Mapping[str, Constant]
    names: Mapping[str, KnownIndicator]
    heads: Mapping[str, RuleHead]

    def read(self, path: Path, doc: RuleDoc, by: Literal["object"] | int) -> Condition | None:
        """Return the condition of the rule at `path`, or None after reporting."""
        clear = None
        if doc.clear_when is not None:
            clear = self._expression((*path, "clear_when"), doc.clear_when, by)
            if clear is None:
                return None
        if isinstance(doc.when, str):
            when = self._expression((*path, "when"), doc.when, by)
            return None if when is None else Condition(when, None, clear, (doc.when,))
        return self._structured((*path, "when"), doc, doc.when, by, clear)

    def _expression(self, path: Path, text: str, by: Literal["object"] | int) -> Expression | None:
        scope = Scope(self.report(path), self.params, self.names, of_area=by != "object")
        compiled = compile_expression(text, scope, condition=True)
        return compiled[0] if compiled else None

    def _structured(
        self, path: Path, doc: RuleDoc, when: WhenDoc, by: Literal["object"] | int, clear: Expression | None
    ) -> Condition | None:
        written = {key for key in (*_SEQUENCE, *_MANY) if getattr(when, key) not in {None, ()}}
        if written & set(_SEQUENCE) and written & set(_MANY):
            self.problem((*path, min(written & set(_MANY))), "rules.one_condition")
            return None
        if written & set(_MANY):
            return self._many(path, doc, when, by, clear)
        if clear is not None or doc.for_ is not None:
            self.problem((path[0], path[1], "clear_when" if clear is not None else "for"), "rules.not_with_sequence")
            return None
        sequence = self._sequence(path, when)
        if sequence is None:
            return None
        name = course_of(doc.id)
        text = f"{when.first} {'then_not' if sequence.absent else 'then'} {when.then_not or when.then} within {when.within}"
        return Condition(Expression(text, _named(name), explainer=lambda facts: Explained(text, facts.values.get(name))), sequence)

    def _sequence(self, path: Path, when: WhenDoc) -> Sequence | None:
        sound = True
        for key in ("first", "within"):
            if getattr(when, key) is None:
                self.problem(path, "rules.missing_key", field=key)
                sound = False
        if (when.then is None) == (when.then_not is None):
            self.problem(path, "rules.then_or_then_not")
            sound = False
        length = duration(when.within) if when.within is not None else SHORTEST
        if not SHORTEST <= length <= LONGEST:
            self.problem((*path, "within"), "rules.out_of_range", field="within", read=when.within, low="1m", high="1100d")
            sound = False
        key = "then" if when.then is not None else "then_not"
        first = self._filter((*path, "first"), when.first)
        then = self._filter((*path, key), getattr(when, key))
        if first is None or then is None or not sound:
            return None
        (one, one_sources), (other, other_sources) = first, then
        if key == "then_not" and not other_sources:
            self.problem((*path, key), "rules.absence_needs_source")
            return None
        return Sequence(one, other, key == "then_not", length, one_sources, other_sources)

    def _filter(self, path: Path, text: str | None) -> tuple[Expression, tuple[str, ...]] | None:
        if text is None:
            return None
        compiled = compile_expression(text, Scope(self.report(path), self.params, in_filter=True), condition=True)
        if compiled is None:
            return None
        return compiled[0], tuple(sorted(sources_of(parse(text), self.params) or ()))

    def _many(self, path: Path, doc: RuleDoc, when: WhenDoc, by: Literal["object"] | int, clear: Expression | None) -> Condition | None:
        for key in _MANY:
            if getattr(when, key) in {None, ()}:
                self.problem(path, "rules.missing_key", field=key)
                return None
        number = when.at_least or 1
        if number > len(when.of):
            self.problem((*path, "at_least"), "rules.out_of_range", field="at_least", read=number, low=1, high=len(when.of))
            return None
        terms: list[Expression] = []
        seen: dict[str, int] = {}
        for index, text in enumerate(when.of):
            if text in seen:
                self.problem((*path, "of", index), "rules.twice", read=text)
            seen.setdefault(text, index)
            term = self._member((*path, "of", index), doc, text, by)
            if term is not None:
                terms.append(term)
        if len(terms) < len(when.of) or len(seen) < len(when.of):
            return None
        return Condition(_joined(number, tuple(terms)), None, clear, tuple(text for text in when.of if text not in self.heads))

    def _member(self, path: Path, doc: RuleDoc, text: str, by: Literal["object"] | int) -> Expression | None:
        head = self.heads.get(text)
        if head is None:
            if re.fullmatch(SLUG, text) and text not in self.names:
                near = nearest(text, [*self.heads, *self.names])
                self.problem(path, "rules.unknown_rule", read=text, legal=(near,) if near else tuple(self.heads)[:20])
                return None
            return self._expression(path, text, by)
        if text in self.names:
            self.problem(path, "rules.rule_and_indicator", read=text)
            return None
        if head.by != by:
            own = head.by if head.by == "object" else f"region({head.by})"
            self.problem(path, "rules.other_subject", read=text, own=own, by=by if by == "object" else f"region({by})")
            return None
        if WEIGHT[head.status] < WEIGHT[doc.status]:
            self.problem(path, "rules.rests_on_less", read=text, status=head.status, own=doc.status)
            return None
        name = truth_of(text)
        return Expression(text, _named(name), rules=(text,), explainer=lambda facts: Explained(text, facts.values.get(name)))


def _named(name: str) -> Run:
    return lambda facts: facts.values.get(name)


def _joined(number: int, terms: tuple[Expression, ...]) -> Expression:
    text = f"at_least {number} of [{', '.join(term.text for term in terms)}]"
    run = evaluation.at_least(number, tuple(term.evaluate for term in terms))

    def explain(facts: Facts) -> Explained:
        return Explained(text, run(facts), tuple(term.explain(facts) for term in terms), "at_least")

    return Expression(
        text=text,
        evaluate=run,
        indicators=tuple(dict.fromkeys(name for term in terms for name in term.indicators)),
        fields=tuple(dict.fromkeys(name for term in terms for name in term.fields)),
        rules=tuple(dict.fromkeys(name for term in terms for name in term.rules)),
        regional=any(term.regional for term in terms),
        explainer=explain,
    )


def cycles(refers: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """Yield each circle of rules that refer to one another, as the path from a rule back to it; each circle once.

    >>> list(cycles({"a": ("b",), "b": ("c",), "c": ("b",)}))
    [('b', 'c', 'b')]
    """
    done: set[str] = set()
    for start in refers:
        path: list[str] = []
        on_path: dict[str, int] = {}
        stack: list[tuple[str, Iterator[str]]] = [] if start in done else [(start, iter(refers[start]))]
        if stack:
            path.append(start)
            on_path[start] = 0
        while stack:
            here, rest = stack[-1]
            step = next(rest, None)
            if step is None:
                stack.pop()
                done.add(here)
                del on_path[path.pop()]
            elif step in on_path:
                yield (*path[on_path[step] :], step)
            elif step not in done and step in refers:
                on_path[step] = len(path)
                path.append(step)
                stack.append((step, iter(refers[step])))
