"""One attempt of a webhook against a real receiver on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from app.clock import SystemClock
from connectors.outbound.egress import networks
from connectors.outbound.webhook import BODY_LIMIT, WebhookSender, headers
from dispatch.deliver import Attempt
from domain.errors import DeliveryRejected

DATE = "Wed, 21 Oct 2015 07:28:00 GMT"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
LOOPBACK = networks(["127.0.0.0/8"])
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def attempt_against(handler: Handler, body: bytes = b'{"a":1}', secrets: tuple[str, ...] = (SECRET,)) -> Attempt:
    """Start a receiver, make one attempt, return what came of it."""

    async def run() -> Attempt:
        application = web.Application()
        application.router.add_post("/hook", handler)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        try:
            async with WebhookSender(SystemClock(), LOOPBACK) as sender:
                return await sender.send(f"http://{host}:{port}/hook", secrets, "d-1", body)
        finally:
            await runner.cleanup()

    return asyncio.run(run())


def test_a_receiver_verifies_the_signature_with_the_published_library() -> None:
    """Either secret of a rotation verifies; a foreign one does not."""
    seen: list[dict[str, str]] = []

    async def receive(request: web.Request) -> web.Response:
        body = await request.read()
        for secret in (SECRET, OLD_SECRET):
            Webhook(secret).verify(body, dict(request.headers))
        with pytest.raises(WebhookVerificationError):
            Webhook("whsec_" + "A" * 32).verify(body, dict(request.headers))
        seen.append(dict(request.headers))
        return web.Response(status=204)

    result = attempt_against(receive, secrets=(SECRET, OLD_SECRET))

    assert (result.status, len(seen)) == (204, 1)


@pytest.mark.parametrize(
    ("status", "retry", "expected"),
    [(429, "7", "7"), (503, None, ""), (500, DATE, DATE)],
)
def test_a_failing_receiver_is_an_answer_with_its_wish_for_a_pause(status: int, retry: str | None, expected: str) -> None:
    """Retry-After is handed on as the receiver wrote it."""

    async def receive(_request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"retry-after": retry} if retry else {})

    result = attempt_against(receive)

    assert (result.status, result.retry_after) == (status, expected)


def test_a_redirect_is_not_followed() -> None:
    """A 3xx is reported as it is: the address that was configured is the only one asked."""
    asked: list[str] = []

    async def receive(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=302, headers={"location": "/elsewhere"})

    assert (attempt_against(receive).status, asked) == (302, ["/hook"])


def test_a_closed_port_is_an_attempt_without_status() -> None:
    """Nobody there: no status and the reason, no exception."""

    async def run() -> Attempt:
        async with WebhookSender(SystemClock(), LOOPBACK) as sender:
            return await sender.send("http://127.0.0.1:9/hook", (SECRET,), "d-1", b"{}")

    result = asyncio.run(run())
    assert (result.status, result.failure) == (None, "connection_refused")


def test_a_body_over_the_limit_is_refused_for_good() -> None:
    """20 kB is the convention's limit; more evidence goes behind a link."""

    async def receive(_request: web.Request) -> web.Response:
        return web.Response(status=204)

    with pytest.raises(DeliveryRejected, match="over the limit"):
        attempt_against(receive, body=b"x" * (BODY_LIMIT + 1))


def test_headers_keep_the_id_over_attempts_and_move_the_time_stamp() -> None:
    """The id is what a receiver drops repeats by."""
    first = headers((SECRET,), "d-1", b"{}", datetime(2026, 3, 1, tzinfo=UTC))
    second = headers((SECRET,), "d-1", b"{}", datetime(2026, 3, 2, tzinfo=UTC))
    assert first["webhook-id"] == second["webhook-id"] == "d-1"
    assert first["webhook-signature"] != second["webhook-signature"]
