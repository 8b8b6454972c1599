"""Small mappings of millions of holders, most of them empty: an empty dict each would cost more than all else.

They are replaced, never changed, so that all that are empty can be one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar

K = TypeVar("K")
V = TypeVar("V")

NOTHING: Final[Mapping[Any, Any]] = MappingProxyType({})


def having(known: Mapping[K, V], name: K, value: V) -> Mapping[K, V]:
    """Return `known` with one more, or with another value for one.

    >>> having(having(NOTHING, "a", 1), "b", 2)
    {'a': 1, 'b': 2}
    """
    return {**known, name: value}


def lacking(known: Mapping[K, V], name: K) -> Mapping[K, V]:
    """Return `known` without one, which need not be there.

    >>> lacking({"a": 1}, "a") is NOTHING, lacking({"a": 1}, "b")
    (True, {'a': 1})
    """
    return {other: value for other, value in known.items() if other != name} or NOTHING if name in known else known
