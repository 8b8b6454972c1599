"""The departments of the demo: separate processes that verify signatures and answer by public routes only."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from standardwebhooks import Webhook, WebhookVerificationError

from app.clock import SystemClock
from app.demo.pages import fill_in

SECRET = "whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
T0 = datetime(2026, 3, 2, 1, tzinfo=UTC)
STAGES = {
    "receive": "received",
    "verify": "verified",
    "handle": "handled",
    "feed_back": "fed_back",
    "return": "returned",
    "accept": "accepted",
}
LEGAL = {"pushed": ["receive", "return", "verify"], "received": ["return", "verify"], "verified": ["handle"], "handled": ["feed_back"]}
PAGE = """<html><body><form action="/answer/abc" method="post"><input type="hidden" name="version" value="3">
<select name="action"><option value="receive">签收</option><option value="verify">核查</option><option value="handle">处置</option>
<option value="feed_back">反馈</option></select><input name="form.facts"><input name="form.means"><select name="form.finding">
<option value="confirmed">属实</option></select><textarea name="form.proof"></textarea><input name="operator"></form></body></html>"""


class Centre:
    """What the departments answer to: it checks each signature with the library and keeps what was said, and when."""

    def __init__(self, status: int = 200) -> None:
        self.said: list[dict[str, Any]] = []
        self.pages: list[dict[str, str]] = []
        self.used: set[str] = set()
        self.status = status

    async def responses(self, request: web.Request) -> web.Response:
        body = await request.read()
        answer = json.loads(body)
        by = "token" if request.headers.get("authorization") == "Bearer desk-token" else "signature"
        if by == "signature":
            try:
                Webhook(SECRET).verify(body, dict(request.headers))
            except WebhookVerificationError:
                return web.Response(status=401)
        answer |= {"warning": request.match_info["warning"], "by": by, "key": request.headers["idempotency-key"]}
        self.said.append(answer)
        if answer["action"] == "verify" and "finding" not in answer["form"]:
            return web.json_response({"detail": "finding"}, status=422)
        if self.status != 200:
            return web.Response(status=self.status)
        unfounded = answer["form"].get("finding", "confirmed") != "confirmed"
        stage = STAGES.get(answer["action"], "")
        return web.json_response({"task": answer["task"], "stage": stage, "legal_actions": [] if unfounded else LEGAL.get(stage, [])})

    async def page(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.Response(text=PAGE.replace("/answer/abc", request.path), content_type="text/html")
        if request.match_info["token"] in self.used:
            return web.Response(status=401)
        self.used.add(request.match_info["token"])
        self.pages.append({name: str(value) for name, value in (await request.post()).items()})
        return web.Response(status=303, headers={"location": f"/answer/abc{len(self.pages)}"})


@asynccontextmanager
async def centre(status: int = 200) -> AsyncIterator[tuple[Centre, str]]:
    """Run a centre on a free port."""
    held = Centre(status)
    app = web.Application()
    app.router.add_post("/v1/warnings/{warning}/responses", held.responses)
    app.router.add_route("*", "/answer/{token}", held.page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield held, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextmanager
def offices(folder: Path, api: str, *given: dict[str, Any], wrong: dict[str, list[str]] | None = None) -> Iterator[str]:
    """Run the offices in a process of their own; give their address."""
    config = {"api": api, "offices": [{"secret": SECRET} | one for one in given], "outlook": {"seed": 1, "wrong": wrong or {}}}
    file = folder / "offices.json"
    file.write_text(json.dumps(config))
    command = [sys.executable, "-m", "app.demo.departments", "--port", "0", "--config", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield "http://" + process.stdout.readline().split()[1]
        finally:
            process.terminate()


def message(event: str = "task.assigned", *, department: str = "zhujian", stage: str = "pushed", **extra: Any) -> dict[str, Any]:
    """Return a webhook's body as the product writes it."""
    return {
        "type": event,
        "timestamp": T0.isoformat(),
        "data": {
            "warning": {"id": "w1", "subject": "obj-000007", "sector": "gas", "level": "orange"},
            "task": {"id": "k1", "department": department, "role": "lead", "stage": stage},
            "legal_actions": LEGAL.get(stage, []),
            "links": {},
        }
        | extra,
    }


