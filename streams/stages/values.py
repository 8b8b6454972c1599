"""The values of a moment by name, as hits and messages show them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rules.facts import Facts
from rules.fields import read
from rules.ruleset import Value
from rules.vocabulary import FAMILIES, PARENT
from streams.stages.indicators import IndicatorStage, Moment
from streams.stages.rule_plans import OBJECT_FIELD


class Values(Mapping[str, Value]):
    """All indicators at a moment, read when asked for."""

    def __init__(self, indicators: IndicatorStage, moment: Moment) -> None:
        self._indicators = indicators
        self._moment = moment

    def __getitem__(self, name: str) -> Value:
        if name not in self._indicators.plans:
            raise KeyError(name)
        return self._indicators.value(name, self._moment)

    def __iter__(self) -> Iterator[str]:
        return iter(self._indicators.plans)

    def __len__(self) -> int:
        return len(self._indicators.plans)


def field_value(name: str, facts: Facts) -> Any:
    """Return the field `name` of the signal or its object as a hit shows it; None where it is not given."""
    entry = facts.entry
    if name == "object":
        return entry.resolution.object_id
    if name == "feed":
        return entry.feed
    if name.startswith((PARENT, *FAMILIES)):
        return read(name, facts)
    if name.startswith(OBJECT_FIELD):
        return getattr(facts.object, name.removeprefix(OBJECT_FIELD), None)
    if name.startswith("attrs."):
        value: Any = entry.signal.attrs
        for part in name.split(".")[1:]:
            value = value.get(part) if isinstance(value, dict) else None
        return value
    return getattr(entry.signal, name, None)
