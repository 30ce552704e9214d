"""How S3 words a refusal: ``<Error><Code>...</Code><Message>...</Message></Error>``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from xml.sax.saxutils import escape

from gateway.model import errors
from gateway.model.errors import GatewayError
from gateway.web import errors as web_errors
from gateway.web.dialect import RenderedError
from gateway.web.server import unparsed
from gateway.web.signing.refusals import Coded

XML: Final = "application/xml"
STATUSES: Final[Mapping[type[GatewayError], int]] = {
    errors.TooLarge: 400,
    errors.Unauthenticated: 403,
    errors.OverQuota: 403,
    errors.OverStorage: 403,
}
_CODES: Final[Mapping[type[GatewayError], str]] = {
    errors.Refusal: "InvalidRequest",
    errors.LengthMismatch: "IncompleteBody",
    errors.DigestMismatch: "BadDigest",
    errors.RangeUnsatisfiable: "InvalidRange",
    errors.TooLarge: "EntityTooLarge",
    errors.TooSlow: "RequestTimeout",
    errors.TooMany: "SlowDown",
    errors.Unauthenticated: "AccessDenied",
    errors.Forbidden: "AccessDenied",
    errors.OverQuota: "QuotaExceeded",
    errors.NotFound: "NoSuchKey",
    errors.Conflict: "OperationAborted",
    errors.PreconditionFailed: "PreconditionFailed",
    web_errors.WrongMethod: "MethodNotAllowed",
    unparsed.MethodUnknown: "NotImplemented",
    errors.Failure: "InternalError",
    errors.StorageFull: "InsufficientStorage",
    errors.CatalogueUnavailable: "ServiceUnavailable",
}


def render_error(error: GatewayError) -> RenderedError:
    """The error in S3's form."""
    return RenderedError(xml("Error", {"Code": code_of(error), "Message": str(error)}), XML)


def code_of(error: GatewayError) -> str:
    """Its own code, or that of the nearest class in its family."""
    if isinstance(error, Coded):
        return error.code
    return next((_CODES[kind] for kind in type(error).__mro__ if kind in _CODES), "InternalError")


def xml(name: str, members: Mapping[str, str]) -> bytes:
    """A document of one element with some texts in it."""
    inner = "".join(f"<{tag}>{_text(text)}</{tag}>" for tag, text in members.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{name}>{inner}</{name}>'.encode()


def _text(text: str) -> str:
    # XML 1.0 cannot say most controls, nor half of a character.
    spoken = "".join(c if c >= " " and not "\ud800" <= c <= "\udfff" else "\ufffd" for c in text)
    return escape(spoken.replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd"), {'"': "&quot;"})
