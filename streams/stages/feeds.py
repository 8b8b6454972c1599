"""Which feeds carry which sources, which of them are silent, and how late their data may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class Feeds:
    """What is known of the feeds; `lateness` is how late the data of a feed may be, in microseconds."""

    def __init__(self, lateness: Mapping[str, int] | None = None) -> None:
        self.carried: dict[str, dict[str, None]] = {}  # source → feeds
        self.silent: dict[str, None] = {}
        self._lateness = dict(lateness or {})

    def saw(self, source: str, feed: str) -> bool:
        """A signal of `source` came through `feed`; tell whether that is new."""
        known = self.carried.get(source)
        if known is not None and feed in known:
            return False
        self.carried.setdefault(source, {})[feed] = None
        return True

    def mark(self, feed: str, *, silent: bool) -> None:
        """`feed` fell silent or came back."""
        if silent:
            self.silent[feed] = None
        else:
            self.silent.pop(feed, None)

    def coverage(self, sources: Sequence[str]) -> float:
        """Return the share, in [0, 1], of the feeds known to carry `sources` that are not silent; 1.0 where none is known."""
        feeds = {feed: None for source in sources for feed in self.carried.get(source, ())}
        return 1.0 if not feeds else sum(feed not in self.silent for feed in feeds) / len(feeds)

    def quiet(self, sources: Sequence[str]) -> tuple[str, ...]:
        """Return the feeds known to carry one of `sources` that are silent, in the order of their names."""
        return tuple(sorted({feed for source in sources for feed in self.carried.get(source, ()) if feed in self.silent}))

    def unheard(self, sources: Sequence[str]) -> tuple[str, ...]:
        """Return those of `sources` of which nothing can be said: no feed is known to carry them, or one that does is silent."""
        return tuple(source for source in sources if not (feeds := self.carried.get(source)) or any(feed in self.silent for feed in feeds))

    def all_silent(self, sources: Sequence[str]) -> bool:
        """Tell whether every feed known to carry `sources` is silent; False where none is known."""
        feeds = {feed for source in sources for feed in self.carried.get(source, ())}
        return bool(feeds) and feeds <= self.silent.keys()

    def lateness(self, sources: Sequence[str]) -> int:
        """Return how late the data of `sources` may be, in microseconds: as that of the latest feed known to carry one; none is any."""
        feeds = [feed for source in sources or self.carried for feed in self.carried.get(source, ())]
        return max((self._lateness.get(feed, 0) for feed in feeds), default=0)

    def dump(self) -> dict[str, Any]:
        """Return plain data."""
        return {"carried": {source: list(feeds) for source, feeds in self.carried.items()}, "silent": list(self.silent)}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take up `dump`."""
        self.carried = {source: dict.fromkeys(feeds) for source, feeds in state["carried"].items()}
        self.silent = dict.fromkeys(state["silent"])
