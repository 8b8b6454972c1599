"""The error tree stays one that a caller can know by heart."""

from __future__ import annotations

import inspect
import re

import pytest

from domain import errors
from domain.errors import FengsuiError
from tests.architecture.tree import TOP, product_modules

MOST_CLASSES = 13


def _tree(root: type[FengsuiError]) -> list[type[FengsuiError]]:
    return [root, *(leaf for child in root.__subclasses__() for leaf in _tree(child))]


def test_the_tree_has_at_most_thirteen_classes() -> None:
    """One leaf per thing that the caller does next, and not many of those."""
    assert len(_tree(FengsuiError)) <= MOST_CLASSES, [leaf.__name__ for leaf in _tree(FengsuiError)]


def test_errors_are_declared_in_one_module() -> None:
    """Nobody grows the tree elsewhere, where nobody would count it."""
    names = "|".join(leaf.__name__ for leaf in _tree(FengsuiError))
    subclass = re.compile(rf"^\s*class \w+\((?:[\w.]+, *)*(?:errors\.)?(?:{names})\b", re.MULTILINE)
    home = TOP / "domain/errors.py"
    assert subclass.search(home.read_text(encoding="utf-8")), "the pattern finds the tree's own classes"
    assert [
        str(path.relative_to(TOP)) for path in product_modules() if path != home and subclass.search(path.read_text(encoding="utf-8"))
    ] == []


@pytest.mark.parametrize("error", _tree(FengsuiError), ids=lambda error: error.__name__)
def test_every_error_tells_the_operator_what_to_do(error: type[FengsuiError]) -> None:
    """The docstring ends with a sentence for whoever is on duty."""
    last = inspect.cleandoc(error.__doc__ or "").rsplit("\n\n", maxsplit=1)[-1]
    assert re.fullmatch(r"Operator action: \S[\s\S]*\.", last), last
    assert error.__module__ == errors.__name__
