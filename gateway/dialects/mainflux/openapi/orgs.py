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
    Chapter,
    Operation,
    Response,
    Schema,
    array,
    json_response,
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
    "OrgMember": record(
        {"id": UUID, "email": TEXT, "role": ROLE}, {"pending": {"type": "boolean"}}
    ),
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
            responses={201: Response("Created", headers=LOCATION)},
            refusals=(401, 403),
            credentials=USER,
            body={JSON: named("OrgDraft")},
        ),
        "GET /orgs": Operation(
            "List the orgs that the caller is in; all, for an administrator",
            responses={200: json_response("One page", named("OrgPage"))},
            refusals=(401,),
            credentials=USER,
            parameters=NAMED_LISTING,
        ),
        "GET /orgs/{id}": Operation(
            "See an org",
            responses={200: json_response("The org", named("Org"))},
            refusals=(401, 404),
            credentials=USER,
        ),
        "PUT /orgs/{id}": Operation(
            "Change what the body has",
            responses={200: EMPTY},
            refusals=(401, 403, 404),
            credentials=USER,
            body={JSON: named("OrgChange")},
        ),
        "DELETE /orgs/{id}": Operation(
            "Remove an org; its members and groups stay",
            responses={204: REMOVED},
            refusals=(401, 403, 404),
            credentials=USER,
        ),
        "GET /orgs/{id}/members": Operation(
            "List the members",
            responses={200: json_response("One page", named("OrgMemberPage"))},
            refusals=(401, 404),
            credentials=USER,
            parameters=(*LISTING, query("email", TEXT, "A part of the e-mail.")),
        ),
        "POST /orgs/{id}/members": Operation(
            "Assign members, all or none",
            responses={200: EMPTY},
            refusals=(401, 403, 404),
            credentials=USER,
            body={JSON: named("OrgRoles")},
            description="The role of somebody who has not shown that the e-mail is theirs waits: "
            "then the response has a body, `pending`, of issued invitations with their tokens.",
        ),
        "PUT /orgs/{id}/members": Operation(
            "Change the roles of members, all or none",
            responses={200: EMPTY},
            refusals=(401, 403, 404),
            credentials=USER,
            body={JSON: named("OrgRoles")},
        ),
        "DELETE /orgs/{id}/members": Operation(
            "Unassign members, whether or not they are in the org",
            responses={204: REMOVED},
            refusals=(401, 403, 404),
            credentials=USER,
            body={JSON: named("OrgMemberIds")},
        ),
        "GET /orgs/{id}/groups": Operation(
            "List the org's groups",
            responses={200: json_response("One page", named("OrgGroupPage"))},
            refusals=(401, 404),
            credentials=USER,
            parameters=NAMED_LISTING,
        ),
        "POST /orgs/{id}/groups": Operation(
            "Assign groups, all or none",
            responses={200: EMPTY},
            refusals=(401, 403, 404, 409, 507),
            credentials=USER,
            body={JSON: named("OrgGroupIds")},
        ),
        "DELETE /orgs/{id}/groups": Operation(
            "Unassign groups, whether or not they are in the org",
            responses={204: REMOVED},
            refusals=(401, 403, 404),
            credentials=USER,
            body={JSON: named("OrgGroupIds")},
        ),
        "GET /members/{id}/orgs": Operation(
            "List the orgs that a user is in",
            responses={200: json_response("One page", named("OrgPage"))},
            refusals=(401, 404),
            credentials=USER,
            parameters=NAMED_LISTING,
        ),
    },
)