async def tell(session: ClientSession, url: str, office: str, body: dict[str, Any], cause: str = "n1", secret: str = SECRET) -> int:
    """Send one signed webhook and return the status."""
    text = json.dumps(body)
    at = SystemClock().now()
    headers = {
        "webhook-id": cause,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(cause, at, text),
    }
    async with session.post(f"{url}/hooks/{office}", data=text.encode(), headers=headers) as response:
        return response.status


async def run_until(session: ClientSession, url: str, end: datetime) -> list[datetime]:
    """Advance from event to event, as the lock-step demo does, and return the times at which something was due."""
    times: list[datetime] = []
    now = T0
    while True:
        async with session.post(f"{url}/control/now", json={"now": now.isoformat()}) as response:
            state = await response.json()
        if state["next"] is None or datetime.fromisoformat(state["next"]) > end:
            return times
        now = datetime.fromisoformat(state["next"])
        times.append(now)


def test_a_prompt_office_answers_step_by_step_with_its_signature(tmp_path: Path) -> None:
    """Receive, verify, handle and feed back, each signed, each under a key of its own, within a working day, the same in a second run."""

    async def story() -> list[tuple[str, str]]:
        async with centre() as (held, api), ClientSession() as session:
            with offices(tmp_path, api, {"id": "zhujian"}, wrong={"obj-000007": ["gas"]}) as url:
                assert await tell(session, url, "zhujian", message()) == 204
                times = await run_until(session, url, T0 + timedelta(days=3))
            assert [said["action"] for said in held.said] == ["receive", "verify", "handle", "feed_back"]
            assert {said["by"] for said in held.said} == {"signature"}
            assert held.said[1]["form"]["finding"] == "confirmed"
            assert times[-1] < T0 + timedelta(hours=16)
            return [(time.isoformat(), said["key"]) for time, said in zip(times, held.said, strict=True)]

    first = asyncio.run(story())
    assert len({key for _, key in first}) == 4
    assert asyncio.run(story()) == first


def test_a_forged_a_repeated_and_a_flaky_delivery(tmp_path: Path) -> None:
    """Another secret is refused; a repeat is taken and does nothing; a flaky office fails once and takes the next attempt."""

    async def story() -> None:
        async with centre() as (held, api), ClientSession() as session:
            with offices(tmp_path, api, {"id": "zhujian"}, {"id": "renshe", "manner": "flaky"}) as url:
                assert await tell(session, url, "zhujian", message(), secret="whsec_" + "QUJD" * 8) == 401
                assert await tell(session, url, "nobody", message()) == 404
                assert [await tell(session, url, "zhujian", message()) for _ in range(2)] == [204, 204]
                mine = message(department="renshe")
                assert [await tell(session, url, "renshe", mine) for _ in range(2)] == [500, 204]
                await run_until(session, url, T0 + timedelta(hours=1))
                async with session.get(f"{url}/control/report") as response:
                    report = await response.json()
            assert sorted(said["operator"] for said in held.said) == ["renshe-经办", "zhujian-经办"]
            assert report["zhujian.bad_signature"] == report["zhujian.repeated"] == report["renshe.failed"] == 1

    asyncio.run(story())


def test_a_slow_office_is_late_and_another_never_answers(tmp_path: Path) -> None:
    """The slow one signs hours later; the silent one takes the message and says nothing, whatever it is reminded of."""

    async def story() -> None:
        async with centre() as (held, api), ClientSession() as session:
            with offices(tmp_path, api, {"id": "xiaofang", "manner": "slow"}, {"id": "weijian", "manner": "never"}) as url:
                await tell(session, url, "xiaofang", message(department="xiaofang"))
                await tell(session, url, "weijian", message(department="weijian"))
                await tell(session, url, "weijian", message("task.reminder", department="weijian"), cause="n2")
                times = await run_until(session, url, T0 + timedelta(days=30))
            assert times[0] > T0 + timedelta(hours=4)
            assert {said["operator"] for said in held.said} == {"xiaofang-经办"}

    asyncio.run(story())


