"""The departments' side: real receivers on loopback that verify signatures, keep what they are told, and sign what they answer."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from app.clock import SystemClock

Reply = int | tuple[int, dict[str, str]] | str  # a status, a status with headers, or "hang"
PATIENCE = 20.0  # seconds after which a receiver that hangs gives up by itself
WALL = SystemClock()


@dataclass
class Message:
    """One attempt as it came in."""

    id: str
    body: dict[str, Any]
    headers: dict[str, str]
    raw: bytes
    status: int

    @property
    def event(self) -> str:
        return str(self.body["type"])

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = self.body["data"]
        return found


@dataclass
class Office:
    """One department's receiver; `replies` are given one after the other, then 204."""

    id: str
    url: str = ""
    secrets: list[str] = field(default_factory=list)
    replies: deque[Reply] = field(default_factory=deque)
    always: Reply = 204
    attempts: list[Message] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def told(self, event: str = "", warning: str = "") -> list[Message]:
        """Return what was taken, each thing once, in order; filtered by what is not empty."""
        taken = {one.id: one for one in reversed(self.attempts) if 200 <= one.status < 300}
        found = [taken[one] for one in dict.fromkeys(message.id for message in self.attempts) if one in taken]
        return [one for one in found if event in {"", one.event} and warning in {"", one.data["warning"]["id"]}]

    def sign(self, key: str, body: bytes, *, secret: str = "", age: float = 0.0) -> dict[str, str]:
        """Return the headers of a signed answer; `age` seconds old."""
        at = WALL.now().timestamp() - age
        stamp = str(int(at))
        moment = WALL.now().fromtimestamp(int(at), tz=WALL.now().tzinfo)
        signature = Webhook(secret or self.secrets[-1]).sign(key, moment, body.decode())
        return {"content-type": "application/json", "webhook-id": key, "webhook-timestamp": stamp, "webhook-signature": signature}

    def take(self, headers: dict[str, str], raw: bytes) -> Reply:
        """Verify one attempt and say how it is answered."""
        plan: Reply = self.replies.popleft() if self.replies else self.always
        status = plan if isinstance(plan, int) else plan[0] if isinstance(plan, tuple) else 0
        try:
            Webhook(self.secrets[-1]).verify(raw, headers)
        except (WebhookVerificationError, ValueError) as error:
            self.complaints.append(repr(error))
            return 401
        self.attempts.append(Message(headers["webhook-id"], json.loads(raw), headers, raw, int(status)))
        return plan


class Offices:
    """All receivers in one real aiohttp server on a free port, in a thread of its own."""

    def __init__(self, *ids: str) -> None:
        self._offices = {one: Office(one) for one in ids}
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="offices", daemon=True)
        self._ending: asyncio.Event | None = None

    def __getitem__(self, office: str) -> Office:
        return self._offices[office]

    def __iter__(self) -> Any:
        return iter(self._offices.values())

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._ending is not None
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._ending = asyncio.Event()
        app = web.Application()
        app.router.add_post("/{office}", self._receive)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        for office in self._offices.values():
            office.url = f"http://127.0.0.1:{port}/{office.id}"
        self._ready.set()
        await self._ending.wait()
        await runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        office = self._offices[request.match_info["office"]]
        plan = office.take({name.lower(): value for name, value in request.headers.items()}, await request.read())
        if plan == "hang":
            await asyncio.sleep(PATIENCE)
            return web.Response(status=204)
        status, headers = plan if isinstance(plan, tuple) else (int(plan), {})
        return web.Response(status=status, headers=headers)


def problem(response: httpx.Response) -> dict[str, Any]:
    """Return the problem document of a refusal; fails where it is none."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    found: dict[str, Any] = response.json()
    assert found["status"] == response.status_code
    assert found["title"]
    assert found["detail"]
    return found
