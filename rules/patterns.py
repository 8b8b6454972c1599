"""Regular expressions (`matches`) by RE2: time linear in the text whatever the pattern, so no rule can hold up the stream."""

from __future__ import annotations

from typing import Final

import re2

from rules.evaluation import Run
from rules.facts import Facts

MAX_LENGTH: Final = 500  # characters of a pattern
MAX_MEMORY: Final = 1 << 20  # bytes that a compiled pattern may take: a{1000}{1000} is refused


class PatternError(ValueError):
    """A pattern cannot be used; the message is RE2's own."""


def matches(left: Run, pattern: str) -> Run:
    """`left matches 'pattern'`: the pattern is found somewhere in the text.

    Raises:
        PatternError: the pattern is none of RE2 (which has no back references and no look-around), too long, or too large.
    """
    if len(pattern) > MAX_LENGTH:
        raise PatternError(f"longer than {MAX_LENGTH} characters")
    options = re2.Options()
    options.max_mem = MAX_MEMORY
    options.log_errors = False
    try:
        search = re2.compile(pattern, options).search
    except re2.error as error:
        reason = error.args[0]
        raise PatternError(reason.decode() if isinstance(reason, bytes) else str(reason)) from error

    def run(facts: Facts) -> bool | None:
        value = left(facts)
        return search(value) is not None if value.__class__ is str else None

    return run
