"""Messages, and which of them are asked for, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from gateway.messaging.senml import Record
from gateway.messaging.targets import Target


class Comparator(StrEnum):
    """How a number that is asked for relates to those that are found."""

    EQUAL = "eq"
    LESS = "lt"
    LESS_OR_EQUAL = "le"
    GREATER = "gt"
    GREATER_OR_EQUAL = "ge"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a message comes from: the channel, the thing that sent it, how, and about what."""

    channel_id: UUID
    publisher: UUID
    protocol: str = "http"
    subtopic: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One measurement that was sent to a channel."""

    origin: Origin
    record: Record


@dataclass(frozen=True, slots=True)
class MessageQuery:
    """Which messages of a channel, the latest first. ``None`` does not filter.

    ``since`` is included and ``until`` is not, both in seconds; ``value`` is compared by
    ``comparator``.
    """

    offset: int = 0
    limit: int = 10
    name: str | None = None
    publisher: UUID | None = None
    subtopic: str | None = None
    protocol: str | None = None
    since: float | None = None
    until: float | None = None
    value: float | None = None
    comparator: Comparator = Comparator.EQUAL
    bool_value: bool | None = None
    string_value: str | None = None
    data_value: str | None = None


@dataclass(frozen=True, slots=True)
class MessagePage:
    """One page. ``total`` is exact up to 10,000 beyond the page, and without filters always."""

    total: int
    messages: Sequence[Message]


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message as its thing sent it: a SenML pack in JSON, byte for byte.

    ``received_at``, in seconds since 1970, is what its relative times count from.
    """

    origin: Origin
    received_at: float
    body: bytes


class Format(StrEnum):
    """How a webhook wants its messages.

    As the thing sent them, under either name; as they are read back; as a SenML pack without
    base fields.
    """

    SENML = "senml"
    JSON = "json"
    RECORDS = "records"
    RESOLVED = "resolved"


class Disabled(StrEnum):
    """Why a webhook is told nothing any more: its receiver said 410, or never confirmed."""

    GONE = "gone"
    UNCONFIRMED = "unconfirmed"


class Event(StrEnum):
    """What a webhook can be told of."""

    MESSAGES = "messages"
    FILES = "files"


@dataclass(frozen=True, slots=True)
class WebhookDraft:
    """What a webhook should be; ``events`` has at least one.

    ``headers`` are sent with each delivery. A ``signed`` one is made with a secret.
    """

    name: str
    target: Target
    format: Format = Format.JSON
    events: frozenset[Event] = frozenset({Event.MESSAGES})
    headers: Mapping[str, str] = field(default_factory=dict)
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Webhook:
    """Somebody who is told what a thing says and does.

    ``failures`` is how many attempts in a row failed; ``waiting`` and ``dead`` are how many
    deliveries wait and were given up, counted up to 1000. An ``unconfirmed`` one is asked first
    whether it wants to hear of us; ``disabled`` says why it is told nothing any more.
    """

    id: UUID
    thing_id: UUID
    name: str
    url: str
    format: Format
    events: frozenset[Event]
    failures: int = 0
    waiting: int = 0
    dead: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    signed: bool = False
    unconfirmed: bool = False
    disabled: Disabled | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing to tell one webhook: a message, or ``body``, JSON as it was queued.

    ``secrets``, the newest first, and ``headers`` are sealed; ``failures`` are the webhook's in
    a row.
    """

    id: int
    webhook_id: UUID
    thing_id: UUID
    url: str
    format: Format
    event: str
    body: str
    attempts: int
    host: str = ""
    message: SentMessage | None = None
    queued_at: float = 0.0
    failures: int = 0
    unconfirmed: bool = False
    secrets: Sequence[bytes] = ()
    headers: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes that are queued, of which what is posted is made."""
        return len(self.body) + (len(self.message.body) if self.message else 0)
