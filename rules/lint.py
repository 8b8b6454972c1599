"""Judgments on packs that compile: what forbids their use (errors) and what an author should look at (warnings)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from domain.kinds import KINDS, SECTORS
from rules.compile import CompiledPack
from rules.conditions import cycles, expressions
from rules.documents import RuleDoc
from rules.pauses import pause
from rules.positions import Listing, Path, Scalar, find, place
from rules.positions import Mapping as MapTree
from rules.problems import Mark, Problems
from rules.ranges import bounds, verdict
from rules.ruleset import Indicator, Rule
from rules.sources import sources_of
from rules.syntax import AnyNode, Binary, Junction, Name, Prefix, Text, parse
from rules.templates import render
from rules.trees import walk

_ARTICLE: Final = re.compile(r"第[^，；]*条[^，；]*[，；][^，；]*第[^，；]*条")  # two in one text, with a comma of Chinese typing between
_PERIOD: Final = re.compile(r"[0-9一二三四五六七八九十百]+\s*(个?工作日|日|天|小时|个月|年)(内|以内|之内)?")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is imported where the rules are to run: the words for items and sectors, and for departments; empty where that is not known."""

    matters: frozenset[str] = frozenset()
    departments: frozenset[str] = frozenset()


def lint_packs(
    packs: Sequence[CompiledPack],
    problems: Problems,
    feed_delays: Mapping[str, timedelta] | None = None,
    around: Surroundings = Surroundings(),  # frozen and empty
) -> None:
    """Judge all packs together; `feed_delays` is how late the data of a source may be, by source."""
    _duplicates(packs, problems)
    _families(packs, problems)
    _circles(packs, problems)
    _renamed(packs, problems)
    for pack in packs:
        sector = pack.parsed.doc.sector
        if sector and sector not in SECTORS and not around.matters:
            problems.warn(pack.parsed.file, place(pack.parsed.tree, ("sector",)), "rules.unknown_sector", read=sector, legal=set(SECTORS))
        judge = _Judge(pack, problems)
        judge.indicators(feed_delays or {})
        for index, doc in enumerate(pack.parsed.doc.rules):
            judge.rule(index, doc)
        judge.foreign()
        judge.around(around)


def _duplicates(packs: Sequence[CompiledPack], problems: Problems) -> None:
    rules: dict[str, tuple[str, Mark]] = {}
    names: dict[str, str] = {}
    for pack in packs:
        file, tree = pack.parsed.file, pack.parsed.tree
        name = pack.parsed.doc.pack
        if name and name in names:
            problems.add(file, place(tree, ("pack",)), "rules.duplicate_pack", read=name, other=names[name])
        names.setdefault(name, file)
        for index, doc in enumerate(pack.parsed.doc.rules):
            pause()
            mark = place(tree, ("rules", index, "id"))
            if doc.id and doc.id in rules:
                first, at = rules[doc.id]
                problems.add(file, mark, "rules.duplicate_rule", read=doc.id, other=f"{first}:{at.line}")
            rules.setdefault(doc.id, (file, mark))


def _families(packs: Sequence[CompiledPack], problems: Problems) -> None:
    caps: dict[str, float] = {}
    for pack in packs:
        for index, doc in enumerate(pack.parsed.doc.rules):
            if doc.family is None:
                continue
            cap = caps.setdefault(doc.family, doc.cap)
            if cap != doc.cap:
                mark = place(pack.parsed.tree, ("rules", index, "cap"))
                problems.add(pack.parsed.file, mark, "rules.family_caps", read=doc.family, cap=cap)


def _renamed(packs: Sequence[CompiledPack], problems: Problems) -> None:
    """A rule takes over the state of one that is no more, and of one that no other takes over."""
    ids = {doc.id for pack in packs for doc in pack.parsed.doc.rules}
    heirs: dict[str, str] = {}
    for pack in packs:
        for index, doc in enumerate(pack.parsed.doc.rules):
            old = doc.renamed_from
            if old is None:
                continue
            mark = place(pack.parsed.tree, ("rules", index, "renamed_from"))
            if old in ids:
                problems.add(pack.parsed.file, mark, "rules.renamed_from_itself" if old == doc.id else "rules.renamed_from_live", read=old)
            elif old in heirs:
                problems.add(pack.parsed.file, mark, "rules.renamed_twice", read=old, other=heirs[old])
            heirs.setdefault(old, doc.id)


