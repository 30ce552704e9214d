"""Mainflux orgs, their members and groups, described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.dialects.mainflux.openapi.common import (
    EMPTY,
    LABEL,
    LISTING,
    LOCATION,
    METADATA_OR_NULL,
    NAMED_LISTING,
    REMOVED,
    page,
)
from gateway.dialects.mainflux.openapi.groups import NAME, ROLE
from gateway.web.openapi.credentials import USER
from gateway.web.openapi.vocabulary import (
    JSON,
    MOMENT,
    TEXT,
    UUID,
    Answer,
    Chapter,
    Operation,
    Schema,
    array,
    json_answer,
    named,
    query,
    record,
)

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Org": record(
        {
            "id": UUID,
            "name": TEXT,
            "owner_id": UUID,
            "description": TEXT,
            "created_at": MOMENT,
            "updated_at": MOMENT,
        },
        {"metadata": named("Metadata")},
    ),
    "OrgPage": page({"orgs": named("Org")}, {"name": TEXT}),
    "OrgDraft": record({"name": NAME}, {"description": LABEL, "metadata": METADATA_OR_NULL}),
    "OrgChange": record(
        {},
        {
            "name": {**NAME, "type": ["string", "null"]},
            "description": LABEL,
            "metadata": METADATA_OR_NULL,
        },
    ),
    "OrgMember": record({"id": UUID, "email": TEXT, "role": ROLE}),
    "OrgMemberPage": page({"members": named("OrgMember")}, {"name": TEXT}),
    "OrgRoles": record(
        {"members": {**array(record({"email": TEXT}, {"role": ROLE})), "minItems": 1}}
    ),
    "OrgMemberIds": record({"member_ids": {**array(UUID), "minItems": 1}}),
    "OrgGroupPage": page({"groups": named("Group")}, {"name": TEXT}),
    "OrgGroupIds": record({"group_ids": {**array(UUID), "minItems": 1}}),
}

CHAPTER: Final = Chapter(
    "Mainflux orgs",
    "Users with roles, and groups that belong together; an owner of an org owns its groups.",
    {
        "POST /orgs": Operation(
            "Create an org, which the caller owns",
            {201: Answer("Created", headers=LOCATION)},
            (401, 403),
            USER,
            body={JSON: named("OrgDraft")},
        ),
        "GET /orgs": Operation(
            "List the orgs that the caller is in; all, for an administrator",
            {200: json_answer("One page", named("OrgPage"))},
            (401,),
            USER,
            NAMED_LISTING,
        ),
        "GET /orgs/{id}": Operation(
            "See an org", {200: json_answer("The org", named("Org"))}, (401, 404), USER
        ),
        "PUT /orgs/{id}": Operation(
            "Change what the body has",
            {200: EMPTY},
            (401, 403, 404),
            USER,
            body={JSON: named("OrgChange")},
        ),
        "DELETE /orgs/{id}": Operation(
            "Remove an org; its members and groups stay", {204: REMOVED}, (401, 403, 404), USER
        ),
        "GET /orgs/{id}/members": Operation(
            "List the members",
            {200: json_answer("One page", named("OrgMemberPage"))},
            (401, 404),
            USER,
            (*LISTING, query("email", TEXT, "A part of the e-mail.")),
        ),
        "POST /orgs/{id}/members": Operation(
            "Assign members, all or none",
            {200: EMPTY},
            (401, 403, 404),
            USER,
            body={JSON: named("OrgRoles")},
        ),
        "PUT /orgs/{id}/members": Operation(
            "Change the roles of members, all or none",
            {200: EMPTY},
            (401, 403, 404),
            USER,
            body={JSON: named("OrgRoles")},
        ),
        "DELETE /orgs/{id}/members": Operation(
            "Unassign members, whether or not they are in the org",
            {204: REMOVED},
            (401, 403, 404),
            USER,
            body={JSON: named("OrgMemberIds")},
        ),
        "GET /orgs/{id}/groups": Operation(
            "List the org's groups",
            {200: json_answer("One page", named("OrgGroupPage"))},
            (401, 404),
            USER,
            NAMED_LISTING,
        ),
        "POST /orgs/{id}/groups": Operation(
            "Assign groups, all or none",
            {200: EMPTY},
            (401, 403, 404, 409),
            USER,
            body={JSON: named("OrgGroupIds")},
        ),
        "DELETE /orgs/{id}/groups": Operation(
            "Unassign groups, whether or not they are in the org",
            {204: REMOVED},
            (401, 403, 404),
            USER,
            body={JSON: named("OrgGroupIds")},
        ),
        "GET /members/{id}/orgs": Operation(
            "List the orgs that a user is in",
            {200: json_answer("One page", named("OrgPage"))},
            (401, 404),
            USER,
            NAMED_LISTING,
        ),
    },
)
