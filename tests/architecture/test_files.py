"""What a file may be called, how long it may be and what it may not contain."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import TOP, product_modules, tracked_files

MOST_LINES = 400
DRAWERS = {"util", "utils", "common", "helper", "helpers", "manager", "misc"}
RUNTIME_LOOPS = 3  # the outer loops that may catch everything, to set a signal, a timer or a file aside with its reason

FOREIGN = re.compile(r"(?<![\w.<~-])/(?:work|root|Users)(?![\w-])")
UNFINISHED = re.compile(r"#\s*(?:TODO|FIXME|XXX)\b|\braise NotImplementedError\b")
UNEXPLAINED = re.compile(r"#\s*(?:noqa(?!:)|noqa:[ A-Z0-9,]+$|type: ignore(?:\[[\w, -]+\])?\s*$|type: ignore(?!\[))")
CATCH_ALL = re.compile(r"^\s*except(?:\s+(?:Base)?Exception\b.*)?:", re.MULTILINE)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""  # pictures, workbooks and test data in GB18030 are not ours to read here


def _name(path: Path) -> str:
    return str(path.relative_to(TOP))


def _modules() -> list[Path]:
    return [path for path in tracked_files() if path.suffix == ".py"]


def _places(pattern: re.Pattern[str], files: list[Path]) -> list[str]:
    return [
        f"{_name(path)}:{number} {line.strip()}"
        for path in files
        for number, line in enumerate(_text(path).splitlines(), start=1)
        if pattern.search(line)
    ]


def test_no_module_is_a_drawer() -> None:
    """A module says what it is about."""
    assert [_name(path) for path in _modules() if path.stem in DRAWERS or path.parent.name in DRAWERS] == []


def test_no_module_or_package_is_called_like_one_of_the_standard_library() -> None:
    """No file shadows `signal`, `email` or `calendar` for whoever runs a script beside it."""
    names = {path: path.parent.name if path.stem == "__init__" else path.stem for path in product_modules()}
    assert [_name(path) for path, name in names.items() if name in sys.stdlib_module_names and name != "__main__"] == []


def test_there_is_no_package_marker_under_tests() -> None:
    """A folder tests/rules with an __init__.py would shadow the package `rules`."""
    assert [_name(path) for path in _modules() if path.stem == "__init__" and path.relative_to(TOP).parts[0] == "tests"] == []


def test_a_long_file_gives_its_reason() -> None:
    """More than 400 lines need a comment at the top that says why."""
    long = [path for path in _modules() if len(_text(path).splitlines()) > MOST_LINES]
    assert [_name(path) for path in long if not re.search(r"^# Long because: \S", _text(path)[:2000], re.MULTILINE)] == []


def test_no_file_names_a_path_of_somebody_s_machine() -> None:
    """Nothing tracked points to where only its author has a folder."""
    assert _places(FOREIGN, tracked_files()) == []


def test_nothing_is_left_unfinished() -> None:
    """There is no note to self and no stub."""
    assert _places(UNFINISHED, [path for path in _modules() if path != Path(__file__)]) == []


def test_every_switched_off_check_has_its_reason_beside_it() -> None:
    """Whoever silences a checker says why on the same line."""
    assert _places(UNEXPLAINED, [path for path in _modules() if path != Path(__file__)]) == []


def test_only_outer_loops_catch_everything() -> None:
    """A blanket except hides what broke; the outer loops of the runtimes are the exception."""
    files = [_name(path) for path in product_modules() if CATCH_ALL.search(_text(path))]
    assert len(files) <= RUNTIME_LOOPS, files


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (FOREIGN, "open('/" + "work/data')"),
        (FOREIGN, "see /" + "root"),
        (FOREIGN, "/" + "Users/somebody"),
        (UNFINISHED, "x = 1  # TO" + "DO later"),
        (UNFINISHED, "raise NotImplemented" + "Error"),
        (UNEXPLAINED, "import x  # no" + "qa"),
        (UNEXPLAINED, "import x  # no" + "qa: E501"),
        (UNEXPLAINED, "import x  # type: ig" + "nore[attr-defined]"),
        (CATCH_ALL, "    except Exception as error:"),
        (CATCH_ALL, "except:"),
    ],
)
def test_the_patterns_find_what_they_are_for(pattern: re.Pattern[str], line: str) -> None:
    """Each pattern is seen to match."""
    assert pattern.search(line)


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (FOREIGN, "teams/work/done"),
        (FOREIGN, "/workshop /roots </root>"),
        (UNEXPLAINED, "import x  # no" + "qa: E501  # a table"),
        (UNEXPLAINED, "import x  # type: ig" + "nore[attr-defined]  # no typed way"),
        (CATCH_ALL, "except ValueError:"),
    ],
)
def test_the_patterns_leave_other_lines_alone(pattern: re.Pattern[str], line: str) -> None:
    """Each pattern is seen not to match its near misses."""
    assert not pattern.search(line)
