"""Inferences (推断): from a condition over findings to the clauses that an engine runs, every name checked at load.

A condition speaks of rules and earlier inferences by their ids, of the object's level in the pack's sector (`level >= orange`), of its
labels (`'学校食堂' in object.labels`) and of `object.type`, `object.credit` and `object.industry`. It is turned into clauses, any one of
which is enough; inferences must not go round in a circle, so that there is one answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from domain.findings import TransferHint
from domain.inference import MOST_CLAUSES, MOST_LITERALS, Clause, concluded, described, labelled, reached, stands
from rules.cases import Case, make_case
from rules.conditions import WEIGHT, RuleHead, cycles
from rules.documents import InferenceDoc
from rules.parsed import ParsedPack, Reporter
from rules.positions import Path, place
from rules.problems import Problems, nearest
from rules.ruleset import InferenceRule
from rules.syntax import AnyNode, Binary, ExpressionError, Items, Junction, Name, Number, Text, Unary, parse
from rules.trees import show
from rules.vocabulary import FIELDS, LEVELS

_FIELDS: Final = ("object.type", "object.credit", "object.industry")
_LABELS: Final = "object.labels"
_FLIPPED: Final = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_FINDINGS: Final = ("rule:", "level:", "inference:")
Literals = dict[str, bool]  # fact → whether it has to hold


class _TooWide(Exception):
    """A condition has more alternatives, or longer ones, than an engine takes."""


def _both(one: list[Literals], other: list[Literals]) -> list[Literals]:
    made = [left | right for left in one for right in other if all(right.get(fact, holds) == holds for fact, holds in left.items())]
    return _either((made,))


def _either(many: Iterable[list[Literals]]) -> list[Literals]:
    """Return the alternatives of all, without those that say no more than another one."""
    kept: list[Literals] = []
    for clause in (each for one in many for each in one):
        if any(known.items() <= clause.items() for known in kept):
            continue
        kept = [known for known in kept if not clause.items() <= known.items()] + [clause]
    if len(kept) > MOST_CLAUSES or any(len(clause) > MOST_LITERALS for clause in kept):
        raise _TooWide
    return kept


@dataclass(frozen=True, slots=True)
class _Reader:
    """Turns one condition into alternatives; what is wrong goes to `report(offset, key, values)`."""

    report: Callable[[int, str, Mapping[str, object]], None]
    doc: InferenceDoc
    sector: str
    rules: Mapping[str, RuleHead]
    inferences: Mapping[str, str]  # id → status

    def _wrong(self, node: AnyNode, key: str, **values: object) -> list[Literals]:
        self.report(node.at, key, values)
        return [{}]

    def read(self, node: AnyNode, *, holds: bool = True) -> list[Literals]:
        """Return the alternatives in which `node` is true, or false where `holds` is False."""
        match node:
            case Unary(operator="not"):
                return self.read(node.operand, holds=not holds)
            case Junction():
                terms = [self.read(term, holds=holds) for term in node.terms]
                if (node.operator == "or") == holds:
                    return _either(terms)
                found = terms[0]
                for term in terms[1:]:
                    found = _both(found, term)
                return found
            case Name():
                return self._finding(node, holds=holds)
            case Binary(left=Name(path="level")) if node.operator in _FLIPPED:
                return self._level(node, node.operator if holds else _FLIPPED[node.operator])
            case Binary(operator="in", left=Text(value=label), right=Name(path=path)) if path == _LABELS:
                return [{labelled(label): holds}]
            case Binary(operator="==" | "!=" | "in", left=Name(path=path)) if path in _FIELDS:
                return self._field(node, path, holds=holds != (node.operator == "!="))
        return self._wrong(node, "rules.not_inferable", read=show(node))

    def _finding(self, node: Name, *, holds: bool) -> list[Literals]:
        name, own = node.path, self.doc.status
        if name in self.inferences:
            status = self.inferences[name]
            fact = concluded(name)
        elif name in self.rules:
            head = self.rules[name]
            if head.by != "object":
                return self._wrong(node, "rules.inference_of_area", read=name)
            if not head.points:
                return self._wrong(node, "rules.inference_of_no_points", read=name)
            status, fact = head.status, stands(name)
        else:
            near = nearest(name, [*self.rules, *self.inferences])
            return self._wrong(node, "rules.unknown_finding", read=name, legal=(near,) if near else tuple(self.rules)[:20])
        if WEIGHT[status] < WEIGHT[own]:
            return self._wrong(node, "rules.rests_on_less", read=name, status=status, own=own)
        return [{fact: holds}]

    def _level(self, node: Binary, operator: str) -> list[Literals]:
        words = tuple(LEVELS)
        if not isinstance(node.right, Name) or node.right.path not in words:
            return self._wrong(node.right, "rules.not_legal", read=show(node.right), field="level", legal=words)
        own = words.index(node.right.path)

        def at_least(index: int, *, holds: bool) -> list[Literals]:
            return [{reached(self.sector, words[index]): holds}] if index < len(words) else [] if holds else [{}]

        match operator:
            case ">=":
                return at_least(own, holds=True)
            case ">":
                return at_least(own + 1, holds=True)
            case "<":
                return at_least(own, holds=False)
            case "<=":
                return at_least(own + 1, holds=False)
            case "==":
                return _both(at_least(own, holds=True), at_least(own + 1, holds=False))
        return _either((at_least(own, holds=False), at_least(own + 1, holds=True)))

    def _field(self, node: Binary, path: str, *, holds: bool) -> list[Literals]:
        members = node.right.members if isinstance(node.right, Items) else (node.right,)
        if isinstance(node.right, Items) != (node.operator == "in") or not members:
            return self._wrong(node, "rules.not_inferable", read=show(node))
        values = []
        for member in members:
            if not isinstance(member, Name | Text | Number):
                return self._wrong(member, "rules.not_inferable", read=show(member))
            value = member.value if isinstance(member, Text) else show(member)
            if FIELDS[path].legal and value not in FIELDS[path].legal:
                return self._wrong(member, "rules.not_legal", read=value, field=path, legal=FIELDS[path].legal)
            values.append(value)
        if holds:
            return _either([{described(path, value): True}] for value in values)
        return [{described(path, value): False for value in values}]


@dataclass(slots=True)
class _Compiler(Reporter):
    rules: Mapping[str, RuleHead]
    inferences: Mapping[str, str]

    def compile(self, index: int, doc: InferenceDoc) -> InferenceRule | None:
        path: Path = ("inferences", index)
        pack = self.parsed.doc
        if doc.status == "active" and not doc.basis:
            self.problem((*path, "id"), "rules.no_basis", read=doc.id)
        if doc.status == "active" and not (doc.owner or pack.owner):
            self.problem((*path, "id"), "rules.no_owner", read=doc.id)
        if not doc.tests:
            self.problems.warn(self.parsed.file, place(self.parsed.tree, (*path, "id")), "rules.no_tests", read=doc.id)
        clauses = self._clauses((*path, "when"), doc)
        if clauses is None:
            return None
        since, until = self.effective(path, doc.effective)
        transfer = doc.transfer
        return InferenceRule(
            id=doc.id,
            pack=pack.pack,
            title=doc.title,
            status=doc.status,
            sector=pack.sector,
            when=doc.when,
            clauses=clauses,
            say=doc.say,
            file=self.parsed.file,
            line=place(self.parsed.tree, path).line,
            basis=doc.basis,
            plan=doc.plan or "",
            transfer=TransferHint(crime=transfer.crime, basis=transfer.basis, to=transfer.to) if transfer is not None else None,
            owner=doc.owner or pack.owner,
            effective_from=since,
            effective_to=until,
        )

    def _clauses(self, path: Path, doc: InferenceDoc) -> tuple[Clause, ...] | None:
        report = self.report(path)
        reported: list[str] = []

        def keep(offset: int, key: str, values: Mapping[str, object]) -> None:
            reported.append(key)
            report(offset, key, values)

        try:
            found = _Reader(keep, doc, self.parsed.doc.sector, self.rules, self.inferences).read(parse(doc.when))
        except ExpressionError as error:
            report(error.offset, error.key, error.values)
            return None
        except _TooWide:
            self.problem(path, "rules.inference_too_wide", clauses=MOST_CLAUSES, literals=MOST_LITERALS)
            return None
        if reported:
            return None
        if not found:
            self.problem(path, "rules.inference_never")
            return None
        if any(not any(holds and fact.startswith(_FINDINGS) for fact, holds in clause.items()) for clause in found):
            self.problem(path, "rules.inference_of_nothing")
            return None
        return tuple(
            Clause(
                holds=tuple(fact for fact, holds in clause.items() if holds),
                lacks=tuple(fact for fact, holds in clause.items() if not holds),
            )
            for clause in found
        )


def _heads(packs: Sequence[ParsedPack], problems: Problems, rules: Mapping[str, RuleHead]) -> dict[str, str]:
    """Return the status of each inference by its id, after reporting ids that are used twice."""
    heads: dict[str, str] = {}
    marks = {head.id: head.mark for head in rules.values()}
    for pack in packs:
        for index, doc in enumerate(pack.doc.inferences):
            mark = place(pack.tree, ("inferences", index, "id"))
            if doc.id and doc.id in marks:
                problems.add(pack.file, mark, "rules.duplicate_rule", read=doc.id, other=marks[doc.id])
            marks.setdefault(doc.id, f"{pack.file}:{mark.line}")
            heads.setdefault(doc.id, doc.status)
    return {name: status for name, status in heads.items() if name not in rules}


def _ordered(found: Sequence[InferenceRule]) -> tuple[InferenceRule, ...]:
    """Return the inferences, each after those that it names; they do not go round in a circle."""
    ordered: dict[str, InferenceRule] = {}
    left = list(found)
    while left:
        ready = [each for each in left if not any(concluded(other.id) in each.names for other in left)]
        ordered.update((each.id, each) for each in ready)
        left = [each for each in left if each.id not in ordered]
    return tuple(ordered.values())


def compile_inferences(
    packs: Sequence[ParsedPack], problems: Problems, rules: Mapping[str, RuleHead]
) -> tuple[tuple[InferenceRule, ...], tuple[Case, ...]]:
    """Return the inferences of all packs in the order in which they are worked out, and their tests; problems are reported."""
    heads = _heads(packs, problems, rules)
    found: list[InferenceRule] = []
    cases: list[Case] = []
    places = {}
    for pack in packs:
        compiler = _Compiler(pack, problems, rules, heads)
        for index, doc in enumerate(pack.doc.inferences):
            made = compiler.compile(index, doc)
            if made is not None:
                found.append(made)
                places[made.id] = (pack.file, place(pack.tree, ("inferences", index, "when")))
            for number, case in enumerate(doc.tests):
                cases.append(make_case(pack.file, pack.tree, problems, doc.id, ("inferences", index, "tests", number), case))
    named = {each.id: tuple(other for other in heads if concluded(other) in each.names) for each in found}
    circles = list(cycles(named))
    for path in circles:
        problems.add(*places[path[0]], "rules.circle", path=" → ".join(path))
    return () if circles or problems.errors() else _ordered(found), tuple(cases)
