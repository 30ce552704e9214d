"""Signatures of S3 requests: AWS Signature Version 4, for what the client library cannot make.

Facts are from the public reference ("Authenticating Requests: Using the Authorization Header").
Pure.

Knows methods, paths and queries. Does not know who sends the request, nor what comes back.

Rule: the payload is said to be unsigned. What is sent has a checksum of its own where that
matters.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlsplit

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_UNRESERVED: Final = "-_.~"


@dataclass(frozen=True, slots=True)
class Credential:
    """Who signs. ``token`` is of a credential that is lent for a while."""

    access_key: str
    secret_key: str
    token: str | None = None


@dataclass(frozen=True, slots=True)
class UnsignedRequest:
    """A request before it is signed; ``url`` has no query, ``headers`` are signed, too."""

    method: str
    url: str
    query: Mapping[str, str]
    headers: Mapping[str, str]

    @property
    def target(self) -> str:
        """The address with its query, as it has to be sent."""
        written = query_of(self.query)
        return f"{self.url}?{written}" if written else self.url


def query_of(query: Mapping[str, str]) -> str:
    """The query as it is signed: sorted, and everything escaped that is not unreserved."""
    pairs = sorted(
        (quote(n, safe=_UNRESERVED), quote(v, safe=_UNRESERVED)) for n, v in query.items()
    )
    return "&".join(f"{name}={value}" for name, value in pairs)


def signed_headers(
    request: UnsignedRequest, credential: Credential, *, region: str, now: datetime
) -> dict[str, str]:
    """The headers to send, ``Authorization`` among them."""
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    address = urlsplit(request.url)
    headers = {
        "host": address.netloc,
        "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
        "x-amz-date": stamp,
        **{name.lower(): value for name, value in request.headers.items()},
    }
    if credential.token is not None:
        headers["x-amz-security-token"] = credential.token
    names = ";".join(sorted(headers))
    canonical = "\n".join(
        (
            request.method,
            address.path or "/",
            query_of(request.query),
            *(f"{name}:{headers[name].strip()}" for name in sorted(headers)),
            "",
            names,
            headers["x-amz-content-sha256"],
        )
    )
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{digest}"
    signature = hmac.new(_key(credential, stamp[:8], region), text.encode(), "sha256").hexdigest()
    headers["authorization"] = (
        f"{_ALGORITHM} Credential={credential.access_key}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return headers


def presigned(
    url: str,
    said: Mapping[str, str],
    credential: Credential,
    *,
    region: str,
    now: datetime,
    seconds: int,
) -> str:
    """``url`` with a query by which whoever has it may GET it from ``now`` for so long.

    ``said`` is what the store is to say of the object (``response-content-type`` ...).
    """
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    query = {
        **said,
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{credential.access_key}/{scope}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": "host",
    }
    if credential.token is not None:
        query["X-Amz-Security-Token"] = credential.token
    parts, asked = urlsplit(url), query_of(query)
    canonical = f"GET\n{parts.path}\n{asked}\nhost:{parts.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{digest}"
    signature = hmac.new(_key(credential, stamp[:8], region), text.encode(), "sha256").hexdigest()
    return f"{url}?{asked}&X-Amz-Signature={signature}"


def _key(credential: Credential, day: str, region: str) -> bytes:
    key = f"AWS4{credential.secret_key}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    return key
