"""Reading YAML that a person wrote, keeping the place of every key; JSON is YAML too."""

from __future__ import annotations

from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from domain.errors import FileProblems, Problem

LIMIT: Final = 1_000_000  # characters: no policy and no calendar is longer


class _PlainDates(RoundTripConstructor):
    """Dates stay text: the 30th of February is the reader's problem to report, not the parser's to die on."""


_PlainDates.add_constructor("tag:yaml.org,2002:timestamp", lambda constructor, node: constructor.construct_scalar(node))


def documents(content: str, file: str) -> list[Any]:
    """Return the documents of a file, empty ones left out; mappings and lists know their places (`.lc`).

    Raises:
        FileProblems: not YAML, with line and column where the parser knows them.
    """
    if len(content) > LIMIT:
        raise _problem(file, 0, 0, f"longer than {LIMIT} characters; split the file")
    yaml = YAML(typ="rt", pure=True)
    yaml.Constructor = _PlainDates
    try:
        return [document for document in yaml.load_all(content) if document is not None]
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise _problem(file, line, column, f"not valid YAML: {error.problem or error.context}; mend the text at this place") from error
    except YAMLError as error:
        raise _problem(file, 0, 0, f"not valid YAML: {error}") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets without end
        raise _problem(file, 0, 0, f"not usable YAML: {type(error).__name__}: {error}") from error


def _problem(file: str, line: int, column: int, message: str) -> FileProblems:
    return FileProblems([Problem(file=file, line=line, column=column, message=message)])
