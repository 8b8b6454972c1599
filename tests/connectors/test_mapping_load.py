"""Mapping files: every mistake is answered with file:line:column, the legal words and the nearest one."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.inbound.mapping_load import SHIPPED, load_folder, load_mapping, load_vocabulary
from domain.errors import FileProblems

GOOD = """feed: test
title: 试验
source: complaint
formats: [csv]
fields:
  id: {from: [编号], required: true}
  at: {from: [时间], type: time}
  fine: {from: [金额], type: amount, unit: 万元}
key: [id]
signal: {occurred_at: [at], value: [fine]}
kind: {default: other.request}
"""


def problems(text: str) -> list[str]:
    """Return what is wrong with a mapping, as `line:column message`."""
    with pytest.raises(FileProblems) as caught:
        load_mapping(text, "m.yaml")
    return [str(problem).removeprefix("m.yaml:") for problem in caught.value.problems if problem.severity == "error"]


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("source: complaint", "sorce: complaint", "3:1", ("sorce", "source")),
        ("source: complaint", "source: complaints", "3:9", ("complaints", "hotline")),
        ("type: time", "type: tiem", "7:26", ("tiem", "time")),
        ("key: [id]", "key: [idd]", "9:7", ("idd", "id")),
        ("occurred_at: [at]", "occurred_at: [id]", "10:23", ("text", "time")),
        ("occurred_at: [at]", "occured_at: [at]", "10:10", ("occurred_at",)),
        ("unit: 万元", "unit: 美元", "8:42", ("美元", "万元")),
        ("default: other.request", "table: nowhere", "11:15", ("nowhere",)),
        ("default: other.request", "read: [at], rules: [{give: gas.leak}]", "11:28", ("any",)),
        ("default: other.request", "rules: [{give: gas.leak, any: [a]}]", "11:7", ("read",)),
        ("formats: [csv]", "formats: [csv, xml]", "4:10", ("records",)),
        ("formats: [csv]", "formats: [csv]\nzone: Asia/Shanghia", "5:7", ("Asia/Shanghia",)),
        ("formats: [csv]", "formats: [csv]\ndates: ['%Y-%q']", "5:9", ("%q",)),
        ("formats: [csv]", "formats: [csv]\nseverity: {default: '7'}", "5:21", ("7", "0, 1, 2, 3")),
        ("formats: [csv]", "formats: [csv]\nfuture: soon", "5:9", ("soon",)),
        ("unit: 万元", "unit: 万元, beside: [ta]", "8:54", ("ta", "at")),
        ("formats: [csv]", "formats: [csv]\nreject: [{field: idd, why: x, when: {id: ['1']}}]", "5:10", ("idd", "id")),
        ("formats: [csv]", "formats: [csv]\nsilent_after: 0h", "5:15", ("0h", "36h")),
        ("formats: [csv]", "formats: [csv]\nfeed: again", "5:1", ("feed",)),
        ("title: 试验", "title: &a 试验", "2:8", ()),
        ("title: 试验", "title: [", "2:8", ("[",)),
    ],
)
def test_a_mistake_is_answered_with_its_place(old: str, new: str, place: str, words: tuple[str, ...]) -> None:
    """The first problem stands at the mistake and names what was read and what is legal."""
    found = problems(GOOD.replace(old, new))
    assert any(line.startswith(place + " ") and all(word in line for word in words) for line in found), found


def test_all_mistakes_are_told_at_once() -> None:
    """Three mistakes of meaning are three problems."""
    text = GOOD.replace("key: [id]", "key: [x, y]").replace("value: [fine]", "value: [z]")
    assert len(problems(text)) == 3


def test_a_bomb_is_refused_quickly() -> None:
    """Aliases that multiply and endless nesting are refused before they are expanded."""
    assert problems("a: &a [x]\nb: [*a, *a]\n")
    assert problems("feed: " + "[" * 50_000)
    assert problems("x" * 2_000_000)


def test_an_unlisted_kind_is_a_warning() -> None:
    """Kinds are open: one that is not in the common list loads, with a warning that names the nearest."""
    mapping = load_mapping(GOOD.replace("other.request", "gas.leek"), "m.yaml")
    assert [(problem.line, "gas.leak" in problem.message) for problem in mapping.warnings] == [(11, True)]


def test_a_keyword_table_needs_words() -> None:
    """A rule that would fit everything is refused."""
    with pytest.raises(FileProblems, match="any"):
        load_vocabulary("vocabulary: v\nrules: [{give: '1'}]\n", "v.yaml")


def test_a_folder_is_loaded_whole_or_not_at_all(tmp_path: Path) -> None:
    """Two files for one feed are refused; a folder of one's own may name the shipped keyword tables."""
    own = GOOD.replace("kind: {default: other.request}", "kind: {read: [id], table: request-kinds, default: other.request}")
    (tmp_path / "a.yaml").write_text(own, "utf-8")
    assert list(load_folder(tmp_path)) == ["test"]
    (tmp_path / "b.yaml").write_text(own, "utf-8")
    with pytest.raises(FileProblems, match=r"a\.yaml"):
        load_folder(tmp_path)
    (tmp_path / "b.yaml").write_bytes("title: 试验".encode("gb18030"))
    with pytest.raises(FileProblems, match="UTF-8"):
        load_folder(tmp_path)


def test_shipped_mappings_load() -> None:
    """All of them, each under the name of its file."""
    assert sorted(load_folder(SHIPPED)) == sorted(path.stem for path in SHIPPED.glob("*.yaml"))
    assert len(load_folder(SHIPPED)) == 14
