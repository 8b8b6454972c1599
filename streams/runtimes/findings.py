"""What the risk engine came to, without anybody to tell: the last state of every warning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from domain.findings import EarlyWarning, EpisodeEnded, Evidence, Outcome, WarningRaised, WarningUpdated


class Findings:
    """Collects outcomes; hits pass it by. It keeps one state for each warning that was ever raised."""

    def __init__(self) -> None:
        """Start with no warning."""
        self._last: dict[str, EarlyWarning] = {}
        self._ends: dict[str, EpisodeEnded] = {}

    def __len__(self) -> int:
        return len(self._last)

    def take(self, outcomes: Iterable[Outcome]) -> None:
        """Take in outcomes in their order; of one warning the later state counts."""
        for out in outcomes:
            if isinstance(out, WarningRaised | WarningUpdated):
                self._last[out.warning.id] = out.warning
            elif isinstance(out, EpisodeEnded):
                self._ends[out.warning_id] = out

    def complete(self, warning: str, evidence: tuple[Evidence, ...], count: int) -> None:
        """Let a warning rest on this evidence, which its last state came without."""
        self._last[warning] = msgspec.structs.replace(self._last[warning], evidence=evidence, evidence_count=count)

    def lines(self) -> Iterator[bytes]:
        """Yield each warning as a line of JSON, by `raised_at`, then id: its fields, and how it `ended` (null: it has not) and when.

        >>> list(Findings().lines())
        []
        """
        for warning in sorted(self._last.values(), key=lambda each: (each.raised_at, each.id)):
            end = self._ends.get(warning.id)
            told = {"ended": end and end.reason, "ended_at": end and end.at}
            yield msgspec.json.encode(msgspec.structs.asdict(warning) | told) + b"\n"
