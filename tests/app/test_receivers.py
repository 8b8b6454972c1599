"""Receivers as they are: failing, slow, gone, overloaded, or sending us elsewhere; and answers that are sent again by somebody else."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from app.links import TOKEN_LENGTH
from dispatch.deliver import SCHEDULE, Attempt
from storage import access, outbox
from storage.database import Database
from storage.duty_tables import outbox as outbox_table
from tests.app.offices import WALL
from tests.app.world import LEAD, MONDAY, PARTNER, World, eventually, penalty


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[World]:
    """A world that gives an attempt up after half a second."""
    with World(tmp_path / "world", egress={"allow": ("127.0.0.0/8",), "attempt_seconds": 0.5}) as made:
        yield made


def deliveries(world: World, office: str, event: str = "task.assigned") -> list[dict[str, object]]:
    """Return an office's deliveries of one event, as the outbox shows them."""
    return [one for one in world.read(f"/v1/outbox?department={office}") if one["event"] == event]


def letter(identity: str, endpoint: str, at: datetime = MONDAY) -> outbox.Delivery:
    """Return a delivery to an endpoint."""
    return outbox.Delivery(
        id=identity, warning_id="w", task_id="", recipient=endpoint, event="x", endpoint_id=endpoint, body=b"{}", created_at=at
    )  # fmt: skip


def test_a_failing_receiver_gets_the_same_id_again_until_it_takes_it(world: World) -> None:
    """500, a redirect, 404, then 204: one id over all attempts, a fresh signature each time, and the task is pushed at the last."""
    world.offices[LEAD].replies.extend([500, (302, {"location": "http://127.0.0.1:1/elsewhere"}), 404])
    warning = world.warn()
    [waiting] = deliveries(world, LEAD)
    assert (waiting["state"], waiting["attempts"], waiting["status"]) == ("waiting", 1, 500)
    assert {task["department"]: task["stage"] for task in world.story(warning)["tasks"]} == {LEAD: "generated", PARTNER: "pushed"}
    world.at("45m")
    [sent] = deliveries(world, LEAD)
    assert (sent["state"], sent["attempts"], sent["status"]) == ("sent", 4, 204)
    assert [one.status for one in world.offices[LEAD].attempts] == [500, 302, 404, 204], "a redirect is a failure, never followed"
    assert {one.id for one in world.offices[LEAD].attempts} == {sent["id"]}
    assert world.offices[LEAD].complaints == []
    assert {task["stage"] for task in world.story(warning)["tasks"]} == {"pushed"}


def test_retries_come_when_they_are_planned_and_not_before(world: World) -> None:
    """Five seconds, five minutes, half an hour, each with a tenth of jitter at most."""
    world.offices[LEAD].replies.extend([503] * 3)
    world.warn()
    attempts = world.offices[LEAD].attempts
    for when, count in (("4s", 1), ("6s", 2), ("5m4s", 2), ("5m40s", 3), ("35m", 3), ("39m", 4)):
        world.at(when)
        assert len(attempts) == count, when


def test_a_receiver_that_asks_for_a_pause_has_it_for_everything(world: World) -> None:
    """429 with Retry-After: neither this nor any other delivery goes to it before, and others do not wait for it."""
    world.offices[LEAD].replies.append((429, {"retry-after": "1800"}))
    world.warn()
    world.post(penalty(2, "7", CF_XDR_SHXYM="", CF_XDR_MC="曲江香满楼餐饮有限公司"))
    world.at("29m")
    assert len(world.offices[LEAD].attempts) == 2, "one was refused; the second warning's came afterwards and was taken"
    world.offices[LEAD].replies.append((429, {"retry-after": "1800"}))
    world.at("31m")
    assert [one.status for one in world.offices[LEAD].attempts].count(204) == 1
    assert world.offices[PARTNER].told("task.assigned")


