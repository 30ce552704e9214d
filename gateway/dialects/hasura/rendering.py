"""How Hasura's filestore words a refusal: ``{"code": ..., "message": ...}``.

Rule: the published table is kept to the letter. Its statuses and codes are the only ones
for what it lists and for every fault of ours; a status beyond it is only sent where HTTP
itself asks for one (405, 412, 413 ...), with the code ``bad_request``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from gateway.model import errors
from gateway.model.errors import Failure, GatewayError, RangeMalformed, Refusal
from gateway.web.dialect import RenderedError
from gateway.web.errors import MissingField
from gateway.web.rendering import status_of

STATUSES: Final[Mapping[type[GatewayError], int]] = {
    errors.Conflict: 400,
    errors.RangeUnsatisfiable: 400,
    errors.OverQuota: 403,
    errors.OverStorage: 403,
    errors.StorageFull: 500,
    errors.CatalogueUnavailable: 500,
}
_RANGE_MALFORMED: Final = "failed to parse range/x-hasura-filestore-range header"
_CODES: Final = {401: "unauthorized", 403: "access_denied", 404: "not_found"}


def render_error(error: GatewayError) -> RenderedError:
    """The error as the table has it."""
    status = status_of(error, STATUSES)
    ours = status >= 500 and not isinstance(error, Refusal)
    code = "fatal_internal_error" if ours else _CODES.get(status, "bad_request")
    return RenderedError(orjson.dumps({"code": code, "message": _message(error)}))


def _message(error: GatewayError) -> str:
    """What is said of it. Of our own faults, and of the hook's, nothing."""
    if isinstance(error, Failure):
        return GatewayError.sentence
    if isinstance(error, RangeMalformed):
        return _RANGE_MALFORMED
    if isinstance(error, MissingField) and error.place != "header":
        return f"missing parameter: {error.field}"
    return str(error)
