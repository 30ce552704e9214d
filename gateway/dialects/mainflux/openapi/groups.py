"""Mainflux groups and their members, described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.dialects.mainflux.openapi.common import (
    EMPTY,
    FLAG_OR_NULL,
    LABEL,
    METADATA_OR_NULL,
    NAMED_LISTING,
    REMOVED,
    TEXT_OR_NULL,
    page,
)
from gateway.web.openapi.credentials import USER
from gateway.web.openapi.vocabulary import (
    COUNT,
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

ROLE: Final[Schema] = {"enum": ["viewer", "editor", "admin", "owner"]}
NAME: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": 1024}
_MEMBER_IDS: Final[Schema] = {
    "type": "array",
    "minItems": 1,
    "items": {"anyOf": [UUID, named("Reference")]},
}

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Reference": record({"id": UUID}),
    "Group": record(
        {
            "id": UUID,
            "name": TEXT,
            "owner_id": UUID,
            "description": TEXT,
            "created_at": MOMENT,
            "updated_at": MOMENT,
            "level": COUNT,
            "path": TEXT,
        },
        {"parent_id": UUID, "metadata": named("Metadata")},
    ),
    "GroupPage": page({"groups": named("Group")}),
    "GroupDraft": record(
        {"name": NAME},
        {"description": LABEL, "metadata": METADATA_OR_NULL, "parent_id": TEXT_OR_NULL},
    ),
    "GroupChange": record(
        {},
        {
            "name": {**NAME, "type": ["string", "null"]},
            "description": LABEL,
            "metadata": METADATA_OR_NULL,
        },
    ),
    "Member": record(
        {"id": UUID},
        {
            "name": TEXT,
            "key": TEXT,
            "metadata": named("Metadata"),
            "email": TEXT,
            "role": ROLE,
            "pending": {"type": "boolean", "description": "Whether the role waits."},
            "org_id": {**UUID, "description": "The org through which it is an owner."},
        },
    ),
    "MemberPage": page({"members": named("Member")}, {"name": TEXT}),
    "Candidate": {
        "anyOf": [
            UUID,
            record({"id": UUID}, {"role": ROLE}),
            record({"email": TEXT}, {"role": ROLE}),
        ],
        "description": "A thing or user by id, or a user by e-mail; users may be given a role.",
    },
    "Candidates": record(
        {"members": {"type": "array", "items": named("Candidate"), "minItems": 1}}
    ),
    "MemberIds": {
        "anyOf": [
            record({"members": _MEMBER_IDS}, {"keep_things": FLAG_OR_NULL}),
            record({"member_ids": _MEMBER_IDS}, {"keep_things": FLAG_OR_NULL}),
        ]
    },
}

CHAPTER: Final = Chapter(
    "Mainflux groups",
    "Things and users who share files; roles are viewer, editor, admin and owner.",
    {
        "POST /groups": Operation(
            "Create a group, which the caller owns",
            responses={201: Response("Created, with its Location; of a list, all of them")},
            refusals=(401, 403, 404),
            credentials=USER,
            body={
                JSON: {
                    "anyOf": [
                        named("GroupDraft"),
                        {"type": "array", "items": named("GroupDraft"), "minItems": 1},
                    ]
                }
            },
        ),
        "GET /groups": Operation(
            "List the groups that the caller is in",
            responses={200: json_response("One page", named("GroupPage"))},
            refusals=(401,),
            credentials=USER,
            parameters=NAMED_LISTING,
        ),
        "GET /groups/{id}": Operation(
            "See a group",
            responses={200: json_response("The group", named("Group"))},
            refusals=(401, 404),
            credentials=USER,
        ),
        "PUT /groups/{id}": Operation(
            "Change what the body has",
            responses={200: EMPTY},
            refusals=(401, 403, 404),
            credentials=USER,
            body={JSON: named("GroupChange")},
        ),
        "DELETE /groups/{id}": Operation(
            "Remove a group and its files",
            responses={204: REMOVED},
            refusals=(401, 403, 404),
            credentials=USER,
        ),
        "GET /groups/{id}/members": Operation(
            "List the members",
            responses={200: json_response("One page", named("MemberPage"))},
            refusals=(401, 404),
            credentials=USER,
            parameters=(*NAMED_LISTING, query("type", {"enum": ["things", "users"]})),
        ),
        "POST /groups/{id}/members": Operation(
            "Assign members, all or none",
            responses={200: EMPTY},
            refusals=(401, 403, 404),
            credentials=USER,
            body={JSON: named("Candidates")},
            description="The role of somebody who has not shown that the e-mail is theirs waits: "
            "then the response has a body, `pending`, of issued invitations with their tokens.",
        ),
        "DELETE /groups/{id}/members": Operation(
            "Unassign members, whether or not they are in the group",
            responses={204: REMOVED},
            refusals=(401, 403, 404),
            credentials=USER,
            body={JSON: named("MemberIds")},
            description="With users go the things that they own. `keep_things` leaves these, if it "
            "is the leaving user or an administrator who says so. Things may be taken out by "
            "whoever owns them.",
        ),
    },
)
