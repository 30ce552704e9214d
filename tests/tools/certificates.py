"""A certificate authority for tests: real certificates, for real handshakes."""

from __future__ import annotations

import datetime as dt
import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its key, both in one file."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    file: Path

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.certificate.public_bytes(Encoding.DER)).hexdigest()

    @property
    def headers(self) -> dict[str, str]:
        """What a front server says of it."""
        return {"X-SSL-Client-Verify": "SUCCESS", "X-SSL-Client-Cert": quote(self.pem)}


class Authority:
    """Issues certificates; its own is what they are verified with."""

    def __init__(self, folder: Path, name: str = "Devices") -> None:
        self._folder = folder
        self.root = self._issue(name, None)

    def issue(self, name: str) -> Issued:
        return self._issue(name, self.root)

    def client(self, shown: Issued | None) -> ssl.SSLContext:
        """A client that trusts this authority, and shows a certificate."""
        context = ssl.create_default_context(cafile=str(self.root.file))
        context.check_hostname = False
        if shown is not None:
            context.load_cert_chain(shown.file)
        return context

    def lines(self, server: Issued) -> str:
        """For nginx: serve as ``server``, and verify whoever shows a certificate."""
        return (
            f"        ssl_certificate {server.file};\n        ssl_certificate_key {server.file};\n"
            f"        ssl_client_certificate {self.root.file};\n        ssl_verify_client optional;\n"
        )

    def _issue(self, name: str, by: Issued | None) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = dt.datetime.now(dt.UTC)
        signed = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if by is None else by.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(key if by is None else by.key, SHA256())
        )
        file = self._folder / f"{name}.pem"
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write_bytes(signed.public_bytes(Encoding.PEM) + secret)
        return Issued(signed, key, file)
