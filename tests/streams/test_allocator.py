"""Memory that is given back, seen from outside."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys
from pathlib import Path
from streams.runtimes.allocator import settle_allocator

def resident():
    return int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0]) // 1024

if sys.argv[1] == "settled":
    assert settle_allocator()
first = b"x" * (20 << 20)
del first
before, large, small = resident(), [], []
for _ in range(10):
    large.append(b"x" * (8 << 20))
    small.append(b"x" * 100_000)
del large
print(resident() - before)
"""


@pytest.mark.skipif("glibc" not in (os.confstr("CS_GNU_LIBC_VERSION") or ""), reason="what is set is glibc's")
def test_what_was_large_leaves_the_process_whatever_small_things_were_made_meanwhile() -> None:
    """Large pieces that are let go of are given back, where without the settings the small ones between them keep all of it."""
    grown = {
        how: int(subprocess.run([sys.executable, "-c", PROGRAM, how], check=True, capture_output=True, text=True).stdout)
        for how in ("settled", "left")
    }
    assert grown["settled"] < 12  # MiB, of 80
    assert grown["left"] > 40  # else there is nothing to set any more
