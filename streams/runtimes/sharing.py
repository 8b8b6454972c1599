"""What several partitions of groups of one process count back alike: the first one counts, and the others take up what it has.

All of them count the windows of all partitions (`streams.runtimes.groups_past`), so that each by itself would read the same records and
hold the same state beside its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

LINGER: Final = 60.0  # seconds after it was taken up last: the partitions of a worker reach an activation within a few
LOOK: Final = 0.5  # seconds between two looks at how far the one that counts is
Counted = TypeVar("Counted")


class _One:
    """What is counted, or was; `made` is None while it is under way, and where it came to nothing."""

    def __init__(self, key: Hashable, told: Callable[[], int]) -> None:
        self.key = key
        self.told = told
        self.done = threading.Event()
        self.made: Any = None
        self.taken = 0


class Sharing:
    """To be called by many threads; it holds the newest one of each kind, and none for longer than is of use."""

    def __init__(self, linger: float = LINGER) -> None:
        """Hold what was counted for `linger` seconds after somebody took it up."""
        self._linger = linger
        self._lock = threading.Lock()
        self._known: dict[str, _One] = {}  # by kind

    def get(self, kind: str, key: Hashable, count: Callable[[], Counted], told: Callable[[], int], moved: Callable[[], object]) -> Counted:
        """Return what `count` makes, or what somebody else made of the same `key`; nobody may change it.

        `told` says how far the caller is while it counts itself; `moved` is called where somebody else's count that it waits for goes on.
        Raises what `count` raises.
        """
        while True:
            with self._lock:
                one = self._known.get(kind)
                mine = one is None or one.key != key
                if one is None or mine:
                    one = self._known[kind] = _One(key, told)
            if mine:
                try:
                    one.made = count()
                finally:
                    if one.made is None:
                        self._forget(kind, one)
                    one.done.set()
            else:
                self._wait(one, moved)
            if one.made is not None:
                self._hold(kind, one)
                made: Counted = one.made
                return made

    def _wait(self, one: _One, moved: Callable[[], object]) -> None:
        far = one.told()
        while not one.done.wait(LOOK):
            if (now := one.told()) != far:
                far = now
                moved()

    def _hold(self, kind: str, one: _One) -> None:
        """Let go of it once nobody has taken it up for a while."""
        with self._lock:
            one.taken += 1
            taken = one.taken

        def let_go() -> None:
            if one.taken == taken:
                self._forget(kind, one)

        timer = threading.Timer(self._linger, let_go)
        timer.daemon = True
        timer.start()

    def _forget(self, kind: str, one: _One) -> None:
        with self._lock:
            if self._known.get(kind) is one:
                del self._known[kind]
