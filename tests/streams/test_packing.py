"""Signals as few bytes: what is packed is read as it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.digest import digest_of
from domain.objects import Resolution
from domain.records import SignalEntry
from domain.signals import ObjectRef, Place, Signal
from streams.stages.packing import glance, pack, unpack
from streams.stages.windows import to_us
from tests.factories import make_entry

SIGNAL = Signal(
    id="s-1",
    source="iot",
    kind="gas.leak",
    occurred_at=datetime(2026, 3, 1, 1, 2, 3, 4, tzinfo=UTC),
    object=ObjectRef(id="o", code="c", name="n", address="a", type="enterprise"),
    matter="gas",
    region="610113001",
    place=Place(lng=108.9, lat=34.2, datum="GCJ02"),
    severity=3,
    value=1.5,
    unit="%LEL",
    text="小区楼道有燃气异味",
    confidential="restricted",
    attrs={"n": 1, "f": 1.0, "deep": [None, True, {"x": "y"}]},
    corrects="s-0",
    withdraws="s-00",
)
FULL = SignalEntry(
    feed="f",
    signal=SIGNAL,
    resolution=Resolution(object_id="o-1", method="alias", confidence=0.5, candidates=("o-1", "o-2"), registry_version=7, code_valid=False),
    digest=digest_of(SIGNAL),
    revision=2,
    batch="ab" * 32,
    position=9,
)
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def again(entry: SignalEntry) -> SignalEntry:
    """Return what is read of a signal that was packed."""
    kept = pack(entry)
    return unpack(kept, entry.feed, entry.signal.id, to_us(entry.signal.occurred_at)) if isinstance(kept, bytes) else kept


@pytest.mark.parametrize("noun", [Signal, SignalEntry, Resolution, ObjectRef, Place])
def test_the_full_entry_leaves_no_field_at_its_default(noun: type[msgspec.Struct]) -> None:
    """Every field of every noun stands in the entry that the next test packs, also one that is added some day."""
    parts = {type(each): each for each in (FULL, SIGNAL, FULL.resolution, SIGNAL.object, SIGNAL.place)}
    for field in msgspec.structs.fields(noun):
        if field.default is not msgspec.NODEFAULT:
            assert getattr(parts[noun], field.name) != field.default, field.name


def test_a_signal_is_read_as_it_was_packed() -> None:
    """All fields come back, as the types that they were, from a quarter of the bytes."""
    found = again(FULL)
    assert found == FULL
    assert repr(found) == repr(FULL)  # 1, 1.0 and True are equal
    kept = pack(make_entry(text="小区楼道有燃气异味，已通知物业", digest="0f" * 32))
    assert isinstance(kept, bytes)
    assert len(kept) < 200


def test_a_glance_tells_what_evidence_shows() -> None:
    """Source, kind and text are read without the rest."""
    kept = pack(FULL)
    assert isinstance(kept, bytes)
    assert glance(kept) == ("iot", "gas.leak", "小区楼道有燃气异味")


@pytest.mark.parametrize(
    "attrs", [{"n": 1 << 70}, {"t": ("a", "b")}, {"at": datetime(2026, 3, 1, tzinfo=UTC)}, {"x": b"raw"}, {"deep": [{"s": {1}}]}, {1: "x"}]
)
def test_what_packing_would_change_is_kept_as_it_is(attrs: dict[Any, Any]) -> None:
    """Attributes that came from no JSON, and numbers too large for it, are not packed."""
    entry = make_entry(attrs=attrs)
    assert pack(entry) is entry


def test_broken_text_and_hashes_of_another_form_stay_what_they_are() -> None:
    """A lone surrogate is not packed; 64 letters that are no lower-case hexadecimal digits come back as they were."""
    broken = make_entry(text="\ud800")
    assert pack(broken) is broken
    for digest in ("AB" * 32, "x" * 64, "", "ab"):
        assert again(make_entry(digest=digest)).digest == digest


@settings(derandomize=True, deadline=None)
@given(
    attrs=st.dictionaries(st.text(max_size=5), json, max_size=4), us=st.integers(0, 1 << 50), value=st.none() | st.floats(allow_nan=False)
)
def test_any_attributes_and_any_instant_come_back(attrs: dict[str, Any], us: int, value: float | None) -> None:
    """Whatever JSON holds, and each microsecond, is read as it was packed."""
    entry = make_entry(attrs=attrs, occurred_at=datetime(1999, 1, 1, tzinfo=UTC) + timedelta(microseconds=us), value=value)
    assert repr(again(entry)) == repr(entry)
