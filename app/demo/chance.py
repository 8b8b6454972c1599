"""Where all chance of the demo comes from."""

from __future__ import annotations

from random import Random


def chance(seed: int | str, purpose: str) -> Random:
    """Return a source of chance of its own for `purpose`: what one part draws changes nothing for another.

    Seeding with text hashes it by SHA-512, so the hash seed of the process has no part in it.
    """
    return Random(f"{seed}:{purpose}")  # noqa: S311  # a simulation, nothing secret
