"""Why a broker does not answer: Kafka's clients only say that it does not, which leaves the operator with five causes to try.

One short conversation with the first address: TCP, TLS, then SaslHandshake (Kafka protocol, API 17 version 1), which a listener that
wants a password answers with its mechanisms and any other one with an error.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import ssl
import struct
import time
from typing import Final

from connectors.kafka.access import Access
from domain.messages import both

SECONDS: Final = 3.0
KNOCK_SECONDS: Final = 1.5  # a connection takes one round trip; one packet that is lost is sent again after a second
_ILLEGAL_STATE = 34  # SaslHandshake on a listener without passwords
_UNSUPPORTED = 33


def diagnose(access: Access) -> str:
    """Return in one line what keeps `access` from the brokers, and what to do."""
    address = access.bootstrap.split(",")[0].strip()
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        return both("kafka.bad_address", value=address)
    try:
        with socket.create_connection((host.strip("[]"), int(port)), SECONDS) as plain:
            plain.settimeout(SECONDS)
            return _secured(access, address, host, plain)
    except OSError as error:
        return both("kafka.unreachable", address=address, error=error.strerror or error)


def unreachable(access: Access) -> str:
    """Return why none of the addresses takes a connection, "" where one does: it costs the brokers next to nothing."""
    error = os.strerror(errno.ETIMEDOUT)
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as doors:
        for address in access.bootstrap.split(","):
            host, _, port = address.strip().rpartition(":")
            if not host or not port.isdecimal():
                return both("kafka.bad_address", value=address)
            try:
                found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
            except OSError as unknown:
                error = unknown.strerror or repr(unknown)
                continue
            for family, kind, protocol, _, where in found:
                plain = stack.enter_context(socket.socket(family, kind, protocol))
                plain.setblocking(False)
                begun = plain.connect_ex(where)
                if begun in {0, errno.EINPROGRESS}:
                    doors.register(plain, selectors.EVENT_WRITE, plain)
                else:
                    error = os.strerror(begun)
        end = time.monotonic() + KNOCK_SECONDS  # looking names up is not in it
        while doors.get_map() and (left := end - time.monotonic()) > 0:
            for key, _ in doors.select(left):
                doors.unregister(key.fileobj)
                answer = key.data.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not answer:
                    return ""
                error = os.strerror(answer)
    return both("kafka.unreachable", address=access.bootstrap, error=error)


class Presence:
    """Whether any broker is there, which else nobody knows until somebody writes; `away` says what two looks in a row found, "" else."""

    def __init__(self, access: Access) -> None:
        """Nobody has looked yet."""
        self._access = access
        self._missed = False
        self.away = ""

    def look(self) -> None:
        """Look once, for `KNOCK_SECONDS` at most."""
        found = unreachable(self._access)
        self.away, self._missed = (found if self._missed else ""), bool(found)


def _secured(access: Access, address: str, host: str, plain: socket.socket) -> str:
    context = access.context()
    if context is None:
        if _speaks_tls(address):
            return both("kafka.wants_tls", address=address)
        return _login(access, address, plain)
    try:
        with context.wrap_socket(plain, server_hostname=host) as secure:
            return _login(access, address, secure)
    except ssl.SSLCertVerificationError as error:
        return both("kafka.certificate", address=address, error=error.verify_message)
    except (ssl.SSLError, OSError) as error:
        return both("kafka.no_tls", address=address, error=error)


def _speaks_tls(address: str) -> bool:
    """Tell whether the address answers a TLS hello; nothing is believed of whom it belongs to."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host, _, port = address.rpartition(":")
    with (
        contextlib.suppress(OSError),
        socket.create_connection((host, int(port)), SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=host),
    ):
        return True
    return False


def _login(access: Access, address: str, connection: socket.socket) -> str:
    error, mechanisms = _handshake(connection, access.mechanism or "PLAIN")
    offered = ", ".join(mechanisms)
    if error == _ILLEGAL_STATE:
        return both("kafka.no_password_wanted", address=address) if access.mechanism else both("kafka.not_ready", address=address)
    if error not in (0, _UNSUPPORTED):
        return both("kafka.not_ready", address=address)
    if not access.mechanism:
        return both("kafka.wants_password", address=address, mechanisms=offered or "PLAIN")
    if error == _UNSUPPORTED:
        return both("kafka.mechanism", address=address, value=access.mechanism, legal=offered)
    return both("kafka.login_refused", address=address, user=access.user)


def _handshake(connection: socket.socket, mechanism: str) -> tuple[int, list[str]]:
    """Ask for a mechanism; return the error code (-1 for no answer) and what is offered."""
    name = mechanism.encode()
    request = struct.pack(">hhih", 17, 1, 1, 7) + b"fengsui" + struct.pack(">h", len(name)) + name
    try:
        connection.sendall(struct.pack(">i", len(request)) + request)
        answer = b""
        while len(answer) < 4 or len(answer) < 4 + struct.unpack_from(">i", answer)[0]:
            more = connection.recv(4096)
            if not more:
                return -1, []
            answer += more
        error, count = struct.unpack_from(">hi", answer, 8)
        at, found = 14, []
        for _ in range(count):
            (length,) = struct.unpack_from(">h", answer, at)
            found.append(answer[at + 2 : at + 2 + length].decode(errors="replace"))
            at += 2 + length
    except (OSError, struct.error):
        return -1, []
    return error, found
