"""What `make bench ONLY=scaling` multiplies, and that docs/scaling.md has what it prints."""

from __future__ import annotations

import re

import pytest

from benchmarks.scaling import PER_OBJECT, SIZES, Size, Standing, plan, tell
from tests.architecture.tree import TOP

ADDED = Standing(
    signals=1_000_000,
    warnings=100,
    hits=0,
    signal_rows=1_000_000,
    signal_bytes=1_000_000_000,
    warning_rows=1_000,
    warning_bytes=1_000_000,
    kafka_bytes=500_000_000,
    snapshot_bytes=2**30,
    resident_bytes=4 * 2**30,
)


def test_a_plan_is_the_product_of_what_was_measured() -> None:
    """A tenth of the measured objects, at a mean of 100 signals a second: each figure is one that can be worked out by hand."""
    told = plan(Size("town", 1_000_000 // PER_OBJECT // 10, 8_640_000), 2**30, ADDED, seconds=1_000.0)
    assert told == (
        "town: 20,000 objects, 100 signals/s, at the peak 500; 2 workers, 24 partitions, 2.4 GiB memory of all workers,"
        " 0.2 GiB snapshots, 501 PostgreSQL rows/s at the peak, 2.87 TiB PostgreSQL a year, 4.30 TiB Kafka a year, 8 Mbit/s network"
    )


def test_more_signals_at_the_peak_want_more_workers_and_partitions() -> None:
    """A worker is half busy at the peak, and has four partitions of its own."""
    told = plan(Size("large", 1, 864_000_000), 0, ADDED, seconds=1_000.0)
    assert "at the peak 50,000; 100 workers, 408 partitions," in told


def test_the_page_has_the_lines_that_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Every figure has its row, under the name that the command gives it; each size that is planned for has one too."""
    tell(0, 0, ADDED, 1.0, 1.0)
    printed = re.findall(r"^scaling: (.+?) +by (.+?) {2,}", capsys.readouterr().out, re.MULTILINE)
    page = (TOP / "docs/scaling.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|", page, re.MULTILINE)
    assert [line for line in printed if line not in rows] == []
    assert len(printed) == 12
    assert [size.name for size in SIZES if f"\n| {size.name} |" not in page] == []
