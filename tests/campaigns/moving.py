"""Waiting for processes that have much to do: as long as something moves, however slow the machine is; and saying how far it is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

STILL = 180.0  # seconds in which nothing at all moves: a rebalance and the start of a worker, several times over, beside other work
TOLD = 10.0  # seconds between two lines where nobody sits before a terminal
LOOK = 0.1  # seconds


class StandsStill(Exception):
    """What was waited for does not come nearer any more; the message says what, and how far it was."""


class Bar:
    """One line on stderr that says how far something is: drawn over itself on a terminal, now and then elsewhere."""

    def __init__(self, what: str) -> None:
        """Begin with nothing said."""
        self._what = what
        self._said = time.monotonic()
        self._drawn = False

    def at(self, far: object) -> None:
        """Say how far it is."""
        terminal, now = sys.stderr.isatty(), time.monotonic()
        if terminal or now - self._said >= TOLD:
            sys.stderr.write(f"\r\x1b[K{self._what}: {far}" if terminal else f"{self._what}: {far}\n")
            sys.stderr.flush()
            self._said, self._drawn = now, terminal

    def end(self) -> None:
        """Leave the line to others."""
        if self._drawn:
            sys.stderr.write("\n")


def wait_moving(fine: Callable[[], bool], far: Callable[[], object], what: str, *, still: float = STILL) -> None:
    """Return once it is `fine`; `far` says how far it is, and any change of it counts as a movement.

    Raises:
        StandsStill: for `still` seconds nothing moved.
    """
    bar, last, since = Bar(f"  waiting until {what}"), far(), time.monotonic()
    try:
        while not fine():
            now = far()
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > still:
                raise StandsStill(f"not yet: {what}; nothing moved for {still:.0f} s, at {last}")
            bar.at(last)
            time.sleep(LOOK)
    finally:
        bar.end()
