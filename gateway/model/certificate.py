"""What a client certificate says of its holder, once a front server has verified it.

Knows the two names that it goes by. Does not know X.509, nor who verified it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gateway.model.errors import Malformed

SUBJECT_CHARACTERS: Final = 512
_HEX: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate: the SHA-256 of its DER, 32 bytes, and its subject as RFC 4514 writes it."""

    sha256: bytes
    subject: str

    @property
    def key(self) -> str:
        """What no other certificate has."""
        return f"{self.sha256.hex()} {self.subject}"


def parse_fingerprint(text: str) -> bytes:
    """A SHA-256 in hex, with or without colons. Raises ``Malformed``."""
    plain = text.replace(":", "").lower()
    if not _HEX.fullmatch(plain):
        raise Malformed("a certificate's sha256 is 64 hex digits")
    return bytes.fromhex(plain)


def check_subject(text: str) -> str:
    """A subject as RFC 4514 writes it. Raises ``Malformed`` for what is none."""
    if not 1 <= len(text) <= SUBJECT_CHARACTERS or "=" not in text or not text.isprintable():
        raise Malformed("a subject is written as CN=device-17,O=Example")
    return text
