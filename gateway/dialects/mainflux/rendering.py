"""How the Mainflux APIs word a refusal: ``{"error": "<message>"}``."""

from __future__ import annotations

import orjson

from gateway.model.errors import (
    GatewayError,
    RangeMalformed,
    RangeUnsatisfiable,
    SeveralRanges,
)
from gateway.web.dialect import RenderedError

_CODED = (RangeMalformed, SeveralRanges, RangeUnsatisfiable)
_RANGE_MALFORMED = "failed to parse range/x-hasura-filestore-range header"


def render_error(error: GatewayError) -> RenderedError:
    """The error's sentence; range errors have the words and the code that Hasura's clients know."""
    body = {"error": _RANGE_MALFORMED if isinstance(error, RangeMalformed) else str(error)}
    if isinstance(error, _CODED):
        body["code"] = "bad_request"
    return RenderedError(orjson.dumps(body))
