"""Templates (模板): one rule or indicator with `each:` is written out once for every item, before anything reads it.

`<name>` in any text below is replaced by the item's value of that name. An instance is then a rule like any other: it has its own id, its
own state and its own tests, and a problem in it is told at the line of the template.
"""

from __future__ import annotations

import re
from typing import Final

from rules.positions import Listing, Scalar, Tree
from rules.positions import Mapping as MapTree
from rules.problems import Problems

EACH: Final = "each"
MOST: Final = 5_000  # instances of one file
_PLACE: Final = re.compile(r"<([a-z_\u3400-\u9fff][a-z0-9_\u3400-\u9fff]*)>")


class _Instances:
    def __init__(self, file: str, problems: Problems) -> None:
        self._file = file
        self._problems = problems
        self._made = 0

    def items(self, template: MapTree) -> list[dict[str, str]]:
        """Return the values of each item; none after reporting."""
        mark, listed = template.entries[EACH]
        if not isinstance(listed, Listing) or not listed.items:
            self._problems.add(self._file, mark, "rules.each_is_a_list")
            return []
        found: list[dict[str, str]] = []
        for item in listed.items:
            if not isinstance(item, MapTree) or not all(isinstance(value, Scalar) for _, value in item.entries.values()):
                self._problems.add(self._file, item.mark, "rules.each_is_a_list")
                continue
            values = {name: value.raw for name, (_, value) in item.entries.items() if isinstance(value, Scalar)}
            if found and values.keys() != found[0].keys():
                self._problems.add(self._file, item.mark, "rules.each_differs", read=", ".join(values), other=", ".join(found[0]))
                continue
            found.append(values)
        self._made += len(found)
        if self._made > MOST:
            self._problems.add(self._file, mark, "rules.too_many_instances", limit=MOST)
            return []
        return found

    def fill(self, tree: Tree, values: dict[str, str]) -> Tree:
        """Return a copy of `tree` with the places filled."""
        if isinstance(tree, Scalar):
            raw = self.text(tree, tree.raw, values)
            return tree if raw == tree.raw else Scalar(tree.mark, raw, quoted=tree.quoted, inline=False)
        if isinstance(tree, Listing):
            return Listing(tree.mark, [self.fill(item, values) for item in tree.items])
        entries = {key: (mark, self.fill(value, values)) for key, (mark, value) in tree.entries.items() if key != EACH}
        return MapTree(tree.mark, entries)

    def text(self, at: Tree, raw: str, values: dict[str, str]) -> str:
        """Return a text with its places filled; a place that no item fills is reported."""
        for name in _PLACE.findall(raw):
            if name not in values:
                self._problems.add(self._file, at.mark, "rules.unknown_place", read=name, legal=tuple(values))
        # What was reported is filled with something that reads as a name, so that it is told once.
        return _PLACE.sub(lambda place: values.get(place[1], "1"), raw)


def instances(file: str, tree: MapTree, problems: Problems) -> MapTree:
    """Return a pack's tree with every template written out; a tree without templates is returned as it is."""
    made = _Instances(file, problems)
    entries = dict(tree.entries)
    if "rules" in entries and isinstance(entries["rules"][1], Listing):
        mark, rules = entries["rules"]
        assert isinstance(rules, Listing)
        entries["rules"] = mark, Listing(rules.mark, [each for item in rules.items for each in _written_out(made, item)])
    if "indicators" in entries and isinstance(entries["indicators"][1], MapTree):
        mark, indicators = entries["indicators"]
        assert isinstance(indicators, MapTree)
        entries["indicators"] = mark, _named(made, indicators, file, problems)
    return MapTree(tree.mark, entries)


def _written_out(made: _Instances, item: Tree) -> list[Tree]:
    if not isinstance(item, MapTree) or EACH not in item.entries:
        return [item]
    return [made.fill(item, values) for values in made.items(item)]


def _named(made: _Instances, indicators: MapTree, file: str, problems: Problems) -> MapTree:
    entries: dict[str, tuple[object, Tree]] = {}
    for key, (mark, item) in indicators.entries.items():
        if not isinstance(item, MapTree) or EACH not in item.entries:
            entries.setdefault(key, (mark, item))
            continue
        for values in made.items(item):
            name = made.text(item, key, values)
            if name in entries:
                problems.add(file, mark, "rules.duplicate_key", read=name, line=mark.line)
            entries.setdefault(name, (mark, made.fill(item, values)))
    return MapTree(indicators.mark, entries)  # type: ignore[arg-type]  # the marks are those of `indicators`
