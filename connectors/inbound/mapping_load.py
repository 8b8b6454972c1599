"""Mapping files → compiled mappings; everything wrong is reported at once with file:line:column and the nearest legal word."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from collections.abc import Mapping as ReadOnly
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from zoneinfo import ZoneInfo

from connectors.inbound.charsets import canonical_encoding
from connectors.inbound.dates import DEFAULT_FORMATS, TimeFormats, check_format
from connectors.inbound.headers import header_forms, normalise_header
from connectors.inbound.mapping_docs import ChooserDoc, FieldDoc, KeywordsDoc, MappingDoc, SignalDoc, VocabularyDoc
from connectors.inbound.mapping_model import MONEY, Chooser, Field, Keywords, Mapping, Refusal, Skip, Slots
from connectors.inbound.required import lacking
from connectors.inbound.rows import Explode, Limits, Shape
from domain.errors import FileProblems, Problem
from domain.kinds import KINDS, SECTORS
from rules.durations import duration
from rules.positions import Path as TreePath
from rules.positions import Tree, place, read_tree
from rules.problems import Problems
from rules.reading import read_struct

SHIPPED = Path(__file__).resolve().parent.parent / "mappings"
DEFAULT_NULLS = ("null", "none", "nan", "n/a", "-", "--", "—", "/", "\\", "无", "暂无", "空", "不详", "未填写")
Vocabularies = ReadOnly[str, tuple[Keywords, ...]]
_NO_TABLES: Vocabularies = MappingProxyType({})


def fold(text: str) -> str:
    """Return a value as code tables compare it: NFKC, case folded, no blanks around it.

    >>> fold(" ＶＭＤ ")
    'vmd'
    """
    return unicodedata.normalize("NFKC", text).casefold().strip()


def load_mapping(text: str, file: str, vocabularies: Vocabularies = _NO_TABLES, limits: Limits | None = None) -> Mapping:
    """Return the mapping of one file; `vocabularies` are the keyword tables it may name.

    Raises:
        FileProblems: everything that is wrong with it.
    """
    problems = Problems()
    tree = read_tree(file, text, problems)
    doc = read_struct(file, tree, MappingDoc, problems) if tree is not None else None
    if tree is None or doc is None:
        raise FileProblems(problems.all())
    compiler = _Compiler(doc, tree, file, problems, vocabularies)
    mapping = compiler.mapping(limits or Limits())
    if problems.errors():
        raise FileProblems(problems.all())
    return mapping


def load_vocabulary(text: str, file: str) -> tuple[str, tuple[Keywords, ...]]:
    """Return name and rules of a keyword table.

    Raises:
        FileProblems: everything that is wrong with it.
    """
    problems = Problems()
    tree = read_tree(file, text, problems)
    doc = read_struct(file, tree, VocabularyDoc, problems) if tree is not None else None
    if tree is not None and doc is not None:
        for number, rule in enumerate(doc.rules):
            if not rule.any and not rule.all:
                problems.add(file, place(tree, ("rules", number)), "mapping.no_words")
    if doc is None or problems.errors():
        raise FileProblems(problems.all())
    return doc.vocabulary, tuple(keywords(rule) for rule in doc.rules)


def load_folder(folder: Path = SHIPPED, limits: Limits | None = None) -> dict[str, Mapping]:
    """Return the mappings of `folder` by feed; keyword tables are the shipped ones and those of its own folder `vocabulary`.

    Raises:
        FileProblems: everything that is wrong in any file, or two files name one feed.
        OSError: the folder cannot be read.
    """
    found: list[Problem] = []
    tables: dict[str, tuple[Keywords, ...]] = {}
    mappings: dict[str, Mapping] = {}
    shelves = dict.fromkeys((SHIPPED / "vocabulary", folder / "vocabulary"))
    for path in (path for shelf in shelves for path in sorted(shelf.glob("*.yaml"))):
        try:
            name, rules = load_vocabulary(_read(path), str(path))
            tables[name] = rules
        except FileProblems as error:
            found += error.problems
    for path in sorted(folder.glob("*.yaml")):
        try:
            mapping = load_mapping(_read(path), str(path), tables, limits)
        except FileProblems as error:
            found += error.problems
            continue
        if mapping.feed in mappings:
            message = f'数据源 "{mapping.feed}" 已由 {mappings[mapping.feed].file} 定义 (feed defined twice)'
            found.append(Problem(file=str(path), line=0, column=0, message=message))
        mappings[mapping.feed] = mapping
    if found:
        raise FileProblems(found)
    return mappings


def keywords(doc: KeywordsDoc) -> Keywords:
    """Return a compiled keyword rule."""
    groups = (*((doc.any,) if doc.any else ()), *doc.all)
    return Keywords(doc.give, tuple(tuple(fold(word) for word in group) for group in groups), tuple(fold(word) for word in doc.not_))


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        message = "文件不是 UTF-8 编码 (the file is not UTF-8)"
        raise FileProblems([Problem(file=str(path), line=0, column=0, message=message)]) from error


class _Compiler:
    """Compiles one document; problems of meaning are added with the place of what was written."""

    def __init__(self, doc: MappingDoc, tree: Tree, file: str, problems: Problems, tables: Vocabularies) -> None:
        self.doc = doc
        self.tree = tree
        self.file = file
        self.problems = problems
        self.tables = tables

    def mapping(self, limits: Limits) -> Mapping:
        """Return the compiled mapping; it is worth nothing where a problem was added."""
        doc = self.doc
        fields = {name: self._field(name, each) for name, each in doc.fields.items()}
        slots = self._slots(doc.signal)
        key = tuple(tuple(part.strip() for part in parts.split("|")) for parts in doc.key)
        for number, parts in enumerate(key):
            self._known(parts, ("key", number))
        self._known(doc.personal, ("personal",))
        self._known(doc.attrs or (), ("attrs",))
        for name, when in doc.personal_when.items():
            self._known((name, *when), ("personal_when", name))
        for number, skip in enumerate(doc.skip):
            self._known(skip.when, ("skip", number, "when"))
        for number, refusal in enumerate(doc.reject):
            self._known((refusal.field, *refusal.when), ("reject", number))
        if doc.revised_by is not None:
            self._known((doc.revised_by,), ("revised_by",))
        if "xml" in doc.formats and not doc.records:
            self._add(("formats",), "mapping.xml_needs_records")
        marks = {name for each in fields.values() for name in (*each.beside, *each.without)}  # say how to read others, not more
        used = _used(doc.signal) | marks
        return Mapping(
            feed=doc.feed,
            title=doc.title,
            source=doc.source,
            confidential=doc.confidential,
            shape=self._shape(fields, slots, key, limits),
            fields=MappingProxyType(fields),
            conditional=MappingProxyType({name: each for name, each in fields.items() if each.conditional}),
            slots=slots,
            key=key,
            kind=self._chooser(doc.kind, "kind", KINDS),
            severity=self._chooser(doc.severity, "severity", ("0", "1", "2", "3")),
            matter=self._chooser(doc.matter, "matter", (*SECTORS, "")),
            times=TimeFormats(self._dates(), self._zone()),
            nulls=frozenset({"", *(fold(word) for word in (DEFAULT_NULLS if doc.nulls is None else doc.nulls))}),
            attrs=tuple(name for name in fields if name not in used) if doc.attrs is None else doc.attrs,
            constants=MappingProxyType(dict(doc.constants)),
            personal=frozenset(doc.personal),
            personal_when=MappingProxyType({name: _conditions(when) for name, when in doc.personal_when.items()}),
            skips=tuple(Skip(skip.reason, _conditions(skip.when)) for skip in doc.skip),
            refusals=tuple(Refusal(each.field, each.why, _conditions(each.when)) for each in doc.reject),
            revisable=doc.revision or doc.revised_by is not None,
            revised_by=doc.revised_by or "",
            future=duration(doc.future),
            delay=duration(doc.delay),
            silent_after=self._silent_after(),
            retention=duration(doc.retention),
            file=self.file,
            warnings=tuple(problem for problem in self.problems.all() if problem.severity == "warning"),
        )

    def _field(self, name: str, doc: FieldDoc | tuple[str, ...]) -> Field:
        if isinstance(doc, tuple):
            if not doc:
                self._add(("fields", name), "mapping.no_aliases", field=name)
            return Field(name, doc)
        if doc.type == "amount" and (doc.unit or "元").lower() not in MONEY:
            self._add(("fields", name, "unit"), "mapping.no_money", read=doc.unit, legal=tuple(MONEY))
        if doc.codes and doc.type not in {"text", "code"}:
            self._add(("fields", name, "codes"), "mapping.codes_of_text", field=name)
        codes = MappingProxyType({fold(value): result for value, result in doc.codes.items()})
        for key in ("beside", "without"):
            self._known(getattr(doc, key), ("fields", name, key))
        limits = (doc.low, doc.high, doc.beside, doc.without)
        return Field(name, doc.from_, doc.type, doc.required, doc.unit, codes, doc.default, doc.take, *limits)

    def _slots(self, doc: SignalDoc) -> Slots:
        for slot in ("occurred_at", "region", "value", "unit", "text"):
            self._known(getattr(doc, slot), ("signal", slot))
        for slot in ("id", "code", "name", "address", "type"):
            self._known(getattr(doc.object, slot), ("signal", "object", slot))
        for slot in ("point", "lng", "lat"):
            self._known(getattr(doc.place, slot), ("signal", "place", slot))
        for name in doc.occurred_at:
            self._of_type(name, {"time"}, ("signal", "occurred_at"))
        for name in (*doc.value, *doc.place.lng, *doc.place.lat):
            self._of_type(name, {"number", "amount"}, ("signal", "value" if name in doc.value else "place"))
        for name in doc.place.point:
            self._of_type(name, {"point"}, ("signal", "place", "point"))
        held, spot = doc.object, doc.place
        return Slots(
            doc.occurred_at, held.code, held.name, held.address, held.id, held.type, doc.region, doc.value, doc.unit, doc.text,
            spot.point, spot.lng, spot.lat, spot.datum,
        )  # fmt: skip

    def _shape(self, fields: ReadOnly[str, Field], slots: Slots, key: tuple[tuple[str, ...], ...], limits: Limits) -> Shape:
        doc = self.doc
        explode = doc.explode
        knows = _recogniser(alias for each in fields.values() for alias in each.aliases)
        sound = explode is None and all(name in fields for names in (slots.occurred_at, *key) for name in names)
        return Shape(
            formats=doc.formats,
            encodings=tuple(canonical_encoding(name) for name in doc.encodings),
            records=doc.records,
            explode=None if explode is None else Explode(explode.path, explode.name, explode.value, explode.also),
            images=doc.images,
            knows=knows,
            limits=limits,
            **({"lacks": lacking(fields, slots, key, knows)} if sound else {}),
        )

    def _chooser(self, doc: ChooserDoc, name: str, legal: Iterable[str]) -> Chooser:
        self._known(doc.codes, (name, "codes"))
        self._known(doc.read, (name, "read"))
        table: tuple[Keywords, ...] = ()
        if doc.table is not None and doc.table not in self.tables:
            self._add((name, "table"), "mapping.unknown_table", read=doc.table, legal=tuple(self.tables))
        elif doc.table is not None:
            table = self.tables[doc.table]
        for number, rule in enumerate(doc.rules):
            if not rule.any and not rule.all:
                self._add((name, "rules", number), "mapping.no_words")
        if (doc.rules or table) and not doc.read:
            self._add((name,), "mapping.reads_nothing", field=name)
        given: list[tuple[TreePath, str]] = [((name, "rules", number, "give"), rule.give) for number, rule in enumerate(doc.rules)]
        given += [((name, "codes", field, value), result) for field, values in doc.codes.items() for value, result in values.items()]
        given += [((name, "default"), doc.default)] if doc.default is not None else []
        given += [((name, "table"), rule.give) for rule in table]
        words = tuple(legal)
        for path, result in given:
            if result not in words and (name == "severity" or not result):
                self._add(path, "mapping.not_legal", field=name, read=result, legal=words)
            elif result not in words:  # kinds and sectors are open, but one with a typing error selects nothing
                self.problems.warn(self.file, place(self.tree, path), "mapping.not_listed", field=name, read=result, legal=words)
        codes = tuple(
            (field, MappingProxyType({fold(value): result for value, result in values.items()})) for field, values in doc.codes.items()
        )
        return Chooser(codes, doc.read, (*(keywords(rule) for rule in doc.rules), *table), doc.default)

    def _dates(self) -> tuple[str, ...]:
        for number, form in enumerate(self.doc.dates or ()):
            wrong = check_format(form)
            if wrong:
                self._add(("dates", number), "mapping.bad_format", read=form, why=wrong)
        return self.doc.dates or DEFAULT_FORMATS

    def _silent_after(self) -> timedelta | None:
        if self.doc.silent_after is None:
            return None
        limit = duration(self.doc.silent_after)
        if not limit:
            self._add(("silent_after",), "mapping.silent_at_once", read=self.doc.silent_after)
        return limit

    def _zone(self) -> ZoneInfo:
        try:
            return ZoneInfo(self.doc.zone)
        except (ValueError, OSError, KeyError):
            self._add(("zone",), "mapping.no_zone", read=self.doc.zone)
            return ZoneInfo("Asia/Shanghai")

    def _known(self, names: Iterable[str], path: TreePath) -> None:
        """Add a problem for every name that is no field of the mapping."""
        for name in names:
            if name not in self.doc.fields:
                self._add(path, "mapping.unknown_name", read=name, legal=tuple(self.doc.fields))

    def _of_type(self, name: str, types: set[str], path: TreePath) -> None:
        doc = self.doc.fields.get(name)
        found = doc.type if isinstance(doc, FieldDoc) else "text"
        if doc is not None and found not in types:
            self._add(path, "mapping.wrong_type", field=name, read=found, legal=tuple(sorted(types)))

    def _add(self, path: TreePath, key: str, **values: object) -> None:
        self.problems.add(self.file, place(self.tree, path), key, **values)


def _used(doc: SignalDoc) -> frozenset[str]:
    """Return the fields that have a place of their own in the signal."""
    held, spot = doc.object, doc.place
    own = (doc.occurred_at, doc.region, doc.value, doc.unit, doc.text)
    others = (held.id, held.code, held.name, held.address, spot.point, spot.lng, spot.lat)
    return frozenset(name for part in (*own, *others) for name in part)


def _conditions(when: ReadOnly[str, tuple[str, ...]]) -> tuple[tuple[str, frozenset[str]], ...]:
    return tuple((name, frozenset(fold(value) for value in values)) for name, values in when.items())


def _recogniser(aliases: Iterable[str]) -> Callable[[str], bool]:
    """Return the predicate "this is a header of this mapping"."""
    known = frozenset(normalise_header(alias) for alias in aliases)
    return lambda header: any(form in known for form in header_forms(header))
