"""Ids of 24 hexadecimal digits.

Knows how they look, and how those of users and orgs follow from the registry's UUIDs.

Rule: a malformed id is ``Malformed``, whether or not it could be anybody's.
"""

from __future__ import annotations

import re
import secrets
from typing import Final
from uuid import UUID

from aiohttp import web

from gateway.model.errors import Malformed

_ID: Final = re.compile(r"[0-9A-Fa-f]{24}")
_DIGITS: Final = 24


def new_id() -> str:
    """An id that nobody guesses and nothing else has."""
    return secrets.token_hex(_DIGITS // 2)


def check_id(text: object, what: str) -> str:
    """The id in lower case. Raises ``Malformed``; ``what`` names it."""
    if not isinstance(text, str) or not _ID.fullmatch(text):
        raise Malformed(f"{what} is not an id of 24 hexadecimal digits")
    return text.lower()


def path_id(request: web.Request, name: str) -> str:
    """The id of that name in the path. Raises ``Malformed``."""
    return check_id(request.match_info[name], name)


def id_of(entity: UUID) -> str:
    """The id of a user or an org: the first 96 bits of its UUID, of which 90 are random."""
    return entity.hex[:_DIGITS]


def uuids_of(text: str) -> tuple[UUID, UUID]:
    """The least and the greatest UUID whose id this is."""
    rest = 32 - _DIGITS
    return UUID(text + "0" * rest), UUID(text + "f" * rest)
