"""The version of the software."""

from __future__ import annotations

VERSION = "0.1.0"
