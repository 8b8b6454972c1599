"""Exact sums: numbers as whole multiples of 2^-80 in 128 bits, `high * 2^64 + low`.

The Python engine adds whole multiples of 2^-1074 and rounds once. Within what `fits` lets in, every number is a whole multiple of 2^-80, so
adding and taking away are exact here too, and `to_float` rounds once, to nearest, ties to even: the same float, whatever came and went in
whatever order. An object with a number outside (0.1 nanoyuan, a trillion) goes to the Python engine.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from streams.kernel.jit import bits_of, inlined, inner, shared

SCALE: Final = 80  # binary places behind the point
LARGEST: Final = 2.0**40  # of one number
OVERFULL: Final = 1 << 62  # of `high`: a total of 2^46
_MANTISSA: Final = (1 << 52) - 1


@inlined
def _parts(value: float) -> tuple[int, int]:
    """Return (mantissa, exponent) of a float that is not NaN: its size is mantissa * 2^exponent."""
    bits = bits_of(value)
    exponent = (bits >> 52) & 0x7FF
    mantissa = bits & _MANTISSA
    return (mantissa, -1074) if exponent == 0 else (mantissa | (1 << 52), exponent - 1075)


@shared
def fits(value: float) -> bool:
    """Tell whether a number is a whole multiple of 2^-80 and small enough."""
    if not -LARGEST < value < LARGEST:
        return False
    mantissa, exponent = _parts(value)
    places = -SCALE - exponent  # binary digits of the mantissa that are too fine
    return mantissa == 0 or places <= 0 or (places < 53 and mantissa & ((1 << places) - 1) == 0)


@inlined
def from_float(value: float) -> tuple[int, int]:
    """Return (high, low) of a number that fits."""
    mantissa, exponent = _parts(value)
    shift = exponent + SCALE
    if shift <= 0:
        low, high = np.uint64(mantissa) >> np.uint64(min(-shift, 63)), np.int64(0)
    elif shift < 64:
        low, high = np.uint64(mantissa) << np.uint64(shift), np.int64(mantissa >> (64 - shift)) if shift > 11 else np.int64(0)
    else:
        low, high = np.uint64(0), np.int64(mantissa) << np.int64(shift - 64)
    if value < 0:
        low = ~low + np.uint64(1)
        high = ~high + np.int64(low == 0)
    return high, low


@inlined
def plus(high: int, low: int, other_high: int, other_low: int) -> tuple[int, int]:
    """Return the sum of two totals."""
    total = np.uint64(low + other_low)
    return high + other_high + np.int64(total < low), total


@inlined
def minus(high: int, low: int, other_high: int, other_low: int) -> tuple[int, int]:
    """Return the difference of two totals."""
    return high - other_high - np.int64(low < other_low), np.uint64(low - other_low)


@inlined
def _length(x: int) -> int:
    """Return the number of binary digits of an unsigned number."""
    digits = 0
    for step in (32, 16, 8, 4, 2, 1):
        if x >> np.uint64(step):
            x >>= np.uint64(step)
            digits += step
    return digits + np.int64(x != 0)


@inner
def to_float(high: int, low: int) -> float:
    """Return the nearest float, ties to even."""
    negative = high < 0
    if negative:
        low = ~low + np.uint64(1)
        high = ~high + np.int64(low == 0)
    top = np.uint64(high)
    digits = 64 + _length(top) if top else _length(low)
    if digits <= 53:
        size = np.float64(low) * 2.0**-SCALE
    else:
        dropped = digits - 54  # keep 54 digits: the last one decides with what follows it
        if dropped == 0:
            kept, rest = low if not top else np.uint64(0), False
        elif dropped < 64:
            kept = (low >> np.uint64(dropped)) | ((top << np.uint64(64 - dropped)) if top else np.uint64(0))
            rest = (low & ((np.uint64(1) << np.uint64(dropped)) - np.uint64(1))) != 0
        else:
            kept = top >> np.uint64(dropped - 64)
            rest = low != 0 or (top & ((np.uint64(1) << np.uint64(dropped - 64)) - np.uint64(1))) != 0
        half = kept & np.uint64(1)
        kept >>= np.uint64(1)
        if half and (rest or kept & np.uint64(1)):
            kept += np.uint64(1)
        size = np.float64(kept) * 2.0 ** (dropped + 1 - SCALE)
    return -size if negative else size
