"""The whole demo as a user runs it: the bounds of its summary on the default seed and on one that the rules were not written on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HELD_OUT_SEED = 20260  # nobody looked at it while writing rules
KEYS = (
    "records", "accepted", "rejected", "duplicates", "revisions", "signals", "objects", "warnings_by_level", "tasks", "stages",
    "escalations", "on_time_rate", "deliveries", "incidents", "lost",
)  # fmt: skip


def run_demo(seed: int, folder: Path, memory: Path) -> dict[str, Any]:
    """Run `fengsui demo --headless` and return its summary."""
    summary = folder / "out.json"
    command = [sys.executable, "-m", "app.cli", "demo", "--headless", "--summary", str(summary), "--seed", str(seed)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False, env=os.environ | {"TMPDIR": str(memory)}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(summary.read_text(encoding="utf-8"))
    return told


@pytest.mark.parametrize("seed", [1, HELD_OUT_SEED])
def test_a_month_loses_nothing_finds_what_was_planted_and_reaches_every_stage(seed: int, tmp_path: Path, memory: Path) -> None:
    """Ten of twelve incidents at the least, one false warning per department and day at the most, no record lost."""
    told = run_demo(seed, tmp_path, memory)

    assert [key for key in KEYS if key not in told] == []
    assert told["lost"] == 0
    assert told["records"] == sum(told[name] for name in ("accepted", "rejected", "duplicates", "revisions", "skipped"))
    assert told["records"] >= 200_000
    assert told["objects"] >= 20_000
    assert [stage for stage, count in told["stages"].items() if count == 0] == []
    incidents = told["incidents"]
    assert incidents["planted"] >= 12
    assert incidents["found"] * 12 >= incidents["planted"] * 10
    assert incidents["worst_false_day"] <= 1
    assert told["deliveries"]["delivered"] > 0
