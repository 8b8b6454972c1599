"""The ledger of the demo: what was written, and what was planted in it on purpose.

Conservation: for each feed, records written = accepted + rejected + duplicates + revisions + skipped.
"""

from __future__ import annotations

import msgspec


class FeedCount(msgspec.Struct, kw_only=True):
    """Counts of one feed, in records as their sender counts them.

    `rejected` is by what is wrong with the record; `skipped` are heartbeats, which are no records to anybody but the device.
    """

    written: int = 0
    rejected: dict[str, int] = {}  # msgspec copies an empty default for each instance
    duplicates: int = 0
    revisions: int = 0
    skipped: int = 0
    sends: int = 0

    @property
    def accepted(self) -> int:
        """Return how many records remain to be accepted."""
        return self.readable - self.duplicates - self.revisions - self.skipped

    @property
    def readable(self) -> int:
        """Return how many records are not to be rejected, repeats and heartbeats included.

        A receiver that takes no interest in some kinds of records skips them, the repeated ones too: this sum is the same for it.
        """
        return self.written - sum(self.rejected.values())


class Ledger:
    """Counts of all feeds."""

    def __init__(self) -> None:
        """Start with empty pages."""
        self.feeds: dict[str, FeedCount] = {}

    def page(self, feed: str) -> FeedCount:
        """Return the counts of `feed`."""
        return self.feeds.setdefault(feed, FeedCount())

    def reject(self, feed: str, reason: str) -> None:
        """Note that a record was written that cannot be accepted."""
        page = self.page(feed)
        page.rejected[reason] = page.rejected.get(reason, 0) + 1

    def total(self) -> FeedCount:
        """Return the sum over all feeds."""
        whole = FeedCount()
        for page in self.feeds.values():
            whole.written += page.written
            whole.duplicates += page.duplicates
            whole.revisions += page.revisions
            whole.skipped += page.skipped
            whole.sends += page.sends
            for reason, count in page.rejected.items():
                whole.rejected[reason] = whole.rejected.get(reason, 0) + count
        return whole
