"""Erasing finds a person's value in every spelling and encoding, spares everybody else's, and says what it could not do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.traces import readable
from storage import audit
from storage.intake_reads import Rejection
from tests.app.test_privacy import COUNTS, FEED, PHONE, REFUSED, ask, broken, clear, ticket, token_of
from tests.app.world import World, penalty, signal
from tests.factories import T0

NAMESAKE = "王伟"


def erase(world: World, value: str, **more: Any) -> dict[str, Any]:
    """Erase a value as the administrator."""
    answer: dict[str, Any] = world.call("POST", "/v1/personal/erase", json={"value": value, "reason": "卷 12"} | more).json()
    return answer


def put(world: World, data: bytes, feed: str = FEED) -> str:
    """Put an input into the raw store as the edge does."""
    digest: str = world.app.services.privacy._places.raw.put(feed, world.clock.now(), data)
    return digest


def kept(world: World) -> list[str]:
    """Return the raw inputs that are there."""
    found: list[str] = world.app.services.privacy._places.raw.digests()
    return found


def test_a_token_smuggled_into_another_feeds_text_opens_nothing(world: World) -> None:
    """A value opens only on a warning whose evidence has its token from a feed that told the value."""
    world.post(ticket(1, 来电号码="13511112222", 被反映单位="无名店", 统一社会信用代码="", 主要内容="漏水"), feed=FEED, who="admin")
    token = token_of(world, "13511112222")
    world.signals(*(signal(f"c-{n}", text=f"煤气味 {token}") for n in range(3)))
    answer = ask(world, "lead", token)
    assert "13511112222" not in answer.text
    assert (answer.status_code, answer.json()["state"]) == (200, "unknown")


def test_a_name_is_looked_for_only_with_the_feeds_that_told_it(world: World) -> None:
    """The namesake in another feed's input keeps that input; a preview says what would go and erases nothing."""
    other = put(world, f"处罚,{NAMESAKE}".encode(), "penalties")
    world.post(ticket(1, 来电人=NAMESAKE, 主要内容="漏气"), feed=FEED, who="admin")
    world.post(penalty(1, CF_SY=f"{NAMESAKE}燃气泄漏"))
    before = kept(world)
    seen = erase(world, NAMESAKE, preview=True)
    assert ([seen[name] for name in COUNTS], seen["preview"]) == ([1, 1, 0, 0, 0], True)
    assert kept(world) == before
    done = erase(world, NAMESAKE)
    assert [done[name] for name in COUNTS] == [1, 1, 0, 0, 0]
    assert len(kept(world)) == len(before) - 1
    assert other in kept(world)


@pytest.mark.parametrize(
    "data",
    [
        f"编号,电话\n1,{PHONE}\n".encode("utf-16"),
        f"编号,电话\n1,{PHONE}\n".encode("utf-16-le"),
        "编号,电话\n1,139 8765-4321\n".encode("gb18030"),
        '{"电话": "１３９８７６５４３２１"}'.encode(),
        json.dumps({"电话": "１３９８７６５４３２１"}).encode(),
        "<电话>&#49;3987654321</电话>".encode(),
        f'{{"电话": "+86{PHONE}"}}'.encode(),
    ],
)
def test_a_number_is_found_in_every_spelling_and_encoding(shared: World, data: bytes) -> None:
    """As any sender may write it: UTF-16, wide digits, blanks, escapes; another's input stays."""
    mine, others = (
        put(shared, data),
        put(shared, data.replace(b"4", b"5").replace("４".encode(), "５".encode()).replace(b"\\uff14", b"\\uff15")),
    )
    erase(shared, PHONE)
    assert mine not in kept(shared)
    assert others in kept(shared)


def test_what_does_not_open_stops_no_erasure(world: World) -> None:
    """It is counted and told; the rest goes."""
    world.post(ticket(1), feed=FEED, who="admin")
    raw = world.folder / "data" / "raw" / FEED / "2026-03-02"
    (raw / ("0" * 64)).write_bytes(b"input of a time before sealing")
    answer = erase(world, PHONE)
    assert [answer[name] for name in COUNTS] == [1, 1, 0, 0, 1]
    assert any("1 处打不开" in one for one in answer["notes"])
    assert [path.name for path in raw.iterdir()] == ["0" * 64]


def test_a_list_of_rejections_keeps_its_file_where_only_tokens_stand_in_it(world: World) -> None:
    """The sender's file names the number and goes; the operators' list of reasons has its token and stays."""
    done = world.drop("a.csv", ticket(1), broken(2), feed=FEED)
    names = sorted(path.name for path in (done / "done").iterdir())
    assert token_of(world, REFUSED) in (done / "done" / "a.csv.rejections.csv").read_text("utf-8-sig")
    assert names == ["a.csv", "a.csv.rejections.csv"]
    assert erase(world, REFUSED)["files"] == 1
    assert sorted(path.name for path in (done / "done").iterdir()) == names[1:]


