"""One attempt to deliver: a request to a receiver that may be anybody.

Knows HTTP as a client, and how to judge what comes back. Does not know what waits, nor when it
is tried again.

Rule: no connection is opened to an address that was not judged, no redirect is followed, no proxy
asked. A status is an answer: nothing that comes, or does not come, after it changes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import secrets
import socket
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import orjson

from gateway.http_client import address_of, http_client
from gateway.messaging.records import Delivery
from gateway.messaging.render import Rendered, rendered
from gateway.messaging.signing import WebhookSecrets, message_id, signed
from gateway.messaging.targets import PUBLIC_ONLY, TargetRules, is_public
from gateway.model.errors import Failure, Refusal
from gateway.process import tracing
from gateway.resolvers import ForeignNames
from gateway.traffic.bulk import aside

CONFIRMATION: Final = "webhook.confirmation"
_REPLY_BYTES: Final = 16 * 1024
_REPLY_SECONDS: Final = 1.0
_LOOK_UP_SECONDS: Final = 5.0
_LONGEST_REST_SECONDS: Final = 86_400.0
_HEAD_BYTES: Final = 512  # about what comes with a body
# It is this message that the receiver does not want: it will not help to insist.
_REFUSED: Final = frozenset({400, 413, 415, 422})


class NotPublic(OSError):
    """The address is not one of the public internet's."""


class AttemptOutcome(StrEnum):
    """What came of an attempt."""

    DELIVERED = "delivered"
    FAILED = "failed"
    REFUSED = "refused"
    GONE = "gone"
    UNCONFIRMED = "unconfirmed"
    POSTPONED = "postponed"


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a delivery did not arrive, and for how long its receiver wants no other."""

    reason: str
    outcome: AttemptOutcome = AttemptOutcome.FAILED
    rest_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Letter:
    """One delivery, ready to be sent."""

    delivery: Delivery
    wording: Rendered

    @property
    def size(self) -> int:
        """Bytes that are sent, about."""
        return _HEAD_BYTES + len(self.wording.body)


class Poster:
    """Posts deliveries, one request each, to hosts that the ``rules`` allow.

    Without ``secrets`` none is signed, and none has headers of its own.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        secrets: WebhookSecrets | None = None,
        rules: TargetRules = PUBLIC_ONLY,
    ) -> None:
        self._session = session
        self._secrets = secrets
        self._rules = rules

    async def letter(self, delivery: Delivery) -> Letter | Failed:
        """What to send, worded as its webhook wants it."""
        if not self._rules.allows(delivery.host):
            return Failed("host not allowed")
        try:
            return Letter(delivery, await aside(delivery.size, rendered, delivery))
        except Refusal as exc:  # taken by an earlier release, which knew it otherwise
            return Failed(type(exc).__name__, AttemptOutcome.REFUSED)

    async def send(self, letter: Letter) -> Failed | None:
        """Send it; ``None`` if the receiver took it."""
        return await self._exchange(letter, b"")

    def question(self, delivery: Delivery) -> tuple[Letter, bytes]:
        """What asks the receiver whether it wants to hear of us, and the word that it must say."""
        challenge = secrets.token_urlsafe(32)
        body = orjson.dumps({"type": CONFIRMATION, "challenge": challenge})
        wording = Rendered(CONFIRMATION, "application/json", body)
        return Letter(delivery, wording), challenge.encode()

    async def ask(self, question: Letter, challenge: bytes) -> Failed | None:
        """Ask it; ``None`` if it said the word."""
        return await self._exchange(question, challenge)

    async def _exchange(self, letter: Letter, challenge: bytes) -> Failed | None:
        with tracing.asking("webhook"):
            return await self._exchanged(letter, challenge)

    async def _exchanged(self, letter: Letter, challenge: bytes) -> Failed | None:
        reply = None
        said = b""
        try:
            async with self._session.post(
                address_of(letter.delivery.url),
                data=io.BytesIO(letter.wording.body),
                headers={**self._headers(letter), **tracing.context()},
                allow_redirects=False,
            ) as reply:
                said = await _read(reply)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as exc:
            if reply is None:
                return Failed(_reason(exc))
        except Failure:  # of what was sealed
            return Failed("sealed under another secret")
        assert reply is not None, "there was no error without it"
        failed = _judged(reply.status, reply.headers.get("Retry-After", ""))
        if failed is None and challenge and not _is_said(challenge, said):
            return Failed("the challenge was not said", AttemptOutcome.UNCONFIRMED)
        return failed

    def _headers(self, letter: Letter) -> Mapping[str, str]:
        delivery = letter.delivery
        own, keys = dict[str, str](), list[str]()
        if self._secrets is not None:
            own |= self._secrets.open_headers(delivery.headers, delivery.webhook_id)
            keys += [self._secrets.open_secret(s, delivery.webhook_id) for s in delivery.secrets]
        message = message_id(delivery.webhook_id, delivery.id, delivery.queued_at)
        return own | {
            "Content-Type": letter.wording.content_type,
            "X-Webhook-Id": str(delivery.webhook_id),
            "X-Webhook-Event": letter.wording.event,
            "X-Webhook-Delivery": str(delivery.id),
            **signed(keys, message, int(time.time()), letter.wording.body),
        }


