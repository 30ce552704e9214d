"""What a dialect is: a value that says how one API looks.

Knows HTTP's nouns; does not know any particular API.

Rule: adding a dialect adds a module and a registry line and changes nothing here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from gateway.database.statements import SqlFolder
from gateway.model.errors import GatewayError
from gateway.web.openapi.vocabulary import Description

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path, such as ``("GET", "/files/{name}", download)``.

    ``prefixed`` routes answer under the gateway's prefix as well as at the root. A route
    that ``alters_rights`` makes this process forget what callers may read.
    """

    method: str
    path: str
    handler: Handler
    prefixed: bool = True
    alters_rights: bool = False


@dataclass(frozen=True, slots=True)
class RenderedError:
    """A refusal as a dialect writes it."""

    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dialect:
    """One API: its routes, how it words a refusal, which statuses it sees differently.

    ``statuses`` overrides entries of ``wording.STATUSES``. ``owns`` are the path
    prefixes whose unknown paths this dialect answers for. ``description`` is what the
    OpenAPI document says of the routes; a test finds what it leaves out. ``sql`` holds the
    statements, orders and migrations of its own, if it has any.
    """

    name: str
    routes: tuple[Route, ...]
    render_error: Callable[[GatewayError], RenderedError]
    statuses: Mapping[type[GatewayError], int] = field(default_factory=dict)
    owns: tuple[str, ...] = ()
    description: Description = field(default_factory=Description)
    sql: SqlFolder | None = None
