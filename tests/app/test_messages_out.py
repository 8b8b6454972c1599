"""What a department is told, as it comes out: names for those who need them."""

from __future__ import annotations

from app.messages_out import BODY_LIMIT
from tests.app.world import LEAD, PARTNER, World, penalty, signal
from tests.connectors.senders import uscc


def test_the_message_names_the_object(world: World) -> None:
    """Lead and cooperating department read the enterprise's name beside its id."""
    world.warn()
    for office in (LEAD, PARTNER):
        told = world.assigned(office).data["warning"]
        assert (told["subject"], told["subject_name"]) == ("o-gas", "长安燃气有限公司")


def test_a_persons_name_is_whole_for_those_who_answer_for_the_warning_alone(world: World) -> None:
    """The cooperating department gets 张**, in the sentences of the rules too; no text of its message has the name."""
    row = f"id,type,name,code,region,address\no-zhang,自然人,张三丰,{uscc(40)},610113,雁塔区\n"
    assert world.call("POST", "/v1/import/objects?name=p.csv", content=row.encode()).json()["problems"] == []
    assert world.signals(*[signal(f"p-{n}", object_id=uscc(40)) for n in range(3)]).json()["accepted"] == 3
    lead, partner = (world.assigned(office) for office in (LEAD, PARTNER))
    assert lead.data["warning"]["subject_name"] == "张三丰"
    assert lead.data["warning"]["contributions"][0]["message"].startswith("张三丰24小时内")
    assert partner.data["warning"]["subject_name"] == "张**"
    assert partner.data["warning"]["contributions"][0]["message"].startswith("张**24小时内")
    assert "张三丰" not in partner.raw.decode()


def test_a_message_with_its_link_is_within_the_limit(world: World) -> None:
    """What is stored leaves room for the token that is added on the way out."""
    world.post(*[penalty(n, "6") for n in range(60)])
    assert world.assigned(LEAD).data["links"]["answer"]
    assert len(world.assigned(LEAD).raw) <= BODY_LIMIT


def test_a_message_counts_all_signals_behind_its_warning(world: World) -> None:
    """Fifty-six small fines make the sum: twenty ids go out, fifty are kept with the warning, and the count is of all."""
    world.post(*[penalty(n, "0.09") for n in range(56)])
    told = world.assigned(LEAD).data["warning"]
    assert (len(told["evidence"]), told["evidence_count"]) == (20, 56)
