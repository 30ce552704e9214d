"""Quotas, described."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from gateway.model.quota import Resource
from gateway.web.openapi.credentials import USER, USER_OR_THING
from gateway.web.openapi.vocabulary import (
    COUNT,
    JSON,
    TEXT,
    Chapter,
    Operation,
    Schema,
    json_response,
    named,
    record,
)

_COUNT_OR_NULL: Final[Schema] = {"type": ["integer", "null"], "minimum": 0}
_LIMIT: Final[Schema] = {
    "anyOf": [{"type": "integer", "minimum": 0}, {"const": "unlimited"}, {"type": "null"}],
    "description": "null: the deployment's default.",
}

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Quota": record(
        {"limit": _COUNT_OR_NULL, "used": COUNT, "left": _COUNT_OR_NULL},
        {
            "reserved": {**COUNT, "description": "Promised to uploads under way."},
            "condemned": {
                **COUNT,
                "description": "Of what is used: replaced or removed, and not swept yet.",
            },
        },
    ),
    "Quotas": record(
        {
            "account": TEXT,
            "quotas": record({}, {str(resource): named("Quota") for resource in Resource}),
        },
        {"newcomer": {"type": "boolean"}},
    ),
    "QuotaChange": record(
        {},
        {
            "limits": {
                **record({}, {str(resource): _LIMIT for resource in Resource}),
                "type": ["object", "null"],
            },
            "newcomer": {
                "enum": [False, None],
                "description": "false: the account has the defaults of those whom an "
                "administrator made.",
            },
        },
    ),
}

_FOUND: Final = {200: json_response("Limits, and what is in use", named("Quotas"))}


def _operations() -> Iterator[tuple[str, Operation]]:
    yield (
        "GET /quota",
        Operation(
            "What the caller may have, and has",
            responses=_FOUND,
            refusals=(401, 403),
            credentials=USER_OR_THING,
        ),
    )
    for kind in ("users", "things", "groups", "orgs"):
        path = f"/{kind}/{{id}}/quota"
        seen = Operation(
            f"What one of the {kind} may have, and has",
            responses=_FOUND,
            refusals=(401, 403, 404),
            credentials=USER,
        )
        yield f"GET {path}", seen
        for method, text in (
            ("PUT", "Set limits; what is not named has its default"),
            ("PATCH", "Set some limits"),
        ):
            yield (
                f"{method} {path}",
                Operation(
                    f"{text}; only an administrator may",
                    responses=_FOUND,
                    refusals=(401, 403, 404),
                    credentials=USER,
                    body={JSON: named("QuotaChange")},
                ),
            )


CHAPTER: Final = Chapter(
    "Mainflux quotas",
    "How much a user, thing, group or org may have; whoever it belongs to sees it.",
    dict(_operations()),
)
