"""How the brokers are reached: addresses, TLS, user and password."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from domain.errors import StoreUnavailable
from domain.messages import both

Mechanism = Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


@dataclass(frozen=True, slots=True)
class Access:
    """`bootstrap` are addresses HOST:PORT, comma-separated; `password` is the secret itself, read from a file by whoever makes this."""

    bootstrap: str
    tls: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    mechanism: Mechanism = ""
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        """Leave the password out: this is logged."""
        return f"Access({self.bootstrap!r}, tls={self.tls}, mechanism={self.mechanism!r}, user={self.user!r})"

    @property
    def protocol(self) -> str:
        """Kafka's name of the kind of connection."""
        return f"{'SASL_' if self.mechanism else ''}{'SSL' if self.tls else 'PLAINTEXT'}"

    def context(self) -> ssl.SSLContext | None:
        """Return what TLS connections are made with, None without TLS.

        Raises:
            StoreUnavailable: a file is missing or is no certificate or key.
        """
        if not self.tls:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file is not None:
                context.load_cert_chain(self.cert_file, self.key_file)
        except (OSError, ssl.SSLError) as error:
            files = ", ".join(str(path) for path in (self.ca_file, self.cert_file, self.key_file) if path is not None)
            raise StoreUnavailable(both("kafka.no_pem", files=files, error=error)) from error
        return context

    def stream_options(self) -> dict[str, Any]:
        """Return what aiokafka's clients are made with. Raises as `context`."""
        return {"bootstrap_servers": self.bootstrap, "security_protocol": self.protocol, "ssl_context": self.context()} | self._login()

    def admin_options(self) -> dict[str, Any]:
        """Return what kafka-python's clients are made with. Raises as `context`."""
        return {
            "bootstrap_servers": [address.strip() for address in self.bootstrap.split(",")],
            "security_protocol": self.protocol,
            "ssl_context": self.context(),
        } | self._login()

    def _login(self) -> dict[str, Any]:
        if not self.mechanism:
            return {}
        return {"sasl_mechanism": self.mechanism, "sasl_plain_username": self.user, "sasl_plain_password": self.password}


def addresses(bootstrap: str) -> frozenset[str]:
    """Return the addresses of a comma-separated list.

    >>> sorted(addresses("b:9092, a:9092,"))
    ['a:9092', 'b:9092']
    """
    return frozenset(address.strip() for address in bootstrap.split(",") if address.strip())
