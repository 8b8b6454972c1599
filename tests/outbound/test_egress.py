"""Outbound requests go only where the operator allows, judged by the address that is connected to."""

from __future__ import annotations

import asyncio

import pytest

from connectors.outbound.egress import CheckedResolver, check_url, networks, permitted
from domain.errors import DeliveryRejected

DENIED = [
    "127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "169.254.169.254", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1",
    "fc00::1", "fe80::1%eth0", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "224.0.0.1", "255.255.255.255", "192.0.2.1",
]  # fmt: skip


@pytest.mark.parametrize("address", DENIED)
def test_addresses_that_are_not_public_are_denied_by_default(address: str) -> None:
    """Loopback, link-local, private, carrier, mapped and multicast addresses need a network of their own in the settings."""
    assert permitted(address, ()) is False


def test_a_private_network_can_be_allowed_without_opening_its_neighbours() -> None:
    """`egress.allow` opens exactly the networks that it names."""
    allowed = networks(["10.20.0.0/16"])
    assert [permitted(ip, allowed) for ip in ("10.20.3.4", "::ffff:10.20.3.4", "10.21.0.1", "127.0.0.1")] == [True, True, False, False]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "https://127.0.0.1/", "https://[::1]/", "ftp://example.org/", "https://user:pw@example.org/",
        "https://example.org:22/", "https://example.org:99999/", "https:///nohost", "http://8.8.8.8/", "gopher://x",
    ],
)  # fmt: skip
def test_a_url_that_no_attempt_could_be_right_for_is_refused_before_any_lookup(url: str) -> None:
    """Schemes, credentials, foreign ports and literal addresses are judged from the text alone."""
    with pytest.raises(DeliveryRejected):
        check_url(url, ())


@pytest.mark.parametrize("name", ["localhost", "2130706433", "0x7f000001", "127.1", "017700000001"])
def test_a_name_or_an_odd_spelling_of_loopback_resolves_to_nothing_permitted(name: str) -> None:
    """What counts is the address that a name becomes, however it is spelt."""

    async def resolve() -> None:
        await CheckedResolver((), public=True).resolve(name, 80)

    with pytest.raises(OSError, match=r"no permitted address|not known|No address|Name or service"):
        asyncio.run(resolve())
