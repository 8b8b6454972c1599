"""Expressions: text to tree and back, three-valued logic, units, and evaluation that never raises."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.evaluation import CALLS, all_of, any_of, constant, negate
from rules.expressions import KnownIndicator, Scope, compile_expression
from rules.facts import Facts
from rules.fields import READERS
from rules.literals import Constant
from rules.syntax import (
    AnyNode,
    Binary,
    Call,
    ExpressionError,
    Items,
    Junction,
    Name,
    Number,
    Param,
    Prefix,
    Text,
    Truth,
    Unary,
    parse,
)
from rules.trees import show
from rules.vocabulary import FIELDS, FUNCTIONS, KEYWORDS, TYPE_TITLES, UNITS
from tests.factories import make_entry, make_object

EXACT = settings(derandomize=True, deadline=None, max_examples=200)
TRUTHS = (True, False, None)
INDICATORS = {
    "n": KnownIndicator("p.n", "count"),
    "m": KnownIndicator("p.m", "money"),
    "r": KnownIndicator("p.r", "ratio"),
    "x": KnownIndicator("p.x", "any"),
}
PARAMS = {"five": Constant("number", 5.0), "words": Constant("set", (Constant("text", "气"), Constant("text", "油")))}


def evaluate(text: str, values: Mapping[str, Any] | None = None, /, *, thing: Any = None, **signal: Any) -> Any:
    """Compile `text` as a condition or value and evaluate it on a signal; a problem fails the test."""
    problems: list[Any] = []
    scope = Scope(lambda *told: problems.append(told), PARAMS, INDICATORS)
    compiled = compile_expression(text, scope, condition=False)
    assert problems == []
    assert compiled is not None
    return compiled[0].evaluate(Facts(make_entry(**signal), thing, dict(values or {})))


def problems_of(text: str) -> list[tuple[int, str]]:
    """Return (offset, message key) of everything wrong with a condition."""
    found: list[tuple[int, str]] = []
    scope = Scope(lambda offset, key, _: found.append((offset, key)), PARAMS, INDICATORS)
    compile_expression(text, scope, condition=True)
    return found


# Trees and texts

_words = st.from_regex(r"[a-z一二三][a-z0-9_一二三]{0,4}(\.[a-z]{1,3})?(-[a-z]{1,3})?", fullmatch=True).filter(
    lambda word: word not in KEYWORDS
)
_numbers = st.builds(Number, st.from_regex(r"[0-9]{1,5}(\.[0-9]{1,3})?", fullmatch=True), st.sampled_from(["", *UNITS]))
_texts = st.builds(Text, st.text("ab '高层", max_size=5))
_leaves = st.one_of(
    _numbers, _texts, st.builds(Truth, st.booleans()), st.builds(Name, _words), st.builds(Param, st.just("five")), st.builds(Prefix, _words)
)
_members = st.one_of(_numbers, _texts, st.builds(Name, _words), st.builds(Prefix, _words), st.builds(Unary, st.just("-"), _numbers))


def _grow(inner: st.SearchStrategy[AnyNode]) -> st.SearchStrategy[AnyNode]:
    operators = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "contains", "+", "-", "*", "/"])
    terms = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Binary, operators, inner, inner),
        st.builds(Unary, st.sampled_from(["not", "-"]), inner),
        st.builds(Junction, st.sampled_from(["and", "or"]), terms),
        st.builds(Call, _words, inner),
        st.builds(Items, st.lists(_members, max_size=3).map(tuple)),
    )


_trees = st.recursive(_leaves, _grow, max_leaves=8)


@EXACT
@given(_trees)
def test_parsing_what_was_shown_gives_the_same_tree(tree: AnyNode) -> None:
    """`show` writes parentheses exactly where the grammar needs them."""
    assert parse(show(tree)) == tree


@EXACT
@given(st.text(max_size=60))
def test_parsing_anything_gives_a_tree_or_a_place(text: str) -> None:
    """No text makes the parser fail in another way, and the offset lies within the text."""
    offset = 0
    try:
        parse(text)
    except ExpressionError as error:
        offset = error.offset
    assert 0 <= offset <= len(text)


@pytest.mark.parametrize("text", ["(" * 500 + "n" + ")" * 500, "not " * 400 + "n", "-" * 900 + "n", "n" + " + n" * 400, "n" * 3000])
def test_long_or_deep_texts_are_refused(text: str) -> None:
    """Neither nesting nor chains can exhaust the stack."""
    with pytest.raises(ExpressionError):
        parse(text)


# Three-valued logic


@pytest.mark.parametrize("one", TRUTHS)
@pytest.mark.parametrize("other", TRUTHS)
def test_logic_is_kleenes(one: bool | None, other: bool | None) -> None:
    """`and` is the minimum, `or` the maximum, `not` the mirror of false < unknown < true; De Morgan holds."""
    facts = Facts(make_entry(), None)
    rank = {False: 0, None: 1, True: 2}
    both, either = all_of((constant(one), constant(other))), any_of((constant(one), constant(other)))
    assert rank[both(facts)] == min(rank[one], rank[other])
    assert rank[either(facts)] == max(rank[one], rank[other])
    assert rank[negate(constant(one))(facts)] == 2 - rank[one]
    assert negate(both)(facts) == any_of((negate(constant(one)), negate(constant(other))))(facts)


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("n >= 5", {"p.n": 5.0}, True),
        ("n >= 5", {"p.n": 4.0}, False),
        ("n >= 5", {}, None),
        ("n >= 5", {"p.n": math.nan}, None),
        ("not n >= 5", {}, None),
        ("n >= 5 and r > 0.5", {"p.r": 0.1}, False),
        ("n >= 5 or r > 0.5", {"p.r": 0.9}, True),
        ("5 <= n", {"p.n": 5.0}, True),
        ("n / n > 0.5", {"p.n": 0.0}, None),
        ("m / 2 > 1万元", {"p.m": 30000.0}, True),
        ("m > 5万元", {"p.m": 50000.0}, False),
        ("m >= 0.07万元", {"p.m": 700.0}, True),
        ("r >= 80%", {"p.r": 0.8}, True),
        ("r > n / n - 20%", {"p.r": 0.81, "p.n": 3.0}, True),
        ("-n < -4", {"p.n": 5.0}, True),
        ("abs(n - 7) == 2", {"p.n": 5.0}, True),
        ("n != 5", {}, None),
        ("n in [4, $five]", {"p.n": 5.0}, True),
        ("x == 5", {"p.x": "5"}, None),
        ("x == gas", {"p.x": "gas"}, True),
        ("x > 5", {"p.x": "many"}, None),
        ("x > 5", {"p.x": True}, None),
        ("x in [1]", {"p.x": True}, False),
        ("x", {"p.x": True}, True),
        ("has(n)", {}, False),
        ("has(n)", {"p.n": 0.0}, True),
        ("true or n > 1", {}, True),
    ],
)
def test_indicators_compare(text: str, values: dict[str, Any], expected: bool | None) -> None:
    """Numbers, units and unknowns among indicator values."""
    assert evaluate(text, values) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("source == complaint", True),
        ("source in [hotline, penalty]", False),
        ("source != penalty", True),
        ("kind in gas.*", True),
        ("kind in [food.*, gas.leak]", True),
        ("kind in gas.leak.*", False),
        ("matter == gas", None),
        ("has(matter)", False),
        ("region == 610113", True),
        ("severity >= 2", True),
        ("value > 1", None),
        ("text contains $words", True),
        ("text contains ['水', '电']", False),
        ("attrs.channel == phone", True),
        ("attrs.deep.n > 1", True),
        ("attrs.deep.n.x > 1", None),
        ("attrs.tags in [a]", None),
        ("'a' in attrs.tags", True),
        ("'z' in attrs.tags", False),
        ("size(attrs.tags) == 2", True),
        ("attrs.flag", True),
        ("attrs.flag == true", True),
        ("attrs.missing == a", None),
        ("hour(occurred_at) == 8", True),
        ("weekday(occurred_at) == 7", True),
        ("object == o-1", True),
        ("object.type == enterprise", True),
        ("'高层' in object.labels", True),
        ("not '学校' in object.labels", True),
        ("size(object.listed_by) == 0", True),
        ("object.credit == D", None),
        ("object.code_valid", None),
        ("region == object.region", True),
    ],
)
def test_fields_compare(text: str, expected: bool | None) -> None:
    """Codes without quotes, prefixes, sets, the sender's own fields, and empty texts that are unknown."""
    attrs = {"channel": "phone", "deep": {"n": 2}, "tags": ["a", "b"], "flag": True}
    found = evaluate(text, thing=make_object(labels=("高层",)), region="610113", severity=2, text="有煤气味", attrs=attrs)
    if "flag" in text and "==" not in text:
        assert found is True
    else:
        assert found is expected


