"""What the edge remembers between records changes nothing but the time that they take."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.inbound import columns
from connectors.inbound.columns import sources_of
from connectors.inbound.mapping import Mapped, Rejected, apply
from connectors.inbound.mapping_load import load_mapping
from connectors.inbound.mapping_model import Mapping
from connectors.inbound.resolve import Resolver, resolve
from connectors.inbound.rows import Row
from domain.records import ObjectsEntry
from domain.signals import ObjectRef
from storage.registry import MemoryObjectLookup
from tests.connectors.senders import KEY, NOW, uscc
from tests.factories import make_object

TEXT = """
feed: test
title: 试验
source: iot
formats: [json]
fields:
  id: {from: [编号], required: true}
  at: {from: [时间], type: time}
  state: {from: [状态]}
  count: {from: [数量], type: number}
  parties: {from: [当事人], take: join}
key: [id]
signal: {occurred_at: [at], value: [count]}
kind: {codes: {state: {"开": gas.leak}}, default: other.request}
"""


def mapping() -> Mapping:
    """Return the mapping, remembering nothing."""
    return load_mapping(TEXT, "test.yaml")


def attributes(fresh: Mapping, **cells: Any) -> dict[str, Any]:
    """Return the attributes of one record."""
    values = {"编号": "1", "时间": "2026-03-01 08:00:00", **cells}
    [result] = apply(fresh, [Row(1, values, b"", "")], NOW, KEY)
    assert isinstance(result, Mapped), result
    return dict(result.signal.attrs) | {"value": result.signal.value, "kind": result.signal.kind}


def test_equal_keys_of_other_types_are_other_cells() -> None:
    """1, 1.0, True and "1" are one key of a dictionary and not one text."""
    one = mapping()
    cells: list[Any] = ["1", 1, 1.0, True, "TRUE", "1"]

    assert [attributes(one, 状态=cell)["state"] for cell in cells] == [attributes(mapping(), 状态=cell)["state"] for cell in cells]


def test_a_cell_that_was_refused_is_refused_again_and_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong cell is not remembered as empty; a column forgets rather than grow."""
    monkeypatch.setattr(columns, "_SEEN", 3)
    one = mapping()
    for number in [*range(10), *range(10)]:
        assert attributes(one, 数量=str(number))["value"] == float(number)
    wrong = Row(2, {"编号": "2", "时间": "2026-03-01", "数量": "many"}, b"", "")
    first, second = apply(one, [wrong, wrong], NOW, KEY)

    assert isinstance(first, Rejected)
    assert first == second
    seen = [len(column.seen) for source in sources_of(one, ("编号", "时间", "数量")).filled for column in source.columns]
    assert max(seen) <= 3


def test_an_empty_list_of_parties_is_no_party_called_none() -> None:
    """JSON's null says that there is nothing."""
    assert "parties" not in attributes(mapping(), 当事人=None)
    assert attributes(mapping(), 当事人="甲,乙")["parties"] == "甲、乙"


def test_a_new_registry_version_is_seen_at_once() -> None:
    """An answer is remembered for one version of the registry only."""
    lookup = MemoryObjectLookup()
    resolver = Resolver(lookup)
    ref = ObjectRef(code=uscc(1), name="长庆里燃气有限公司")
    before = [resolver.resolve(ref, ""), resolver.resolve(ref, "")]
    lookup.apply(ObjectsEntry(version=1, objects=(make_object(id="gas", code=uscc(1)),)))
    after = [resolver.resolve(ref, ""), resolver.resolve(ref, "")]

    assert [one.object_id for one in before + after] == ["", "", "gas", "gas"]
    assert after == [resolve(ref, "", lookup)] * 2


def test_a_text_is_never_remembered_for_another() -> None:
    """Two complaints without a name are two questions."""
    lookup = MemoryObjectLookup()
    lookup.apply(ObjectsEntry(version=1, objects=(make_object(id="gas", name="长庆里燃气有限公司", code=uscc(1)),)))
    resolver = Resolver(lookup)
    masked = ObjectRef(code="3423011964****3224")

    found = [resolver.resolve(masked, text).object_id for text in ("", "长庆里燃气有限公司漏气", "谁家漏气", "长庆里燃气有限公司漏气")]
    assert found == ["", "gas", "", "gas"]
