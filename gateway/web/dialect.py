"""What a dialect is: a value that says how one API looks, and all that this API brings along.

Knows HTTP's nouns; does not know any particular API.

Rule: adding a dialect adds its package, its SQL and a registry line, and changes nothing here,
in ``app`` or in the settings. What a dialect keeps at run time is under an ``AppKey`` of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final, TypeVar

from aiohttp import web

from gateway.database.pool import Database
from gateway.database.statements import SqlFolder
from gateway.model.errors import GatewayError
from gateway.settings.sources import SettingsGroup
from gateway.web.openapi.vocabulary import Description

BEARER: Final = "Bearer"
BASIC: Final = 'Basic realm="filestore", charset="UTF-8"'
"""Challenges; clients that know a user and a password only wait for the second."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Group = TypeVar("Group", bound=SettingsGroup)
_STORING: Final = frozenset({"POST", "PUT", "PATCH"})
_READING: Final = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path, such as ``("GET", "/files/{name}", download)``.

    ``prefixed`` routes answer under the gateway's prefix as well as at the root. A route
    that ``alters_rights`` is answered once this process has forgotten what it made stale of what
    callers may read. One that ``needs_room`` is refused while the disk is below its watermark:
    every ``POST``, ``PUT`` and ``PATCH`` that does not say that it stores nothing, or only takes
    away.

    A key that is limited comes only where it is said that it may: one that only reads to routes
    that do (``GET``, ``HEAD`` and those that say ``reads``), one of a single group or thing to
    those whose ``{id}`` is one of that kind (``entity``: ``groups``, ``things``).
    """

    method: str
    path: str
    handler: Handler
    prefixed: bool = True
    alters_rights: bool = False
    needs_room: bool | None = None
    entity: str = ""
    reads: bool | None = None

    @property
    def stores(self) -> bool:
        """Whether it may add to what is stored."""
        return self.method in _STORING if self.needs_room is None else self.needs_room

    @property
    def only_reads(self) -> bool:
        """Whether it changes nothing."""
        return self.method in _READING if self.reads is None else self.reads


@dataclass(frozen=True, slots=True)
class RenderedError:
    """A refusal as a dialect writes it."""

    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NginxPart:
    """What the shipped nginx configuration must know of a dialect; tests compare the two.

    ``locations`` are patterns, without slashes around them, of the first segments of paths that
    go to the gateway at the root as well as under the prefix. ``files`` are patterns of whole
    paths, without the slash before them, that edge mode may decide and send by itself: reads of
    one file with nothing in the caller's request but ``Authorization``. A request with one of
    ``significant_headers`` is not such a read. ``asserted_headers`` say who the caller is, so
    nginx passes none on that a client wrote.
    """

    locations: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    significant_headers: tuple[str, ...] = ()
    asserted_headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DialectContext:
    """What a dialect gets once, at start.

    In ``app`` it leaves its state, and finds what all dialects share (``CALLERS`` ...).
    ``hook_decides`` says that an auth hook is asked, so that the dialect's own policy is not.
    ``keys_for`` a purpose are sub-keys of the deployment's secret, the one to sign with first.
    The bytes of what is removed may go ``grace_seconds`` later.
    """

    app: web.Application
    group: SettingsGroup | None
    database: Database
    hook_decides: bool
    keys_for: Callable[[str], tuple[bytes, ...]]
    grace_seconds: float

    def settings(self, kind: type[Group]) -> Group:
        """The dialect's own settings."""
        assert isinstance(self.group, kind), "a dialect gets the settings that it named"
        return self.group


def _keep_nothing(_: DialectContext) -> None:
    """A dialect without state."""


async def _check_nothing(_: DialectContext) -> None:
    """A dialect that needs nothing but the gateway."""


@contextlib.asynccontextmanager
async def _do_nothing(_: DialectContext) -> AsyncIterator[None]:
    """A dialect that only answers."""
    yield


@dataclass(frozen=True, slots=True, eq=False)
class Dialect:
    """One API: its routes, how it words a refusal, which statuses it sees differently.

    ``statuses`` overrides entries of ``rendering.STATUSES``. ``owns`` are the paths
    at and below which this dialect answers for those that nobody knows. Where paths are
    ``slashed``, one that ends in a word is the same with a slash behind it. ``description`` is what
    the OpenAPI document says of the routes; a test finds what it leaves out.

    ``challenges`` are what a 401 says of how to prove oneself (RFC 9110, 11.6.1).
    ``request_headers`` are those that its clients send beside HTTP's own, which pages of other
    origins may then send as well.

    ``settings`` is its group of settings, read and shown with all others. ``sql`` holds the
    statements, orders and migrations of its own. ``token_issuer`` is what its clients look for
    in the registry's tokens; the first dialect that has one says it for all. At start
    ``prepare`` puts its state into the application, then ``check`` raises ``StartupFailed`` if
    it could not serve, then ``serving``, its work in the background, is entered; it is left
    after the last request.
    """

    name: str
    routes: tuple[Route, ...]
    render_error: Callable[[GatewayError], RenderedError]
    statuses: Mapping[type[GatewayError], int] = field(default_factory=dict)
    owns: tuple[str, ...] = ()
    slashed: bool = False
    description: Description = field(default_factory=Description)
    settings: type[SettingsGroup] | None = None
    sql: SqlFolder | None = None
    challenges: tuple[str, ...] = (BEARER,)
    request_headers: tuple[str, ...] = ()
    nginx: NginxPart = field(default_factory=NginxPart)
    token_issuer: str | None = None
    prepare: Callable[[DialectContext], None] = _keep_nothing
    check: Callable[[DialectContext], Awaitable[None]] = _check_nothing
    serving: Callable[[DialectContext], AbstractAsyncContextManager[None]] = _do_nothing