def test_without_an_object_its_fields_are_unknown() -> None:
    """A signal that was not resolved says nothing about its object."""
    assert evaluate("'高层' in object.labels") is None
    assert evaluate("object.type == enterprise") is None
    assert evaluate("size(object.listed_by) >= 0") is None


_values = st.one_of(
    st.none(), st.booleans(), st.floats(), st.integers(), st.just(10**400), st.text(max_size=4), st.lists(st.text(max_size=2), max_size=2)
)
_conditions = st.sampled_from(
    [
        "x > 1", "x == 1", "x == a", "x != a", "x in [a, b, 1]", "x in gas.*", "x contains a", "'a' in x", "x + 1 > 2", "x / x > 1",
        "x * x > 1",
        "-x < 1", "abs(x) > 1", "size(x) > 1", "has(x)", "x", "not x",
        "x and n > 1 or r < 1", "n - m / m > r", "x < n", "x == n", "x == text",
    ]
)  # fmt: skip


@EXACT
@given(_conditions, _values, _values, _values)
def test_evaluation_never_raises(text: str, x: Any, n: Any, other: Any) -> None:
    """Whatever the values are, a condition comes to true, false or unknown."""
    values = {"p.x": x, "p.n": n, "p.m": other, "p.r": other}
    scope = Scope(lambda *_: None, PARAMS, INDICATORS)
    compiled = compile_expression(text, scope, condition=True)
    if compiled is None:  # money and counts in one sum: refused before it can run
        assert problems_of(text)
        return
    assert compiled[0].evaluate(Facts(make_entry(), None, values)) in TRUTHS


