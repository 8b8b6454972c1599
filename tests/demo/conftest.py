"""One month for all tests of the demo, and a place where it is played."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.demo.schedule import Plan, build


@pytest.fixture(scope="session")
def plan() -> Plan:
    """Return the whole month of seed 1."""
    return build(1)


MEMORY = Path("/dev/shm")  # each test has a folder of its own in it, made by mkdtemp
ROOM = 2 << 30  # bytes; a month takes some 600 MB


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """Return a folder in memory where there is room for months, else on the disk: these tests are not about what a disk keeps."""
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < ROOM:
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="fengsui-test-", dir=MEMORY))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
