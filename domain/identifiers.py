"""Identifiers of the Chinese registries: check digits and shapes, no look-up.

A wrong check digit is never a reason to drop a record: real data holds typing errors, so callers keep the code and flag it.
"""

from __future__ import annotations

import re
from typing import Literal

from domain.names import normalise_code

USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # GB 32100-2015: no I, O, S, V, Z
_USCC_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)  # 3^i mod 31
_ORGANISATION_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_IDENTITY_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)

_USCC = re.compile(rf"[{USCC_ALPHABET}]{{2}}[0-9]{{6}}[{USCC_ALPHABET}]{{10}}")
_USCC_SHAPE = re.compile(r"[0-9A-Z]{2}[0-9]{6}[0-9A-Z]{10}")
_ORGANISATION = re.compile(r"[0-9A-Z]{8}[0-9X]")
_IDENTITY = re.compile(r"[1-8][0-9]{5}(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9X]")
_PLACEHOLDER = re.compile(r"0+X?|9{15,18}|1{15,18}|X+")
_PROVINCES = frozenset(
    "11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81 82".split()  # noqa: SIM905  # one line reads best
)

CodeKind = Literal["uscc", "organisation", "registration", "identity", "region", "masked", "placeholder", "other", "empty"]


def uscc_check_character(first17: str) -> str:
    """Return the 18th character of a unified social credit code (统一社会信用代码), GB 32100-2015.

    >>> uscc_check_character("91350100M000100Y4")  # the example of the standard
    '3'

    Raises:
        ValueError: `first17` is not 17 characters of the code's alphabet.
    """
    if len(first17) != 17 or any(character not in USCC_ALPHABET for character in first17):
        raise ValueError(f"{first17!r} is not 17 characters of {USCC_ALPHABET}")
    total = sum(USCC_ALPHABET.index(character) * weight for character, weight in zip(first17, _USCC_WEIGHTS, strict=True))
    return USCC_ALPHABET[(31 - total % 31) % 31]


def is_uscc(code: str) -> bool:
    """Say whether `code` is a unified social credit code with the right check character.

    >>> is_uscc("91350100M000100Y43"), is_uscc("91350100M000100Y44")
    (True, False)
    """
    return _USCC.fullmatch(code) is not None and uscc_check_character(code[:17]) == code[17]


def organisation_check_character(first8: str) -> str:
    """Return the 9th character of an organisation code (组织机构代码), GB 11714-1997.

    >>> organisation_check_character("D2143569")  # the example of the standard
    'X'

    Raises:
        ValueError: `first8` is not 8 digits or upper-case letters.
    """
    if len(first8) != 8 or any(character not in _ORGANISATION_ALPHABET for character in first8):
        raise ValueError(f"{first8!r} is not 8 digits or upper-case letters")
    total = sum(_ORGANISATION_ALPHABET.index(character) * weight for character, weight in zip(first8, _ORGANISATION_WEIGHTS, strict=True))
    return {10: "X", 11: "0"}.get(11 - total % 11, str(11 - total % 11))


def is_organisation_code(code: str) -> bool:
    """Say whether `code` (9 characters, no hyphen) is an organisation code with the right check character.

    >>> is_organisation_code("D2143569X"), is_organisation_code("D21435691")
    (True, False)
    """
    return _ORGANISATION.fullmatch(code) is not None and organisation_check_character(code[:8]) == code[8]


def registration_check_digit(first14: str) -> str:
    """Return the 15th digit of a legacy business registration number (工商注册号), GS 15-2006 (ISO 7064 MOD 11,10).

    >>> registration_check_digit("11010800000001")  # the example of the standard
    '6'

    Raises:
        ValueError: `first14` is not 14 digits.
    """
    if not re.fullmatch(r"[0-9]{14}", first14):
        raise ValueError(f"{first14!r} is not 14 digits")
    product = 10
    for digit in first14:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return str((11 - product) % 10)


def is_registration_number(code: str) -> bool:
    """Say whether `code` is a 15-digit legacy registration number with the right check digit.

    >>> is_registration_number("110108000000016"), is_registration_number("110108000000017")
    (True, False)
    """
    return re.fullmatch(r"[0-9]{15}", code) is not None and registration_check_digit(code[:14]) == code[14]


def is_identity_number(code: str) -> bool:
    """Say whether `code` is a citizen's identity number (GB 11643-1999) with the right check character.

    >>> is_identity_number("11010519491231002X"), is_identity_number("110105194912310021")  # the standard's example
    (True, False)
    """
    if _IDENTITY.fullmatch(code) is None:
        return False
    total = sum(int(digit) * weight for digit, weight in zip(code, _IDENTITY_WEIGHTS, strict=False))
    return "10X98765432"[total % 11] == code[17]


def is_region_code(code: str) -> bool:
    """Say whether `code` has the shape of a region code: 2, 4, 6 (GB/T 2260), 9 or 12 digits under an existing province.

    Development zones carry local codes, so the lower digits are not compared with a table.

    >>> is_region_code("610113"), is_region_code("610113001"), is_region_code("990000"), is_region_code("61011")
    (True, True, False, False)
    """
    return code.isascii() and code.isdigit() and len(code) in {2, 4, 6, 9, 12} and code[:2] in _PROVINCES


def is_placeholder(code: str) -> bool:
    """Say whether `code` stands for "none": all zeros, `00000000000000000X` and the like, as real exports hold them.

    >>> is_placeholder("00000000000000000X"), is_placeholder("91350100M000100Y43")
    (True, False)
    """
    return len(code) > 1 and _PLACEHOLDER.fullmatch(code) is not None


def check_of(code: str) -> str:
    """Return what a code's check digit says: "right", "wrong", or "none" where the code has none.

    >>> check_of("no code at all")
    'none'
    """
    valid = classify_code(code)[1]
    return "none" if valid is None else "right" if valid else "wrong"


def classify_code(text: str) -> tuple[CodeKind, bool | None]:
    """Return the kind of a code and whether its check digit is right (None where the kind carries none).

    >>> classify_code("91350100m000100y43"), classify_code("91350100M000100Y44")
    (('uscc', True), ('uscc', False))
    >>> classify_code("D2143569-X"), classify_code("110108000000016"), classify_code("610113")
    (('organisation', True), ('registration', True), ('region', None))
    >>> classify_code("3423011964****3224"), classify_code("00000000000000000X"), classify_code("XA-T-0042"), classify_code(" ")
    (('masked', None), ('placeholder', None), ('other', None), ('empty', None))
    """
    if "*" in text or "＊" in text:
        return "masked", None
    code = normalise_code(text)
    if not code:
        return "empty", None
    if is_placeholder(code):
        return "placeholder", None
    if _IDENTITY.fullmatch(code) and is_identity_number(code) and not is_uscc(code):
        return "identity", True
    if len(code) == 18 and _USCC_SHAPE.fullmatch(code):
        return "uscc", is_uscc(code)
    if len(code) == 15 and code.isascii() and code.isdigit():
        return "registration", is_registration_number(code)
    if len(code) == 9 and _ORGANISATION.fullmatch(code) and not is_region_code(code):
        return "organisation", is_organisation_code(code)
    if is_region_code(code) and len(code) in {6, 12}:
        return "region", None
    return "other", None
