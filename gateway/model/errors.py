"""Everything that can go wrong, split by whose fault it is.

Knows no HTTP: statuses and wording belong to ``web`` and the dialects.

Rule: ``str()`` of a refusal is a sentence its caller may read. It never holds a path, SQL, a
token or another service's text (the auth hook's own denial message excepted). ``str()`` of a
failure is for our log; a caller reads no more than the ``sentence`` of its kind, and that is
seen to in one place, ``web.rendering``. Causes are chained and only logged. What ends a start
is ``StartupFailed``, which is no member of this family: an operator reads it, never a caller.
"""

from __future__ import annotations

from typing import ClassVar, Final


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


class LengthMismatch(Malformed):
    """Fewer or more bytes arrived than were declared."""

    sentence = "the body does not have its declared length"


class DigestMismatch(Malformed):
    """The bytes that arrived do not have their declared digest."""

    sentence = "the content does not match its declared digest"


class RangeMalformed(Malformed):
    """The Range header cannot be parsed."""

    sentence = "failed to parse the range"


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


class AccountLocked(Forbidden):
    """The password is right, and an administrator has locked the account."""

    sentence = "the account is locked"


class Denied(Forbidden):
    """The auth hook said no; the message is the hook's own, if it gave one."""

    sentence = "access denied"


class NotFound(Refusal):
    """Absent, or not the caller's to see: the two look alike."""

    sentence = "entity not found"


class OverQuota(Refusal):
    """An account may not have more of something; nothing was changed.

    ``account`` is whose, as ``kind/owner``; ``used`` is what it has, reserved room included.
    """

    sentence = "over quota"

    def __init__(self, account: str, resource: str, *, limit: int, used: int, wanted: int) -> None:
        kind = account.partition("/")[0]
        whose = _ACCOUNTS.get(kind, "the owner")
        left = max(0, limit - used)
        super().__init__(
            f"over quota: {whose} may have {limit} {resource}{self.when}, "
            f"{left} are left, and this takes {wanted}{self.advice}"
        )
        self.account, self.resource = account, resource
        self.limit, self.used, self.wanted = limit, used, wanted

    when: ClassVar[str] = ""
    advice: ClassVar[str] = ""


class OverStorage(OverQuota):
    """Of bytes or files."""

    advice = "; bytes of what was replaced or removed count until they are swept"


class OverDay(OverQuota):
    """Of what begins anew every day, in ``retry_after_seconds``."""

    when = " a day"

    def __init__(
        self,
        account: str,
        resource: str,
        *,
        limit: int,
        used: int,
        wanted: int,
        retry_after_seconds: int,
    ) -> None:
        super().__init__(account, resource, limit=limit, used=used, wanted=wanted)
        self.retry_after_seconds = retry_after_seconds


_ACCOUNTS: Final = {
    "users": "the user",
    "things": "the thing",
    "groups": "the group",
    "orgs": "the org",
}


class Conflict(Refusal):
    """The name or id is taken."""

    sentence = "entity already exists"


class PreconditionFailed(Refusal):
    """An If-Match, If-None-Match or If-Unmodified-Since did not hold."""

    sentence = "precondition failed"


# Nobody's fault.


class Interrupted(GatewayError):
    """The client left before its request was complete; nobody reads a response."""

    sentence = "the client went away"


# Our fault, or that of something we depend on.


class Failure(GatewayError):
    """The request was fine; the gateway could not serve it.

    ``sentence`` says so to the caller; a message of its own only reaches the log.
    """


class StorageFull(Failure):
    """No room left for the bytes."""

    sentence = "insufficient storage"


class StorageFailed(Failure):
    """The blob store refused or broke."""

    sentence = "storage is not available now"


class StorageUnavailable(StorageFailed):
    """The blob store is elsewhere, and away, or too slow: the same may be tried again."""


class BlobMissing(Failure):
    """A committed row points at bytes that are not there, or not whole."""


class InQuarantine(BlobMissing):
    """The bytes of a file were found not to be those that were uploaded: nobody is sent them."""

    sentence = "the file is damaged: upload it again"


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


def is_of_blob(error: BaseException | None) -> bool:
    """Whether the error, or its cause, says something of one blob, not only of the way to it."""
    if error is None or isinstance(error, StorageUnavailable):
        return False
    return not isinstance(error.__cause__, StorageUnavailable)


def cause_of(error: BaseException) -> str:
    """Why, in one line for the log: what is foreseen needs no traceback, however often it comes."""
    cause = error.__cause__
    return repr(error if cause is None else cause)[:200]


# Before there is a caller.


class StartupFailed(Exception):
    """The gateway cannot begin to serve; the message tells its operator why."""