def test_a_duplicate_brings_no_erased_value_back(world: World) -> None:
    """A nightly full export tells nothing new: only a new or revised record does."""
    token = token_of(world, PHONE)
    for number in range(3):
        world.post(ticket(number), feed=FEED, who="admin")
    erase(world, PHONE)
    assert world.post(ticket(1), ticket(2), feed=FEED, who="admin")["duplicates"] == 2
    assert ask(world, "duty", token).json()["state"] == "erased"
    world.post(ticket(1), ticket(9), feed=FEED, who="admin")
    assert ask(world, "duty", token).json()["value"] == PHONE


def test_a_duplicate_keeps_no_value_longer(world: World) -> None:
    """The end counts from the last record that told something."""

    def end() -> object:
        with world.app.database.read() as connection:
            return connection.exec_driver_sql("SELECT max(keep_until) FROM personal_values").scalar()

    world.post(ticket(1), feed=FEED, who="admin")
    before = end()
    world.at("3d")
    world.post(ticket(1), feed=FEED, who="admin")
    assert end() == before
    world.post(ticket(2), feed=FEED, who="admin")
    assert end() != before


def test_a_reason_leaves_no_value_in_the_audit_trail(world: World) -> None:
    """The trail is for good: the value itself and any number in a reason become tokens."""
    for number in range(3):
        world.post(ticket(number, 来电人=NAMESAKE), feed=FEED, who="admin")
    [warning] = [str(one["id"]) for one in world.warnings()]
    token = token_of(world, NAMESAKE)
    ask(world, "lead", token, warning=warning, reason=f"回访{NAMESAKE} {PHONE}")
    erase(world, NAMESAKE, reason=f"{NAMESAKE}本人申请，{PHONE}")
    with world.app.database.read() as connection:
        told = [one.detail for chain in (warning, "personal") for one in audit.trail(connection, chain)]
    assert [one for one in told if NAMESAKE in one or PHONE in one] == []
    assert sum(token_of(world, PHONE) in one for one in told) == 2


def test_an_erasure_says_what_the_registry_still_has(world: World) -> None:
    """A registered person stays; whoever asked is told so."""
    register = f"id,type,name,code,region\nr-1,person,{NAMESAKE},610113199003077516,610113\nr-2,enterprise,{NAMESAKE}有限公司,,610113\n"
    world.call("POST", "/v1/import/objects?name=o.csv", content=register.encode())
    assert erase(world, NAMESAKE)["registered"] == ["r-1"]
    answer = erase(world, "610113199003077516")
    assert answer["registered"] == ["r-1"]
    assert any("r-1" in one for one in answer["notes"])


def test_a_rejected_record_in_utf_16_is_shown_without_numbers(shared: World) -> None:
    """With its mark or without, as a mapping may declare it."""
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        raw = f"T1,{PHONE},昨天".encode(encoding)
        held = Rejection(
            seq=1, feed=FEED, batch="b", position=1, reason="bad_date", field="", message="", raw=raw, received_at=T0, status="open",
            replayed_seq=None,
        )  # fmt: skip
        shown = shared.app.services.privacy.shown(held).raw.decode()
        assert PHONE not in shown
        assert shown == f"T1,{token_of(shared, PHONE)},昨天"
        assert PHONE in readable(raw)


def test_a_rejected_record_with_bytes_of_no_encoding_is_listed(world: World) -> None:
    """They are shown escaped, and the list is still text."""
    body = b'{"id": "1", "text": "\xff\xfe \x81 ' + PHONE.encode() + b'"}'
    assert world.ask("admin", "POST", f"/v1/feeds/{FEED}/records", content=body, headers={"content-type": "application/json"}).json()
    world.app.settle()
    [listed] = world.read(f"/v1/feeds/{FEED}/rejections")
    assert token_of(world, PHONE) in listed["raw"]
    assert "\\udcff" in listed["raw"]


def test_a_reader_keeps_the_log_and_the_next_look_cuts_it(world: World) -> None:
    """Nobody waits for the reader; the answer says so, and retention cuts the log when the reader is gone."""
    world.post(ticket(1), feed=FEED, who="admin")
    data = world.folder / "data"
    with world.app.database.read() as connection:
        [held] = connection.exec_driver_sql("SELECT sealed FROM personal_values WHERE token = ?", (token_of(world, PHONE),)).scalars()
        answer = erase(world, PHONE)
        assert any("日志" in one for one in answer["notes"])
        assert held in b"".join(path.read_bytes() for path in data.glob("fengsui.db*"))
    world.app.retention.enforce()
    assert held not in b"".join(path.read_bytes() for path in data.glob("fengsui.db*"))
    assert clear(data, PHONE) == set()
