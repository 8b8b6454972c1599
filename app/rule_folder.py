"""A folder of rules as it lies there: its files, and whether somebody is still writing them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from domain.errors import FileProblems, Problem
from domain.messages import both
from rules.load import version_of

MOST_BYTES: Final = 2**20  # of one rule file
RULE_FILES: Final = ("*.yaml", "lists/*.txt", "overrides/*.yaml", "tuning/*.yaml")


def read_folder(folder: Path) -> dict[str, str]:
    """Return the rule files of a folder: name → text, sorted by name; hidden files are left out.

    Packs lie in the folder itself, below it lists, overrides and tuning; their names have "/" between the parts.

    Raises:
        FileProblems: there is no such folder, it holds no rule file, or a file is not UTF-8 or over 1 MiB.
    """
    if folder.is_file():
        raise FileProblems([_of_file(folder, "rules.is_a_file", folder=folder.parent)])
    if not folder.is_dir():
        raise FileProblems([_of_file(folder, "rules.no_folder")])
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    for path in sorted(path for pattern in RULE_FILES for path in folder.glob(pattern)):
        if path.name.startswith("."):
            continue
        if (size := path.stat().st_size) > MOST_BYTES:
            problems.append(_of_file(path, "rules.file_too_large", size=size, limit=MOST_BYTES))
            continue
        try:
            texts[path.relative_to(folder).as_posix()] = path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            problems.append(_of_file(path, "rules.not_utf8", line=error.object.count(b"\n", 0, error.start) + 1))
    if not texts and not problems:
        problems.append(_of_file(folder, "rules.no_files"))
    if problems:
        raise FileProblems(problems)
    return texts


def _of_file(path: Path, key: str, line: int = 0, **values: object) -> Problem:
    """Return a problem of a file as a whole, or of a line that cannot be read, in both languages."""
    return Problem(file=str(path), line=line, column=0, message=both(key, **values))


def held(folder: Path) -> str:
    """Return what identifies the present content of a folder, sound or not."""
    try:
        return version_of(read_folder(folder))
    except FileProblems as error:
        return str(error)


class Settled:
    """Tells whether a folder has stood still between two looks: an editor may be half way through a file."""

    def __init__(self, folder: Path) -> None:
        """Nothing is read before the first look."""
        self._folder = folder
        self._last: Mapping[str, str] | str | None = None

    def look(self) -> bool:
        """Return whether the folder holds, sound or not, what it held at the look before."""
        try:
            found: Mapping[str, str] | str = read_folder(self._folder)
        except FileProblems as error:
            found = str(error)
        settled, self._last = found == self._last, found
        return settled
