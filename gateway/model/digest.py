"""Digests: what bytes are, and what a client claimed they would be.

Knows RFC 9530 (digest fields) and RFC 8941 byte sequences, and what was before them: ``Digest``
(RFC 3230) and ``Content-MD5`` (RFC 1864). Does not know where bytes come from.

Rule: a claim that cannot be understood is refused, one in an algorithm that we do
not know is ignored (RFC 9530, section 2), and one that is wrong is never accepted.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import http_sf

from gateway.model.errors import DigestMismatch, Malformed

SHA256: Final = "sha256"
MD5: Final = "md5"
_FIELD_ALGORITHMS: Final = {"sha-256": ("sha256", 32), "sha-512": ("sha512", 64)}
_FIELD_CHARACTERS: Final = 4096
_OLD_ALGORITHMS: Final = {**_FIELD_ALGORITHMS, "md5": (MD5, 16)}
_HEX: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Digest:
    """SHA-256 of a blob's bytes, as 64 lower-case hex digits."""

    hex: str

    def __post_init__(self) -> None:
        if not _HEX.fullmatch(self.hex):
            raise Malformed("a digest is 64 lower-case hex digits")

    @property
    def raw(self) -> bytes:
        """The 32 bytes."""
        return bytes.fromhex(self.hex)

    @property
    def etag(self) -> str:
        """The strong entity tag: 43 base64url characters in quotes, 45 in all.

        Short on purpose: some device clients drop validators of 64 characters or more.
        """
        return f'"{base64.urlsafe_b64encode(self.raw).rstrip(b"=").decode()}"'

    @property
    def repr_digest(self) -> str:
        """The value of ``Repr-Digest`` (RFC 9530, section 3)."""
        return f"sha-256=:{base64.b64encode(self.raw).decode()}:"

    @property
    def legacy_digest(self) -> str:
        """The value of ``Digest`` (RFC 3230, obsolete), which aria2 asks for and checks."""
        return f"SHA-256={base64.b64encode(self.raw).decode()}"


@dataclass(frozen=True, slots=True)
class Claim:
    """One promised digest: ``algorithm`` as ``hashlib`` names it, and its raw value."""

    algorithm: str
    value: bytes


def parse_digest_field(value: str) -> tuple[Claim, ...]:
    """The claims of one ``Content-Digest`` or ``Repr-Digest`` field.

    Raises ``Malformed`` if the field is not an RFC 9530 dictionary or is longer than 4096
    characters, or if a value in an active algorithm has the wrong length.
    """
    if len(value) > _FIELD_CHARACTERS:
        raise Malformed("malformed digest field")
    try:
        parsed = http_sf.parse(value.encode("ascii"), tltype="dictionary")
    except (ValueError, UnicodeEncodeError) as exc:
        raise Malformed("malformed digest field") from exc
    members = parsed if isinstance(parsed, dict) else {}
    return tuple(_claim(key, member) for key, member in members.items() if key in _FIELD_ALGORITHMS)


def claims_of(headers: Iterable[tuple[str, str]]) -> tuple[Claim, ...]:
    """What the digest fields among ``headers``, of a request or of a part, promise.

    Raises ``Malformed`` as ``parse_digest_field``.
    """
    return tuple(
        claim
        for name, value in headers
        if (parse := _FIELDS.get(name.lower())) is not None
        for claim in parse(value)
    )


def parse_old_digest(value: str) -> tuple[Claim, ...]:
    """The claims of one ``Digest`` field: ``SHA-256=<base64>, MD5=<base64>``.

    Raises ``Malformed`` if a value in an algorithm that we know is not its base64.
    """
    if len(value) > _FIELD_CHARACTERS:
        raise Malformed("malformed digest field")
    claims = list[Claim]()
    for member in value.split(","):
        name, _, text = member.strip(" \t").partition("=")
        if (known := _OLD_ALGORITHMS.get(name.lower())) is not None:
            claims.append(_old_claim(*known, text))
    return tuple(claims)


def parse_content_md5(value: str) -> tuple[Claim, ...]:
    """The claim of a ``Content-MD5``. Raises ``Malformed`` if it is not base64 of 16 bytes."""
    return (_old_claim(MD5, 16, value.strip(" \t")),)


def parse_sha256_text(value: str) -> Claim:
    """The claim of a form field ``sha256``: 64 hex digits, in either case."""
    text = value.strip().lower()
    if not _HEX.fullmatch(text):
        raise Malformed("sha256 is not 64 hex digits")
    return Claim(SHA256, bytes.fromhex(text))


def check_claims(claims: tuple[Claim, ...], computed: Mapping[str, bytes]) -> None:
    """Raise ``DigestMismatch`` unless every claim is what was computed."""
    for claim in claims:
        if computed[claim.algorithm] != claim.value:
            raise DigestMismatch()


def _old_claim(algorithm: str, length: int, text: str) -> Claim:
    try:
        value = base64.b64decode(text, validate=True)
    except ValueError as exc:
        raise Malformed("malformed digest field") from exc
    if len(value) != length:
        raise Malformed("malformed digest field")
    return Claim(algorithm, value)


_FIELDS: Final[Mapping[str, Callable[[str], tuple[Claim, ...]]]] = {
    "content-digest": parse_digest_field,
    "repr-digest": parse_digest_field,
    "digest": parse_old_digest,
    "content-md5": parse_content_md5,
}


def _claim(key: str, member: object) -> Claim:
    algorithm, length = _FIELD_ALGORITHMS[key]
    value = member[0] if isinstance(member, tuple) else member
    if not isinstance(value, bytes) or len(value) != length:
        raise Malformed("malformed digest field")
    return Claim(algorithm, value)
