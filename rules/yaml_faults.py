"""Why a text is no YAML, as its author would say it: a tab, a colon of Chinese typing, a line that is moved, a quotation left open.

The parser knows where it gave up and what it wanted; the cause is mostly some characters or a line before that.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from ruamel.yaml.error import MarkedYAMLError, YAMLError

from rules.problems import WHOLE_FILE, Mark

WIDE_SPACES: Final = "\u3000\u00a0"
_TAB: Final = re.compile(r"^[ \u3000\u00a0]*\t")
_WIDE_INDENT: Final = re.compile(rf"^ *[{WIDE_SPACES}]+(?=\S)")
_WIDE_COLON: Final = re.compile(r"^\s*(?:- +)?[\w.<>$-]{1,60}(：)")
_KEY: Final = re.compile(r"^(\s*(?:- +)*)[^\s#:'\"{\[][^:]*:(?=\s|$)")
_AFTER_QUOTE: Final = re.compile(r""":\s+('[^']*'|"[^"]*")\s+[^\s#]""")
_TWO_COLONS: Final = re.compile(r"^\s*(?:- +)?[^\s:'\"{\[][^:]*:\s+[^'\"\s#{\[].*?(:)(?=\s|$)")
_BACK: Final = 2  # lines before the place where the parser gave up that are looked at


class Fault(NamedTuple):
    """What is wrong, as a key of the message catalogue with its values, and where."""

    mark: Mark
    key: str
    values: dict[str, object]


def fault_of(text: str, error: YAMLError) -> Fault:
    """Return what is wrong with a text that is no YAML; `error` is the exact parser's."""
    if not isinstance(error, MarkedYAMLError):
        return Fault(WHOLE_FILE, "rules.yaml", {"reason": str(error).splitlines()[0]})
    at = error.problem_mark or error.context_mark
    lines = text.split("\n")
    line = min(at.line, len(lines) - 1) if at else 0
    mark = Mark(line + 1, at.column + 1) if at else WHOLE_FILE
    context, problem = error.context or "", (error.problem or error.context or "").strip()
    begun = error.context_mark
    if "quoted scalar" in context and begun is not None:
        return Fault(Mark(begun.line + 1, begun.column + 1), "rules.yaml_quote", {})
    found = _typed(lines, line)
    if found is not None:
        return found
    if "flow" in context and begun is not None:
        sign = lines[begun.line][begun.column : begun.column + 1]
        if "stream end" in problem or line > begun.line:
            return Fault(Mark(begun.line + 1, begun.column + 1), "rules.yaml_bracket", {"read": sign})
        return Fault(mark, "rules.yaml_in_braces", {"read": lines[line][mark.column - 1 : mark.column]})
    if "cannot start any token" in problem:
        return Fault(mark, "rules.yaml_start", {"read": lines[line][mark.column - 1 : mark.column]})
    quoted = _AFTER_QUOTE.search(lines[line])
    if quoted is not None:
        return Fault(Mark(line + 1, quoted.start(1) + 1), "rules.yaml_after_quote", {"read": quoted[1]})
    return _moved(lines, line) or Fault(mark, "rules.yaml", {"reason": problem})


def _typed(lines: list[str], line: int) -> Fault | None:
    """Find characters that look like blanks and colons, at the line where the parser gave up or just before it."""
    for number in range(line, max(-1, line - _BACK - 1), -1):
        tab, wide, colon = (pattern.match(lines[number]) for pattern in (_TAB, _WIDE_INDENT, _WIDE_COLON))
        if tab is not None:
            return Fault(Mark(number + 1, tab.end()), "rules.yaml_tab", {})
        if wide is not None:
            return Fault(Mark(number + 1, 1), "rules.yaml_wide_indent", {})
        if colon is not None:
            return Fault(Mark(number + 1, colon.start(1) + 1), "rules.yaml_wide_colon", {"read": lines[number].strip()[:40]})
    return None


def _moved(lines: list[str], line: int) -> Fault | None:
    """Find a line that stands deeper or less deep than those it belongs to, or one with two colons."""
    own = _KEY.match(lines[line])
    if own is None:
        return None
    before = next(
        (number for number in range(line - 1, -1, -1) if lines[number].strip() and not lines[number].lstrip().startswith("#")), None
    )
    above = _KEY.match(lines[before]) if before is not None else None
    if above is not None and before is not None and len(own[1]) != len(above[1]):
        deeper, opens = len(own[1]) > len(above[1]), lines[before].rstrip().endswith(":")
        if not (deeper and opens):
            told = {"indent": len(own[1]), "above": len(above[1]), "line": before + 1}
            return Fault(Mark(line + 1, len(own[1]) + 1), "rules.yaml_indent", dict(told))
    twice = _TWO_COLONS.match(lines[line])
    return None if twice is None else Fault(Mark(line + 1, twice.start(1) + 1), "rules.yaml_colon", {})
