"""How Losant's API words a refusal: ``{"type": ..., "message": ...}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from gateway.model.errors import GatewayError
from gateway.web.dialect import RenderedError
from gateway.web.rendering import status_of

STATUSES: Final[Mapping[type[GatewayError], int]] = {}
TYPES: Final[Mapping[int, str]] = {
    400: "Validation",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    408: "RequestTimeout",
    409: "Conflict",
    412: "PreconditionFailed",
    413: "PayloadTooLarge",
    414: "Validation",
    415: "UnsupportedMediaType",
    416: "RangeNotSatisfiable",
    417: "ExpectationFailed",
    429: "TooManyRequests",
    431: "Validation",
    501: "NotImplemented",
    503: "ServiceUnavailable",
    505: "Validation",
    507: "InsufficientStorage",
}


def render_error(error: GatewayError) -> RenderedError:
    """The error in the API's form."""
    kind = TYPES.get(status_of(error, STATUSES), "InternalServerError")
    return RenderedError(orjson.dumps({"type": kind, "message": str(error)}))
