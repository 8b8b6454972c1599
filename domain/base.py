"""The base class of all nouns."""

from __future__ import annotations

import msgspec


class Noun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A frozen value: a change of state returns a new one (`msgspec.structs.replace`)."""
