"""YAML text to a tree of marks: every key and value knows its line and column, scalars stay text until a type asks for them.

A subset of YAML on purpose: one document, no anchors, aliases or tags, no duplicate keys, bounded size and depth. Since scalars are read
by the type that the field has, `title: 2026` is a text and `no` is never false.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from rules.pauses import pause
from rules.problems import WHOLE_FILE, Mark, Problems
from rules.yaml_faults import WIDE_SPACES, fault_of

MAX_BYTES: Final = 1_000_000
MAX_DEPTH: Final = 16


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text as written, without its quotes; `inline` is whether offsets in it are columns of its line."""

    mark: Mark
    raw: str
    quoted: bool = False
    inline: bool = True

    def within(self, offset: int) -> Mark:
        """Return the place of the character `offset` of the text; the start where it runs over lines or has escapes."""
        return Mark(self.mark.line, self.mark.column + int(self.quoted) + offset) if self.inline else self.mark


@dataclass(slots=True)
class Listing:
    """A sequence."""

    mark: Mark
    items: list[Tree] = field(default_factory=list)


@dataclass(slots=True)
class Mapping:
    """A mapping in file order: key → (place of the key, value)."""

    mark: Mark
    entries: dict[str, tuple[Mark, Tree]] = field(default_factory=dict)


Tree = Scalar | Listing | Mapping
Path = tuple[str | int, ...]


def find(tree: Tree, path: Path) -> Tree | None:
    """Return the part of `tree` at `path`, None where it is not there."""
    here: Tree | None = tree
    for step in path:
        if isinstance(here, Mapping) and isinstance(step, str):
            here = here.entries[step][1] if step in here.entries else None
        elif isinstance(here, Listing) and isinstance(step, int):
            here = here.items[step] if step < len(here.items) else None
        else:
            return None
    return here


def place(tree: Tree, path: Path) -> Mark:
    """Return where the value at `path` stands, or its nearest enclosing part."""
    for length in range(len(path), -1, -1):
        found = find(tree, path[:length])
        if found is not None:
            return found.mark
    return tree.mark


def _mark(event: Event) -> Mark:
    return Mark(event.start_mark.line + 1, event.start_mark.column + 1)


class _Builder:
    """Builds the tree from events, with a stack of its own: nesting cannot exhaust Python's."""

    def __init__(self, file: str, problems: Problems) -> None:
        self._file = file
        self._problems = problems
        self._open: list[Listing | Mapping] = []
        self._keys: list[tuple[str, Mark] | None] = []
        self.root: Tree | None = None
        self.documents = 0

    def feed(self, event: Event) -> bool:
        """Take one event; False where the rest cannot be read."""
        pause()
        if isinstance(event, DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                self._problems.add(self._file, _mark(event), "rules.one_document")
                return False
        elif getattr(event, "anchor", None):
            self._problems.add(self._file, _mark(event), "rules.no_aliases")
            return False
        elif isinstance(event, ScalarEvent):
            return self._scalar(event)
        elif isinstance(event, MappingStartEvent | SequenceStartEvent):
            return self._start(event)
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            self._open.pop()
            self._keys.pop()
        return True

    def _tagged(self, event: Any) -> bool:
        if event.tag is None or event.tag == "!":
            return False
        self._problems.add(self._file, _mark(event), "rules.no_tags", read=event.tag)
        return True

    def _scalar(self, event: ScalarEvent) -> bool:
        if self._tagged(event):
            return False
        mark, raw = _mark(event), str(event.value)
        if self._open and isinstance(self._open[-1], Mapping) and self._keys[-1] is None:
            if raw.lstrip(WIDE_SPACES) != raw:  # blanks of Chinese typing are letters to YAML, so the line would be a key of a strange name
                self._problems.add(self._file, mark, "rules.yaml_wide_indent")
                return False
            if raw in self._open[-1].entries:
                first = self._open[-1].entries[raw][0]
                self._problems.add(self._file, mark, "rules.duplicate_key", read=raw, line=first.line)
            self._keys[-1] = (raw, mark)
            return True
        one_line = event.start_mark.line == event.end_mark.line and event.style not in {"|", ">"}
        width = event.end_mark.column - event.start_mark.column - (2 if event.style else 0)
        self._place(Scalar(mark, raw, quoted=bool(event.style), inline=one_line and width == len(raw)))
        return True

    def _start(self, event: MappingStartEvent | SequenceStartEvent) -> bool:
        if self._tagged(event):
            return False
        mark = _mark(event)
        if len(self._open) >= MAX_DEPTH:
            self._problems.add(self._file, mark, "rules.nested_too_deep", limit=MAX_DEPTH)
            return False
        if self._open and isinstance(self._open[-1], Mapping) and self._keys[-1] is None:
            self._problems.add(self._file, mark, "rules.key_is_text")
            return False
        node = Mapping(mark) if isinstance(event, MappingStartEvent) else Listing(mark)
        self._place(node)
        self._open.append(node)
        self._keys.append(None)
        return True

    def _place(self, node: Tree) -> None:
        if not self._open:
            self.root = node
            return
        parent, key = self._open[-1], self._keys[-1]
        if isinstance(parent, Listing):
            parent.items.append(node)
        elif key is not None:
            parent.entries.setdefault(key[0], (key[1], node))
            self._keys[-1] = None


def read_tree(file: str, text: str, problems: Problems) -> Mapping | None:
    """Return the tree of a YAML text, or None after reporting why it has none."""
    if len(text.encode()) > MAX_BYTES:
        problems.add(file, WHOLE_FILE, "rules.too_large", limit=MAX_BYTES)
        return None
    try:
        return _built(file, text, problems, pure=False)
    except YAMLError:  # the scanner in C is there for speed: what it refuses, the exacter one judges, and says where
        pass
    try:
        return _built(file, text, problems, pure=True)
    except YAMLError as error:
        fault = fault_of(text, error)
        problems.add(file, fault.mark, fault.key, **fault.values)
    return None


def _built(file: str, text: str, problems: Problems, *, pure: bool) -> Mapping | None:
    """Return the tree, or None after reporting what no pack may hold; raises YAMLError where the text is no YAML."""
    builder = _Builder(file, problems)
    yaml = YAML(typ="safe", pure=pure)
    try:
        if not all(builder.feed(event) for event in yaml.parse(text)):
            return None
    finally:
        for each in (getattr(yaml, "_scanner", None), yaml):  # they hold themselves and the text until a full garbage collection
            if each is not None:
                vars(each).clear()
    if not isinstance(builder.root, Mapping):
        problems.add(file, builder.root.mark if builder.root else WHOLE_FILE, "rules.not_a_pack")
        return None
    return builder.root