@contextlib.asynccontextmanager
async def open_poster(
    rules: TargetRules,
    secrets: WebhookSecrets | None,
    *,
    connections: int,
    timeout_seconds: float,
    nameservers: tuple[str, ...],
) -> AsyncIterator[Poster]:
    """A poster with its own connections and look-ups; nothing is waited for at its end."""
    names = ForeignNames(nameservers, seconds=min(_LOOK_UP_SECONDS, timeout_seconds))
    connector = aiohttp.TCPConnector(
        limit=connections,
        force_close=True,  # each delivery has its own connection, to an address judged for it
        resolver=names,
        use_dns_cache=False,
        socket_factory=open_socket if rules.private else open_public_socket,
    )
    try:
        async with http_client(connector, timeout_seconds=timeout_seconds) as session:
            yield Poster(session, secrets, rules)
    finally:
        await names.close()


def open_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket for an address that a name was resolved to."""
    family, kind, protocol, *_ = address
    return socket.socket(family, kind, protocol)


def open_public_socket(address: tuple[Any, ...]) -> socket.socket:
    """The same, for the very address that is connected to next. Raises ``NotPublic``."""
    if not is_public(address[4][0]):
        raise NotPublic("not a public address")
    return open_socket(address)


def read_retry_after(value: str, now: float) -> float:
    """Seconds to rest, a day at most; 0 for what is no number and no date (RFC 9110, 10.2.3)."""
    if value.isascii() and value.isdigit():
        return min(float(value[:10]), _LONGEST_REST_SECONDS)
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    when = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    return min(max(when - now, 0.0), _LONGEST_REST_SECONDS)


def _reason(exc: Exception) -> str:
    """Of a name that leads inside the same as of one that leads nowhere."""
    cause = exc.__cause__ or exc
    if isinstance(exc, aiohttp.ClientConnectorDNSError) or isinstance(cause, NotPublic):
        return "unreachable"
    return type(cause).__name__


def _judged(status: int, retry_after: str) -> Failed | None:
    if 200 <= status < 300:
        return None
    rest = read_retry_after(retry_after, time.time())
    if status == HTTPStatus.GONE:
        return Failed("status 410", AttemptOutcome.GONE)
    outcome = AttemptOutcome.REFUSED if status in _REFUSED else AttemptOutcome.FAILED
    return Failed(f"status {status}", outcome, rest)


def _is_said(challenge: bytes, said: bytes) -> bool:
    """The challenge and nothing else, as text or as the only member of a JSON object.

    So a host that sends back whatever it is sent has not confirmed anything.
    """
    if said.strip() == challenge:
        return True
    try:
        return bool(orjson.loads(said) == {"challenge": challenge.decode()})
    except orjson.JSONDecodeError:
        return False


async def _read(reply: aiohttp.ClientResponse) -> bytes:
    """A short response, so that its sender sees no reset; of any other, no more than that."""
    said = bytearray()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_REPLY_SECONDS):
            while len(said) < _REPLY_BYTES and (
                chunk := await reply.content.read(_REPLY_BYTES - len(said))
            ):
                said += chunk
    return bytes(said)
