"""Mainflux users, tokens and identify, described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.dialects.mainflux.openapi.common import (
    EMPTY,
    LISTING,
    LOCATION,
    METADATA_OR_NULL,
    TEXT_OR_NULL,
    page,
)
from gateway.web.openapi.credentials import USER, USER_OR_NOBODY
from gateway.web.openapi.vocabulary import (
    JSON,
    TEXT,
    UUID,
    Chapter,
    Operation,
    Response,
    Schema,
    json_response,
    named,
    query,
    record,
)

SCHEMAS: Final[Mapping[str, Schema]] = {
    "User": record({"id": UUID, "email": TEXT}, {"metadata": named("Metadata")}),
    "UserPage": page({"users": named("User")}),
    "Account": record(
        {
            "email": {"type": "string", "format": "email"},
            "password": {"type": "string", "minLength": 8},
        },
        {"metadata": METADATA_OR_NULL},
    ),
    "Token": record({"token": TEXT}),
    "PasswordChange": record({"password": TEXT, "old_password": TEXT}),
    "UserChange": record({}, {"metadata": METADATA_OR_NULL}),
    "Identification": {
        "anyOf": [
            record({"token": TEXT}),
            record({"value": TEXT}, {"type": TEXT_OR_NULL}),
        ]
    },
    "Identity": record({"id": UUID}),
}

CHAPTER: Final = Chapter(
    "Mainflux users",
    "Accounts and their tokens; whose key is this.",
    {
        "POST /users": Operation(
            "Register an account",
            responses={201: Response("Registered", headers=LOCATION)},
            refusals=(401, 403, 409),
            credentials=USER_OR_NOBODY,
            body={JSON: named("Account")},
            description="Open to anybody, or (a setting) to administrators only.",
        ),
        "GET /users": Operation(
            "List the accounts that the caller may see",
            responses={200: json_response("One page", named("UserPage"))},
            refusals=(401,),
            credentials=USER,
            parameters=(*LISTING, query("email", TEXT, "A part of the e-mail.")),
        ),
        "PUT /users": Operation(
            "Replace the caller's own metadata",
            responses={200: EMPTY},
            refusals=(401, 404),
            credentials=USER,
            body={JSON: named("UserChange")},
        ),
        "GET /users/{id}": Operation(
            "See an account",
            responses={200: json_response("The account", named("User"))},
            refusals=(401, 404),
            credentials=USER,
        ),
        "POST /users/{id}/enable": Operation(
            "Unlock an account; only an administrator may",
            responses={204: EMPTY},
            refusals=(401, 403, 404),
            credentials=USER,
        ),
        "POST /users/{id}/disable": Operation(
            "Lock an account: its tokens and keys prove nothing until it is unlocked",
            responses={204: EMPTY},
            refusals=(401, 403, 404),
            credentials=USER,
        ),
        "POST /tokens": Operation(
            "Sign in",
            responses={201: json_response("A token", named("Token"))},
            refusals=(401, 403),
            body={JSON: named("Account")},
        ),
        "PATCH /password": Operation(
            "Change the caller's own password; every token issued so far ends",
            responses={201: json_response("Changed", record({}))},
            refusals=(401,),
            credentials=USER,
            body={JSON: named("PasswordChange")},
        ),
        "POST /identify": Operation(
            "Find out whose key this is",
            responses={200: json_response("The thing", named("Identity"))},
            refusals=(401, 404),
            body={JSON: named("Identification")},
        ),
    },
)
