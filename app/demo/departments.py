"""The departments of the demo: processes of their own that receive signed webhooks and answer by the public routes.

Time is virtual: an office does what is due when `POST /control/now` tells it what time it is. Signatures carry wall-clock time,
which guards the transport. One process may host several offices, each under `/hooks/{id}`.

A server that is not there, is slow or fails is no part of the story: it ends the run, since an answer given later would make another month.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import json
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import msgspec
from aiohttp import ClientSession, ClientTimeout, TCPConnector, web
from standardwebhooks import Webhook, WebhookVerificationError

from app.clock import SystemClock
from app.demo import behaviour
from app.demo.behaviour import Office, Outlook, Step
from app.demo.pages import fill_in
from app.demo.wire import PATIENCE
from domain.errors import ServerSaid
from domain.messages import both


class RigConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration file of one process; `api` is the address of the server that they answer to, without a slash at its end."""

    api: str
    offices: tuple[Office, ...]
    outlook: Outlook = Outlook()


class Rig:
    """Some offices: what they received, what they are going to do, and what came of it."""

    def __init__(self, config: RigConfig) -> None:
        """Take the configuration."""
        self._api = config.api
        self._outlook = config.outlook
        self._offices = {office.id: office for office in config.offices}
        self._wall = SystemClock()
        self._now = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
        self._queue: list[tuple[datetime, str, str, Step]] = []
        self._seen: set[tuple[str, str]] = set()
        self._refused_once: set[tuple[str, str]] = set()
        self._busy: set[tuple[str, str]] = set()  # (office, task) with a step ahead
        self._turn = asyncio.Lock()
        self.counts: Counter[str] = Counter()
        self._session: ClientSession | None = None

    def application(self) -> web.Application:
        """Return the web application: one hook per office, and the control routes."""
        app = web.Application(client_max_size=64 * 1024)
        app.router.add_post("/hooks/{office}", self.receive)
        app.router.add_post("/control/now", self.advance)
        app.router.add_get("/control/report", self.report)
        app.cleanup_ctx.append(self._sessions)
        return app

    async def _sessions(self, _app: web.Application) -> Any:
        # Each answer on a connection of its own: on an idle one it could meet the server's end of it, after a stall of this process.
        self._session = ClientSession(timeout=ClientTimeout(total=PATIENCE), connector=TCPConnector(force_close=True))
        yield
        await self._session.close()

    async def receive(self, request: web.Request) -> web.Response:
        """Take one webhook: verify it, drop a repeat, decide what to do."""
        office = self._offices.get(request.match_info["office"])
        if office is None:
            return web.Response(status=404)
        body = await request.read()
        try:
            message = Webhook(office.secret).verify(body, dict(request.headers))
        except (WebhookVerificationError, ValueError):
            self.counts[f"{office.id}.bad_signature"] += 1
            return web.Response(status=401)
        cause = request.headers["webhook-id"]
        if office.manner == "flaky" and (office.id, cause) not in self._refused_once:
            self._refused_once.add((office.id, cause))
            self.counts[f"{office.id}.failed"] += 1
            return web.Response(status=500)
        if (office.id, cause) in self._seen:
            self.counts[f"{office.id}.repeated"] += 1
            return web.Response(status=204)
        self._seen.add((office.id, cause))
        self.counts[f"{office.id}.received"] += 1
        now = max(self._now, datetime.fromisoformat(message["timestamp"]))
        self._plan(behaviour.first_step(office, message, cause, now, self._outlook))
        return web.Response(status=204)

    def _plan(self, step: Step | None) -> None:
        """Put a step into the queue; an office that is already at a task does not begin a second time."""
        if step is None or (step.office, step.task or step.warning) in self._busy:
            return
        self._busy.add((step.office, step.task or step.warning))
        heapq.heappush(self._queue, (step.due, step.office, step.key, step))

    async def advance(self, request: web.Request) -> web.Response:
        """Do everything that is due up to `now`, in order; answer how much that was and when the next thing is due."""
        told = await request.json()
        acted = 0
        async with self._turn:
            self._now = max(self._now, datetime.fromisoformat(told["now"]))
            while self._queue and self._queue[0][0] <= self._now:
                step = heapq.heappop(self._queue)[-1]
                self._busy.discard((step.office, step.task or step.warning))
                await self._act(step)
                acted += 1
        ahead = self._queue[0][0].isoformat() if self._queue else None
        return web.json_response({"next": ahead, "acted": acted})

    async def report(self, _request: web.Request) -> web.Response:
        """Answer with all counts, sorted by name."""
        return web.json_response(dict(sorted(self.counts.items())))

    async def _act(self, step: Step) -> None:
        """Give one answer and plan what follows from the reply.

        Raises:
            ServerSaid: the server failed, or asks for patience.
        """
        office = self._offices[step.office]
        status, reply, link = await (self._by_page(step) if office.by_link and step.link else self._by_api(step, office))
        self.counts[f"{office.id}.{step.action}.{status}"] += 1
        if status >= 500 or status == 429:
            raise ServerSaid(both("demo.refused", who=step.office, what=f"{step.action} {step.task or step.warning}", status=status))
        step = msgspec.structs.replace(step, due=max(step.due, self._now), link=link)
        if not 200 <= status < 300:
            self._plan(behaviour.after_refusal(step, status))
            return
        if step.action in {"accept", "designate", "return"}:
            return
        stage, legal = reply.get("stage", ""), reply.get("legal_actions", ())
        if not reply:  # a page answers in HTML: the office knows its own next step
            stage = {"receive": "received", "verify": "verified", "handle": "handled"}.get(step.action, "")
            legal = () if step.form.get("finding", "confirmed") != "confirmed" else ("verify", "handle", "feed_back")
        self._plan(behaviour.next_step(step, office, stage, legal, self._outlook))

    async def _by_api(self, step: Step, office: Office) -> tuple[int, dict[str, Any], str]:
        """Answer by `POST /v1/warnings/{id}/responses`, signed with the department's secret; reviews and rulings with its token."""
        answer = {
            "action": step.action,
            "task": step.task,
            "form": behaviour.sent(step),
            "note": "",
            "operator": f"{office.id}-{'审核' if step.action in {'accept', 'designate'} else '经办'}",
        }
        body = json.dumps(answer, ensure_ascii=False)
        headers = {"content-type": "application/json", "idempotency-key": step.key}
        if office.token and step.action in {"accept", "designate"}:
            headers["authorization"] = f"Bearer {office.token}"
        else:
            at = self._wall.now()
            headers["webhook-id"] = step.key
            headers["webhook-timestamp"] = str(int(at.timestamp()))
            headers["webhook-signature"] = Webhook(office.secret).sign(step.key, at, body)
        assert self._session is not None, "the application is running"
        url = f"{self._api}/v1/warnings/{step.warning}/responses"
        async with self._session.post(url, data=body.encode(), headers=headers) as response:
            content = await response.read()
            reply = json.loads(content) if response.status < 300 and content else {}
            return response.status, reply if isinstance(reply, dict) else {}, step.link

    async def _by_page(self, step: Step) -> tuple[int, dict[str, Any], str]:
        """Answer as a person does who opens the one-time link: read the page, fill in its form, send it.

        The page leads on to a new link, for the next step.
        """
        assert self._session is not None, "the application is running"
        async with self._session.get(step.link, headers={"accept": "text/html"}) as response:
            page = await response.text()
            if response.status >= 300:
                return response.status, {}, step.link
        found = fill_in(page, step.link, step.action, behaviour.sent(step), f"{step.office}-经办")
        if found is None:
            return 404, {}, step.link
        target, told = found
        async with self._session.post(target, data=told, headers={"accept": "text/html"}, allow_redirects=False) as response:
            await response.read()
            if response.status in {302, 303}:
                return 200, {}, urljoin(step.link, response.headers.get("location", ""))
            return response.status, {}, "" if response.status == 200 else step.link


async def serve(config: RigConfig, port: int) -> None:
    """Listen on 127.0.0.1 until the process is told to end; print the address first."""
    runner = web.AppRunner(Rig(config).application(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    address = runner.addresses[0]
    sys.stdout.write(f"listening {address[0]}:{address[1]}\n")
    sys.stdout.flush()
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the offices of a configuration file (JSON) on a port; 0 chooses a free one."""
    parser = argparse.ArgumentParser(prog="python -m app.demo.departments", description=main.__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--config", type=Path, required=True)
    given = parser.parse_args(arguments)
    config = msgspec.json.decode(given.config.read_bytes(), type=RigConfig)
    try:
        asyncio.run(serve(config, given.port))
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