def test_a_wrong_office_returns_or_sends_an_incomplete_form_first(tmp_path: Path) -> None:
    """Over some warnings both errors happen: a return with its typed reason and basis, and a form that is completed once it was refused."""

    async def story() -> None:
        async with centre() as (held, api), ClientSession() as session:
            with offices(tmp_path, api, {"id": "gongan", "manner": "wrong"}) as url:
                for number in range(12):
                    body = message(department="gongan")
                    body["data"]["warning"] |= {"id": f"w{number}"}
                    body["data"]["task"] |= {"id": f"k{number}"}
                    await tell(session, url, "gongan", body, cause=f"n{number}")
                await run_until(session, url, T0 + timedelta(days=5))
            returned = [said for said in held.said if said["action"] == "return"]
            assert 2 <= len(returned) <= 10
            assert all(said["form"]["reason"] == "not_our_power" and said["form"]["basis"] for said in returned)
            verified = [
                said for said in held.said if said["action"] == "verify" and said["warning"] not in {one["warning"] for one in returned}
            ]
            assert len(verified) == 2 * (12 - len(returned))
            for number in {said["warning"] for said in verified}:
                first, second = [said for said in verified if said["warning"] == number]
                assert "finding" not in first["form"]
                assert second["form"]["finding"]
                assert first["key"] != second["key"]

    asyncio.run(story())


def test_the_duty_desk_reviews_and_rules_with_its_token(tmp_path: Path) -> None:
    """It accepts what stands for review, designates another unit for what was returned, and tries a refused review again."""

    async def story(status: int) -> list[dict[str, Any]]:
        async with centre(status) as (held, api), ClientSession() as session:
            with offices(tmp_path, api, {"id": "zhiban", "manner": "desk", "token": "desk-token"}) as url:
                await tell(session, url, "zhiban", message("task.to_review", stage="fed_back"))
                returned = message("task.returned", department="gongan", stage="returned")
                returned["data"]["task"] |= {"id": "k2"}
                await tell(session, url, "zhiban", returned, cause="n2")
                await run_until(session, url, T0 + timedelta(days=1))
            return held.said

    said = {one["action"]: one for one in asyncio.run(story(200))}
    assert {one["by"] for one in said.values()} == {"token"}
    assert said["accept"]["form"] == {"signed_by": "值班领导"}
    assert said["designate"]["form"]["department"] == "zhujian"
    assert said["designate"]["form"]["reason"]
    refused = [one for one in asyncio.run(story(422)) if one["action"] == "accept"]
    assert 3 <= len(refused) <= 5


def test_an_office_without_integration_answers_on_the_page_of_its_link(tmp_path: Path) -> None:
    """It opens the one-time link, fills in the form that it finds there, and sends it where the form says."""

    async def story() -> list[dict[str, str]]:
        async with centre() as (held, api), ClientSession() as session:
            with offices(tmp_path, api, {"id": "jiaoyu", "by_link": True}, wrong={"obj-000007": ["gas"]}) as url:
                await tell(session, url, "jiaoyu", message(department="jiaoyu", links={"answer": f"{api}/answer/abc"}))
                await run_until(session, url, T0 + timedelta(days=2))
            assert not held.said
            return held.pages

    pages = asyncio.run(story())
    assert [page["action"] for page in pages] == ["receive", "verify", "handle", "feed_back"]
    assert pages[1]["form.finding"] == "confirmed"
    assert pages[2]["form.proof"].startswith("责令整改通知书")
    assert {page["version"] for page in pages} == {"3"}
    assert {page["operator"] for page in pages} == {"jiaoyu-经办"}


@pytest.mark.parametrize(("action", "found"), [("verify", True), ("transfer", False)])
def test_only_a_form_for_the_action_is_filled_in(action: str, found: bool) -> None:
    """A page without a form for what the office wants to do is left alone; the target is resolved against the page's address."""
    filled = fill_in(PAGE, "http://127.0.0.1:1/answer/abc?x=1", action, {"finding": "confirmed"}, "张三")
    assert (filled is not None) == found
    if filled is not None:
        assert filled[0] == "http://127.0.0.1:1/answer/abc"
        assert filled[1] == {"version": "3", "action": "verify", "form.finding": "confirmed", "operator": "张三"}
