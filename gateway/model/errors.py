"""Everything that can go wrong, split by whose fault it is.

Knows no HTTP: statuses and wording belong to ``web`` and the dialects.

Rule: ``str(error)`` is a sentence a client may read. It never holds a path, SQL,
a token or another service's text (the auth hook's own denial message excepted);
the cause is chained and only logged.
"""

from __future__ import annotations

from typing import ClassVar


class GatewayError(Exception):
    """Base of every error the gateway raises on purpose."""

    sentence: ClassVar[str] = "internal server error"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.sentence)


# The caller's fault: the request is refused and changed nothing.


class Refusal(GatewayError):
    """The request cannot be honoured as it stands."""

    sentence = "the request was refused"


class Malformed(Refusal):
    """The request cannot be understood."""

    sentence = "malformed request"


class MissingField(Malformed):
    """A required header, parameter or form part is absent.

    ``place`` is ``"header"``, ``"parameter"`` or ``"part"``; ``field`` its name.
    """

    def __init__(self, place: str, field: str) -> None:
        super().__init__(f"missing {place}: {field}")
        self.place = place
        self.field = field


class LengthMismatch(Malformed):
    """Fewer or more bytes arrived than were declared."""

    sentence = "the body does not have its declared length"


class DigestMismatch(Malformed):
    """The bytes that arrived do not have their declared digest."""

    sentence = "the content does not match its declared digest"


class RangeMalformed(Malformed):
    """The Range header cannot be parsed."""

    sentence = "failed to parse range/x-hasura-filestore-range header"


class SeveralRanges(Malformed):
    """More than one range was asked for."""

    sentence = "expected one and atmost one byte range in the header"


class RangeUnsatisfiable(Refusal):
    """The range lies outside a file of ``size`` bytes."""

    sentence = "range not satisfiable"

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size


class TooLarge(Refusal):
    """A limit on the size of a body, part, header or name was exceeded."""

    sentence = "the body is too large"


class UnsupportedMedia(Refusal):
    """The content type or content coding is not accepted here."""

    sentence = "unsupported content type"


class TooSlow(Refusal):
    """The body stalled, or came slower than the floor."""

    sentence = "the body arrived too slowly"


class TooMany(Refusal):
    """A configured limit on concurrent work is reached; try again later."""

    sentence = "too many requests"

    def __init__(self, retry_after_seconds: int = 1) -> None:
        super().__init__()
        self.retry_after_seconds = retry_after_seconds


class Unauthenticated(Refusal):
    """No credential, or one that proves nothing."""

    sentence = "missing or invalid credentials provided"


class Forbidden(Refusal):
    """The caller is known and may not do this."""

    sentence = "failed to perform authorization over the entity"


class Denied(Forbidden):
    """The auth hook said no; the message is the hook's own, if it gave one."""

    sentence = "access denied"


class NotFound(Refusal):
    """Absent, or not the caller's to see: the two look alike."""

    sentence = "entity not found"


class NoRoute(NotFound):
    """No resource has this path."""

    sentence = "not found"


class WrongMethod(Refusal):
    """The resource exists but not with this method; ``allowed`` lists those it has."""

    sentence = "method not allowed"

    def __init__(self, allowed: tuple[str, ...]) -> None:
        super().__init__()
        self.allowed = allowed


class Conflict(Refusal):
    """The name or id is taken."""

    sentence = "entity already exists"


class PreconditionFailed(Refusal):
    """An If-Match, If-None-Match or If-Unmodified-Since did not hold."""

    sentence = "precondition failed"


class ExpectationFailed(Refusal):
    """An Expect header other than 100-continue."""

    sentence = "expectation failed"


class QuotaExceeded(Refusal):
    """The owner's quota has no room for these bytes."""

    sentence = "quota exceeded"


# Nobody's fault.


class Interrupted(GatewayError):
    """The client left before its request was complete; nobody reads a response."""

    sentence = "the client went away"


# Our fault, or that of something we depend on.


class Failure(GatewayError):
    """The request was fine; the gateway could not serve it."""


class StorageFull(Failure):
    """No room left for the bytes."""

    sentence = "insufficient storage"


class StorageFailed(Failure):
    """The blob store refused or broke."""

    sentence = "storage is not available now"


class BlobMissing(Failure):
    """A committed row points at bytes that are not there, or not whole."""


class CatalogueUnavailable(Failure):
    """The database does not answer."""

    sentence = "the catalogue is not available now"


class CommitUnknown(CatalogueUnavailable):
    """COMMIT was sent and its outcome never came back.

    Whoever sees this must look before deciding, and must not delete anything.
    """


class HookUnavailable(Failure):
    """The auth hook gave neither a yes nor a no; the gateway fails closed."""

    sentence = "unexpected status from filestore hook"