def test_a_receiver_that_is_gone_is_called_no_more_and_its_department_reads_the_inbox(world: World) -> None:
    """410: switched off; the message itself, what waits and what was dead go to the console's inbox; a new address takes it from there."""
    world.offices[LEAD].replies.extend([500, 410])
    warning = world.warn()
    with world.app.database.write() as connection:  # a letter that was given up earlier
        first = outbox.listed(connection, recipient=LEAD)[0]
        old = {"id": "n-dead", "state": "dead", "attempt": 10, "next_at": None}
        connection.execute(insert(outbox_table).values(**{one: getattr(first, one) for one in first.__struct_fields__} | old))
    world.at("1m")
    assert {(one["id"], one["state"]) for one in deliveries(world, LEAD)} == {(first.id, "waiting"), ("n-dead", "waiting")}
    assert {one["inbox"] for one in world.story(warning)["deliveries"] if one["recipient"] == LEAD} == {True}
    assert "fengsui_outbox_dead{department" not in world.call("GET", "/metrics", "monitor").text
    world.at("3h")
    assert len(world.offices[LEAD].attempts) == 2
    world.call("PUT", f"/v1/departments/{LEAD}/endpoint", json={"url": world.offices[LEAD].url})
    world.app.settle()
    assert {one["state"] for one in deliveries(world, LEAD)} == {"sent"}
    assert first.id in {one.id for one in world.offices[LEAD].told("task.assigned")}, "with its id: a receiver that had it drops it"


def test_a_late_farewell_of_the_old_address_does_not_silence_the_new_one(world: World) -> None:
    """410 came from where nothing is sent any more: the delivery goes to the new address at once."""
    world.offices[LEAD].replies.append(500)
    there = world.offices[LEAD].url
    world.warn()
    with world.app.database.read() as connection:
        [delivery] = outbox.listed(connection, recipient=LEAD)
    world.app.duty._record(delivery, "http://127.0.0.1:9/old", Attempt(status=410))
    with world.app.database.read() as connection:
        assert [(one.url, one.state) for one in access.list_endpoints(connection, LEAD)] == [(there, "active")]
    world.app.settle()
    assert world.assigned(LEAD).id == delivery.id


def test_what_is_gone_to_the_inbox_is_delivered_by_being_read(world: World) -> None:
    """The department looks into the console, and its task is pushed by that."""
    world.offices[LEAD].replies.append(410)
    warning = world.warn()
    assert world.call("GET", "/inbox", "lead").text.count(warning) >= 1
    assert [one["state"] for one in deliveries(world, LEAD)] == ["sent"]
    assert {task["stage"] for task in world.story(warning)["tasks"]} == {"pushed"}


def test_nothing_is_sent_to_an_endpoint_that_is_switched_off(world: World) -> None:
    """A row that is still bound to it goes to the inbox, not to the address."""
    world.offices[LEAD].replies.append(500)
    world.warn()
    with world.app.database.write() as connection:
        [endpoint] = access.list_endpoints(connection, LEAD)
        assert access.disable_endpoint(connection, endpoint.id, endpoint.url)
    world.at("1h")
    assert len(world.offices[LEAD].attempts) == 1
    [waiting] = deliveries(world, LEAD)
    assert waiting["state"] == "waiting"
    with world.app.database.read() as connection:
        assert [one.id for one in outbox.inbox(connection, [LEAD])][:1] == [waiting["id"]]


def test_an_attempt_that_lands_after_the_move_to_the_inbox_leaves_it_there() -> None:
    """Only a success counts: what failed on the way waits in the inbox, it is not dead."""
    with closing(Database.in_memory()) as database, database.write() as connection:
        for one in ("late", "told"):
            outbox.add(connection, [letter(one, "gone")])
        outbox.to_inbox(connection, "gone", MONDAY)
        for one, state in (("late", "dead"), ("told", "sent")):
            outbox.record_attempt(
                connection, outbox.AttemptRow(delivery_id=one, n=1, at=MONDAY, status=0, detail=""), next_at=None, state=state
            )
        assert {one: (outbox.get(connection, one).state, outbox.get(connection, one).endpoint_id) for one in ("late", "told")} == {
            "late": ("waiting", ""), "told": ("sent", ""),
        }  # fmt: skip


