"""Tokens of logins and of API keys: JWTs.

Knows signing and expiry; does not know users, nor who reads a token beside us.

Rule: one algorithm, ours, whatever a token's header says. TokenClaims are believed only after
the signature holds, and even then only as far as the registry's row agrees.
"""

from __future__ import annotations

import contextlib
import hmac
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import jwt

from gateway.model.errors import Unauthenticated

ISSUER: Final = "filestore-gateway"
LOGIN: Final = 0
_ALGORITHM: Final = "HS256"
_LEEWAY_SECONDS: Final = 5
_AHEAD_SECONDS: Final = 60  # another gateway's clock may be, when it makes a token
_TOKEN_CHARACTERS: Final = 4096
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def utc_now() -> datetime:
    """The present, aware."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a token says: whose it is, and the ``tokens_valid_from`` it was issued under.

    A ``key_id`` names the registry's row of an API key, without which the token is nothing.
    ``expires_at``, in Unix seconds, and ``token_id`` are known of a token that was read.
    """

    user_id: UUID
    email: str
    valid_from: datetime
    type: int = LOGIN
    key_id: UUID | None = None
    expires_at: float | None = field(default=None, compare=False)
    token_id: UUID | None = field(default=None, compare=False)


class Tokens:
    """Issues tokens signed with the first of some keys, and reads those of all.

    A token names its key (``kid``); one of before there were names is tried with each.
    """

    def __init__(
        self,
        key: bytes,
        *previous: bytes,
        issuer: str = ISSUER,
        lifetime_seconds: float = 36_000,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._keys = {_id_of(each): each for each in (key, *previous)}
        self._key_id, self._key = next(iter(self._keys.items()))
        self._issuer = issuer
        self._lifetime = timedelta(seconds=lifetime_seconds)
        self._clock = clock

    def issue(self, claims: TokenClaims, *, expires_at: datetime | None = None) -> str:
        """A token for the claims, from now until its lifetime is over.

        That of an API key ends at ``expires_at``, or never.
        """
        now = self._clock()
        end = expires_at if claims.key_id else now + self._lifetime
        payload = {
            **({"exp": int(end.timestamp())} if end else {}),
            **({"key_id": str(claims.key_id)} if claims.key_id else {}),
            "jti": str(claims.key_id or uuid4()),
            "iat": int(now.timestamp()),
            "iss": self._issuer,
            "sub": claims.email,
            "issuer_id": str(claims.user_id),
            "type": claims.type,
            "valid_from": _microseconds(claims.valid_from),
        }
        return jwt.encode(payload, self._key, algorithm=_ALGORITHM, headers={"kid": self._key_id})

    def read(self, token: str) -> TokenClaims:
        """The claims of a token that is ours and in force. Raises ``Unauthenticated``."""
        if len(token) > _TOKEN_CHARACTERS:
            raise Unauthenticated()
        try:
            payload = self._verified(token)
            self._check_times(payload)
            return TokenClaims(
                user_id=UUID(payload["issuer_id"]),
                email=payload["sub"],
                valid_from=_EPOCH + timedelta(microseconds=payload["valid_from"]),
                type=payload["type"],
                key_id=UUID(payload["key_id"]) if "key_id" in payload else None,
                expires_at=payload.get("exp"),
                token_id=UUID(payload["jti"]) if "jti" in payload else None,
            )
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError, OverflowError) as exc:
            raise Unauthenticated() from exc

    def _verified(self, token: str) -> dict[str, Any]:
        named = self._keys.get(str(jwt.get_unverified_header(token).get("kid")))
        keys = list(self._keys.values()) if named is None else [named]
        for key in keys[:-1]:
            with contextlib.suppress(jwt.InvalidSignatureError):
                return self._verified_by(key, token)
        return self._verified_by(keys[-1], token)

    def _verified_by(self, key: bytes, token: str) -> dict[str, Any]:
        return jwt.decode(
            token,
            key,
            algorithms=[_ALGORITHM],
            issuer=self._issuer,
            # Times are ours to check, by the clock that was handed in.
            options={
                "require": ["iat", "iss", "sub", "issuer_id", "type", "valid_from"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_aud": False,
            },
        )

    def _check_times(self, payload: dict[str, Any]) -> None:
        now = self._clock().timestamp()
        if "exp" not in payload and "key_id" not in payload:
            raise Unauthenticated()
        end = payload.get("exp", math.inf)
        if now >= end + _LEEWAY_SECONDS or now < payload["iat"] - _AHEAD_SECONDS:
            raise Unauthenticated()


def _id_of(key: bytes) -> str:
    """A name for the key that says nothing of it."""
    return hmac.digest(key, b"key id", "sha256")[:8].hex()


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
