"""Names and codes in the form in which they are compared."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.names import looks_like_code, normalise_code, normalise_name

PARTS = st.sampled_from(
    ["有限", "公司", "责任", "股份", "(", ")", "（", "）", "集团", "有限合伙", "某", "　", " ", "Ａ", "ﬀ", "ß", "·", "\u200b"]
)


@settings(derandomize=True, max_examples=500)
@given(st.one_of(st.text(), st.lists(PARTS, max_size=12).map("".join)))
@example("(集团)有限公司")
@example("有限有限公司公司")
def test_normalising_twice_changes_nothing(name: str) -> None:
    """Stored and asked-for names meet, whichever of them was normalised before."""
    assert normalise_name(normalise_name(name)) == normalise_name(name)
    assert normalise_code(normalise_code(name)) == normalise_code(name)


@settings(derandomize=True, max_examples=300)
@given(st.lists(PARTS, max_size=12).map("".join))
def test_a_name_with_a_letter_keeps_one(name: str) -> None:
    """Only a name without any letter or digit vanishes."""
    assert bool(normalise_name(name)) == any(char.isalnum() for char in name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("某某燃气有限公司", "某某燃气有限责任公司"),
        ("某某燃气有限公司", " 某某 燃气 有限公司 "),
        ("某某（西安）燃气有限公司", "某某(西安)燃气有限公司"),
        ("某某燃气有限公司雁塔分公司", "某某燃气有限责任公司雁塔分公司"),
        ("ＡＢＣ餐饮店（个体工商户）", "abc餐饮店"),
        ("某某投资中心（有限合伙）", "某某投资中心"),
        ("某某・液化气站", "某某·液化气站"),
    ],
)
def test_spellings_of_one_name_are_equal(one: str, other: str) -> None:
    """Width, case, blanks, brackets and legal form make no difference."""
    assert normalise_name(one) == normalise_name(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("某某燃气有限公司", "某某燃气有限公司雁塔分公司"),
        ("某某燃气集团有限公司", "某某燃气有限公司"),
        ("某某燃气一站", "某某燃气二站"),
        ("長安酒店", "长安酒店"),
    ],
)
def test_different_names_stay_different(one: str, other: str) -> None:
    """Branches, groups, numbers and traditional characters tell names apart."""
    assert normalise_name(one) != normalise_name(other)


def test_codes_lose_width_case_and_hyphens() -> None:
    """A code is the same however it is typed; a phone number's length of digits makes an alias a code, a word does not."""
    assert normalise_code("１２３４５６７８-ｘ") == normalise_code(" 12345678X") == "12345678X"
    assert [looks_like_code(alias) for alias in ("91610132MA6U0XXXX5", "12345678-X", "7-Eleven", "某某12345678", "1234567")] == [
        True, True, False, False, False,
    ]  # fmt: skip