def test_after_the_last_attempt_a_delivery_is_a_dead_letter_that_can_be_sent_again(world: World) -> None:
    """About three days of attempts, then dead, counted, on the warning's page; sent again it has all attempts again, with the same id."""
    world.offices[LEAD].always = 500
    warning = world.warn()
    world.at("5d")
    [dead] = deliveries(world, LEAD)
    assert (dead["state"], dead["attempts"]) == ("dead", len(SCHEDULE))
    attempts = [one for one in world.offices[LEAD].attempts if one.id == dead["id"]]
    assert len(attempts) == len(SCHEDULE)
    assert [one["state"] for one in world.story(warning)["deliveries"] if one["id"] == dead["id"]] == ["dead"]
    assert re.search(rf'fengsui_outbox_dead{{department="{LEAD}"}} [1-9]', world.call("GET", "/metrics", "monitor").text)
    world.call("POST", f"/v1/outbox/{dead['id']}/resend", "duty")
    world.app.settle()
    [again] = deliveries(world, LEAD)
    assert (again["state"], again["attempts"]) == ("waiting", len(SCHEDULE) + 1), "one failure is not the end of the new series"
    world.offices[LEAD].always = 204
    world.at("5d1m")
    assert world.assigned(LEAD).id == dead["id"]
    assert [one["state"] for one in deliveries(world, LEAD)] == ["sent"]


def test_what_has_not_gone_out_when_a_warning_is_withdrawn_is_cancelled(world: World) -> None:
    """A task that nobody heard of yet is not told after its withdrawal; sending it again is refused with the reason."""
    world.offices[LEAD].replies.append(503)
    warning = world.warn()
    withdrawn = {"action": "withdraw", "note": "误报"}
    world.call("POST", f"/v1/warnings/{warning}/responses", "duty", json=withdrawn)
    world.at("1d")
    assert world.offices[LEAD].told("task.assigned") == []
    assert world.offices[LEAD].told("case.withdrawn")
    [cancelled] = deliveries(world, LEAD)
    assert (cancelled["state"], cancelled["next_at"]) == ("cancelled", None)
    refused = world.ask("duty", "POST", f"/v1/outbox/{cancelled['id']}/resend")
    assert (refused.status_code, warning in refused.json()["detail"]) == (409, True)


def test_a_dead_letter_of_a_withdrawn_warning_is_not_sent_again(world: World) -> None:
    """What was given up before the withdrawal is cancelled by it like what still waits."""
    world.offices[LEAD].always = 500
    warning = world.warn()
    world.at("5d")
    [dead] = [one for one in deliveries(world, LEAD) if one["state"] == "dead"][:1]
    world.call("POST", f"/v1/warnings/{warning}/responses", "duty", json={"action": "withdraw", "note": "误报"})
    assert world.ask("duty", "POST", f"/v1/outbox/{dead['id']}/resend").status_code == 409
    world.offices[LEAD].always = 204
    world.at("6d")
    assert world.offices[LEAD].told("task.assigned") == []


def test_the_token_of_a_link_is_in_the_message_and_nowhere_else(world: World) -> None:
    """At every attempt the same; the database keeps what recognises it, not what opens."""
    world.offices[LEAD].replies.append(500)
    world.warn()
    world.at("1m")
    first, second = [one.data["links"]["answer"] for one in world.offices[LEAD].attempts]
    assert first == second
    base, _, token = first.rpartition("/")
    assert (base, len(token)) == (f"{world.app.settings.base_url}/answer", TOKEN_LENGTH)
    assert world.http.get(f"/answer/{token}").status_code == 200
    world.shut()
    files = b"".join(path.read_bytes() for path in (world.folder / "data").rglob("*.db*"))
    assert b"/answer/" in files
    assert token.encode() not in files
    world.open()


def test_a_new_address_takes_what_waits_for_the_old_one(world: World) -> None:
    """A department that moved registers its new address; nothing goes to the old one any more."""
    there = world.offices[LEAD].url
    world.call("PUT", f"/v1/departments/{LEAD}/endpoint", json={"url": "http://127.0.0.1:9/moved"})
    world.warn()
    assert deliveries(world, LEAD)[0]["state"] == "waiting"
    world.call("PUT", f"/v1/departments/{LEAD}/endpoint", json={"url": there})
    world.at("1m")
    assert world.assigned(LEAD)
    assert len(deliveries(world, LEAD)) == 1


