"""What other generations of the Mainflux clients ask for, described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.dialects.mainflux.openapi.channels import CHAPTER as CHANNELS
from gateway.dialects.mainflux.openapi.common import EMPTY, METADATA_OR_NULL, NAMED_LISTING
from gateway.dialects.mainflux.openapi.things import CHAPTER as THINGS
from gateway.dialects.mainflux.openapi.users import CHAPTER as USERS
from gateway.web.openapi.credentials import USER
from gateway.web.openapi.vocabulary import (
    COUNT,
    INTEGER,
    JSON,
    TEXT,
    Chapter,
    Operation,
    Schema,
    json_response,
    named,
    query,
    record,
)

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Search": record(
        {},
        {
            "offset": COUNT,
            "limit": COUNT,
            "name": TEXT,
            "order": {"enum": ["", "name", "id"]},
            "dir": {"enum": ["", "asc", "desc"]},
            "metadata": METADATA_OR_NULL,
        },
    ),
    "KeyReplacement": record({"key": TEXT}),
}
_LEVELS: Final = {**INTEGER, "minimum": 0, "maximum": 5}


def _search(of: str, page: str) -> Operation:
    return Operation(
        f"List {of}, asked in a body",
        responses={200: json_response("One page", named(page))},
        refusals=(401,),
        credentials=USER,
        body={JSON: named("Search")},
    )


def _of_group(summary: str, page: str) -> Operation:
    return Operation(
        summary,
        responses={200: json_response("One page", named(page))},
        refusals=(401, 404),
        credentials=USER,
        parameters=NAMED_LISTING,
    )


def _groups(summary: str, *, tree: bool) -> Operation:
    levels = (query("level", _LEVELS, "How many levels, the group's own included."),)
    return Operation(
        summary,
        responses={200: json_response("One page", named("GroupPage"))},
        refusals=(401, 404),
        credentials=USER,
        parameters=(*NAMED_LISTING, *(levels if tree else ())),
    )


CHAPTER: Final = Chapter(
    "Mainflux generations",
    "Other words of earlier and later clients for what is above.",
    {
        "POST /register": USERS.operations["POST /users"],
        "GET /users/profile": Operation(
            "See the caller's own account",
            responses={200: json_response("The account", named("User"))},
            refusals=(401, 404),
            credentials=USER,
        ),
        "POST /things/bulk": THINGS.operations["POST /things"],
        "POST /things/search": _search("things", "ThingPage"),
        "PATCH /things/{id}/key": Operation(
            "Give a thing another key",
            responses={200: EMPTY},
            refusals=(401, 403, 404, 409),
            credentials=USER,
            body={JSON: named("KeyReplacement")},
        ),
        "POST /channels/bulk": CHANNELS.operations["POST /channels"],
        "POST /channels/search": _search("channels", "ChannelPage"),
        "GET /groups/{id}/children": _groups("List a group and those below it", tree=True),
        "GET /groups/{id}/parents": _groups("List a group and those above it", tree=True),
        "GET /groups/{id}/things": _of_group("List the things of a group", "ThingPage"),
        "GET /groups/{id}/channels": _of_group(
            "List the channels of a group; there are none", "ChannelPage"
        ),
        "GET /members/{id}/groups": _groups("List the groups of a user or thing", tree=False),
    },
)
