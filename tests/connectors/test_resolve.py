"""Which object a signal is about: never guessed past a contradiction, never lost where it is open."""

from __future__ import annotations

import pytest

from connectors.inbound.resolve import propose, resolve
from domain.objects import RegulatedObject, Resolution
from domain.records import ObjectsEntry
from domain.signals import ObjectRef
from storage.registry import MemoryObjectLookup
from tests.connectors.senders import uscc
from tests.factories import make_object

GAS = uscc(1)
FOOD = uscc(2)


def registry(*objects: RegulatedObject) -> MemoryObjectLookup:
    """Return a look-up over `objects`."""
    lookup = MemoryObjectLookup()
    lookup.apply(ObjectsEntry(version=3, objects=objects))
    return lookup


LOOKUP = registry(
    make_object(
        id="gas", name="长庆里燃气有限公司", code=GAS, aliases=("长庆燃气", "610100100001234"), address="雁塔区长庆路1号", region="610113"
    ),
    make_object(id="food", name="曲江香满楼餐饮有限公司", code=FOOD, region="610113"),
    make_object(id="chain-1", name="万家便利店", address="雁塔区小寨路5号", region="610113"),
    make_object(id="chain-2", name="万家便利店", address="碑林区长安路9号", region="610103"),
    make_object(id="lift", type="equipment", name="3号楼电梯", code="30106101132012030001"),
)


def found(text: str = "", region: str = "", **ref: str) -> Resolution:
    """Resolve a reference."""
    return resolve(ObjectRef(**ref), text, LOOKUP, region)


@pytest.mark.parametrize(
    ("ref", "object_id", "method", "confidence"),
    [
        ({"id": "gas"}, "gas", "id", 1.0),
        ({"code": GAS}, "gas", "code", 1.0),
        ({"code": f" {GAS.lower()[:9]} {GAS.lower()[9:]} "}, "gas", "code", 1.0),
        ({"code": "610100100001234"}, "gas", "code", 1.0),
        ({"code": "30106101132012030001"}, "lift", "code", 1.0),
        ({"name": "长庆里燃气有限责任公司"}, "gas", "name", 0.95),
        ({"name": "长庆　燃气"}, "gas", "alias", 0.95),
        ({"id": "nobody", "name": "长庆里燃气（有限公司）"}, "gas", "name", 0.95),
        ({"code": "3423011964****3224", "name": "长庆里燃气有限公司"}, "gas", "name", 0.95),
        ({"name": "某某公司"}, "", "none", 0.0),
        ({"code": uscc(99)}, "", "none", 0.0),
        ({}, "", "none", 0.0),
    ],
)
def test_exact_code_and_name(ref: dict[str, str], object_id: str, method: str, confidence: float) -> None:
    """Id before code before name; the confidence says how sure it is."""
    result = found(**ref)
    assert (result.object_id, result.method, result.confidence, result.registry_version) == (object_id, method, confidence, 3)


def test_several_of_one_name_stay_open() -> None:
    """Two objects of one name are candidates; address or region of the signal settle it."""
    assert found(name="万家便利店") == Resolution(method="ambiguous", candidates=("chain-1", "chain-2"), registry_version=3)
    assert found(name="万家便利店", address="小寨路5号").object_id == "chain-1"
    assert found(name="万家便利店", region="610103005").object_id == "chain-2"
    assert found(name="万家便利店", region="610103005").confidence == 0.9


def test_a_code_that_contradicts_the_name_is_not_overruled() -> None:
    """Another firm's valid code beside a known name is a question for a person."""
    result = found(code=uscc(98), name="长庆里燃气有限公司")
    assert (result.object_id, result.method, result.candidates) == ("", "ambiguous", ("gas",))


def test_a_mistyped_code_is_kept_flagged_and_forgiven_beside_the_right_name() -> None:
    """A wrong check digit is flagged; with the right name and one wrong character it is a typing error."""
    wrong = GAS[:-2] + ("0" if GAS[-2] != "0" else "1") + GAS[-1]
    assert found(code=wrong) == Resolution(registry_version=3, code_valid=False)
    result = found(code=wrong, name="长庆里燃气有限公司")
    assert (result.object_id, result.confidence, result.code_valid) == ("gas", 0.9, False)
    assert found(code=GAS).code_valid is True


def test_a_company_named_only_in_the_text() -> None:
    """A full registered name or a code in the text counts, with less confidence; two different ones stay open."""
    assert found("我在长庆里燃气有限公司交了费，家里仍漏气。").object_id == "gas"
    assert found("我在长庆里燃气有限公司交了费").confidence == 0.8
    assert found(f"信用代码{GAS}的公司").object_id == "gas"
    both = found("长庆里燃气有限公司和曲江香满楼餐饮有限公司都有责任")
    assert (both.method, both.candidates) == ("ambiguous", ("food", "gas"))
    assert found("某某燃气有限公司漏气").object_id == ""


def test_a_named_object_that_is_unknown_is_not_replaced_by_one_in_the_text() -> None:
    """Where the sender names an object, the text is not searched for another."""
    assert found("据说与长庆里燃气有限公司有关", name="无名小店").object_id == ""


def test_a_hostile_text_costs_little() -> None:
    """Eight thousand characters that almost name companies are searched in bounded time."""
    assert found("有限公" * 2600 + "有限公司").object_id == ""


@pytest.mark.parametrize(
    ("ref", "text", "candidates", "expected"),
    [
        ({"name": "万家便利店"}, "", ("chain-1", "chain-2"), [("chain-1", "name", 0.47), ("chain-2", "name", 0.47)]),
        ({"name": "长庆里燃气有限公司", "code": uscc(55)}, "", ("gas",), [("gas", "contradicted", 0.0)]),
        ({"name": "长庆燃气"}, "", (), [("gas", "alias", 0.95)]),
        ({}, "长庆里燃气有限公司和曲江香满楼餐饮有限公司都不开门", (), [("food", "mention", 0.4), ("gas", "mention", 0.4)]),
        ({"name": "改了名的店"}, "", ("food", "gone"), [("food", "none", 0.0)]),
        ({"name": "从未登记"}, "", (), []),
    ],
    ids=["shared", "contradicted", "registered-later", "mentioned", "no-longer", "unknown"],
)
def test_what_a_person_may_choose_from(
    ref: dict[str, str], text: str, candidates: tuple[str, ...], expected: list[tuple[str, str, float]]
) -> None:
    """Each with what speaks for it; those that fit share the certainty, a contradiction has none, what is gone is not offered."""
    proposals = propose(ObjectRef(**ref), text, LOOKUP, "", candidates)
    assert expected == [(one.thing.id, one.fit, one.confidence) for one in proposals]
