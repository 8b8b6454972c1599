"""Tokens stand for personal values in every spelling, and replacing one value spoils no other."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.inbound.personal import Tokens
from domain.personal import PersonalValue, tokens_in
from domain.signals import ObjectRef, Signal

TOKENS = Tokens(b"k" * 32)
MOBILE, IDENTITY = "13800138000", "610113199003077516"


def scrubbed(attrs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, PersonalValue]]:
    """Return the attributes of a canonical signal after its numbers were replaced, and what was found."""
    signal = Signal(
        id="1", source="hotline", kind="gas.leak", occurred_at=datetime(2026, 3, 1, tzinfo=UTC), object=ObjectRef(), attrs=attrs
    )
    found: dict[str, PersonalValue] = {}
    return TOKENS.scrub_signal(signal, found).attrs, found


def test_known_values_are_replaced_in_one_pass() -> None:
    """A value that occurs in the token of another, or in the middle of a number, leaves both whole."""
    values = ("35", "张三", "张三丰", "p:", "0")
    text = TOKENS.scrub("张三丰（张三），35岁，门牌1352号、35号", values)
    assert tokens_in(text) == tuple(TOKENS.token(value) for value in ("张三丰", "张三", "35"))
    assert text == "{}（{}），{}岁，门牌1352号、{}号".format(*map(TOKENS.token, ("张三丰", "张三", "35", "35")))


@pytest.mark.parametrize("written", [MOBILE, "+86 138-0013-8000", "8613800138000", "１３８００１３８０００"])
def test_one_mobile_number_has_one_token(written: str) -> None:
    """With the code of the country or without it, wide or narrow, with blanks and hyphens."""
    assert TOKENS.token(written) == TOKENS.token(MOBILE)


@pytest.mark.parametrize(
    ("attrs", "value"),
    [
        ({"card": int(IDENTITY)}, IDENTITY),
        ({"deep": [{"card": int(IDENTITY)}]}, IDENTITY),
        ({"phone": 8613800138000}, MOBILE),
        ({"phone": 13800138000.0}, MOBILE),
        ({f"电话{MOBILE}": "家"}, MOBILE),
        ({"persons": {IDENTITY: 1}}, IDENTITY),
    ],
)
def test_a_number_in_an_attribute_becomes_a_token_whatever_its_type(attrs: dict[str, Any], value: str) -> None:
    """Whole numbers, fractions without a part, and the names of attributes are read as texts are."""
    after, found = scrubbed(attrs)
    assert value not in str(after)
    assert list(found) == [TOKENS.token(value)]


def test_other_numbers_stay_numbers() -> None:
    """Amounts, coordinates, truths, and what is too great for any code."""
    attrs = {"a": 13_800_138, "b": 1.5, "c": True, "d": None, "e": 10**400, "f": float("inf"), "g": -3.0, "h": 610113199003077517}
    assert scrubbed(attrs) == (attrs, {})
