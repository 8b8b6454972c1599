"""A canary listens on loopback: nothing that an administrator can register, and nothing that a name resolves to, reaches it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver

from app.clock import SystemClock
from connectors.outbound.egress import networks
from connectors.outbound.webhook import WebhookSender
from domain.errors import DeliveryRejected

SECRET = "whsec_" + base64.b64encode(b"0" * 32).decode()
SPELLINGS = (
    "127.0.0.1", "localhost", "127.1", "127.0.1", "2130706433", "017700000001", "0177.0.0.1", "0x7f000001", "0x7f.0.0.1", "127.0.0.1.", "0",
    "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[0:0:0:0:0:ffff:7f00:1]", "１２７.0.0.1", "127。0。0。1", "①②⑦.0.0.1", "localhost.",
    "LOCALHOST", "user@127.0.0.1", "example.org@127.0.0.1", "127.0.0.1#@example.org", "127.0.0.1%20", "127.0.0.1%00.example.org",
)  # fmt: skip


@asynccontextmanager
async def canary() -> AsyncIterator[tuple[int, list[bytes]]]:
    """Listen on loopback, both families, and note whoever connects."""
    heard: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    async with server:
        yield port, heard


async def attempt(sender: WebhookSender, url: str) -> str:
    """Return what came of one attempt."""
    try:
        return str((await sender.send(url, [SECRET], "d-1", b"{}")).failure)
    except DeliveryRejected:
        return "rejected"


def test_no_spelling_of_loopback_is_reached() -> None:
    """Decimal, octal, hexadecimal, short, dotted at the end, mapped, in other digits, behind a user name: not one byte arrives."""

    async def hunt() -> tuple[dict[str, str], list[bytes]]:
        async with canary() as (port, heard), WebhookSender(SystemClock(), (), 2.0) as sender:
            came = {
                f"{scheme}://{host}": await attempt(sender, f"{scheme}://{host}:{port}/")
                for host in SPELLINGS
                for scheme in ("http", "https")
            }
            await asyncio.sleep(0.05)
            return came, heard

    came, heard = asyncio.run(hunt())
    assert heard == []
    assert set(came.values()) <= {"rejected", "dns", "connection_refused"}, came


class Flipping(AbstractResolver):
    """A name that is public when it is looked at and private when it is connected to."""

    def __init__(self, inner: AbstractResolver) -> None:
        self._inner = inner
        self.asked = 0

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> Any:
        """Answer 8.8.8.8 first, loopback afterwards."""
        assert host == "rebinding.example"
        self.asked += 1
        return await self._inner.resolve("8.8.8.8" if self.asked == 1 else "127.0.0.1", port, family)

    async def close(self) -> None:
        """Release the inner one."""
        await self._inner.close()


def test_a_name_that_turns_private_between_two_looks_is_not_followed() -> None:
    """DNS rebinding: what is judged is the address of this very connection."""

    async def hunt() -> tuple[int, list[bytes]]:
        async with canary() as (port, heard), WebhookSender(SystemClock(), (), 0.5) as sender:
            connector: Any = sender._sessions["https"].connector
            flipping = connector._resolver._inner = Flipping(connector._resolver._inner)
            for _ in range(3):
                await attempt(sender, f"https://rebinding.example:{port}/")
                connector.clear_dns_cache()
            return flipping.asked, heard

    asked, heard = asyncio.run(hunt())
    assert asked >= 2
    assert heard == []


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"])
def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A variable somewhere on the machine must not carry warnings past the list of networks."""

    async def hunt(allow: Callable[[str], object]) -> tuple[str, list[bytes], list[bytes]]:
        async with canary() as (proxy, overheard), canary() as (port, heard):
            allow(f"http://127.0.0.1:{proxy}")
            async with WebhookSender(SystemClock(), networks(["127.0.0.0/8"]), 2.0) as sender:
                came = await attempt(sender, f"http://127.0.0.1:{port}/hook")
            return came, heard, overheard

    came, heard, overheard = asyncio.run(hunt(lambda url: monkeypatch.setenv(name, url)))
    assert overheard == []
    assert heard[0].startswith(b"POST /hook"), came
