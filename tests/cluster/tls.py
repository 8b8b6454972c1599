"""What a listener with TLS and passwords needs, made anew for each run of the tests."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, PASSWORD = "fengsui", "a-password-of-the-tests"
_FROM, _UNTIL = dt.datetime(2020, 1, 1, tzinfo=dt.UTC), dt.datetime(2120, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Secrets:
    """Files: the authority's certificate, the broker's key with its chain, the user's password."""

    authority: Path
    broker: Path
    password: Path

    def broker_settings(self) -> dict[str, str]:
        """Return the lines of server.properties for a SASL_SSL listener with the mechanism PLAIN."""
        login = "org.apache.kafka.common.security.plain.PlainLoginModule"
        return {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.broker),
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_ssl.plain.sasl.jaas.config": f'{login} required user_{USER}="{PASSWORD}";',
        }


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def make_secrets(folder: Path) -> Secrets:
    """Write an authority, a broker's certificate for 127.0.0.1, and a password into `folder`."""
    authority_key, broker_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = (
        x509.CertificateBuilder()
        .subject_name(_named("tests"))
        .issuer_name(_named("tests"))
        .public_key(authority_key.public_key())
        .serial_number(1)
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    broker = (
        x509.CertificateBuilder()
        .subject_name(_named("broker"))
        .issuer_name(authority.subject)
        .public_key(broker_key.public_key())
        .serial_number(2)
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
        .add_extension(names, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    made = Secrets(folder / "authority.pem", folder / "broker.pem", folder / "password")
    made.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    chain = broker.public_bytes(serialization.Encoding.PEM) + made.authority.read_bytes()
    made.broker.write_bytes(_pem(broker_key) + chain)
    made.password.write_text(PASSWORD + "\n")
    return made
