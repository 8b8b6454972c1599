"""Whatever comes in gets a clear answer: what is wrong, where, and what to do; everything else of the same batch goes on."""

from __future__ import annotations

import json
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.app.offices import problem
from tests.app.world import FOOD, GAS, LEAD, World, penalty, signal
from tests.connectors.senders import as_csv, as_xlsx, uscc

RECORDS = "/v1/feeds/penalties/records"
CSV = {"content-type": "text/csv"}
JSON = {"content-type": "application/json"}
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
DEEP = b"[" * 100_000 + b"]" * 100_000


def send(world: World, body: bytes, **headers: str) -> dict[str, Any]:
    """Post raw penalties and return the answer."""
    found: dict[str, Any] = world.call("POST", RECORDS, "feed", content=body, headers=CSV | headers).json()
    return found


def rejections(answer: dict[str, Any]) -> list[tuple[int, str, str]]:
    """Return (position, reason, field) of what was rejected, by position."""
    found = [one for one in answer["results"] if one["status"] == "rejected"]
    assert all(one["message"] and one["seq"] for one in found), "each says why, and is kept in the journal"
    assert len(found) == answer["rejected"] == sum(answer["reasons"].values())
    return sorted((one.get("position", 0), one["reason"], one.get("field", "")) for one in found)


def small(number: int, **change: Any) -> dict[str, Any]:
    """Return a penalty that raises nothing."""
    return penalty(number, "0.01", **change)


def test_one_batch_with_everything_wrong_in_it_goes_in_as_far_as_it_can(shared: World) -> None:
    """A wrong type, an impossible date, a date ten years ahead and an empty key are rejected by row and column; the others go in."""
    batch = [
        small(10),
        small(11, CF_NR_FK="两千"),
        small(12, CF_JDRQ="2026-02-30"),
        small(13, CF_JDRQ="2036-03-02"),
        small(14, CF_WSH=""),
        small(15, CF_XDR_SHXYM=GAS[:-1] + ("0" if GAS[-1] != "0" else "1")),
        small(16, CF_XDR_SHXYM=uscc(77), CF_XDR_MC="名录之外的公司"),
        small(17),
    ]
    answer = send(shared, as_csv(batch))
    assert rejections(answer) == [
        (3, "bad_type", "CF_NR_FK"), (4, "bad_date", "CF_JDRQ"), (5, "future", "CF_JDRQ"), (6, "missing_field", "CF_WSH"),
    ]  # fmt: skip
    assert (answer["records"], answer["accepted"], answer["unresolved"]) == (8, 4, 1)
    remarks = {one["position"]: one["message"] for one in answer["results"] if one["status"] == "accepted" and "message" in one}
    assert "校验位" in remarks[7], "a bad check digit is taken as it stands, and flagged"
    assert "待确认" in remarks[8], "an unknown object counts once somebody says which it is"
    assert set(remarks) == {7, 8}
    shown = {one["position"]: one["message"] for one in answer["results"] if one["status"] == "rejected"}
    assert shown[4].startswith("第 4 行 CF_JDRQ")


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        (b"\x80\x81\xff\xff,\xff" * 20, {}, "bad_encoding"),
        ("甲,乙\n一,二\n".encode(), {}, "bad_header"),
        ("甲,乙\n一,二\n".encode("gb18030"), {}, "bad_header"),
        (
            as_xlsx([small(21)])[:2000],
            {"content-type": XLSX},
            "bad_structure",
        ),
        (b'[{"CF_WSH": "1"', JSON, "bad_structure"),
        (b"<a><b></a>", {"content-type": "application/xml"}, "bad_structure"),
        (b"\xd0\xcf\x11\xe0 an old workbook", {}, "bad_structure"),
        (DEEP, JSON, "too_large"),
    ],
    ids=["encoding", "header", "header-gb18030", "half-xlsx", "half-json", "format", "xls", "deep"],
)
def test_an_input_that_cannot_be_read_is_one_kept_rejection(shared: World, body: bytes, headers: dict[str, str], reason: str) -> None:
    """Nothing is guessed and nothing is lost: 202, because the input is on the disk together with what is wrong with it."""
    answer = send(shared, body, **headers)
    assert answer["accepted"] == 0
    assert answer["reasons"] == {reason: 1}
    assert answer["results"][0]["message"]


