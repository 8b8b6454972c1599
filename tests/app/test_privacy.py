"""Personal values: in clear nowhere on the disk, read by whom the warning concerns, gone when their time is over or a person asks."""

from __future__ import annotations

import io
import json
import re
import sqlite3
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import app as command_line
from connectors.inbound.personal import Tokens
from domain.errors import StoreCorrupt, StoreUnavailable
from domain.personal import KeptRaw, PersonalValue, tokens_in
from storage import audit
from storage.database import Database
from storage.sealing import open_seal
from tests.app.offices import problem
from tests.app.world import GAS, World, signal

NAME, PHONE, OTHERS, REFUSED, CANONICAL = "欧阳泄密", "13987654321", "13700001111", "13655556666", "15812348765"
IDENTITY = "610113199003077516"
PLANTED = (NAME, PHONE, OTHERS, REFUSED, CANONICAL)
COLUMNS = ("工单编号", "工单标题", "主要内容", "来电时间", "来电人", "来电号码", "被反映单位", "统一社会信用代码")
FEED = "hotline-12345"
COUNTS = ("values", "inputs", "files", "rejected", "unreadable")


def ticket(number: int, **change: str) -> dict[str, str]:
    """Return a gas leak ticket from a named person, who also gives a second number in the text."""
    return (
        dict(
            zip(
                COLUMNS,
                (
                    f"T{number:03}",
                    "燃气泄漏",
                    f"{NAME}反映楼道燃气泄漏有煤气味，可回拨{OTHERS}",
                    "2026-03-02 08:00:00",
                    NAME,
                    PHONE,
                    "长安燃气有限公司",
                    GAS,
                ),
                strict=True,
            )
        )
        | change
    )


def broken(number: int) -> dict[str, str]:
    """Return a ticket that cannot be taken: its date is none, and a number stands where the date should be."""
    return ticket(number, 来电时间=REFUSED)


def clear(folder: Path, *values: str) -> set[str]:
    """Return which values stand in clear in any byte of any file under a folder, in any usual encoding, also inside zip files."""
    found = set()
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        data = path.read_bytes()
        parts = [data]
        if data.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                parts += [archive.read(name) for name in archive.namelist()]
        for value in values:
            forms = (value.encode(), value.encode("gb18030"), value.encode("utf-16-le"), json.dumps(value)[1:-1].encode())
            if any(form in part for form in forms for part in parts):
                found.add(f"{value} in {path.relative_to(folder)}")
    return found


def sealed(data: Path) -> list[bytes]:
    """Return every sealed text of the tables."""
    with sqlite3.connect(f"file:{data / 'fengsui.db'}?mode=ro", uri=True) as connection:
        rows = connection.execute(
            "SELECT sealed FROM personal_values WHERE sealed IS NOT NULL UNION ALL SELECT sealed FROM rejected_raw WHERE sealed IS NOT NULL"
        ).fetchall()
    connection.close()
    return [row[0] for row in rows]


def fill(world: World) -> None:
    """Send the planted values on every way in: HTTP, folder, canonical, and as records that are refused."""
    assert world.post(ticket(1), ticket(2), broken(8), feed=FEED, who="admin")["rejected"] == 1
    world.drop("a.csv", ticket(3), broken(9), feed=FEED)
    told = signal("c-1", text=f"请回电{CANONICAL}", attrs={"phone": int(CANONICAL), "more": [{"id": IDENTITY}]})
    assert world.signals(told, signal("c-2", occurred_at=CANONICAL)).json()["rejected"] == 1


@pytest.fixture
def full(world: World) -> World:
    """A world with a warning about the planted tickets."""
    fill(world)
    return world


def the_warning(world: World) -> str:
    """Return the one open warning."""
    [found] = world.warnings(status="open")
    return str(found["id"])


def ask(world: World, who: str, token: str, *, warning: str = "", reason: str = "核实来电人") -> Any:
    """Ask for the value behind a token."""
    path = f"/v1/warnings/{warning or the_warning(world)}/personal"
    return world.ask(who, "POST", path, json={"token": token, "reason": reason})


def token_of(world: World, value: str) -> str:
    """Return the token of a value in this world."""
    return Tokens((world.folder / "data" / "personal-key").read_bytes()).token(value)


