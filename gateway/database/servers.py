"""One connection to whichever of several servers takes it, and not for longer than it may take.

Knows what a DSN says of hosts and time limits, in libpq's words; does not know what a connection is
for.

Theory of operation. A DSN may name several hosts (``host1,host2``), of which one is the primary.
asyncpg has one time limit for all of them, which a first host that swallows packets uses up, so
each is tried by itself with its share of the time; the one that took the last connection is tried
first. libpq's ``connect_timeout``, ``keepalives*`` and ``tcp_user_timeout``, which asyncpg would
pass on to the server, are obeyed here.

Rule: with several hosts and nothing said, only one that takes writes will do.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg

_ATTRIBUTES: Final = "target_session_attrs"
_TRIED_NEXT: Final = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InternalClientError,
)
_LIMITS: Final = {
    "connect_timeout": 0,
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""libpq's names and what each is if it is not said; the first in seconds, the last in ms."""


@dataclass(frozen=True, slots=True)
class _Limits:
    """How long a host has to answer, in seconds, 0 for no limit; options of its socket."""

    connect_seconds: float
    options: tuple[tuple[int, int, int], ...]


class Servers:
    """The servers of one DSN. ``pooled``: behind a pooler that gives each transaction another."""

    def __init__(self, dsn: str, *, pooled: bool = False) -> None:
        bare, self._limits = _read_limits(dsn)
        self._each = list(_one_by_one(bare))
        self._kind = _kept_alive(self._limits.options)
        self._settings: dict[str, Any] = {"statement_cache_size": 0} if pooled else {}
        self._last: str | None = None
        self.failovers = 0
        """How often another host took a connection than had taken the one before."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """A DSN for each host, in the order in which they are tried next."""
        return tuple(self._each)

    async def connect(self, seconds: float, **settings: Any) -> asyncpg.Connection:
        """A connection to the first that takes it, in so many seconds altogether.

        Raises what asyncpg raises; of several hosts the last one's.
        """
        limit = seconds / len(self._each)
        if self._limits.connect_seconds:
            limit = min(limit, self._limits.connect_seconds)
        chosen = {**self._settings, **settings, "timeout": limit}
        *others, last = self._each
        for dsn in others:
            try:
                return await self._connect(dsn, chosen)
            except _TRIED_NEXT:
                continue
        return await self._connect(last, chosen)

    async def _connect(self, dsn: str, settings: dict[str, Any]) -> asyncpg.Connection:
        settings["connection_class"] = self._kind
        connection: asyncpg.Connection = await asyncpg.connect(dsn, **settings)
        self._each.sort(key=lambda other: other != dsn)
        self.failovers += self._last not in (None, dsn)
        self._last = dsn
        return connection


def _kept_alive(options: tuple[tuple[int, int, int], ...]) -> type[asyncpg.Connection]:
    """Connections of which the kernel notices that the peer is gone without a word."""

    class KeptAlive(asyncpg.Connection):
        def __init__(self, protocol: Any, transport: asyncio.BaseTransport, *rest: Any) -> None:
            super().__init__(protocol, transport, *rest)
            sock = transport.get_extra_info("socket")
            if sock is not None and sock.family != socket.AF_UNIX:
                for level, name, value in options:
                    sock.setsockopt(level, name, value)

    return KeptAlive


def _read_limits(dsn: str) -> tuple[str, _Limits]:
    """The DSN without what only libpq knows, and that. Raises ``ValueError`` if it is no number."""
    url = urlsplit(dsn)
    said = parse_qsl(url.query, keep_blank_values=True)
    ours = {name: int(value) for name, value in said if name in _LIMITS}
    found = _LIMITS | ours
    if ours:
        rest = urlencode([pair for pair in said if pair[0] not in _LIMITS])
        dsn = urlunsplit((url.scheme, url.netloc, url.path, rest, url.fragment))
    return dsn, _Limits(found["connect_timeout"], tuple(_options(found)))


def _options(found: Mapping[str, int]) -> Iterator[tuple[int, int, int]]:
    yield socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, found["tcp_user_timeout"]
    if found["keepalives"]:
        yield socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1
        yield socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, found["keepalives_idle"]
        yield socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, found["keepalives_interval"]
        yield socket.IPPROTO_TCP, socket.TCP_KEEPCNT, found["keepalives_count"]


def _one_by_one(dsn: str) -> Iterator[str]:
    """The DSN of each host by itself, in the order in which they are named."""
    url = urlsplit(dsn)
    who, at, hosts = url.netloc.rpartition("@")
    said = dict(parse_qsl(url.query, keep_blank_values=True))
    named = said.get("host", "").split(",")
    if "," not in hosts and len(named) == 1:
        yield dsn
        return
    said.setdefault(_ATTRIBUTES, "read-write")
    ports = said.get("port", "").split(",")
    for number, host in enumerate(hosts.split(",") if hosts else named):
        port = ports[number if len(ports) > 1 else 0]
        one = said if hosts else said | {"host": host, "port": port or "5432"}
        place = f"{who}{at}{host}" if hosts else url.netloc
        yield urlunsplit((url.scheme, place, url.path, urlencode(one), url.fragment))
