"""Compiled: lines of canonical signals straight to columns, validated as strictly as the readable decoder does.

It reads flat signals with the keys of `KEYS` in any order, whose texts have no escapes where they are wanted and whose numbers and times
have their usual form. A line that it is not sure of is flagged and not judged: the next front reads it (`decode`), and last the readable
one, which says what is wrong. So a line is never refused here, and never read otherwise than there.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.kernel.jit import compiled, inlined, inner, load64, lowest, shared
from streams.kernel.times import UNSURE, instant

Bytes = NDArray[np.uint8]
KEYS: Final = ("id", "source", "kind", "object_id", "occurred_at", "matter", "region", "unit", "text", "severity", "value")
ID, SOURCE, KIND, OBJECT, TIME, MATTER, REGION, UNIT, TEXT, SEVERITY, VALUE = range(len(KEYS))
REQUIRED: Final = (1 << ID) | (1 << SOURCE) | (1 << KIND) | (1 << OBJECT) | (1 << TIME)
LONGEST_ID: Final = 200
LONGEST: Final = 1 << 16  # bytes of a wanted text; longer ones are left to the next front
PADDING: Final = 64  # readable bytes behind the last line

_WORDS: Final = np.array(
    [[int.from_bytes(key.encode().ljust(16, b"\0")[half : half + 8], "little") for half in (0, 8)] for key in KEYS], np.uint64
)
_LENGTHS: Final = np.array([len(key) for key in KEYS], np.int64)
_TENS: Final = np.array([10.0**power for power in range(23)])  # exact
_EXACT: Final = 1 << 53
_ONES = np.uint64(0x0101010101010101)
_HIGHS = np.uint64(0x8080808080808080)
_QUOTES = np.uint64(0x2222222222222222)
_SLASHES = np.uint64(0x5C5C5C5C5C5C5C5C)
_SPACES = np.uint64(0x2020202020202020)
_QUOTE, _SLASH, _SPACE, _COMMA, _COLON, _OPEN, _CLOSE, _LINE, _RETURN, _MINUS, _POINT, _ZERO, _NULL, _U = (
    np.uint8(ord(sign)) for sign in '"\\ ,:{}\n\r-.0nu'
)


class Lines(NamedTuple):
    """What is found in each line."""

    starts: NDArray[np.int64]  # [key, line]: where a text begins
    ends: NDArray[np.int64]  # [key, line]; a text that is not given is empty
    at: NDArray[np.int64]
    severity: NDArray[np.int64]
    value: NDArray[np.float64]
    first: NDArray[np.int64]  # of the line itself
    last: NDArray[np.int64]  # the place of its end of line
    unsure: NDArray[np.bool_]


@inlined
def _sequence(text: Bytes, place: int) -> int:
    """Return the length of the UTF-8 sequence at `place`, 0 where there is none that is well-formed (Unicode 15, table 3-7)."""
    one, two = text[place], text[place + 1]
    if one < 0xC2 or one > 0xF4 or two & 0xC0 != 0x80:
        return 0
    if one < 0xE0:
        return 2
    if text[place + 2] & 0xC0 != 0x80 or (one == 0xE0 and two < 0xA0) or (one == 0xED and two > 0x9F):
        return 0
    if one < 0xF0:
        return 3
    if text[place + 3] & 0xC0 != 0x80 or (one == 0xF0 and two < 0x90) or (one == 0xF4 and two > 0x8F):
        return 0
    return 4


@inlined
def _escape(text: Bytes, place: int) -> int:
    """Return the length of the escape at `place`, 0 where it is none or one half of a pair."""
    sign = text[place + 1]
    if sign != _U:
        return 2 if sign in (34, 92, 47, 98, 102, 110, 114, 116) else 0
    for number in range(2, 6):
        digit = text[place + number] | 32 if text[place + number] > 57 else text[place + number]
        if not (48 <= digit <= 57 or 97 <= digit <= 102):
            return 0
    pair = (text[place + 2] | 32) == 100 and text[place + 3] >= 56  # \\ud8.. and above
    return 0 if pair else 6


@inlined
def _string(text: Bytes, place: int) -> tuple[int, bool, bool]:
    """Return where the text that begins at `place` has its closing quote (-1: not a valid one), whether it has escapes, and is ASCII."""
    escaped, plain = False, True
    while True:
        word = load64(text, place)
        quote, slash = word ^ _QUOTES, word ^ _SLASHES
        special = ((quote - _ONES) & ~quote) | ((slash - _ONES) & ~slash) | ((word - _SPACES) & ~word) | word
        special &= _HIGHS
        if special == 0:
            place += 8
            continue
        place += lowest(np.int64(special)) >> 3
        sign = text[place]
        if sign == _QUOTE:
            return place, escaped, plain
        if sign >= 0x80:
            plain = False
            while text[place] >= 0x80:
                length = _sequence(text, place)
                if length == 0:
                    return -1, escaped, plain
                place += length
        elif sign == _SLASH:
            escaped = True
            length = _escape(text, place)
            if length == 0:
                return -1, escaped, plain
            place += length
        elif sign < _SPACE:
            return -1, escaped, plain
        else:
            place += 1  # the byte behind a borrow: looked special and is not


@inlined
def _key(text: Bytes, place: int, length: int, guess: int) -> int:
    """Return which of `KEYS` stands at `place`, -1 for none; `guess` is tried first."""
    if length > 16 or length == 0:
        return -1
    one, two = load64(text, place), np.uint64(0)
    if length < 8:
        one &= (np.uint64(1) << np.uint64(8 * length)) - np.uint64(1)
    elif length > 8:
        two = load64(text, place + 8)
        if length < 16:
            two &= (np.uint64(1) << np.uint64(8 * (length - 8))) - np.uint64(1)
    if _LENGTHS[guess] == length and _WORDS[guess, 0] == one and _WORDS[guess, 1] == two:
        return guess
    for key in range(_LENGTHS.shape[0]):
        if _LENGTHS[key] == length and _WORDS[key, 0] == one and _WORDS[key, 1] == two:
            return key
    return -1


@shared
def _number(text: Bytes, place: int) -> tuple[float, int]:
    """Return the number at `place` and where it ends; -1 for anything that is no plain decimal of at most 53 bits."""
    negative = text[place] == _MINUS
    place += negative
    first, whole = place, np.int64(0)
    while text[place] >= _ZERO and text[place] <= _ZERO + 9 and place - first < 19:
        whole = whole * 10 + np.int64(text[place] - _ZERO)
        place += 1
    digits, places = place - first, 0
    if digits == 0 or (digits > 1 and text[first] == _ZERO):
        return 0.0, -1
    if text[place] == _POINT:
        place += 1
        point = place
        while text[place] >= _ZERO and text[place] <= _ZERO + 9 and digits + place - point < 19:
            whole = whole * 10 + np.int64(text[place] - _ZERO)
            place += 1
        places = place - point
        digits += places
        if places == 0:
            return 0.0, -1
    follows = text[place]
    if digits > 18 or whole > _EXACT or not (follows == _COMMA or follows == _CLOSE or follows == _SPACE):
        return 0.0, -1
    value = np.float64(whole) / _TENS[places] if places else np.float64(whole)
    return (-value if negative else value), place


@inlined
def _spaces(text: Bytes, place: int) -> int:
    while text[place] == _SPACE:
        place += 1
    return place


@inlined
def _text_fits(text: Bytes, key: int, wanted: np.ndarray, first: int, end: int, escaped: bool, plain: bool) -> bool:
    """Tell whether a text may be taken as it stands."""
    if wanted[key] and (escaped or end - first > LONGEST):
        return False
    if key == ID:
        if not plain or end - first > LONGEST_ID:
            return False
        for place in range(first, end):
            if text[place] == 127:
                return False
    return end > first or (REQUIRED >> key) & 1 == 0


@inlined
def _content(text: Bytes, place: int, key: int, line: int, wanted: np.ndarray, lines: Lines) -> int:
    """Take in what stands behind a key; return the place after it, -1 where it is not sure."""
    if key == VALUE:
        if text[place] == _NULL and text[place + 1] == _U and text[place + 2] == 108 and text[place + 3] == 108:
            return place + 4
        lines.value[line], place = _number(text, place)
        return place
    if key == SEVERITY:
        if not _ZERO <= text[place] <= _ZERO + 3:
            return -1
        lines.severity[line] = np.int64(text[place] - _ZERO)
        return place + 1
    if text[place] != _QUOTE:
        return -1
    first = place + 1
    place, escaped, plain = _string(text, first)
    if place < 0 or not _text_fits(text, key, wanted, first, place, escaped, plain):
        return -1
    lines.starts[key, line] = first
    lines.ends[key, line] = place
    if key == TIME:
        lines.at[line] = instant(text, first, place)
        if lines.at[line] == UNSURE:
            return -1
    return place + 1


@inlined
def _end(text: Bytes, place: int, seen: int) -> int:
    """Return the place of the end of line behind a closing brace, -1 where anything else follows or a key is missing."""
    while text[place] == _SPACE or text[place] == _RETURN:
        place += 1
    return place if text[place] == _LINE and seen & REQUIRED == REQUIRED else -1


@inner
def _line(text: Bytes, place: int, line: int, wanted: np.ndarray, order: np.ndarray, lines: Lines) -> int:
    """Read one line; return the place of its end, -1 where it is not sure. `order` are the keys in the order of the line before."""
    if text[place] != _OPEN:
        return -1
    place = _spaces(text, place + 1)
    seen, number = np.int64(0), 0
    lines.starts[:, line] = 0
    lines.ends[:, line] = 0
    lines.severity[line] = 0
    lines.value[line] = np.nan
    while text[place] == _QUOTE and number < len(KEYS):
        first = place + 1
        place, escaped, _ = _string(text, first)
        key = _key(text, first, place - first, order[number]) if place >= 0 and not escaped else -1
        if key < 0 or (seen >> key) & 1:
            return -1
        order[number] = key
        number += 1
        seen |= np.int64(1) << key
        place = _spaces(text, place + 1)
        if text[place] != _COLON:
            return -1
        place = _content(text, _spaces(text, place + 1), key, line, wanted, lines)
        if place < 0:
            return -1
        place = _spaces(text, place)
        if text[place] == _CLOSE:
            return _end(text, place + 1, seen)
        if text[place] != _COMMA:
            return -1
        place = _spaces(text, place + 1)
    return -1


@compiled
def scan(text: Bytes, place: int, end: int, wanted: np.ndarray, order: np.ndarray, lines: Lines) -> tuple[int, int]:
    """Read whole lines from `place` up to `end`, which follows an end of line; return how many, and where to go on.

    Blank lines are passed over. At least `PADDING` bytes behind `end` must be readable and zero. `wanted` says which keys' texts are used;
    others are validated and may have escapes.
    """
    count = np.int64(0)  # not a literal: it would be compiled twice
    room = lines.at.shape[0]
    while place < end and count < room:
        first = place
        if text[place] == _LINE:
            place += 1
            continue
        found = _line(text, place, count, wanted, order, lines)
        lines.unsure[count] = found < 0
        if found < 0:
            found = first
            while text[found] != _LINE:
                found += 1
        lines.first[count] = first
        lines.last[count] = found
        count += 1
        place = found + 1
    return count, place
