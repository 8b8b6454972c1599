"""Fenced blocks of a Markdown page, in order: what the tests of the documentation run and compare."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Fence(NamedTuple):
    """One block: its language, its content, and the line at which it starts."""

    language: str
    content: str
    line: int


def fences(page: Path) -> list[Fence]:
    """Return the fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    return [Fence(found[1], found[2], text.count("\n", 0, found.start()) + 1) for found in _FENCE.finditer(text)]


def steps(page: Path) -> list[tuple[Fence, str]]:
    """Return each `sh` block with the `text` block that stands after it before the next one, "" where there is none."""
    found: list[tuple[Fence, str]] = []
    for fence in fences(page):
        if fence.language == "sh":
            found.append((fence, ""))
        elif fence.language == "text" and found:
            found[-1] = (found[-1][0], fence.content)
    return found


def missing(expected: str, printed: str) -> list[str]:
    r"""Return the lines of `expected` that are not found in `printed` in their order; runs of blanks count as one.

    >>> missing("a  b\nc", "x a b y\nc"), missing("c\na", "a\nc")
    ([], ['a'])
    """
    at, absent = 0, []
    text = " ".join(printed.split())
    for line in filter(None, (" ".join(line.split()) for line in expected.splitlines())):
        place = text.find(line, at)
        if place < 0:
            absent.append(line)
        else:
            at = place + len(line)
    return absent