def test_a_receiver_that_hangs_is_given_up_and_the_others_do_not_wait_for_it(quick: World) -> None:
    """A dozen deliveries to a dead endpoint leave room: everybody else has his at once."""
    world = quick
    world.offices[LEAD].always = "hang"
    names = "".join(f"o-{n},enterprise,第{n}燃气有限公司,,610113,\n" for n in range(12))
    world.call("POST", "/v1/import/objects?name=o.csv", content=("id,type,name,code,region,address\n" + names).encode())
    records = [penalty(n, "6", CF_XDR_SHXYM="", CF_XDR_MC=f"第{n}燃气有限公司") for n in range(12)]
    settling = threading.Thread(target=world.post, args=records)
    began = WALL.now()
    settling.start()
    eventually(lambda: len(world.offices[PARTNER].told("task.assigned")) == 12)
    took = WALL.now() - began
    settling.join()
    assert took < timedelta(seconds=1.0), "twelve attempts that hang last half a second each, four at a time"
    assert len(world.offices[LEAD].attempts) == 12
    assert {(one["state"], one["detail"]) for one in deliveries(world, LEAD)} == {("waiting", "timeout")}
    world.offices[LEAD].always = 204
    world.at("10m")
    assert {one["state"] for one in deliveries(world, LEAD)} == {"sent"}


def test_an_endpoint_with_a_long_queue_takes_its_share_of_the_places_and_no_more() -> None:
    """A hundred older deliveries to one endpoint do not push out three to another; what is under way counts against the share."""
    with closing(Database.in_memory()) as database, database.write() as connection:
        for endpoint, count, second in (("busy", 100, 0), ("calm", 3, 30)):
            for number in range(count):
                at = MONDAY + timedelta(seconds=second, milliseconds=number)
                assert outbox.add(connection, [letter(f"{endpoint}-{number:03}", endpoint, at)])
        now, lease = MONDAY + timedelta(minutes=1), timedelta(seconds=60)
        share = outbox.PER_ENDPOINT
        first = [one.id for one in outbox.claim(connection, now, lease, 64)]
        assert first == [f"busy-{n:03}" for n in range(share)] + ["calm-000", "calm-001", "calm-002"]
        assert outbox.claim(connection, now, lease, 64) == [], "all places of both are taken"
        again = outbox.claim(connection, now + lease, lease, 64)
        assert [one.id for one in again] == first, "a lease that ran out is taken up first"


def test_a_crash_between_sending_and_noting_sends_again_with_the_same_id(world: World) -> None:
    """A lease that was never returned is returned by the next start; the receiver sees the same id twice at most."""
    world.offices[LEAD].replies.append(500)
    world.warn()
    [waiting] = deliveries(world, LEAD)
    with world.app.database.write() as connection:  # claimed, as by a process that dies before it hears the answer
        claimed = outbox.claim(connection, world.clock.now() + timedelta(minutes=1), timedelta(hours=9), 10, "serve")
    assert [one.id for one in claimed] == [waiting["id"]]
    world.jump("2m")
    assert len(world.offices[LEAD].attempts) == 1, "nobody else takes what is leased"
    world.restart()
    assert [one.id for one in world.offices[LEAD].attempts] == [waiting["id"]] * 2
    assert deliveries(world, LEAD)[0]["state"] == "sent"


def test_a_caught_answer_is_worth_nothing_to_whoever_sends_it_again(world: World) -> None:
    """Old, altered by a byte, for another warning, under another key: refused; within five minutes it repeats the reply and no more."""
    warning = world.warn()
    path = f"/v1/warnings/{warning}/responses"
    task = world.assigned(LEAD).data["task"]["id"]
    office = world.offices[LEAD]
    body = json.dumps({"action": "report", "task": task, "form": {"text": "正在赶赴现场"}}).encode()
    assert world.http.post(path, content=body, headers=office.sign("m-1", body, age=301)).status_code == 401
    assert world.http.post(path, content=body, headers=office.sign("m-1", body, age=-400)).status_code == 401
    signed = office.sign("m-1", body)
    assert world.http.post(path, content=body.replace(b"report", b"receive"), headers=signed).status_code == 401
    assert world.http.post(path, content=body, headers=signed | {"webhook-id": "m-2"}).status_code == 401
    assert world.http.post(path, content=body, headers=signed | {"webhook-timestamp": "0"}).status_code == 401
    first = world.http.post(path, content=body, headers=signed)
    assert first.status_code == 200
    version = first.json()["version"]
    for stolen in (signed, signed | {"idempotency-key": "another"}):
        assert world.http.post(path, content=body, headers=stolen).text == first.text
    [now] = [one for one in world.story(warning)["tasks"] if one["department"] == LEAD]
    assert now["version"] == version, "it was applied once"
