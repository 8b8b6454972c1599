"""One month for all tests of the demo."""

from __future__ import annotations

import pytest

from app.demo.schedule import Plan, build


@pytest.fixture(scope="session")
def plan() -> Plan:
    """Return the whole month of seed 1."""
    return build(1)