def _circles(packs: Sequence[CompiledPack], problems: Problems) -> None:
    places: dict[str, tuple[str, Mark]] = {}
    refers: dict[str, tuple[str, ...]] = {}
    for pack in packs:
        refers.update((rule.id, rule.when.rules) for rule in pack.rules)
        for index, doc in enumerate(pack.parsed.doc.rules):
            pause()
            places.setdefault(doc.id, (pack.parsed.file, place(pack.parsed.tree, ("rules", index, "when"))))
    for path in cycles(refers):
        problems.add(*places[path[0]], "rules.circle", path=" → ".join(path))


class _Judge:
    """The judgments on one pack."""

    def __init__(self, pack: CompiledPack, problems: Problems) -> None:
        self._pack = pack
        self._problems = problems
        self._file = pack.parsed.file
        self._tree = pack.parsed.tree
        self._by_name = {indicator.name: indicator for indicator in pack.indicators.values()}
        self._rules: dict[str, Rule] = {rule.id: rule for rule in pack.rules}
        self._foreign: dict[str, tuple[Mark, set[Mark], set[str]]] = {}  # kinds that are not listed: first place, places, listed ones

    def _warn(self, path: Path, key: str, **values: object) -> None:
        self._problems.warn(self._file, place(self._tree, path), key, **values)

    def _error(self, path: Path, key: str, **values: object) -> None:
        self._problems.add(self._file, place(self._tree, path), key, **values)

    def _within(self, path: Path, offset: int) -> Mark:
        scalar = find(self._tree, path)
        return scalar.within(offset) if isinstance(scalar, Scalar) else place(self._tree, path)

    def around(self, around: Surroundings) -> None:
        """Hold owners and matters against what was imported, where something was."""
        pack = self._pack.parsed.doc
        for index, doc in enumerate(pack.rules):
            path: Path = ("rules", index)
            matter, owner = doc.matter or pack.sector, doc.owner or pack.owner
            if around.matters and doc.points and matter not in around.matters:
                self._warn((*path, "matter") if doc.matter else ("sector",), "rules.no_matter", read=matter, legal=around.matters)
            if around.departments and owner and owner not in around.departments:
                self._warn((*path, "owner") if doc.owner else ("owner",), "rules.no_department", read=owner, legal=around.departments)

    # Indicators

    def indicators(self, feed_delays: Mapping[str, timedelta]) -> None:
        used = {name for rule in self._pack.rules for name in (*rule.when.indicators, *rule.says)}
        used |= {name for rule in self._pack.rules if rule.clear is not None for name in rule.clear.indicators}
        used |= {name for indicator in self._pack.indicators.values() for name in indicator.made_of}
        whole = len(self._pack.rules) == len(self._pack.parsed.doc.rules)  # what a rule reads that does not compile is not known
        for name, indicator in self._pack.indicators.items():
            path: Path = ("indicators", name)
            if whole and indicator.name not in used:
                parent = find(self._tree, ("indicators",))
                mark = parent.entries[name][0] if isinstance(parent, MapTree) else place(self._tree, path)
                self._problems.warn(self._file, mark, "rules.unused", read=name)
            if (
                indicator.aggregate in {"sum", "mean", "stddev", "percentile", "trend"}
                and not indicator.unit
                and indicator.of
                and "value" in indicator.of.fields
            ):
                self._warn(path, "rules.no_unit", read=name)
            if indicator.where is not None:
                self._expression((*path, "where"), indicator.where.text)
                self._late(path, indicator, feed_delays)

    def _late(self, path: Path, indicator: Indicator, feed_delays: Mapping[str, timedelta]) -> None:
        if indicator.window is None or indicator.window.kind not in {"sliding", "tumbling", "daily"} or indicator.where is None:
            return
        for source in sorted(sources_of(parse(indicator.where.text), self._pack.params) or ()):
            delay = feed_delays.get(source)
            if delay is not None and indicator.window.length < delay:
                self._warn((*path, "window"), "rules.shorter_than_delay", source=source, delay=render(delay.total_seconds(), "duration"))

    # Rules

    def rule(self, index: int, doc: RuleDoc) -> None:
        pause()
        path: Path = ("rules", index)
        if doc.status == "active":
            self._active(path, doc)
        if not doc.tests:
            self._warn((*path, "id"), "rules.no_tests", read=doc.id)
        elif len({isinstance(test.expect, str) for test in doc.tests}) < 2:
            self._warn((*path, "tests"), "rules.one_sided_tests", read=doc.id)
        if doc.record is not None:
            self._kind((*path, "record", "kind"), 0, doc.record.kind)
        if doc.points == 0 and doc.at_least and self._reads_as_zero((*path, "points")):
            self._warn((*path, "at_least"), "rules.floor_without_points")
        if doc.family is None and find(self._tree, (*path, "cap")) is not None:
            self._warn((*path, "cap"), "rules.cap_without_family")
        for number, basis in enumerate(doc.basis):
            if _ARTICLE.search(basis):
                self._warn((*path, "basis", number), "rules.two_in_one", read=basis)
        for number, test in enumerate(doc.tests):
            for step, given in enumerate(test.given):
                self._kind((*path, "tests", number, "given", step, "kind"), 0, given.kind)
        compiled = self._rules.get(doc.id)
        if compiled is not None:
            for below, text in expressions(doc):
                self._expression((*path, *below), text)
                self._clocks((*path, *below), text)
            self._period(path, doc, compiled)

    def _active(self, path: Path, doc: RuleDoc) -> None:
        """What is delivered has a basis, somebody who answers for it, a day from which it holds, and a plan of what is done then."""
        pack = self._pack.parsed.doc
        if not doc.basis and not self._stands(path, "basis"):
            self._error((*path, "id"), "rules.no_basis", read=doc.id)
        if not (doc.owner or pack.owner or self._stands(path, "owner")):
            self._error((*path, "id"), "rules.no_owner", read=doc.id)
        if doc.points and not (doc.plan or pack.plan or self._stands(path, "plan")):
            self._error((*path, "id"), "rules.no_plan", read=doc.id)
        effective = doc.effective or pack.effective
        if (effective is None or effective.from_ is None) and not self._stands(path, "effective", "from"):
            self._error((*path, "id"), "rules.not_effective", read=doc.id)

    def _stands(self, path: Path, *key: str) -> bool:
        """Tell whether something is written there, for the rule or its pack: what could not be read was told, and is not missing."""
        found = (find(self._tree, (*path, *key)), find(self._tree, key))
        return any(each is not None and each not in (Scalar(each.mark, "", quoted=True), Listing(each.mark)) for each in found)

    def _reads_as_zero(self, path: Path) -> bool:
        scalar = find(self._tree, path)
        return isinstance(scalar, Scalar) and re.fullmatch(r"0+(\.0*)?", scalar.raw) is not None

    def _period(self, path: Path, doc: RuleDoc, rule: Rule) -> None:
        """A period of law is counted exactly: 24 buckets would make thirty days up to a day and a quarter wrong."""
        if not any(_PERIOD.search(basis) for basis in doc.basis):
            return
        for name in rule.when.indicators:
            window = self._by_name[name].window if name in self._by_name else None
            if window is not None and window.kind == "sliding" and not window.exact:
                self._warn((*path, "basis"), "rules.bucketed_period", read=name.rpartition(".")[2])

    def _clocks(self, path: Path, text: str) -> None:
        """A window on its own clock ends with its own signals: beside another one's it stands for as long as they stay away."""
        found = list(dict.fromkeys(_stale(parse(text), self._windows, frozenset(), frozenset())))
        if found:
            names = ", ".join(dict.fromkeys(name.path for name in found))
            self._problems.warn(self._file, self._within(path, found[0].at), "rules.own_clock", read=names)

    def _windows(self, name: Name) -> list[Indicator]:
        """Return the windows over chosen signals that an indicator is, or is made of; none for what is no indicator."""
        found, waiting = [], [f"{self._pack.parsed.doc.pack}.{name.path}"]
        while waiting:
            indicator = self._by_name.get(waiting.pop())
            if indicator is not None and indicator.made_of:
                waiting += indicator.made_of
            elif indicator is not None and indicator.window is not None and indicator.where is not None:
                found.append(indicator)
        return found

    # Expressions

    def _expression(self, path: Path, text: str) -> None:
        for node in walk(parse(text)):
            if not isinstance(node, Binary):
                continue
            if node.left == Name("kind"):
                self._kinds(path, node.right)
            decided = verdict(node, lambda part: bounds(part, self._pack))
            if decided is not None:
                mark = self._within(path, node.at)
                self._problems.warn(self._file, mark, "rules.always" if decided else "rules.never", read=_source(text, node))

    def _kinds(self, path: Path, node: AnyNode) -> None:
        for part in walk(node):
            if isinstance(part, Name):
                self._kind(path, part.at, part.path)
            elif isinstance(part, Text):
                self._kind(path, part.at, part.value)
            elif isinstance(part, Prefix) and not any(kind.startswith(f"{part.path}.") for kind in KINDS):
                self._unknown_kind(path, part.at, f"{part.path}.*", {f"{kind.partition('.')[0]}.*" for kind in KINDS})

    def _kind(self, path: Path, offset: int, kind: str) -> None:
        if kind not in KINDS:
            self._unknown_kind(path, offset, kind, set(KINDS))

    def _unknown_kind(self, path: Path, offset: int, kind: str, known: set[str]) -> None:
        mark = self._within(path, offset)
        first, marks, _ = self._foreign.setdefault(kind, (mark, set(), known))
        marks.add(mark)
        self._foreign[kind] = (min(first, mark), marks, known)

    def foreign(self) -> None:
        """Tell of each kind that no shipped mapping has, once, where it stands first: a new field has all its kinds to itself."""
        for kind, (mark, marks, known) in self._foreign.items():
            self._problems.warn(self._file, mark, "rules.unknown_kind", read=kind, legal=known, places=len(marks))