def test_half_a_csv_file_gives_its_whole_rows(shared: World) -> None:
    """A file cut in the middle of a row: the rows before it count, the cut one is rejected."""
    whole = as_csv([small(30), small(31), small(32)])
    answer = send(shared, whole[: whole.rindex(b"2026-03-02") - 4])
    assert answer["accepted"] == 2
    assert [one[:2] for one in rejections(answer)] == [(4, "bad_structure")]


def test_an_empty_input_says_that_there_was_nothing(shared: World) -> None:
    """No records is an answer too: a T+1 table may be empty."""
    for path, who in ((RECORDS, "feed"), ("/v1/signals", "signals")):
        answer = shared.call("POST", path, who, content=b"").json()
        assert (answer["records"], answer["results"]) == (0, [])


def test_canonical_signals_are_refused_one_by_one_with_the_nearest_legal_key(shared: World) -> None:
    """Unknown key, missing key, wrong type, impossible date, no offset, out of range: each by its place, and the good one goes in."""
    answer = shared.signals(
        signal("b-1", severty=2),
        {"id": "b-2", "source": "hotline", "kind": "gas.leak"},
        signal("b-3", severity="high"),
        signal("b-4", occurred_at="2026-02-30T08:00:00+08:00"),
        signal("b-5", occurred_at="2026-03-01T08:00:00"),
        signal("b-6", occurred_at="2036-03-01T08:00:00+08:00"),
        signal("b-7", source="rumour"),
        signal("b-8", severity=4),
        signal("b-9", object_id=FOOD, kind="food.hygiene"),
    ).json()
    assert rejections(answer) == [
        (1, "unknown_field", "severty"), (2, "missing_field", "occurred_at"), (3, "bad_type", "severity"), (4, "bad_date", "occurred_at"),
        (5, "bad_date", "occurred_at"), (6, "future", "occurred_at"), (7, "bad_type", "source"), (8, "bad_value", "severity"),
    ]  # fmt: skip
    assert answer["accepted"] == 1
    told = {one["position"]: one["message"] for one in answer["results"] if one["status"] == "rejected"}
    assert 'severity"？' in told[1], "did you mean"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"id": "n-1", "source"', "bad_structure"),
        (b"not json", "bad_structure"),
        (json.dumps(signal("n-2")).encode().replace(b'"n-2"', b'"n-2", "value": NaN'), "bad_structure"),
        (json.dumps(signal("n-3")).encode().replace(b'"n-3"', b'"n-3", "value": -Infinity'), "bad_structure"),
        (json.dumps(signal("n-4")).encode().replace(b'"n-4"', b'"n-4", "value": 1e999'), "bad_structure"),
        (json.dumps(signal("n-5")).encode().replace(b'"n-5"', b'"n-5", "attrs": {"a": ' + b"9" * 1_000_000 + b"}"), "bad_structure"),
        (json.dumps(signal("n-6")).encode().replace(b'"n-6"', b'"n-6", "attrs": {"a": ' + DEEP + b"}"), "too_large"),
        (b"[1, 2]", "bad_structure"),
        (b'"text"', "bad_structure"),
        (DEEP, "too_large"),
    ],
    ids=["cut", "text", "nan", "infinity", "overflow", "huge-number", "deep-attrs", "numbers", "string", "deep"],
)
def test_json_that_is_none_or_cannot_be_kept_is_rejected(shared: World, body: bytes, reason: str) -> None:
    """NaN, infinities, endless numbers and endless nesting come back as a reason, never as an error of ours."""
    answer = shared.call("POST", "/v1/signals", "signals", content=body, headers=JSON).json()
    assert answer["accepted"] == 0
    assert set(answer["reasons"]) == {reason}


def test_the_same_key_is_a_duplicate_a_revision_or_a_conflict_never_silent(shared: World) -> None:
    """Same content: the same answer. Other content: a revision where the feed declares them, else a kept rejection."""
    first = send(shared, as_csv([small(40)]))
    again = send(shared, as_csv([small(40)]))
    assert again["duplicates"] == 1
    assert again["results"][0]["seq"] == first["results"][0]["seq"], "the same answer"
    revised = send(shared, as_csv([small(40, CF_SY="燃气泄漏，改为从轻")]))
    assert (revised["revisions"], revised["rejected"]) == (1, 0)
    assert shared.signals(signal("k-1", object_id=FOOD)).json()["accepted"] == 1
    assert shared.signals(signal("k-1", object_id=FOOD)).json()["duplicates"] == 1
    conflict = shared.signals(signal("k-1", object_id=FOOD, severity=3)).json()
    assert conflict["reasons"] == {"conflicting_content": 1}


