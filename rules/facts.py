"""What an expression may read."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from domain.objects import RegulatedObject
    from domain.records import SignalEntry
    from rules.ruleset import Value

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Facts:
    """The signal at hand, its object, indicator values by qualified name, and the registry by object id. Nobody changes them.

    A class of its own, which is compiled: one is made for each signal.
    """

    __slots__ = ("entry", "object", "objects", "values")

    def __init__(
        self,
        entry: SignalEntry,
        thing: RegulatedObject | None,
        values: Mapping[str, Value] = _NOTHING,
        objects: Mapping[str, RegulatedObject] = _NOTHING,
    ) -> None:
        self.entry = entry
        self.object = thing
        self.values = values
        self.objects = objects
