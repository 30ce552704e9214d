"""Mainflux users, tokens and identify, described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.dialects.mainflux.openapi.common import (
    EMPTY,
    FLAG_OR_NULL,
    LIMIT,
    LISTING,
    LOCATION,
    METADATA_OR_NULL,
    OFFSET,
    TEXT_OR_NULL,
    page,
)
from gateway.web.openapi.credentials import USER, USER_OR_NOBODY
from gateway.web.openapi.vocabulary import (
    JSON,
    MOMENT,
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

INVITATION: Final[Schema] = {
    "type": ["string", "null"],
    "description": "The token of one, where registration is closed.",
}

SCHEMAS: Final[Mapping[str, Schema]] = {
    "User": record({"id": UUID, "email": TEXT}, {"metadata": named("Metadata")}),
    "UserPage": page({"users": named("User")}),
    "Account": record(
        {
            "email": {"type": "string", "format": "email"},
            "password": {"type": "string", "minLength": 8},
        },
        {"metadata": METADATA_OR_NULL, "invitation": INVITATION},
    ),
    "Token": record({"token": TEXT}),
    "PasswordChange": record({"password": TEXT, "old_password": TEXT}, {"end_keys": FLAG_OR_NULL}),
    "ResetRequest": record({"email": TEXT}),
    "ResetToken": record({}, {"user_id": UUID, "token": TEXT, "expires_at": MOMENT, "msg": TEXT}),
    "Reset": record(
        {"token": TEXT, "password": TEXT},
        {"confirm_password": TEXT_OR_NULL, "end_keys": FLAG_OR_NULL},
    ),
    "Disabling": record({}, {"things": FLAG_OR_NULL}),
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
            description="Open to anybody, or (a setting) to administrators, to those who may make "
            "users, and to whoever has an invitation.",
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
            body={JSON: named("Disabling")},
            body_required=False,
            description="With `things` neither do the keys of its things.",
        ),
        "POST /users/{id}/end-sessions": Operation(
            "End every login and every key of the caller, or, for an administrator, of anybody",
            responses={204: EMPTY},
            refusals=(401, 403, 404),
            credentials=USER,
        ),
        "GET /users/{id}/keys": Operation(
            "List the keys of a user, for themselves and administrators",
            responses={200: json_response("One page", named("KeyPage"))},
            refusals=(401, 404),
            credentials=USER,
            parameters=(LIMIT, OFFSET),
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
            description="With `end_keys` every key ends, too.",
        ),
        "POST /password/reset-request": Operation(
            "An administrator makes a token for a new password; anybody else asks for one",
            responses={201: json_response("The token, or a word", named("ResetToken"))},
            refusals=(401, 403, 404),
            credentials=USER_OR_NOBODY,
            body={JSON: named("ResetRequest")},
        ),
        "PUT /password/reset": Operation(
            "Set a new password by a token; every login ends, and with `end_keys` every key",
            responses={201: json_response("Set", record({}))},
            refusals=(403,),
            body={JSON: named("Reset")},
        ),
        "POST /identify": Operation(
            "Find out whose key this is",
            responses={200: json_response("The thing", named("Identity"))},
            refusals=(401, 404),
            body={JSON: named("Identification")},
        ),
    },
)