def test_a_feed_that_does_not_exist_is_404_with_the_legal_names(shared: World) -> None:
    """The answer lists what there is."""
    detail = problem(shared.ask("admin", "POST", "/v1/feeds/penaltys/records", content=b"x"))["detail"]
    assert "penaltys" in detail
    assert "penalties" in detail


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/v1/warnings?status=opne", 'did you mean "open"'),
        ("/v1/warnings?level=oragne", 'did you mean "orange"'),
        ("/v1/warnings?matter=gas-operaton", 'did you mean "gas-operation"'),
        ("/v1/warnings?department=zhujan", f'did you mean "{LEAD}"'),
        ("/v1/outbox?state=waitng", 'did you mean "waiting"'),
        ("/v1/warnings?levl=red", 'did you mean "level"'),
        ("/v1/outbox?stat=dead", 'did you mean "state"'),
        ("/v1/rules?level=red", "query parameter"),
        ("/v1/outbox?department=zhujan", f'did you mean "{LEAD}"'),
        ("/v1/feeds/penalties/rejections?reason=bad-date", 'did you mean "bad_date"'),
        ("/v1/feeds/penalties/rejections?status=opened", 'did you mean "open"'),
    ],
)
def test_a_mistyped_filter_is_refused_with_the_legal_values(shared: World, path: str, says: str) -> None:
    """400 with what there is and what was probably meant; an empty list would look like an answer."""
    document = problem(shared.ask("duty", "GET", path))
    assert document["status"] == 400
    assert says in document["detail"]
    assert "可取" in document["detail"]


def test_legal_filters_are_taken_even_where_nothing_fits(shared: World) -> None:
    """Every status, level, item, sector and department that there is, and the duty desk."""
    for query in ("status=withdrawn", "level=blue", "matter=food", "matter=food-service", f"department={LEAD}", "status=&level="):
        assert shared.ask("duty", "GET", f"/v1/warnings?{query}").status_code == 200, query
    assert shared.ask("duty", "GET", "/v1/outbox?state=cancelled&department=duty-desk").status_code == 200


def test_a_content_type_that_says_nothing_is_not_believed_more_than_the_bytes(shared: World) -> None:
    """A CSV that calls itself a picture, or nothing at all, is read as what it is."""
    body = as_csv([small(50)])
    answers = [shared.call("POST", RECORDS, "feed", content=body, headers={"content-type": kind}).json() for kind in ("image/png", "", "/")]
    assert [(one["accepted"], one["duplicates"]) for one in answers] == [(1, 0), (0, 1), (0, 1)]


def test_a_probable_slip_in_a_signal_is_taken_and_remarked(shared: World) -> None:
    """Kinds are open and a region may be left out: a kind near a known one and a region that is no code are told, not refused."""
    answer = shared.signals(
        signal("slip-1", kind="gas.leek"), signal("slip-2", region="61013"), signal("slip-3", kind="gas.leak", region="610113")
    ).json()
    assert answer["accepted"] == 3, answer
    told = {one["position"]: one.get("message", "") for one in answer["results"]}
    assert "gas.leak" in told[1]
    assert "61013" in told[2]
    assert "区划" not in told[3]
    assert "类型" not in told[3]


@pytest.mark.parametrize(("path", "who"), [(RECORDS, "feed"), ("/v1/signals", "signals")])
def test_more_records_than_one_input_may_have_are_refused_whole(shared: World, path: str, who: str) -> None:
    """413 with their number and the limit; the rejection that is kept of it stands for the whole input."""
    content, kind = (
        (b"[" + b"1," * 200_000 + b"1]", "application/json") if who == "signals" else (as_csv([small(1)]) + b"x\n" * 200_000, CSV)
    )
    headers = {"content-type": kind} if isinstance(kind, str) else kind
    refused = shared.ask(who, "POST", path, content=content, headers=headers)
    assert refused.status_code == 413
    assert "200001" in problem(refused)["detail"]


