"""Small mappings of millions of holders, most of them empty: an empty dict each would cost more than all else.

They are replaced, never changed, so that all that are empty can be one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class _Nothing(dict[Any, Any]):
    """The empty one, read as quickly as any dict."""

    def __setitem__(self, name: Any, value: Any) -> None:
        """Refuse: it is everybody's."""
        raise TypeError(f"{name!r} was to become {value!r} for all that have nothing")


NOTHING: Final[Mapping[Any, Any]] = _Nothing()


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
