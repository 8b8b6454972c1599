"""What expressions read beside the signal: the parent, relations, licences, list files; patterns, and Chinese names of fields."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from typing import Any

import pytest

from domain.objects import Licence, Relation
from rules.expressions import Scope, compile_expression
from rules.facts import Facts
from rules.lists import MOST
from rules.literals import Constant
from rules.load import check, load_rules
from tests.factories import make_entry, make_object

PARENT = make_object(id="o-9", name="总公司", credit="D", labels=("连锁",))
SHOP = make_object(
    relations=(Relation(kind="parent", object_id="o-9"), Relation(kind="uses", object_id="e-1"), Relation(kind="uses", object_id="e-2")),
    licences=(
        Licence(kind="gas", expires=date(2026, 3, 1)),
        Licence(kind="food", state="revoked"),
        Licence(kind="fire", expires=date(2020, 1, 1)),
        Licence(kind="fire"),
    ),
)
MOMENT = datetime(2026, 3, 1, 8, tzinfo=UTC)  # 16:00 of the licence's last day in Shanghai
LISTS = {"@watched": Constant("set", (Constant("text", "o-1"), Constant("text", "e-2")))}


def value(condition: str, *, thing: Any = SHOP, **signal: Any) -> Any:
    """Evaluate an expression at a signal of the shop."""
    reported: list[Any] = []
    compiled = compile_expression(condition, Scope(lambda *problem: reported.append(problem), LISTS), condition=False)
    assert compiled is not None, reported
    return compiled[0].evaluate(Facts(make_entry(**({"occurred_at": MOMENT} | signal)), thing, {}, {"o-9": PARENT, "o-1": SHOP}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("object.parent.credit == D", True),
        ("object.parent.name == '总公司'", True),
        ("'连锁' in object.parent.labels", True),
        ("size(object.relations.uses) >= 2", True),
        ("'e-1' in object.relations.uses", True),
        ("object.relations.owns", ()),
        ("object.licence.gas == valid", True),
        ("object.licence_left.gas", 8 * 3600.0),
        ("object.licence_left.gas < 30天", True),
        ("object.licence.food", "revoked"),
        ("object.licence.fire", "valid"),
        ("object.licence_left.fire", None),
        ("object.licence.none", "none"),
        ("object in @watched", True),
        ("text in @watched", False),
        ("对象.信用等级 == D or 来源 == hotline and 类型 in gas.*", True),
        ("上级.信用等级 in [C, D]", True),
    ],
)
def test_fields_of_the_registry(text: str, expected: Any) -> None:
    """As the registry has them, licences as of the signal's own time."""
    assert value(text, source="hotline", kind="gas.leak", text="某处") == expected


def test_a_licence_ends_with_its_last_day_in_shanghai() -> None:
    """At midnight there, whatever the zone of the signal."""
    assert value("object.licence.gas", occurred_at=datetime(2026, 3, 1, 15, 59, 59, tzinfo=UTC)) == "valid"
    assert value("object.licence.gas", occurred_at=datetime(2026, 3, 1, 16, tzinfo=UTC)) == "expired"
    assert value("object.licence_left.gas", occurred_at=datetime(2026, 3, 1, 17, tzinfo=UTC)) == -3600.0


def test_without_an_object_or_a_parent_everything_is_unknown() -> None:
    """Nothing is true of what is not known."""
    for text in ("object.parent.credit == D", "object.licence.gas == none", "size(object.relations.uses) < 1"):
        assert value(text, thing=None) is None
    assert value("object.parent.credit == D", thing=make_object()) is None


@pytest.mark.parametrize(
    ("pattern", "told", "expected"),
    [
        ("液化气|煤气", "小区煤气异味", True),
        ("^投诉.*罐", "投诉某店换罐", True),
        (r"\d{3}号", "12号楼", False),
        ("(?i)lpg", "LPG", True),
    ],
)
def test_matches_finds_a_pattern_in_a_text(pattern: str, told: str, expected: bool) -> None:
    """Anywhere, unless it is anchored."""
    assert value(f"text matches '{pattern}'", text=told) is expected
    assert value(f"text matches '{pattern}'", text="") is None


def test_no_pattern_can_hold_up_the_stream() -> None:
    """What a backtracking engine needs years for takes a moment."""
    began = time.perf_counter()
    assert value("text matches '^(a+)+$'", text="a" * 20_000 + "b") is False
    assert time.perf_counter() - began < 1.0


PACK = """
pack: p
title: 测试
sector: gas
owner: 市住建局
indicators:
  n: {count: signals, where: object.code in @watched, window: 7d}
rules:
  - {id: r, title: 某某, status: draft, when: n >= 1 or kind in @kinds, points: 1, say: 某某}
"""


def test_list_files_are_texts_of_the_set() -> None:
    """Remarks and empty lines say nothing; another list is another version."""
    texts = {"p.yaml": PACK, "lists/watched.txt": "# 重点名单\n91610132MA6U0XXXX5  # 某某\n\nA-1\n", "lists/kinds.txt": "gas.leak\n"}
    ruleset = load_rules(texts)
    where = ruleset.indicators["p.n"].where
    assert where is not None
    assert where.evaluate(Facts(make_entry(), make_object(code="A-1"))) is True
    assert where.evaluate(Facts(make_entry(), make_object(code="重点名单"))) is False
    assert load_rules(texts | {"lists/watched.txt": "A-1"}).version != ruleset.version
    assert ruleset.texts.keys() == texts.keys()


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "lists/watchd.txt",
            "a",
            "p.yaml:7:45 没有名单 “@watched”；可用：@kinds, @watchd；是否想写 “@watchd”？",
        ),
        ("lists/watched.txt", "# 空\n", "lists/watched.txt:0:0 列表为空，什么也选不到"),
        ("lists/Watched.txt", "a", "lists/Watched.txt:0:0"),
        ("lists/watched.txt", "\n".join(map(str, range(MOST + 1))), f"lists/watched.txt:0:0 名单有 {MOST + 1} 项，超过上限 {MOST}"),
        ("lists/watched.txt", "a\nb\n" + "x" * 201, "lists/watched.txt:3:1 “watched” 超过 200 个字符"),
    ],
)
def test_bad_lists_are_told_with_their_place(name: str, text: str, expected: str) -> None:
    """A typo in a name, an empty list, a huge one, a line that is no entry."""
    ruleset, problems = check({"p.yaml": PACK, "lists/kinds.txt": "gas.leak", name: text})
    assert ruleset is None
    assert any(str(problem).startswith(expected) for problem in problems), [str(problem) for problem in problems]
