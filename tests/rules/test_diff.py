"""Two sets of rules side by side: what was added, removed and changed, field by field."""

from __future__ import annotations

import pytest

from domain.errors import FileProblems
from rules.diff import differences
from tests.app.world import RULES


def told(old: str, new: str, file: str = "gas.yaml") -> list[tuple[object, ...]]:
    """Return the differences as plain rows, without their places."""
    found = differences({"gas.yaml": old}, {file: new})
    return [(one.kind, one.id, one.change, one.field, one.old, one.new) for one in found]


def test_the_same_rules_elsewhere_do_not_differ() -> None:
    """Another file name, a comment and other quotes say the same."""
    assert told(RULES, "# moved\n" + RULES.replace("title: 燃气安全", 'title: "燃气安全"'), "other.yaml") == []


def test_a_changed_field_is_told_with_both_values_and_its_place() -> None:
    """The limit of a rule and the window of an indicator, each by its field; the place is that in the new set."""
    new = RULES.replace("leaks_24h >= 3", "leaks_24h >= 4").replace("window: 24h", "window: 48h", 1)
    assert told(RULES, new) == [
        ("indicator", "gas.fines_24h", "changed", "window", "24h", "48h"),
        ("rule", "gas-leaks", "changed", "when", "leaks_24h >= 3", "leaks_24h >= 4"),
    ]
    line = new.splitlines().index("  - id: gas-leaks") + 1
    assert differences({"gas.yaml": RULES}, {"gas.yaml": new})[1].place == f"gas.yaml:{line}"


def test_what_came_and_went_is_told_by_its_name() -> None:
    """A new id without `renamed_from` is another rule; with it, it is the same one under a new name."""
    new = RULES.replace("id: gas-leaks", "id: gas-leak-burst")
    assert [row[:3] for row in told(RULES, new)] == [("rule", "gas-leak-burst", "added"), ("rule", "gas-leaks", "removed")]
    renamed = RULES.replace("id: gas-leaks", "id: gas-leak-burst\n    renamed_from: gas-leaks")
    assert told(RULES, renamed) == [
        ("rule", "gas-leak-burst", "changed", "id", "gas-leaks", "gas-leak-burst"),
        ("rule", "gas-leak-burst", "changed", "renamed_from", None, "gas-leaks"),
    ]


def test_tests_stand_by_their_names() -> None:
    """A new test by its name; one that only changed its content also by what is otherwise, on each side."""
    new = RULES.replace("name: 三件即报", "name: 三件就报").replace("times: 2, every: 1h", "times: 1")
    [(*_, old_tests, new_tests)] = told(RULES, new)
    assert (old_tests[0], new_tests[0]) == ("三件即报", "三件就报")
    assert old_tests[1].startswith('两件不报 {"given":[')
    assert '"times":2,"every":"1h"' in old_tests[1]
    assert '"times":1' in new_tests[1]
    assert "expect" not in old_tests[1] + new_tests[1], "they expect the same"


def test_a_parameter_and_the_head_of_a_pack_are_compared_too() -> None:
    """The owner of the pack, and a parameter that came."""
    new = RULES.replace("owner: 市住建局", "owner: 市应急局\nparams: {limit: 5万元}")
    assert told(RULES, new) == [
        ("pack", "gas", "changed", "owner", "市住建局", "市应急局"),
        ("param", "gas.limit", "added", "", None, None),
    ]


def test_a_file_that_is_no_pack_is_refused_with_its_place() -> None:
    """Nothing is compared with half a set."""
    with pytest.raises(FileProblems) as caught:
        differences({"gas.yaml": RULES}, {"gas.yaml": "pack: ["})
    assert caught.value.problems[0].file == "gas.yaml"


def test_files_below_the_folder_are_compared_by_their_lines() -> None:
    """A list that gained an entry tells it; one that came tells its name."""
    old, new = {"gas.yaml": RULES, "lists/a.txt": "x\ny\n"}, {"gas.yaml": RULES, "lists/a.txt": "x\nz\n", "lists/b.txt": "v\n"}
    found = differences(old, new)
    assert [(one.id, one.change, one.old, one.new) for one in found] == [
        ("lists/a.txt", "changed", ["y"], ["z"]),
        ("lists/b.txt", "added", None, None),
    ]
