"""A real `serve` process ends in order when it is asked to."""

from __future__ import annotations

from pathlib import Path

from app.settings import SHIPPED_PACKS
from tests.campaigns.serving import Serving


def test_a_termination_signal_ends_it_in_order_with_a_last_snapshot(tmp_path: Path) -> None:
    """Exit status 0, the state kept, the folder free for the next life."""
    serving = Serving(tmp_path / "data", SHIPPED_PACKS)
    serving.start()
    assert serving.wait_ready()
    assert serving.stop() == 0
    assert list((serving.data / "snapshots").glob("*.snap"))
    serving.start()
    assert serving.wait_ready()
    assert serving.stop() == 0
