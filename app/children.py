"""How a process of Fengsui starts another one of itself for work that may not weigh on its own: low priority, and no settings."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]


def polite(work: str) -> list[str]:
    """Return the command that runs `work`, statements of Python, at the lowest priority: its imports too are polite."""
    return [sys.executable, "-P", "-c", f"import os; os.nice(19); {work}"]


def environment() -> dict[str, str]:
    """Return what stands around this process without its settings: a child is told those that it needs with its work."""
    return {name: value for name, value in os.environ.items() if not name.startswith("FENGSUI_")} | {"PYTHONPATH": str(ROOT)}
