"""Credentials of the registry, as described: where ``web.authentication`` looks for them."""

from __future__ import annotations

from typing import Final

from gateway.web.openapi.vocabulary import Credentials, Security

THING_KEY: Final = Security(
    "thingKey",
    {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "The scheme `Thing` and a thing's key: `Authorization: Thing <key>`.",
    },
)
BEARER: Final = Security(
    "bearer",
    {
        "type": "http",
        "scheme": "bearer",
        "description": "A user's token, from `POST /tokens`: `Authorization: Bearer <token>`.",
    },
)

USER: Final[Credentials] = ((BEARER,),)
THING: Final[Credentials] = ((THING_KEY,),)
USER_OR_THING: Final[Credentials] = ((BEARER,), (THING_KEY,))
USER_OR_NOBODY: Final[Credentials] = ((BEARER,), ())
