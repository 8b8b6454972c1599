"""Risk levels (风险等级): configuration, four by default; an internal grade, never a public alarm (突发事件应对法 63-64)."""

from __future__ import annotations

from domain.base import Noun

NONE = ""  # below the lowest level


class Level(Noun, frozen=True, kw_only=True):
    """One level: reached at `at` points of 0-100, left only below `at - hysteresis` of its scale."""

    name: str
    title: str
    at: float


class LevelScale(Noun, frozen=True, kw_only=True):
    """Levels from low to high, with one hysteresis in points for leaving any of them.

    >>> DEFAULT_LEVELS.level(61.0, previous="")
    'orange'
    >>> DEFAULT_LEVELS.level(57.0, previous="orange")
    'orange'
    >>> DEFAULT_LEVELS.level(54.0, previous="orange")
    'yellow'
    """

    levels: tuple[Level, ...]
    hysteresis: float = 5.0

    def names(self) -> tuple[str, ...]:
        """Return the level names, lowest first."""
        return tuple(level.name for level in self.levels)

    def rank(self, name: str) -> int:
        """Return 0 for no level, 1 for the lowest, and so on; raises ValueError for an unknown name."""
        if name == NONE:
            return 0
        names = self.names()
        if name not in names:
            raise ValueError(f"unknown level {name!r}; legal: {', '.join(names)}")
        return names.index(name) + 1

    def highest(self, *names: str) -> str:
        """Return the highest of `names`, NONE where none is given."""
        return max(names, key=self.rank, default=NONE)

    def level(self, score: float, previous: str) -> str:
        """Return the level of `score` (0-100) for a subject that stood at `previous`."""
        held = self.rank(previous)
        reached = 0
        for rank, level in enumerate(self.levels, start=1):
            threshold = level.at - (self.hysteresis if rank <= held else 0.0)
            if score >= threshold:
                reached = rank
        return self.levels[reached - 1].name if reached else NONE


DEFAULT_LEVELS = LevelScale(
    levels=(
        Level(name="blue", title="低", at=20.0),
        Level(name="yellow", title="一般", at=40.0),
        Level(name="orange", title="较大", at=60.0),
        Level(name="red", title="重大", at=80.0),
    )
)
