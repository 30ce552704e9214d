"""What proves that a delivery is ours: Standard Webhooks 1.0, symmetric.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

Pure but for the making of secrets. Knows no requests and no rows.

Rule: what is signed is the very body that is sent, with an id that is the same for each attempt and
the time of this one; neither has a dot in it. A secret is kept sealed, for the row that it is of.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Mapping, Sequence
from typing import Final, Protocol, cast
from uuid import UUID, uuid5

import orjson

PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = 32  # the specification: 24 to 64


class Seal(Protocol):
    """Encrypts what is small and secret."""

    @property
    def mark(self) -> bytes:
        """What begins with it is sealed under the present secret."""

    def seal(self, secret: bytes, bound_to: bytes) -> bytes:
        """What can only be opened with the same ``bound_to``."""

    def open(self, sealed: bytes, bound_to: bytes) -> bytes:
        """What was sealed. Raises ``Failure``."""


class WebhookSecrets:
    """Secrets and own headers of webhooks, sealed each for its place in its row."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal

    @property
    def mark(self) -> bytes:
        """What begins with it is sealed under the present secret."""
        return self._seal.mark

    def seal_secret(self, secret: str, webhook_id: UUID) -> bytes:
        """The secret for its row, as the present or the previous one."""
        return self._seal.seal(secret.encode(), b"webhook secret" + webhook_id.bytes)

    def open_secret(self, sealed: bytes, webhook_id: UUID) -> str:
        """The same back. Raises ``Failure``."""
        return self._seal.open(sealed, b"webhook secret" + webhook_id.bytes).decode()

    def seal_headers(self, headers: Mapping[str, str], webhook_id: UUID) -> bytes | None:
        """The headers for their row; ``None`` if there are none."""
        if not headers:
            return None
        return self._seal.seal(orjson.dumps(headers), b"webhook headers" + webhook_id.bytes)

    def open_headers(self, sealed: bytes | None, webhook_id: UUID) -> Mapping[str, str]:
        """The same back. Raises ``Failure``."""
        if sealed is None:
            return {}
        opened = self._seal.open(sealed, b"webhook headers" + webhook_id.bytes)
        return cast(Mapping[str, str], orjson.loads(opened))


def new_secret() -> str:
    """256 random bits as the specification writes them."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def message_id(webhook_id: UUID, delivery_id: int, queued_at: float) -> str:
    """The same for each attempt at one delivery; none other has it, in no database."""
    return f"msg_{uuid5(webhook_id, f'{delivery_id} {queued_at}').hex}"


def signed(keys: Sequence[str], message: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """The headers of one attempt, with a signature by each of the secrets, the newest first."""
    headers = {"webhook-id": message, "webhook-timestamp": str(timestamp)}
    if not keys:
        return headers
    content = b".".join((message.encode(), str(timestamp).encode(), body))
    return headers | {"webhook-signature": " ".join(_signature(key, content) for key in keys)}


def _signature(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()
