"""What an error says to its reader comes from the catalogue of messages: Chinese first, and in one place."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from inspect import isclass
from pathlib import Path

import pytest

from domain import errors

TOP = Path(__file__).resolve().parents[2]
FOLDERS = ("app", "connectors", "dispatch", "domain", "models", "rules", "storage", "streams")
ERRORS = frozenset(name for name, one in vars(errors).items() if isclass(one) and issubclass(one, errors.FengsuiError))
TAKES_A_CODE = frozenset({"SignalRejected"})  # first comes the code of the reason, for programs
WORD = re.compile(r"[A-Za-z]{2,}")
# Raised where an author or a caller of ours made a mistake that no deployment meets, or put in words by whoever catches them.
SPOKEN_ELSEWHERE = frozenset(
    {
        "connectors/outbound/egress.py",  # a delivery's reason, which the log and the duty page tell under a title
        "connectors/outbound/webhook.py",  # as above
        "streams/ruletest.py",  # the rule test's own runtime
        "streams/stages/grafting.py",  # the runtimes ask for the past before
        "streams/stages/models.py",  # the rule check refuses it with its line before
    }
)


def own_words(source: str) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of errors of ours whose message is written in the code."""
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS):
            continue
        for said in node.args[node.func.id in TAKES_A_CODE : 2]:
            pieces = said.values if isinstance(said, ast.JoinedStr) else [said]
            text = "".join(piece.value for piece in pieces if isinstance(piece, ast.Constant) and isinstance(piece.value, str))
            if WORD.search(text):
                yield node.lineno, text


def test_errors_speak_from_the_catalogue() -> None:
    """No error of ours is raised with a sentence of its own."""
    found = [
        f"{path.relative_to(TOP)}:{line}: {said}"
        for folder in FOLDERS
        for path in sorted((TOP / folder).rglob("*.py"))
        if str(path.relative_to(TOP)) not in SPOKEN_ELSEWHERE
        for line, said in own_words(path.read_text(encoding="utf-8"))
    ]
    assert found == [], "say it in domain/messages.py"


@pytest.mark.parametrize("name", sorted(SPOKEN_ELSEWHERE))
def test_what_is_excepted_still_has_words_of_its_own(name: str) -> None:
    """An exception that is no longer one is struck from the list."""
    assert list(own_words((TOP / name).read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        ('raise NotFound(f"no task {name}")', True),
        ('raise Conflict("somebody else changed it")', True),
        ('raise SignalRejected("bad_value", "is no number")', True),
        ('raise SignalRejected("bad_value", text("intake.number"))', False),
        ('raise StoreUnavailable(both("store.disk", where=where))', False),
        ('raise StoreUnavailable(f"{where}: {error}")', False),
        ('raise ValueError("a defect of the caller")', False),
    ],
)
def test_a_planted_sentence_is_seen(raised: str, seen: bool) -> None:
    """A literal or the words of an f-string are found; catalogue, punctuation and errors of Python are not."""
    assert bool(list(own_words(raised))) is seen
