"""The base class of all nouns."""

from __future__ import annotations

import msgspec


class Noun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A frozen value: a change of state returns a new one (`msgspec.structs.replace`).

    It holds values alone, so no circle goes through it, and the collector need not walk the millions that an engine keeps.
    """
