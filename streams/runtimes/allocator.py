"""How the C library treats large pieces of memory while the engine runs.

glibc takes the size of the first large piece that is given back as the size from which on pieces are large, up to 32 MiB: from then on
snapshots and frames come from the heaps of as many threads as there are, eight for each core, and what was judged meanwhile keeps each
from being given back. Half of what a worker of a cluster had was such gaps. Here large pieces are mapped by themselves, and go when they
are let go of.
"""

from __future__ import annotations

import ctypes
from typing import Final

LARGE: Final = 256 * 1024  # bytes
HEAPS: Final = 2  # several threads judge, but one at a time
_M_MMAP_THRESHOLD: Final = -3  # <malloc.h>
_M_ARENA_MAX: Final = -8


def settle_allocator() -> bool:
    """Set it for the rest of the process; False where the C library has no such settings."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(_M_MMAP_THRESHOLD, LARGE) == 1 and mallopt(_M_ARENA_MAX, HEAPS) == 1
