"""The client certificate of a request, as the front server that verified it says.

Knows the two forms that the field has: as nginx writes a certificate (``$ssl_client_escaped_cert``,
PEM with URL escapes) in ``X-SSL-Client-Cert``, and RFC 9440's ``Client-Cert``, DER between colons.

Rule: only what a trusted peer sends is looked at, and only if it says ``SUCCESS`` of its own
verification. From anybody else these headers are nothing at all.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Hashable
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.model.certificate import Certificate, check_subject
from gateway.model.errors import Malformed
from gateway.web.proxies import TrustedPeers, single_header

VERIFY_HEADER: Final = "X-SSL-Client-Verify"
ESCAPED_HEADER: Final = "X-SSL-Client-Cert"
STANDARD_HEADER: Final = "Client-Cert"
HEADERS: Final = (VERIFY_HEADER, ESCAPED_HEADER, STANDARD_HEADER)
_VERIFIED: Final = "SUCCESS"
_CHARACTERS: Final = 8 * 1024
_BROKEN: Final = (ValueError, x509.InvalidVersion)
_KEPT: Final = 256


def presented_certificate(request: web.Request, peers: TrustedPeers) -> Certificate | None:
    """The certificate that was verified, or ``None``. Raises ``Malformed`` for what is none."""
    if VERIFY_HEADER not in request.headers or not peers.trusts(request):
        return None
    if single_header(request, VERIFY_HEADER) != _VERIFIED:
        return None
    escaped = single_header(request, ESCAPED_HEADER)
    standard = single_header(request, STANDARD_HEADER)
    if escaped:
        return certificate_of_pem(unquote(escaped))
    return _of_field(standard) if standard else None


def shown_beside(request: web.Request, peers: TrustedPeers) -> tuple[Hashable, ...]:
    """What decides of a certificate: for whoever keeps what a request came to. Often nothing."""
    if VERIFY_HEADER not in request.headers or not peers.trusts(request):
        return ()
    return tuple(tuple(request.headers.getall(name, ())) for name in HEADERS)


@lru_cache(maxsize=_KEPT)
def certificate_of_pem(text: str) -> Certificate:
    """The certificate in this PEM. Raises ``Malformed``."""
    if len(text) > _CHARACTERS:
        raise Malformed("the certificate is too long")
    try:
        return _named(x509.load_pem_x509_certificate(text.encode("ascii")))
    except _BROKEN as exc:
        raise Malformed("malformed certificate") from exc


@lru_cache(maxsize=_KEPT)
def _of_field(text: str) -> Certificate:
    """The byte sequence of a structured field (RFC 9440)."""
    if len(text) > _CHARACTERS or len(text) < 2 or text[0] != ":" or text[-1] != ":":
        raise Malformed("malformed certificate")
    try:
        return _named(x509.load_der_x509_certificate(base64.b64decode(text[1:-1], validate=True)))
    except _BROKEN as exc:
        raise Malformed("malformed certificate") from exc


def _named(certificate: x509.Certificate) -> Certificate:
    der = certificate.public_bytes(Encoding.DER)
    subject = certificate.subject.rfc4514_string()
    return Certificate(hashlib.sha256(der).digest(), check_subject(subject) if subject else "")
