"""Worlds: one of its own for a story, one shared by a module for questions that change nothing that others look at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Return a world of the test's own."""
    with World(tmp_path / "world") as made:
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Return a world that the module's tests share; each asks about what it sent itself."""
    with World(tmp_path_factory.mktemp("world") / "world") as made:
        yield made
