"""Numbers that Chinese registers give: credit codes, device registration codes, project codes; all made from a seed.

The region part of every code lies in 610191-610198, which GB/T 2260 does not assign, so no code belongs to a real body.
"""

from __future__ import annotations

from collections.abc import Collection
from random import Random

CREDIT_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # GB 32100-2015: without I O S V Z
_CREDIT_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
_ORGANISATION_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # GB 11714
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)


def organisation_check(body: str) -> str:
    """Return the check character of an eight-character organisation code (组织机构代码, GB 11714)."""
    total = sum(_ORGANISATION_ALPHABET.index(char) * weight for char, weight in zip(body, _ORGANISATION_WEIGHTS, strict=True))
    rest = 11 - total % 11
    return {10: "X", 11: "0"}.get(rest, str(rest))


def credit_check(body: str) -> str:
    """Return the check character of the first 17 characters of a credit code (统一社会信用代码, GB 32100-2015)."""
    total = sum(CREDIT_ALPHABET.index(char) * weight for char, weight in zip(body, _CREDIT_WEIGHTS, strict=True))
    return CREDIT_ALPHABET[(31 - total % 31) % 31]


def credit_code(rng: Random, registrar: str, district: str, taken: Collection[str]) -> str:
    """Return a valid credit code that is not in `taken`.

    Args:
        rng: the source of chance.
        registrar: the first two characters: 91 enterprise, 92 individual business, 12 public institution, 52 private school.
        district: six digits.
        taken: codes that are in use.
    """
    while True:
        body = f"MA{''.join(rng.choice(CREDIT_ALPHABET) for _ in range(6))}"
        first = f"{registrar}{district}{body}{organisation_check(body)}"
        code = first + credit_check(first)
        if code not in taken:
            return code


def mistyped(rng: Random, code: str) -> str:
    """Return `code` with one inner character typed wrongly, so that its check character no longer fits."""
    place = rng.randrange(9, 16)
    wrong = rng.choice([char for char in CREDIT_ALPHABET if char != code[place]])
    return code[:place] + wrong + code[place + 1 :]


def elevator_code(district: str, year: int, serial: int) -> str:
    """Return a 20-digit registration code of an elevator (设备注册代码: 3110, region, year, serial)."""
    return f"3110{district}{year:04d}{serial:06d}"


def project_code(district: str, year: int, month: int, serial: int) -> str:
    """Return an investment project code (项目代码) such as 2504-610191-04-01-000123."""
    return f"{year % 100:02d}{month:02d}-{district}-04-01-{serial:06d}"