# Checking


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("m > 5", (0, "rules.different_units")),
        ("n > 80%", (0, "rules.different_units")),
        ("m + n > 5万元", (0, "rules.different_units")),
        ("m * m > 5万元", (0, "rules.no_such_unit")),
        ("m / m > 5万元", (0, "rules.different_units")),
        ("source == n", (0, "rules.different_types")),
        ("n and r > 1", (0, "rules.not_a_condition")),
        ("size(text) > 1", (0, "rules.wrong_argument")),
        ("source > 1", (0, "rules.not_ordered")),
        ("kind in object.type", (0, "rules.not_a_set")),
        ("n > 1 and kind == gas.*", (18, "rules.only_after_in")),
    ],
)
def test_types_and_units_are_settled_at_load(text: str, expected: tuple[int, str]) -> None:
    """What cannot be compared is refused where it stands."""
    assert problems_of(text) == [expected]


def test_an_expression_knows_what_it_reads() -> None:
    """Indicators by qualified name and fields, each once, in order of appearance."""
    scope = Scope(lambda *_: None, PARAMS, INDICATORS)
    compiled = compile_expression("m > 5元 and source == iot and n > 1 and m > 1元 and attrs.a == b", scope, condition=True)
    assert compiled is not None
    assert compiled[0].indicators == ("p.m", "p.n")
    assert compiled[0].fields == ("source", "attrs.a")


def test_explaining_gives_every_part_its_text_and_value() -> None:
    """The answer to "why": the whole, its terms, and their sides."""
    scope = Scope(lambda *_: None, PARAMS, INDICATORS)
    compiled = compile_expression("n >= $five and m > 5万元", scope, condition=True)
    assert compiled is not None
    told = compiled[0].explain(Facts(make_entry(), None, {"p.n": 6.0}))
    assert (told.text, told.value) == ("n >= $five and m > 5万元", None)
    assert [(part.text, part.value) for part in told.parts] == [("n >= $five", True), ("m > 5万元", None)]
    assert [(part.text, part.value) for part in told.parts[1].parts] == [("m", None), ("5万元", 50000.0)]


def test_times_are_read_in_shanghai() -> None:
    """17:00 UTC is one in the morning of the next day."""
    late = datetime(2026, 3, 1, 17, tzinfo=UTC)
    assert evaluate("hour(occurred_at)", occurred_at=late) == 1
    assert evaluate("weekday(occurred_at)", occurred_at=late) == 1


def test_every_word_has_its_evaluation() -> None:
    """The tables of the vocabulary and of the evaluator name the same fields, functions and types."""
    assert set(READERS) == set(FIELDS)
    assert set(CALLS) == set(FUNCTIONS)
    assert {unit.dimension for unit in UNITS.values()} <= set(TYPE_TITLES)
