"""Webhooks as Standard Webhooks defines them: signed, with one id over all attempts.

A receiver must drop repeats by `webhook-id`; a delivery is made at least once. The signature's time stamp is wall-clock time
even where the duty clock is moved by hand: it guards the transport against replays, it is no statement about the warning.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import Self

import aiohttp
from standardwebhooks import Webhook

from connectors.outbound.egress import CheckedResolver, Network, check_url
from dispatch.deliver import Attempt, Failure
from domain.errors import DeliveryRejected
from domain.ports import Clock

BODY_LIMIT = 20_000  # bytes, the convention's own limit
TIMEOUT = 15.0  # seconds of one attempt; the convention names 15 to 30


def headers(secrets: Sequence[str], delivery_id: str, body: bytes, at: datetime) -> dict[str, str]:
    """Return the signed headers of one attempt; two secrets give two signatures, for the time of a key rotation."""
    signatures = " ".join(Webhook(secret).sign(delivery_id, at, body.decode()) for secret in secrets)
    return {
        "content-type": "application/json; charset=utf-8",
        "user-agent": "fengsui",
        "webhook-id": delivery_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signatures,
    }


class WebhookSender:
    """Sends webhooks through pools of connections: no redirects, no proxies of the environment, checked addresses."""

    def __init__(self, wall: Clock, allowed: Sequence[Network], timeout: float = TIMEOUT) -> None:
        """`wall` stamps signatures; `allowed` are the networks of `egress.allow`; an attempt may last `timeout` seconds."""
        self._wall = wall
        self._allowed = allowed
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        """Open a pool for each scheme: plain http reaches only the networks that the operator named."""
        for scheme in ("http", "https"):
            # The outbox bounds what is under way to one endpoint; a bound for a host would let its departments wait for each other.
            connector = aiohttp.TCPConnector(resolver=CheckedResolver(self._allowed, public=scheme == "https"))
            self._sessions[scheme] = aiohttp.ClientSession(connector=connector, timeout=self._timeout, trust_env=False)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the pools."""
        for session in self._sessions.values():
            await session.close()

    async def send(self, url: str, secrets: Sequence[str], delivery_id: str, body: bytes) -> Attempt:
        """Make one attempt and say what came of it; a failing receiver is an answer, not an error.

        Raises:
            DeliveryRejected: the address may not be connected to, or the body is over 20 kB: no attempt can succeed.
        """
        check_url(url, self._allowed)
        if len(body) > BODY_LIMIT:
            raise DeliveryRejected(f"body of {len(body)} bytes is over the limit of {BODY_LIMIT}")
        now = self._wall.now()
        try:
            async with self._sessions[url.split(":", maxsplit=1)[0]].post(
                url, data=body, headers=headers(secrets, delivery_id, body, now), allow_redirects=False
            ) as response:
                return Attempt(status=response.status, retry_after=response.headers.get("retry-after", ""))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Attempt(failure=_failure(error))


def _failure(error: Exception) -> Failure:
    """Return the kind of a failed attempt; the order matters, the library's classes inherit from each other."""
    kinds: tuple[tuple[type[Exception], Failure], ...] = (
        (TimeoutError, "timeout"),
        (aiohttp.ClientConnectorDNSError, "dns"),
        (aiohttp.ClientSSLError, "tls"),
        (aiohttp.ClientConnectorError, "connection_refused"),
        (aiohttp.ClientPayloadError, "broken_reply"),
    )
    return next((failure for kind, failure in kinds if isinstance(error, kind)), "connection_reset")
