"""Crash points: inert unless armed, dead at the n-th reach, and never misspelt."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from storage.crashpoints import CRASH_VARIABLE, PLANTS, POINTS, planted, reach

TOP = Path(__file__).resolve().parents[2]
LOOP = "from storage.crashpoints import reach\nfor n in range(5): reach('commit.before'); reach('commit.after'); print(n, flush=True)"


def run(setting: str) -> subprocess.CompletedProcess[str]:
    """Run a loop over two points with the variable set."""
    return subprocess.run(
        [sys.executable, "-c", LOOP], cwd=TOP, capture_output=True, text=True, check=False, env={**os.environ, CRASH_VARIABLE: setting}
    )


@pytest.mark.parametrize(("setting", "printed"), [("commit.before", 0), ("commit.before:3", 2), ("commit.after:5", 4)])
def test_the_process_dies_at_the_nth_reach(setting: str, printed: int) -> None:
    """SIGKILL comes at exactly the n-th reach of the named point, at the first where no n is given."""
    done = run(setting)
    assert (done.returncode, len(done.stdout.split())) == (-signal.SIGKILL, printed)


@pytest.mark.parametrize("setting", ["", "commit.before:6"])
def test_nothing_happens_unless_armed_and_reached(setting: str) -> None:
    """Without a setting, and with one that is not reached, the process ends normally."""
    assert run(setting).returncode == 0


@pytest.mark.parametrize("setting", ["commit.befor", "commit.before:0", "commit.before:x", "commit.before:-1"])
def test_a_wrong_setting_stops_the_start(setting: str) -> None:
    """A misspelt point or count is not ignored."""
    done = run(setting)
    assert done.returncode == 1
    assert CRASH_VARIABLE in done.stderr


def test_unknown_names_raise() -> None:
    """Code that names a point or a defect which the tables lack fails at once."""
    with pytest.raises(KeyError, match=r"commit\.before"):
        reach("commit.nowhere")
    with pytest.raises(KeyError, match="ack_before_sync"):
        planted("nothing")


def test_every_name_in_the_code_stands_in_the_tables() -> None:
    """No call in the product names what the tables lack."""
    names: set[str] = set()
    for folder in ("app", "connectors", "storage", "streams"):
        for path in (TOP / folder).rglob("*.py"):
            names |= set(re.findall(r"\b(?:reach|planted)\(\"([^\"]+)\"\)", path.read_text(encoding="utf-8")))
    assert names >= {"journal.after_sync", "ack_before_sync"}
    assert names <= {*POINTS, *PLANTS}
