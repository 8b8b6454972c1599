"""Collecting every problem of every file, in the reader's language, with the legal values and the nearest name."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from rapidfuzz import fuzz, process

from domain.errors import Problem
from domain.messages import text
from rules.chinese import meant


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in a file, 1-based; (0, 0) is the whole file. A tab counts as one column, a Chinese character too."""

    line: int
    column: int


WHOLE_FILE = Mark(0, 0)


def nearest(read: str, legal: Collection[str]) -> str:
    """Return the legal word that `read` was probably meant to be, "" where none is near.

    >>> nearest("complaint_7d", ["complaints_7d", "fines_90d"])
    'complaints_7d'
    >>> nearest("zzz", ["complaints_7d"])
    ''
    """
    found = process.extractOne(read, sorted(legal), scorer=fuzz.ratio, score_cutoff=65.0)
    return str(found[0]) if found else ""


class Phrase(NamedTuple):
    """A value of a message that is itself in the message catalogue."""

    key: str


class Problems:
    """A growing list of problems; nothing stops at the first."""

    def __init__(self, language: str = "zh-CN") -> None:
        """Messages are made in `language`, one of `domain.messages.LANGUAGES`."""
        self.language = language
        self._found: dict[Problem, None] = {}

    def take(self, found: Iterable[Problem]) -> None:
        """Add problems that were found elsewhere, in this language."""
        self._found.update(dict.fromkeys(found))

    def add(self, file: str, mark: Mark, key: str, **values: object) -> None:
        """Add an error: the message of `key` at `mark`.

        A collection in `legal` is listed in the message; with `read` beside it, the nearest legal word is offered.
        A pair in `instead` is (Chinese, English).
        """
        self._add("error", file, mark, key, values)

    def warn(self, file: str, mark: Mark, key: str, **values: object) -> None:
        """Add a warning: worth mending, but the file can be used."""
        self._add("warning", file, mark, key, values)

    def _add(self, severity: str, file: str, mark: Mark, key: str, values: dict[str, object]) -> None:
        for name, value in values.items():
            if isinstance(value, Phrase):
                values[name] = text(value.key, self.language)
        legal = values.get("legal")
        if isinstance(legal, tuple | list | frozenset | set | dict):
            words = [str(word) for word in legal]
            read = str(values.get("read", ""))
            near = meant(read, words) or nearest(read, words)
            values["near"] = text("rules.near", self.language, near=near) if near else ""
            values["legal"] = ", ".join(words) if words else text("rules.none", self.language)
        instead = values.get("instead")
        if isinstance(instead, tuple):
            values["instead"] = instead[1 if self.language == "en" else 0]
        message = text(key, self.language, **values)
        problem = Problem(file=file, line=mark.line, column=mark.column, message=message, severity=severity)
        self._found.setdefault(problem)

    def all(self) -> list[Problem]:
        """Return the problems by file, line and column."""
        return sorted(self._found, key=lambda problem: (problem.file, problem.line, problem.column))

    def errors(self) -> list[Problem]:
        """Return those that forbid the use of the files."""
        return [problem for problem in self.all() if problem.severity == "error"]