def test_after_intake_no_byte_of_the_data_folder_tells_a_value_but_the_file_that_the_sender_left(full: World) -> None:
    """Journal, database with its log, raw input, snapshots and lists of rejections: nothing in clear, on any way in."""
    data = full.folder / "data"
    assert {found.partition(" in ")[2] for found in clear(data, *PLANTED, IDENTITY)} == {f"inbox/{FEED}/done/a.csv"}
    assert len(sealed(data)) > 6
    full.shut()
    assert {found.partition(" in ")[2] for found in clear(data, *PLANTED, IDENTITY)} == {f"inbox/{FEED}/done/a.csv"}


def test_after_its_retention_nothing_is_left_in_clear_or_sealed(full: World) -> None:
    """Values, raw input, rejected records and the sender's own file are gone; tokens stay and say so, also after a restart."""
    warning, token, data = the_warning(full), token_of(full, PHONE), full.folder / "data"
    before = sealed(data)
    assert ask(full, "duty", token).json()["value"] == PHONE
    full.clock.move_to(datetime(2035, 1, 1, tzinfo=UTC))
    assert full.app.retention.enforce() > 6
    assert full.app.retention.enforce() == 0
    everything = b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file())
    assert clear(data, *PLANTED, IDENTITY) == set()
    assert [one for one in before if one in everything] == []
    assert list((data / "raw").rglob("*/*/*")) == []
    full.restart()
    answer = ask(full, "duty", token, warning=warning).json()
    assert (answer["state"], answer["value"]) == ("erased", "")
    assert "已删除" in answer["message"]


def test_the_sealed_texts_that_are_searched_for_are_found_while_they_are_kept(full: World) -> None:
    """The search that finds nothing after an erasure finds each of them before it."""
    data = full.folder / "data"
    everything = b"".join(path.read_bytes() for path in data.glob("fengsui.db*"))
    assert [one for one in sealed(data) if one not in everything] == []


def test_an_erased_value_is_gone_from_everywhere_and_the_rest_stays(full: World) -> None:
    """By the value, through the command: table, raw inputs, rejected records and files that name the person; others' values stay."""
    data, url = full.folder / "data", full.app.settings.base_url
    mine, others = token_of(full, NAME), token_of(full, OTHERS)
    held = sealed(data)
    run = CliRunner().invoke(
        command_line,
        ["personal", "erase", "--value", "-", "--reason", f"{NAME}申请", "--url", url, "--data", str(data), "--yes"],
        input=NAME,
    )
    assert run.exit_code == 0, run.output
    told = json.loads(run.stdout.splitlines()[-1])
    assert {name: told[name] for name in COUNTS} == {"values": 1, "inputs": 2, "files": 1, "rejected": 2, "unreadable": 0}
    assert (told["token"], told["preview"], told["registered"]) == (mine, False, [])
    assert ["只在报送过它的数据源中查找" in one for one in told["notes"]] == [True]
    assert clear(data, NAME) == set()
    everything = b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file())
    gone = [one for one in held if one not in everything]
    assert len(gone) == 3
    assert ask(full, "duty", mine).json()["state"] == "erased"
    assert ask(full, "duty", others).json() == {
        "token": others, "state": "kept", "value": OTHERS, "field": "mobile", "feed": FEED, "message": ""
    }  # fmt: skip
    with full.app.database.read() as connection:
        [entry] = audit.trail(connection, "personal")
    assert (entry.actor, entry.what) == ("admin", "personal_erased")
    assert mine in entry.detail
    assert NAME not in entry.detail


@pytest.mark.parametrize("body", [{}, {"token": "p:0"}, {"token": "p:" + "0" * 24, "value": "x"}])
def test_an_erasure_names_one_thing(shared: World, body: dict[str, str]) -> None:
    """Nothing, no token, or both a token and a value: refused in words, and nothing is erased."""
    refused = shared.ask("admin", "POST", "/v1/personal/erase", json=body)
    assert refused.status_code == 422, refused.text
    assert "令牌" in problem(refused)["detail"]


@pytest.mark.parametrize("reason", ["", "  ", "x" * 201])
def test_an_erasure_without_a_reason_erases_nothing(full: World, reason: str) -> None:
    """It is kept for good at whose request something went; a preview, which changes nothing, needs none."""
    token = token_of(full, PHONE)
    refused = full.ask("admin", "POST", "/v1/personal/erase", json={"token": token, "reason": reason})
    assert (refused.status_code, "案卷号" in problem(refused)["detail"]) == (422, True)
    assert full.call("POST", "/v1/personal/erase", json={"token": token, "preview": True}).json()["values"] == 1
    assert ask(full, "duty", token).json()["state"] == "kept"


