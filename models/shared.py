"""One comparison of peers for several pipelines that run side by side on the same records, as the two sides of a backtest do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from domain.ports import PeerComparison, Score

KEPT: Final = 256  # comparisons: more than any rule set has sectors

Found = list[tuple[int, Score]]


class SharedComparison:
    """A `domain.ports.PeerComparison` that works out the same question once: growing a forest costs what a hundred signals cost.

    What `make` gives must answer by the vectors alone, as every comparison does that is fitted anew each time. Only the answers of the
    last `KEPT` questions are remembered, with a digest of each question.
    """

    def __init__(self, make: Callable[[], PeerComparison]) -> None:
        """Remember nothing yet."""
        self._make = make
        self._known: dict[bytes, Found] = {}

    def unusual(self, vectors: Sequence[Sequence[float | None]], names: Sequence[str], *, learnt: int, above: float) -> Found:
        """Return the vectors that score above `above` by their place: see the port."""
        question = hashlib.sha256(repr((len(vectors), tuple(names), learnt, above)).encode())
        question.update(np.array(vectors, dtype=np.float64).tobytes())  # None becomes NaN: both are missing
        key = question.digest()
        found = self._known.pop(key, None)
        if found is None:
            found = self._make().unusual(vectors, names, learnt=learnt, above=above)
            if len(self._known) >= KEPT:
                del self._known[next(iter(self._known))]
        self._known[key] = found
        return found
