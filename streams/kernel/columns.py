"""Signals as columns: what a front makes of its input, and what the kernel takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain.records import SignalEntry


@dataclass(frozen=True, slots=True)
class Texts:
    """A column of texts: text n is `source[starts[n] : ends[n]]`; eight more bytes of `source` are readable. Empty is not given."""

    source: NDArray[np.uint8]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    def __getitem__(self, number: int) -> str:
        """Return one text."""
        return self.source[self.starts[number] : self.ends[number]].tobytes().decode()


@dataclass(frozen=True, slots=True)
class Columns:
    """Signals in order of arrival, each of a known object and well-formed."""

    ids: Texts
    objects: Texts
    fields: Mapping[str, Texts]  # those of `classes.FIELDS` that are asked for
    at: NDArray[np.int64]  # occurred_at, microseconds
    severity: NDArray[np.int64]
    value: NDArray[np.float64]  # NaN: not given
    handle: NDArray[np.int64]  # where the runtime finds the whole signal again
    entry: Callable[[int], SignalEntry]  # the whole signal of a place in the columns

    def __len__(self) -> int:
        return len(self.at)


def writable(data: bytes) -> NDArray[np.uint8]:
    """Return bytes as an array that could be written: for arrays that cannot, everything compiled would be compiled once more."""
    return np.frombuffer(bytearray(data), np.uint8)
