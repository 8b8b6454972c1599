"""A pack file that has the right shape, and where the problems found in it go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rules.documents import EffectiveDoc, PackDoc
from rules.durations import midnight
from rules.positions import Mapping as MapTree
from rules.positions import Path, Scalar, find, place
from rules.problems import Problems


@dataclass(frozen=True, slots=True)
class ParsedPack:
    """A pack file that has the right shape; `tree` knows where everything stands."""

    file: str
    tree: MapTree
    doc: PackDoc


@dataclass(slots=True)
class Reporter:
    """Reports problems of one pack at paths in its tree."""

    parsed: ParsedPack
    problems: Problems

    def problem(self, path: Path, key: str, **values: object) -> None:
        """Report a problem with the value at `path`."""
        self.problems.add(self.parsed.file, place(self.parsed.tree, path), key, **values)

    def problem_of_key(self, path: Path, key: str, **values: object) -> None:
        """Report a problem with the key at the end of `path`."""
        parent = find(self.parsed.tree, path[:-1])
        known = isinstance(parent, MapTree) and str(path[-1]) in parent.entries
        mark = parent.entries[str(path[-1])][0] if isinstance(parent, MapTree) and known else place(self.parsed.tree, path)
        self.problems.add(self.parsed.file, mark, key, **values)

    def effective(self, path: Path, own: EffectiveDoc | None) -> tuple[datetime | None, datetime | None]:
        """Return from when (included) and until when (not included) what stands at `path` is in force: its own dates, else its pack's."""
        told, where = (own, path) if own is not None else (self.parsed.doc.effective, ())
        if told is None:
            return None, None
        since = midnight(told.from_) if told.from_ else None
        until = midnight(told.to) + timedelta(days=1) if told.to else None
        if since and until and until <= since:
            self.problem((*where, "effective", "to"), "rules.ends_before", read=told.to)
        return since, until

    def written(self, path: Path) -> dict[str, Any]:
        """Return the keys that stand in the mapping at `path`, in order."""
        tree = find(self.parsed.tree, path)
        return dict.fromkeys(tree.entries) if isinstance(tree, MapTree) else {}

    def report(self, path: Path) -> Callable[[int, str, Mapping[str, object]], None]:
        """Return where an expression at `path` sends its problems."""
        scalar = find(self.parsed.tree, path)

        def report(offset: int, key: str, values: Mapping[str, object]) -> None:
            mark = scalar.within(offset) if isinstance(scalar, Scalar) else place(self.parsed.tree, path)
            self.problems.add(self.parsed.file, mark, key, **dict(values))

        return report
