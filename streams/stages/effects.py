"""What one record brought about, gathered until its risks are settled."""

from __future__ import annotations

from collections.abc import Iterator

from domain.findings import Outcome
from rules.facts import Facts
from streams.stages.fuse import Risk
from streams.stages.subjects import Standing

_RiskId = tuple[str, bool, str]


class Effects:
    """Outcomes so far, and the risks to settle with why.

    One that stayed empty may be used again. `before` are the rules that an undoing made untrue, `undone` says that there was one;
    `earlier` is what the contents said that the record replaces.
    """

    __slots__ = ("_corrected", "_hit", "_risks", "before", "earlier", "outcomes", "undone")

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.before: dict[tuple[str, str], Standing] = {}
        self.undone = False
        self.earlier: list[Facts] = []
        self._risks: dict[_RiskId, Risk] = {}
        self._hit: set[_RiskId] = set()
        self._corrected: set[_RiskId] = set()

    def touch(self, risk: Risk, *, hit: bool = False, corrected: bool = False) -> None:
        """Note that something happened to `risk`."""
        key = (risk.subject, risk.shadow, risk.matter)
        self._risks[key] = risk
        if hit:
            self._hit.add(key)
        if corrected:
            self._corrected.add(key)

    @property
    def empty(self) -> bool:
        """Whether the record brought about nothing."""
        return not (self.undone or self.outcomes or self._risks)

    def touched(self) -> Iterator[tuple[Risk, bool, bool]]:
        """Yield each risk touched, by subject and matter, with whether a rule hit and whether it was corrected."""
        for key in sorted(self._risks):
            yield self._risks[key], key in self._hit, key in self._corrected