def test_a_value_that_comes_again_after_its_erasure_is_kept_again(full: World) -> None:
    """The sender tells it anew: that is a new reason to keep it, also on the day of the erasure."""
    token = token_of(full, PHONE)
    full.call("POST", "/v1/personal/erase", json={"token": token, "reason": "卷 12"})
    assert ask(full, "duty", token).json()["state"] == "erased"
    full.post(ticket(20), feed=FEED, who="admin")
    assert ask(full, "duty", token).json()["value"] == PHONE


@pytest.mark.parametrize(
    ("who", "status"),
    [("duty", 200), ("lead", 200), ("lead-head", 200), ("partner", 200), ("other", 404), ("auditor", 403), ("admin", 403), ("feed", 403)],
)
def test_only_the_duty_desk_and_departments_at_work_read_a_value(full: World, who: str, status: int) -> None:
    """Everybody else is refused: who has no part in the warning is told that there is none."""
    answer = ask(full, who, token_of(full, PHONE))
    assert answer.status_code == status, answer.text
    assert (PHONE in answer.text) == (status == 200)


def test_a_department_whose_task_is_over_reads_no_more(full: World) -> None:
    """An open task is what gives the right; the refusal is on record."""
    warning, token = the_warning(full), token_of(full, PHONE)
    full.finish("shichang")
    full.accept("shichang")
    refused = ask(full, "partner", token, warning=warning)
    assert refused.status_code == 403
    assert PHONE not in refused.text
    entries = [one for one in full.story(warning)["audit"] if one["what"] == "refused"]
    assert [(one["actor"], one["detail"]["token"]) for one in entries] == [("partner", token)]


def test_each_reading_is_on_record_and_needs_a_reason(full: World) -> None:
    """Who, which token, why: in the warning's chain, which stays sound; without a reason nothing is told."""
    warning, token = the_warning(full), token_of(full, PHONE)
    for reason in ("", "  ", "因" * 201):
        assert ask(full, "lead", token, reason=reason).status_code == 422
    assert ask(full, "lead", token, reason="核实来电人").status_code == 200
    [entry] = [one for one in full.story(warning)["audit"] if one["what"] == "personal_read"]
    assert (entry["actor"], entry["detail"]["token"], entry["detail"]["reason"]) == ("lead", token, "核实来电人")
    assert full.story(warning)["chain"] == ""
    assert PHONE not in json.dumps(full.story(warning), ensure_ascii=False)


def test_a_token_opens_only_on_a_warning_that_carries_it(full: World) -> None:
    """A token that somebody learnt elsewhere opens nothing; neither does one that was never made."""
    full.post(ticket(30, 来电号码="13511112222", 被反映单位="无名店", 统一社会信用代码=""), feed=FEED, who="admin")
    for token in (token_of(full, "13511112222"), "p:" + "0" * 24, "x"):
        answer = ask(full, "duty", token)
        assert answer.status_code == 404
        assert "13511112222" not in answer.text


def test_the_page_of_a_warning_shows_a_value_once_and_to_whom_it_concerns(full: World) -> None:
    """The button is there for those who may; the value is on the answer alone, and no browser keeps it."""
    warning, token = the_warning(full), token_of(full, PHONE)
    path, origin = f"/warnings/{warning}", {"origin": full.app.settings.base_url}
    page = full.call("GET", path, "lead").text
    assert token in page
    assert "查看原值" in page
    assert PHONE not in page
    assert "查看原值" not in full.call("GET", path, "auditor").text
    shown = full.ask("lead", "POST", f"{path}/personal", data={"token": token, "reason": "回访"}, headers=origin)
    assert (shown.status_code, PHONE in shown.text, shown.headers["cache-control"]) == (200, True, "no-store")
    refused = full.ask("lead", "POST", f"{path}/personal", data={"token": token, "reason": ""}, headers=origin)
    assert (refused.status_code, PHONE in refused.text) == (422, False)
    assert PHONE not in full.call("GET", path, "lead").text