def test_fifty_megabytes_are_refused_before_they_are_sent(shared: World) -> None:
    """413 with the limit as soon as the length is known; a sender that names no length is cut off at the limit."""
    address = urlsplit(str(shared.http.base_url))
    head = (
        f"POST {RECORDS} HTTP/1.1\r\nhost: x\r\nauthorization: {shared.headers('feed')['authorization']}\r\n"
        "content-type: text/csv\r\ncontent-length: 50000000\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port), timeout=5) as line:
        line.sendall(head.encode() + b"x" * 1000)
        said = line.recv(65536).decode()
    assert said.startswith("HTTP/1.1 413")
    chunks = (b"x" * 1_000_000 for _ in range(50))
    refused = shared.ask("feed", "POST", RECORDS, content=chunks, headers=CSV)
    assert refused.status_code == 413
    assert str(16 * 2**20) in problem(refused)["detail"]


ANSWERS: list[tuple[bytes, dict[str, str], int, str]] = [
    (b"", JSON, 400, "没有正文"),
    (b'{"action":', JSON, 400, "无法读取"),
    (b"action=receive", {"content-type": "application/x-www-form-urlencoded"}, 400, "无法读取"),
    (b'{"action": "receive", "form": {"a": ' + DEEP + b"}}", JSON, 400, "嵌套"),
    (b'{"action": "receive", "note": NaN}', JSON, 400, "无法读取"),
    (b'{"action": "receive", "oops": 1}', JSON, 400, "problems"),
    (b'{"action": 1}', JSON, 400, "problems"),
    (b'{"action": "recieve"}', JSON, 422, "receive"),
    (b'{"action": "verify", "form": {"finding": "yes"}}', JSON, 422, "confirmed"),
    (b'{"action": "handle", "form": {}}', JSON, 422, "receive"),
    (b'{"action": "receive", "at": "2026-02-30T00:00:00Z"}', JSON, 400, "problems"),
    (b'{"action": "receive", "version": 99}', JSON, 409, ""),
]


@pytest.fixture(scope="module")
def warning(shared: World) -> str:
    """An open warning."""
    return shared.warn(900)


@pytest.mark.parametrize(("body", "headers", "status", "says"), ANSWERS)
def test_an_answer_that_makes_no_sense_is_refused_with_what_would(
    shared: World, warning: str, body: bytes, headers: dict[str, str], status: int, says: str
) -> None:
    """Broken, nested, unknown, illegal now, incomplete: a problem document, and the task stands where it stood."""
    response = shared.ask("lead", "POST", f"/v1/warnings/{warning}/responses", content=body, headers=headers)
    assert response.status_code == status, response.text
    assert says in json.dumps(problem(response), ensure_ascii=False)
    assert {task["stage"] for task in shared.story(warning)["tasks"]} == {"pushed"}


def test_nested_rubbish_with_a_signature_header_is_401_for_a_stranger(shared: World) -> None:
    """The gate reads the body before it knows who asks: nothing in it may bring it down."""
    for body in (DEEP, b"[" * 100_000, b"\xff\xfe", b'{"task": {"a": 1}}', b'{"task": "\\ud800"}', b"x" * 1_000_000):
        for stamp in ("1", "inf", "nan", "9" * 400, "", "\u0661"):
            headers = {"webhook-id": "a", "webhook-timestamp": stamp.encode("utf-8"), "webhook-signature": b"v1,\xff, v1,=,,"}
            assert shared.http.post("/v1/warnings/x/responses", content=body, headers=headers).status_code == 401


def test_the_key_of_an_answer_brings_the_same_reply_again_and_takes_no_other_content(world: World) -> None:
    """A repeat with the same body is answered as the first time, also when the task has moved on; another body is a conflict."""
    warning = world.warn()
    path = f"/v1/warnings/{warning}/responses"

    def say(body: dict[str, Any], key: str, who: str = "lead") -> Any:
        return world.ask(who, "POST", path, json=body, headers={"idempotency-key": key})

    first = say({"action": "receive"}, "k-1")
    assert first.status_code == 200
    assert say({"action": "receive"}, "k-1").text == first.text
    reused = say({"action": "verify"}, "k-1")
    assert reused.status_code == 409
    assert "k-1" in problem(reused)["detail"]
    assert say({"action": "receive"}, "k-1", "partner").json()["task"] != first.json()["task"], "each department has keys of its own"
    given = {"action": "return", "form": {"reason": "not_our_power", "basis": "三定方案"}}
    back = say(given, "k-2")
    assert back.json()["stage"] == "returned"
    assert say(given, "k-2").text == back.text, "although the department has no open task any more"
    assert say({"action": "receive"}, "x" * 300).status_code == 422
    assert say({"action": "receive"}, "k-1", "other").status_code == 404, "somebody else's key opens nothing"


def test_an_answer_to_a_closed_task_is_refused_and_changes_nothing(world: World) -> None:
    """What is closed stays closed; the answer says what may still be done."""
    warning = world.warn()
    world.finish("shichang", LEAD)
    world.accept("shichang", LEAD)
    before = world.story(warning)["tasks"]
    late = world.answer(LEAD, "report", form={"text": "补充"})
    assert late.status_code == 422
    assert "办结" in problem(late)["detail"]
    assert world.story(warning)["tasks"] == before


def test_requests_that_no_route_fits_say_so(shared: World) -> None:
    """404 names the path, 405 the method, 400 the parameter."""
    assert "/v1/nothing" in problem(shared.ask("duty", "GET", "/v1/nothing"))["detail"]
    assert "DELETE" in problem(shared.ask("duty", "DELETE", "/v1/warnings"))["detail"]
    for query in ("limit=0", "limit=abc", "limit=1e9", "overdue=perhaps"):
        found = problem(shared.ask("duty", "GET", f"/v1/warnings?{query}"))
        assert found["status"] == 400
        assert found["problems"][0]["key"] == query.partition("=")[0]
    for path in ("/v1/warnings/%00", "/v1/warnings?after=%ff", "/v1/objects/%F0%9F%94%A5", "/v1/outbox?state=%00"):
        assert shared.ask("duty", "GET", path).status_code in {200, 400, 404}, path


@pytest.mark.parametrize("what", ["objects", "catalogue", "departments"])
def test_an_import_that_cannot_be_read_names_file_and_columns(shared: World, what: str) -> None:
    """The registers stay as they are."""
    before = shared.read("/v1/objects/o-gas")
    for name, body in (("a.xlsx", b"PK\x03\x04junk"), ("a.csv", "甲,乙\n1,2\n".encode()), ("a.csv", b""), ("a.yaml", b"departments: [")):
        found = problem(shared.ask("admin", "POST", f"/v1/import/{what}?name={name}", content=body))
        assert found["status"] == 422
        assert found["problems"][0]["file"] == name
    assert problem(shared.ask("admin", "POST", f"/v1/import/{what}", content=b"x"))["status"] == 400
    assert shared.read("/v1/objects/o-gas") == before


def test_an_import_takes_the_right_rows_and_names_the_others(shared: World) -> None:
    """Row and column of each wrong one; the right ones are in the register."""
    rows = f"id,type,name,code,region\no-new,enterprise,新公司,{uscc(41)},610113\no-bad,castle,城堡,,610113\no-none,enterprise,,,610113\n"
    answer = shared.call("POST", "/v1/import/objects?name=o.csv", content=rows.encode()).json()
    assert answer["imported"] == 1
    assert sorted((one["row"], one["column"]) for one in answer["problems"]) == [(3, 2), (4, 3)]
    shared.app.settle()
    assert shared.read("/v1/objects/o-new")["object"]["name"] == "新公司"


ODD_ADDRESSES = [
    "http://10.0.0.1/", "http://2130706433/", "http://0177.0.0.1/", "http://127.1/", "http://127.0.0.1./", "http://0x7f000001/",
    "http://a..b/",
    "http://[::ffff:10.0.0.1]/", "http://[::1/", "https://169.254.169.254/latest", "https://user:pw@example.org/", "https://example.org:22/",
    "http://127.0.0.1:0/", "ftp://example.org/", "nothing", "", "https://exa mple.org/", "https://１２７.0.0.1/",
    "https://" + "a" * 300 + "/",
]  # fmt: skip


@pytest.mark.parametrize("url", ODD_ADDRESSES)
def test_an_address_that_must_not_be_called_is_refused_when_it_is_registered(shared: World, url: str) -> None:
    """Odd spellings of addresses, foreign ports and schemes: 422 with the reason, and the endpoint stays as it was."""
    response = shared.ask("admin", "PUT", f"/v1/departments/{LEAD}/endpoint", json={"url": url})
    assert response.status_code == 422, response.text
    assert problem(response)
