"""Every sentence for users is in the catalogue, in both languages, with the same values."""

from __future__ import annotations

import ast
import re
from itertools import groupby
from string import Formatter

import pytest

from domain.messages import CATALOGUE, LANGUAGES
from tests.architecture.tree import TOP, product_modules


def _names_of_text(module: ast.Module) -> set[str]:
    """Return how a module calls `domain.messages.text`: its bare names, and dotted names of the module before `.text`."""
    names: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and node.module == "domain.messages":
            names |= {alias.asname or alias.name for alias in node.names if alias.name == "text"}
        if isinstance(node, ast.ImportFrom) and node.module == "domain":
            names |= {f"{alias.asname or alias.name}.text" for alias in node.names if alias.name == "messages"}
        if isinstance(node, ast.Import):
            names |= {f"{alias.asname or alias.name}.text" for alias in node.names if alias.name == "domain.messages"}
    return names


def _pattern(key: ast.expr) -> re.Pattern[str] | None:
    """Return what the key of a call can be: itself, or an f-string with anything in its holes; None for a plain variable."""
    match key:
        case ast.Constant(value=str(literal)):
            return re.compile(re.escape(literal))
        case ast.JoinedStr(values=parts):
            return re.compile("".join(re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".*" for part in parts))
        case ast.IfExp(body=body, orelse=orelse):
            both = [pattern.pattern for pattern in (_pattern(body), _pattern(orelse)) if pattern]
            return re.compile("|".join(both)) if len(both) == 2 else None
        case _:
            return None


def _calls(source: str) -> list[tuple[int, re.Pattern[str]]]:
    """Return (line, key) of each call of `text` in a module."""
    module = ast.parse(source)
    names = _names_of_text(module)
    calls = []
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and node.args and ast.unparse(node.func) in names:
            pattern = _pattern(node.args[0])
            if pattern:
                calls.append((node.lineno, pattern))
    return calls


def _unknown(source: str) -> list[str]:
    return [f"{line}: {key.pattern}" for line, key in _calls(source) if not any(key.fullmatch(known) for known in CATALOGUE)]


def _holes(sentence: str) -> list[str]:
    return sorted({hole for _, hole, _, _ in Formatter().parse(sentence) if hole is not None})


def test_every_key_that_the_code_names_is_in_the_catalogue() -> None:
    """A message can't be missing at run time."""
    unknown = {str(path.relative_to(TOP)): _unknown(path.read_text(encoding="utf-8")) for path in product_modules()}
    assert {path: keys for path, keys in unknown.items() if keys} == {}


@pytest.mark.parametrize(
    "source",
    [
        'from domain.messages import text\ntext("no.such.key")',
        'from domain.messages import text as t\nt(f"no.{x}")',
        'from domain import messages\nmessages.text("no.such.key", language)',
        'import domain.messages\ndomain.messages.text("level.red" if x else "no.such.key")\ndomain.messages.text("no.such")',
    ],
)
def test_an_unknown_key_is_found(source: str) -> None:
    """The scan sees a wrong key however `text` was imported."""
    assert _unknown(source)


CHINESE_WORDS = frozenset({"title", "stage"})  # values that are words of the Chinese sentence themselves


@pytest.mark.parametrize("key", CATALOGUE)
def test_a_message_says_the_same_in_every_language(key: str) -> None:
    """No language is empty, and each fills in the same values by name; a Chinese title may stay out of the English sentence."""
    sentences = CATALOGUE[key]
    assert len(sentences) == len(LANGUAGES)
    assert all(sentence.strip() for sentence in sentences)
    chinese, english = sentences
    assert [hole for hole in _holes(chinese) if hole not in CHINESE_WORDS] == [
        hole for hole in _holes(english) if hole not in CHINESE_WORDS
    ]
    assert all(re.fullmatch(r"[a-z]\w*", hole) for hole in _holes(chinese)), "values are named"


def test_areas_are_in_alphabetical_order() -> None:
    """A reader finds an area, and two people add keys in two places."""
    areas = [area for area, _ in groupby(key.split(".", maxsplit=1)[0] for key in CATALOGUE)]
    assert areas == sorted(set(areas))
