"""A value against those of the same kind (同类基线): what an indicator comes to among the objects of one industry and area.

All groups are worked out together at 03:00 in Shanghai, as of that instant, from every object of the registry that is in the group; an
object that has never been heard of counts with what the indicator is worth then (0 for a count, nothing for a mean). Between two nights
a baseline stands still, so that it does not depend on who is looked at first, and a replay finds the same one. What nobody reads between
two nights is not worked out: it is done before the first thing that can read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from rules.ruleset import Indicator
from streams.stages.cells import number
from streams.stages.groups import group_name
from streams.stages.periods import taken
from streams.stages.windows import DAY, night_after

if TYPE_CHECKING:
    from streams.stages.indicators import IndicatorStage

LEAST: Final = 5  # peers, where the indicator does not say how many it needs


class Peers:
    """The baselines of all peer groups; `sizes` are how many objects with a value each had, by indicator and group."""

    def __init__(self, indicators: IndicatorStage) -> None:
        self._indicators = indicators
        self._running: list[Indicator] = []
        self.due: int | None = None
        self.sizes: dict[str, dict[str, int]] = {}

    def activate(self, running: list[Indicator], now: int) -> None:
        """Run these indicators from `now` on; a new one is unknown until the next night."""
        self._running = running
        known = {each.name for each in running}
        self.sizes = {name: groups for name, groups in self.sizes.items() if name in known}
        if not running:
            self.due = None
        elif self.due is None:
            self.due = night_after(now)

    def advance(self, now: int) -> None:
        """Work out all groups as of the latest night up to `now`, where that was not done."""
        if self.due is None or now < self.due:
            return
        night = self.due + (now - self.due) // DAY * DAY
        self.due = night + DAY
        self._refresh(night)

    def _refresh(self, at: int) -> None:
        values: dict[str, dict[str, list[float]]] = {each.name: {} for each in self._running}
        for object_id, thing in sorted(self._indicators.objects.items()):
            for each in self._running:
                group = group_name(each.by, object_id, thing, thing.region)
                about = group_name(self._indicators.plans[each.input].by, object_id, thing, thing.region)
                value = number(self._indicators.value_as_of(each.input, about, at)) if group else None
                if value is not None:
                    values[each.name].setdefault(group, []).append(value)
        for key in self._indicators.keys.values():
            for each in self._running:
                key.lose(each.name)
        for each in self._running:
            self.sizes[each.name] = {group: len(found) for group, found in values[each.name].items()}
            for group, found in values[each.name].items():
                baseline = taken(found, each.take, each.rank) if len(found) >= (each.needs or LEAST) else None
                if isinstance(baseline, float):
                    self._indicators.key(group).note(each.name, baseline)

    def dump(self) -> dict[str, Any]:
        """Return when the next night is due, and the sizes; the baselines themselves are with their groups."""
        return {"due": self.due, "sizes": self.sizes}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take up `dump`."""
        self.due = state["due"]
        self.sizes = {name: dict(groups) for name, groups in state["sizes"].items()}
