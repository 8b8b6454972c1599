"""Where outbound requests may go: only to configured endpoints, and there only to addresses that the operator allows.

Government intranets are private networks, so what is denied by default can be allowed by network in the settings. The check is
made on the very address that is connected to, at every attempt: a name that changes its address between two attempts (DNS
rebinding) gains nothing. OWASP ASVS 5.0, 1.3.6 and 13.2.4.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from domain.errors import DeliveryRejected

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)
PORTS_REFUSED = frozenset({22, 25, 465, 587, 3306, 5432, 6379, 9092})  # services that an HTTP request must never be aimed at


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Return the networks of CIDR texts; raises ValueError naming the text that is none."""
    return tuple(ip_network(text) for text in texts)


def permitted(address: str, allowed: Sequence[Network], *, public: bool = True) -> bool:
    """Say whether an IP address may be connected to: one inside `allowed` or, where `public`, one of the internet.

    >>> permitted("127.0.0.1", ()), permitted("::ffff:10.0.0.1", ()), permitted("10.1.2.3", networks(["10.0.0.0/8"]))
    (False, False, True)
    """
    ip: Address = ip_address(address.split("%", maxsplit=1)[0])
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if any(ip in network for network in allowed):
        return True
    return public and ip.is_global and not ip.is_multicast


def check_url(url: str, allowed: Sequence[Network]) -> None:
    """Refuse a URL that no attempt could be right for, before any name is looked up.

    Raises:
        DeliveryRejected: not http(s), plain http to an address outside `allowed`, credentials inside, a refused port, or a
            literal address that is not permitted.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:  # an unclosed bracket, a port above 65535
        raise DeliveryRejected(f"{url[:200]!r} is no address: {error}") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise DeliveryRejected(f"{url[:200]!r}: legal are http:// and https:// addresses with a host and a port from 1 to 65535")
    if parts.username or parts.password:
        raise DeliveryRejected(f"{parts.hostname}: credentials inside the address are refused; use the signing secret")
    if port in PORTS_REFUSED:
        raise DeliveryRejected(f"{parts.hostname}: port {port} belongs to another service")
    try:
        literal = permitted(parts.hostname, allowed, public=parts.scheme == "https")
    except ValueError:
        _check_name(parts.hostname)
        return  # a name: `CheckedResolver` judges what it resolves to
    if not literal:
        raise DeliveryRejected(
            f"{parts.scheme}://{parts.hostname} is in no network of egress.allow; without it only public addresses over https are legal"
        )


def _check_name(host: str) -> None:
    """Refuse what is neither a literal address nor a host name.

    A name whose last label is a number is an address in an odd spelling (2130706433, 0177.0.0.1, 127.1, 0x7f000001, 127.0.0.1.): the HTTP
    library would hand it to the operating system as an address, past the resolver.

    Raises:
        DeliveryRejected: no host name.
    """
    try:
        name = host.encode("idna").decode("ascii").removesuffix(".")
    except UnicodeError as error:
        raise DeliveryRejected(f"{host[:200]!r} is no host name: {error}") from error
    if not _NAME.fullmatch(name) or _NUMBER.fullmatch(name.rpartition(".")[2]):
        raise DeliveryRejected(f"{host[:200]!r} is no host name; write an IP address as four decimal numbers or in brackets")


class CheckedResolver(AbstractResolver):
    """Resolves names and drops every address that is not permitted; the connector connects to what is left."""

    def __init__(self, allowed: Sequence[Network], *, public: bool) -> None:
        """`allowed` are the networks of `egress.allow`; `public` adds the internet. Make it inside the running loop."""
        self._inner = ThreadedResolver()
        self._allowed = allowed
        self._public = public

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        """Return the permitted addresses of `host`; raises OSError when there is none."""
        found = await self._inner.resolve(host, port, family)
        kept = [result for result in found if permitted(result["host"], self._allowed, public=self._public)]
        if not kept:
            raise OSError(None, f"{host} resolves to no permitted address; see egress.allow")
        return kept

    async def close(self) -> None:
        """Release the inner resolver."""
        await self._inner.close()
