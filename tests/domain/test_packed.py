"""Large states in compressed pieces: the same bytes come out, and what is damaged or cut says so."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.packed import PIECE, PackedState


@settings(derandomize=True, max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=200)))
def test_what_goes_in_comes_out(parts: list[bytes]) -> None:
    """However it was cut, as often as it is read, also from the pieces alone."""
    packed = PackedState.of(parts)
    assert b"".join(packed) == b"".join(packed) == b"".join(parts)
    again = PackedState.stored(packed.pieces)
    assert (len(again), again) == (len(b"".join(parts)), packed)


def test_pieces_have_their_size_and_parts_theirs() -> None:
    """What does not compress is cut into pieces of 8 MiB; what expands a thousandfold comes out a megabyte at a time."""
    noise = b"".join(hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(PIECE // 32 + 100))
    packed = PackedState.of([noise[:100], noise[100:]])
    assert [len(piece) <= PIECE for piece in packed.pieces] == [True, True]
    assert b"".join(packed) == noise
    zeros = PackedState.of(bytes(2**20) for _ in range(50))
    assert sum(map(len, zeros.pieces)) < 2**20
    assert max(map(len, zeros)) <= 2**20
    assert len(zeros) == 50 * 2**20


@pytest.mark.parametrize("damage", [lambda body: body[:-1], lambda body: body[:40] + b"x" + body[41:], lambda _body: b"no stream"])
def test_what_is_damaged_is_refused_before_anything_is_taken_up(damage: object) -> None:
    """Cut short, changed, or something else altogether."""
    [body] = PackedState.of([b"a state " * 50, bytes(range(256))]).pieces
    assert callable(damage)
    with pytest.raises(ValueError, match=r"cut short|Error -3"):
        PackedState.stored([damage(body)])
