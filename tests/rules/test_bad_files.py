"""Every mistake has its message: file, line, column, what was read, what is legal, the nearest name."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.errors import FileProblems
from rules.load import check, load_rules
from rules.positions import MAX_BYTES

BAD = sorted((Path(__file__).parent / "bad").glob("*.yaml"))
GOOD = sorted((Path(__file__).parent / "good").glob("*.yaml"))


def _expected(text: str) -> list[str]:
    return [line.removeprefix("#! ") for line in text.splitlines() if line.startswith("#! ")]


def test_there_are_many_bad_files() -> None:
    """The folder was found, and no file in it lacks its expected message."""
    assert len(BAD) >= 70
    assert all(_expected(path.read_text(encoding="utf-8")) or path.stem == "empty" for path in BAD)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad_file_gives_exactly_the_messages_written_at_its_end(path: Path) -> None:
    """All errors of the file at once, in order, with place and words; no rule set comes of it."""
    text = path.read_text(encoding="utf-8")
    with pytest.raises(FileProblems) as caught:
        load_rules({path.name: text})
    found = [str(problem).removeprefix(f"{path.name}:") for problem in caught.value.problems]
    assert found == _expected(text)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad_file_is_explained_in_english_too(path: Path) -> None:
    """The English messages stand at the same places as the Chinese ones."""
    text = path.read_text(encoding="utf-8")
    english = [problem for problem in check({path.name: text}, language="en")[1] if problem.severity == "error"]
    assert [f"{each.line}:{each.column}" for each in english] == [line.split(" ")[0] for line in _expected(text)]


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_good_file_loads(path: Path) -> None:
    """No error is found in a file that uses the language as described."""
    ruleset, problems = check({path.name: path.read_text(encoding="utf-8")})
    assert [str(problem) for problem in problems if problem.severity == "error"] == []
    assert ruleset is not None


def test_problems_of_all_files_come_together() -> None:
    """One broken file does not hide another, and a good file beside them does not save the load."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in (*BAD[:3], *GOOD)}
    with pytest.raises(FileProblems) as caught:
        load_rules(texts)
    assert {problem.file for problem in caught.value.problems} >= {path.name for path in BAD[:3]}
    assert str(caught.value).count("\n") == len(caught.value.problems) - 1


def test_an_empty_file_is_no_pack() -> None:
    """Nothing at all is told from a pack without rules."""
    (problem,) = check({"a.yaml": ""})[1]
    assert (problem.line, problem.column) == (0, 0)


def test_a_large_file_is_refused_before_it_is_parsed() -> None:
    """More than a megabyte of YAML is no rule pack."""
    (problem,) = check({"a.yaml": "a: " + "x" * MAX_BYTES})[1]
    assert str(MAX_BYTES) in problem.message


def test_deep_nesting_cannot_exhaust_the_stack() -> None:
    """Half a megabyte of opening brackets is one problem."""
    assert len(check({"a.yaml": "a: " + "[" * 200_000})[1]) == 1


def test_a_file_in_a_folder_that_means_nothing_is_refused_by_name() -> None:
    """A folder with a typo is not passed over in silence."""
    ruleset, problems = check({"list/x.txt": "a"})
    assert ruleset is None
    assert str(problems[0]) == "list/x.txt:0:0 规则目录下没有 “list” 这样的子目录；可用：lists, overrides, tuning；是否想写 “lists”？"