def test_a_rejected_record_is_replayed_within_its_retention_and_says_so_after_it(full: World) -> None:
    """Lists show it without its numbers; its bytes are there for a replay, and after that the answer names the day they went."""
    [held] = [one for one in full.read(f"/v1/feeds/{FEED}/rejections") if one["position"] == 3]
    assert NAME in held["raw"]
    assert PHONE not in held["raw"]
    assert tokens_in(held["raw"])
    assert REFUSED not in held["message"]
    again = full.call("POST", f"/v1/feeds/{FEED}/rejections/replay").json()
    assert (again["rejected"], [one["reason"] for one in again["results"]]) == (2, ["bad_date", "bad_date"])
    full.clock.move_to(datetime(2035, 1, 1, tzinfo=UTC))
    full.app.retention.enforce()
    after = full.call("POST", f"/v1/feeds/{FEED}/rejections/replay").json()
    assert all("2035-01-01" in one["message"] for one in after["results"])
    assert after["rejected"] == 2
    [listed] = [one for one in full.read(f"/v1/feeds/{FEED}/rejections") if one["position"] == 3]
    assert "2035-01-01 删除" in listed["raw"]
    assert "2035-01-01" in full.call("GET", "/feeds", "admin").text
    page = full.ask("admin", "POST", f"/feeds/rejections/{listed['seq']}/replay", data={}, headers={"origin": full.app.settings.base_url})
    assert "2035-01-01" in page.text


def test_a_mended_record_goes_in_with_its_values_after_a_restart(world: World) -> None:
    """A record from the future is kept sealed, and is taken with its tokens once its time has come."""
    answer = world.post(ticket(1, 来电时间="2026-03-03 08:00:00"), feed=FEED, who="admin")
    assert (answer["rejected"], answer["reasons"]) == (1, {"future": 1})
    world.restart(after="1d")
    assert world.call("POST", f"/v1/feeds/{FEED}/rejections/replay").json()["accepted"] == 1
    assert clear(world.folder / "data", *PLANTED) == set()
    with world.app.database.read() as connection:
        assert [one.value for one in world.app.services.privacy._places.vault.held(connection, token_of(world, PHONE), {FEED})] == [PHONE]


def test_without_its_key_the_service_does_not_start(full: World) -> None:
    """A lost key is told at the start, not when a value is asked for."""
    full.shut()
    path = full.folder / "data" / "sealing-key"
    assert path.stat().st_mode & 0o777 == 0o600
    path.unlink()
    with pytest.raises(StoreUnavailable, match="put it back"):
        full.open()
    assert not path.exists()


def test_a_foreign_key_is_refused_and_the_right_one_opens_everything_again(tmp_path: Path) -> None:
    """Nothing is ever sealed with two keys."""
    path = tmp_path / "key"
    with Database.open(tmp_path / "f.db") as database:
        text = open_seal(database, path, make=True).close(b"x", "here")
        key = path.read_text()
        for foreign, said in (("0" * 64, "another key"), ("nonsense", "64 hexadecimal"), ("", "64 hexadecimal")):
            path.write_text(foreign)
            with pytest.raises(StoreUnavailable, match=said):
                open_seal(database, path, make=True)
        path.write_text(key.upper())
        seal = open_seal(database, path, make=True)
    assert seal.open(text, "here") == b"x"
    with pytest.raises(StoreCorrupt, match="there"):
        seal.open(text, "there")


def test_a_named_key_is_never_made(tmp_path: Path) -> None:
    """A secret that the operator was to mount and did not is a failure of the start, not a new key."""
    with Database.in_memory() as database, pytest.raises(StoreUnavailable, match="sealing_key"):
        open_seal(database, tmp_path / "secret", make=False)
    assert list(tmp_path.iterdir()) == []


def test_a_feed_without_personal_values_writes_nothing_here(world: World) -> None:
    """Its records cost no transaction and leave no row."""
    calls: list[str] = []
    keep = world.app.services.privacy._places.vault.keep

    def counted(feed: str, now: datetime, values: Sequence[PersonalValue], rejected: Sequence[KeptRaw]) -> None:
        calls.append(feed)
        keep(feed, now, values, rejected)

    world.app.services.edge._keep_personal = counted
    world.signals(signal("c-1"))
    assert calls == []
    world.signals(signal("c-2", text=f"回电{PHONE}"))
    assert calls == ["signals"]
    assert len(sealed(world.folder / "data")) == 1


def test_a_value_that_cannot_be_kept_stops_its_record(world: World) -> None:
    """Where the table takes nothing, neither does the journal: no token comes about whose value is lost."""
    with world.app.database.write() as connection:
        connection.exec_driver_sql("CREATE TRIGGER full BEFORE INSERT ON personal_values BEGIN SELECT RAISE(ABORT, 'full'); END")
    head = world.app.journal.head()
    answer = world.ask("admin", "POST", "/v1/signals", json=[signal("c-1", text=f"回电{PHONE}")])
    assert answer.status_code >= 500
    assert world.app.journal.head() == head
    assert re.search(PHONE, answer.text) is None
