"""The service's own routes, described: health, metrics, the document and its page."""

from __future__ import annotations

from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST

from gateway.web.openapi.vocabulary import (
    ANY_OBJECT,
    TEXT,
    Chapter,
    Description,
    Operation,
    Response,
    Schema,
    record,
)
from gateway.web.operations import docs, root
from gateway.web.operations.health import HEALTH_TYPE

_HEALTH: Final[Schema] = record({"status": {"const": "pass"}, "version": TEXT})
_READY: Final[Schema] = record(
    {"status": {"enum": ["pass", "warn", "fail"]}}, {"faults": {"type": "object"}}
)

OPERATIONS: Final = Description(
    chapters=(
        Chapter(
            "Operations",
            "For whoever keeps the gateway running.",
            {
                "GET,HEAD /health": Operation(
                    "The process is alive",
                    responses={200: Response("It is", {HEALTH_TYPE: _HEALTH})},
                ),
                "GET,HEAD /ready": Operation(
                    "Requests can be served now",
                    responses={
                        200: Response("They can; `warn`: reads can", {HEALTH_TYPE: _READY}),
                        503: Response("They cannot; the reasons", {HEALTH_TYPE: _READY}),
                    },
                ),
                "GET,HEAD /metrics": Operation(
                    "Metrics, in Prometheus' format",
                    responses={200: Response("All metrics", {CONTENT_TYPE_LATEST: TEXT})},
                ),
            },
        ),
    ),
    refusal=ANY_OBJECT,
    always=(417,),
)
DOCUMENTATION: Final = Description(
    chapters=(Chapter("Documentation", "This document.", {**root.DESCRIBED, **docs.DESCRIBED}),),
    refusal=ANY_OBJECT,
    always=(417,),
)
