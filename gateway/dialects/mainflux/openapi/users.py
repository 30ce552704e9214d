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
    Answer,
    Chapter,
    Operation,
    Schema,
    json_answer,
    named,
    query,
    record,
)

SCHEMAS: Final[Mapping[str, Schema]] = {
    "User": record({"id": UUID, "email": TEXT}, {"metadata": named("Metadata")}),
    "UserPage": page({"users": named("User"), "Users": named("User")}),
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
            {201: Answer("Registered", headers=LOCATION)},
            (401, 403, 409),
            USER_OR_NOBODY,
            body={JSON: named("Account")},
            description="Open to anybody, or (a setting) to administrators only.",
        ),
        "GET /users": Operation(
            "List the accounts that the caller may see",
            {200: json_answer("One page", named("UserPage"))},
            (401,),
            USER,
            (*LISTING, query("email", TEXT, "A part of the e-mail.")),
        ),
        "PUT /users": Operation(
            "Replace the caller's own metadata",
            {200: EMPTY},
            (401, 404),
            USER,
            body={JSON: named("UserChange")},
        ),
        "GET /users/{id}": Operation(
            "See an account",
            {200: json_answer("The account", named("User"))},
            (401, 404),
            USER,
        ),
        "POST /tokens": Operation(
            "Sign in",
            {201: json_answer("A token", named("Token"))},
            (401,),
            body={JSON: named("Account")},
        ),
        "PATCH /password": Operation(
            "Change the caller's own password; every token issued so far ends",
            {201: json_answer("Changed", record({}))},
            (401,),
            USER,
            body={JSON: named("PasswordChange")},
        ),
        "POST /identify": Operation(
            "Find out whose key this is",
            {200: json_answer("The thing", named("Identity"))},
            (401, 404),
            body={JSON: named("Identification")},
        ),
    },
)
