"""From errors to responses: one table of statuses, worded by the request's dialect.

Knows every error of the model and every exception that aiohttp raises by itself.

Rule: whatever goes wrong, the response is in the dialect's form and says nothing of our
insides. No dialect is shown more of a failure than its kind, so none can say more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from gateway.model import errors
from gateway.model.errors import GatewayError, Refusal
from gateway.web import errors as web_errors
from gateway.web.dialect import Dialect
from gateway.web.server import unparsed

STATUSES: Final[Mapping[type[GatewayError], int]] = {
    errors.Refusal: 400,
    errors.TooLarge: 413,
    web_errors.UnsupportedMedia: 415,
    errors.RangeUnsatisfiable: 416,
    errors.TooSlow: 408,
    errors.TooMany: 429,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.OverQuota: 403,
    errors.OverStorage: 507,
    errors.OverDay: 429,
    errors.NotFound: 404,
    web_errors.WrongMethod: 405,
    errors.Conflict: 409,
    errors.PreconditionFailed: 412,
    web_errors.ExpectationFailed: 417,
    unparsed.AddressTooLong: 414,
    unparsed.HeadersTooLarge: 431,
    unparsed.MethodUnknown: 501,
    unparsed.VersionUnsupported: 505,
    errors.Failure: 500,
    errors.StorageFull: 507,
    errors.StorageFailed: 500,
    errors.StorageUnavailable: 503,
    errors.CatalogueUnavailable: 503,
    errors.HookUnavailable: 500,
}


# A 404 may be kept by rules of thumb (RFC 9110 15.1), and the next upload makes it untrue.
_UNKEPT: Final = {"Cache-Control": "no-cache"}


def status_of(error: GatewayError, overrides: Mapping[type[GatewayError], int]) -> int:
    """The status of the nearest class in the error's family that has one."""
    for kind in type(error).__mro__:
        for table in (overrides, STATUSES):
            if kind in table:
                return table[kind]
    return 500


def error_response(error: GatewayError, dialect: Dialect) -> web.Response:
    """The error as the dialect's response."""
    status = status_of(error, dialect.statuses)
    rendered = dialect.render_error(disclosed(error))
    response = web.Response(
        status=status,
        body=rendered.body,
        headers={"Content-Type": rendered.content_type, **_UNKEPT, **rendered.headers},
    )
    _add_standard_headers(response, error, dialect)
    return response


def disclosed(error: GatewayError) -> GatewayError:
    """What a caller may know of it: all of a refusal, of anything else its kind only."""
    if isinstance(error, Refusal):
        return error
    kind = type(error)
    bare = kind.__new__(kind)
    GatewayError.__init__(bare)
    return bare


def translate(exc: web.HTTPException) -> GatewayError:
    """aiohttp's own refusals, in our words."""
    if isinstance(exc, web.HTTPMethodNotAllowed):
        return web_errors.WrongMethod(tuple(sorted(exc.allowed_methods)))
    return _FOREIGN.get(exc.status, errors.Malformed)()


_FOREIGN: Final[Mapping[int, type[GatewayError]]] = {
    404: web_errors.NoRoute,
    413: errors.TooLarge,
    415: web_errors.UnsupportedMedia,
    417: web_errors.ExpectationFailed,
}


def _add_standard_headers(response: web.Response, error: GatewayError, dialect: Dialect) -> None:
    """Headers that HTTP asks for with a status, whatever the dialect."""
    if isinstance(error, errors.RangeUnsatisfiable) and response.status == 416:
        response.headers["Content-Range"] = f"bytes */{error.size}"
    elif isinstance(error, web_errors.WrongMethod):
        response.headers["Allow"] = ", ".join(error.allowed)
    elif isinstance(error, errors.TooMany | errors.OverDay):
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    elif isinstance(error, errors.Unauthenticated):
        for challenge in dialect.challenges:  # a line for each: not every client reads lists
            response.headers.add("WWW-Authenticate", challenge)
    elif response.status == 503:
        response.headers["Retry-After"] = "1"
