"""Links that a front server checks by itself: nginx's ``secure_link``, and CDNs that do the same.

``<path>?expires=<Unix seconds>&md5=<base64url>`` is MD5 over ``<expires><path> <secret>``, the path
as it is after decoding. That is nginx's scheme (``secure_link_md5``) and no choice of ours: the
secret is at the end, where MD5's known weaknesses do not help whoever has seen other links.

Rule: a link is only ever made for an address that names its bytes by their SHA-256, so that whoever
keeps it until its end reads those bytes and no others.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, urlencode

EXPIRES: Final = "expires"
SIGNATURE: Final = "md5"


@dataclass(frozen=True, slots=True)
class SecureLinks:
    """Makes links below ``base``, such as ``https://cdn.example.com``: no slash at its end."""

    base: str
    secret: str = field(repr=False)

    def link(self, path: str, expires: int) -> str:
        """The whole address; ``path`` is decoded, ``expires`` in Unix seconds."""
        signed = f"{expires}{path} {self.secret}".encode()
        digest = hashlib.md5(signed, usedforsecurity=False).digest()
        signature = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        query = urlencode({EXPIRES: expires, SIGNATURE: signature})
        return f"{self.base}{quote(path)}?{query}"