def _source(text: str, node: Binary) -> str:
    """Return the comparison as the author wrote its left side, up to the next `and` / `or`."""
    return re.split(r"\s+(?:and|or)\s+", text[node.at :])[0].strip()


Windows = Callable[[Name], list[Indicator]]


def _filters(node: AnyNode, windows: Windows) -> frozenset[str]:
    return frozenset(each.where.text for part in walk(node) if isinstance(part, Name) for each in windows(part) if each.where)


def _current(node: AnyNode, windows: Windows) -> frozenset[str]:
    """Return the filters of which `node` cannot be true without a signal of late: it has a window of theirs on the object's clock."""
    if isinstance(node, Junction):
        parts = [_current(term, windows) for term in node.terms]
        return frozenset[str]().union(*parts) if node.operator == "and" else frozenset.intersection(*parts)
    own = [each for part in walk(node) if isinstance(part, Name) for each in windows(part)]
    return frozenset(each.where.text for each in own if each.as_of == "object" and each.where)


def _stale(node: AnyNode, windows: Windows, current: frozenset[str], beside: frozenset[str]) -> Iterator[Name]:
    """Yield the names whose windows may be long past while what stands `beside` them by an `and`, of other filters, is of now.

    `current` are the filters that something else in the `and` holds to the present.
    """
    if isinstance(node, Junction):
        for place, term in enumerate(node.terms):
            others = node.terms[:place] + node.terms[place + 1 :] if node.operator == "and" else ()
            held = current.union(*(_current(each, windows) for each in others))
            yield from _stale(term, windows, held, beside.union(*(_filters(each, windows) for each in others)))
        return
    held = current | _current(node, windows)
    for part in walk(node):
        for each in windows(part) if isinstance(part, Name) else ():
            if isinstance(part, Name) and each.where and each.where.text not in held and beside - {each.where.text}:
                yield part
