"""The garbage collector's pace while the engine runs.

The engine keeps millions of small containers that no cycle keeps alive once they are let go of; walking them at Python's usual pace costs
a third of the time. Young objects are looked at less often, and what is there at the start is not looked at again.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

YOUNG: Final = 5_000  # allocations between two looks at the young: everything stands still meanwhile, for a millisecond or two
OLDER: Final = (5, 4_000)


def settle_collector(young: int = YOUNG) -> None:
    """Set the pace for the rest of the process, with so many allocations between two looks at the young."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(young, *OLDER)


@contextmanager
def settled_collector(young: int = YOUNG) -> Iterator[None]:
    """Set the pace for a block, with so many allocations between two looks at the young, and put back what was before."""
    before = gc.get_threshold()
    gc.set_threshold(young, *OLDER)
    try:
        yield
    finally:
        gc.set_threshold(*before)
