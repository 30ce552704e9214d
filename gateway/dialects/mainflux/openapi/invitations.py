"""Invitations, and roles that wait, described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.dialects.mainflux.openapi.common import LIMIT, OFFSET, REMOVED, page
from gateway.dialects.mainflux.openapi.groups import ROLE
from gateway.web.openapi.credentials import USER
from gateway.web.openapi.vocabulary import (
    JSON,
    MOMENT,
    TEXT,
    UUID,
    Chapter,
    Operation,
    Schema,
    json_response,
    named,
    record,
)

_INVITATION: Final[Mapping[str, Schema]] = {
    "id": UUID,
    "email": TEXT,
    "created_at": MOMENT,
    "expires_at": MOMENT,
}
_TO: Final[Mapping[str, Schema]] = {
    "user_id": UUID,
    "group_id": UUID,
    "org_id": UUID,
    "role": ROLE,
    "inviter": TEXT,
}

SCHEMAS: Final[Mapping[str, Schema]] = {
    "InvitationDraft": record(
        {"email": {"type": "string", "format": "email"}},
        {
            "duration": {
                "type": ["number", "null"],
                "minimum": 1,
                "maximum": 7_776_000,
                "description": "Seconds; a week if it is not said.",
            }
        },
    ),
    "Invitation": record(_INVITATION, _TO),
    "IssuedInvitation": record({**_INVITATION, "token": TEXT}, _TO),
    "InvitationPage": page({"invitations": named("Invitation")}),
    "InvitationToken": record({"token": TEXT}),
}

CHAPTER: Final = Chapter(
    "Mainflux invitations",
    "One-time tokens that show that an e-mail address is somebody's own.",
    {
        "POST /invitations": Operation(
            "Invite somebody to an account; the token is shown only now",
            responses={201: json_response("The invitation", named("IssuedInvitation"))},
            refusals=(401, 403, 409),
            credentials=USER,
            body={JSON: named("InvitationDraft")},
        ),
        "GET /invitations": Operation(
            "List those that the caller made or that are to them; an administrator, all",
            responses={200: json_response("One page", named("InvitationPage"))},
            refusals=(401,),
            credentials=USER,
            parameters=(LIMIT, OFFSET),
        ),
        "POST /invitations/accept": Operation(
            "Take what a token gives: a role, or that the account's e-mail is its own",
            responses={200: json_response("What it was", named("Invitation"))},
            refusals=(401, 404),
            credentials=USER,
            body={JSON: named("InvitationToken")},
        ),
        "DELETE /invitations/{id}": Operation(
            "Take an invitation back",
            responses={204: REMOVED},
            refusals=(401, 404),
            credentials=USER,
        ),
    },
)
