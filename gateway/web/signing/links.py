"""Links that are their own permission: a path that may be read until a moment, of one version.

``<path>?expires=<Unix seconds>&version=<which bytes>&signature=<HMAC-SHA256>``. The signature is
over all three, so a link for one file, version or time is none for another. The version says which
bytes at which place are meant, and none is ever another's; so a link ends with them: when the file
gets new bytes, is moved or removed.

Knows neither files nor who asks for a link; whoever checks one compares the version with the file.

Rule: a link is checked, in constant time, before anything is looked up; and nothing logs its query.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from multidict import MultiMapping

from gateway.web.signing.refusals import InvalidArgument, NotAllowed, WrongSignature

EXPIRES: Final = "expires"
VERSION: Final = "version"
SIGNATURE: Final = "signature"
_VERSION_BYTES: Final = 18
_SECONDS: Final = re.compile(r"0|[1-9][0-9]{0,14}")


@dataclass(frozen=True, slots=True)
class Link:
    """A permission that held when it was checked: to read ``version`` until ``expires``."""

    version: str
    expires: int


class LinkSigner:
    """Signs with the first of its keys; the others are of links that were given away before."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)

    def query(self, path: str, version: str, expires: int) -> str:
        """What stands behind ``path?``; ``expires`` in Unix seconds."""
        signature = _signature(self._keys[0], path, version, expires)
        return urlencode({EXPIRES: expires, VERSION: version, SIGNATURE: signature})

    def check(self, path: str, query: MultiMapping[str], now: float) -> Link:
        """The permission that the query is for ``path``.

        Raises ``NotAllowed`` without one or after its time, ``InvalidArgument`` and
        ``WrongSignature``.
        """
        expires, version, given = (_one(query, name) for name in (EXPIRES, VERSION, SIGNATURE))
        if not _SECONDS.fullmatch(expires):
            raise InvalidArgument(f"{EXPIRES} is no number of seconds.")
        link = Link(version, int(expires))
        # Every key is tried, so that the time says nothing of which it was.
        matches = [
            hmac.compare_digest(_signature(key, path, version, link.expires).encode(), _raw(given))
            for key in self._keys
        ]
        if not any(matches):
            raise WrongSignature()
        if now >= link.expires:
            raise NotAllowed("Request has expired")
        return link


def version_name(blob_id: UUID, place: str) -> str:
    """How a link names the bytes of one blob, at one place: 24 characters."""
    return _text(hashlib.sha256(blob_id.bytes + place.encode("utf-8")).digest()[:_VERSION_BYTES])


def _one(query: MultiMapping[str], name: str) -> str:
    values = query.getall(name, [])
    if len(values) > 1:
        raise InvalidArgument(f"{name} is given more than once.")
    if not values or not values[0]:
        raise NotAllowed()
    return values[0]


def _signature(key: bytes, path: str, version: str, expires: int) -> str:
    # The path is last: nothing in it can be taken for another part.
    said = "\n".join(("link/1", str(expires), version, path))
    return _text(hmac.digest(key, said.encode("utf-8", "surrogatepass"), "sha256"))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _raw(given: str) -> bytes:
    return given.encode("utf-8", "surrogatepass")
