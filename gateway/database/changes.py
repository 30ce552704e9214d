"""Changes announced by every gateway on the database, through PostgreSQL's LISTEN and NOTIFY.

Theory of operation. A connection listens to the changes, and to a channel of its own. On that one
something new is announced again and again, by a connection of the pool, that is, on the way that
changes take; what comes back proves that they are heard. A connection through a pooler answers and
hears nothing; one to a server that is no primary any more, or to another database, likewise. When
the echo is late, nothing is known: the listener is told so, until one comes. When the pool has no
connection to spare, the listening one announces by itself, if it was once proved to be no deaf one.
What is announced is heard in the order of the commits. So whoever has committed something, and
announces an echo behind it, knows once that comes back that it was heard here (``News``).

Rule: a listener is told that it hears everything only while that is proved, and no longer than
``bound_seconds`` after it was true.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg

from gateway.database.pool import Database, connecting, database_errors
from gateway.database.servers import Servers
from gateway.model.change import (
    BlobQuarantined,
    Change,
    ChangeListener,
    DeliveriesWaiting,
    FileChanged,
    RightsChanged,
)
from gateway.model.errors import CatalogueUnavailable, StartupFailed
from gateway.model.file import Scope
from gateway.process.background import running

CHANNEL: Final = "gateway_changes"
_OUTBOX: Final = "deliveries"
_RIGHTS: Final = "rights "
_QUARANTINED: Final = "quarantined "

_log: Final = logging.getLogger(__name__)
# What nobody has to keep need not be waited for on any disk.
_ANNOUNCE: Final = "select set_config('synchronous_commit', 'off', true), pg_notify($1, $2)"
_BOUND_SECONDS: Final = 2.0
_LEAST_SECONDS: Final = 0.1
_RETRY_SECONDS: Final = 1.0
_CONNECT_SECONDS: Final = 10.0
# A connection that was silent for so long is given up, and another one made.
_SILENT_SECONDS: Final = 10.0
_LOST: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)

Announce = Callable[[str, str], Awaitable[object]]
"""Announces on that channel what is given, on the way that changes take."""
EchoWatch = Callable[[float | None], None]
"""Is told after how many seconds an echo came, or that it did not come in time."""


@contextlib.asynccontextmanager
async def listening(
    dsn: str,
    listener: ChangeListener,
    *,
    announce: Announce | None = None,
    bound_seconds: float = _BOUND_SECONDS,
    watch: EchoWatch = lambda _: None,
    news: News | None = None,
) -> AsyncIterator[None]:
    """Tell ``listener`` of every change for as long as the block runs; ``news`` tells how far.

    The ``dsn`` leads to the server itself. That changes are heard no more is found within
    ``bound_seconds``; without ``announce`` only a connection that is lost is.
    """
    heard = _Hearing(listener, announce, bound_seconds, watch, news or News())
    async with running(_listen_for_ever(dsn, heard)):
        yield


def through(database: Database) -> Announce:
    """Announces through a connection of the pool."""

    async def announce(channel: str, text: str) -> None:
        async with database.session() as session:
            with database_errors():
                await session.connection.execute(_ANNOUNCE, channel, text)

    return announce


async def announce_deliveries(database: Database) -> None:
    """Tell every gateway that something waits in the outbox."""
    await through(database)(CHANNEL, _OUTBOX)


async def check_heard(dsn: str, listening_dsn: str, *, seconds: float) -> None:
    """Raise ``StartupFailed`` unless what is announced at one DSN is heard at the other.

    Raises ``CatalogueUnavailable`` if either cannot be reached.
    """
    heard, channel = asyncio.Event(), f"gateway_echo_{uuid4().hex}"
    with connecting(listening_dsn):
        listener = await Servers(listening_dsn, pooled=True).connect(seconds)
    try:
        await listener.add_listener(channel, lambda *_: heard.set())
        with connecting(dsn):
            other = await Servers(dsn, pooled=True).connect(seconds)
        try:
            await other.execute(_ANNOUNCE, channel, "")
            async with asyncio.timeout(seconds):
                await heard.wait()
        finally:
            other.terminate()
    except TimeoutError:
        raise StartupFailed("what is announced there is not heard") from None
    finally:
        listener.terminate()


def parse_change(payload: str) -> Change:
    """The change that a notification announces; one that we do not know may be any."""
    if payload.startswith("["):
        kind, owner, name = json.loads(payload)
        return FileChanged(Scope(kind, owner), name)
    if payload == _OUTBOX:
        return DeliveriesWaiting()
    if payload.startswith(_RIGHTS):
        return RightsChanged(frozenset(payload.removeprefix(_RIGHTS).split()))
    if payload.startswith(_QUARANTINED):
        return BlobQuarantined(UUID(payload.removeprefix(_QUARANTINED)))
    return RightsChanged()


class News:
    """How far changes are heard in this process."""

    def __init__(self) -> None:
        self._listened: _Listened | None = None

    async def caught_up(self) -> bool:
        """Wait until all that was committed before is heard; whether it is, in time.

        It is not while nobody listens, nor while it is not proved that changes are heard.
        """
        return self._listened is not None and await self._listened.catches_up()

    @contextlib.contextmanager
    def of(self, listened: _Listened) -> Iterator[None]:
        """Within the block it is this connection that hears them."""
        self._listened = listened
        try:
            yield
        finally:
            self._listened = None


@dataclass(frozen=True, slots=True)
class _Hearing:
    """As ``listening`` was told."""

    listener: ChangeListener
    announce: Announce | None
    bound_seconds: float
    watch: EchoWatch
    news: News


async def _listen_for_ever(dsn: str, hearing: _Hearing) -> None:
    servers = Servers(dsn, pooled=True)
    while True:
        try:
            listened = _Listened(await servers.connect(_CONNECT_SECONDS), hearing)
            with hearing.news.of(listened):
                await listened.run()
        except _LOST as exc:
            _log.warning("changes are not heard", extra={"error": type(exc).__name__})
            hearing.watch(None)
        await asyncio.sleep(_RETRY_SECONDS)


class _Listened:
    """One listening connection, and whether it is proved to hear."""

    def __init__(self, connection: asyncpg.Connection, hearing: _Hearing) -> None:
        self._connection = connection
        self._listener = hearing.listener
        self._announce_elsewhere = hearing.announce
        self._watch = hearing.watch
        self._pause = max(hearing.bound_seconds / 2, _LEAST_SECONDS)
        self._channel = f"gateway_echo_{uuid4().hex}"
        self._expected: dict[str, asyncio.Event] = {}
        self._ended = asyncio.Event()
        self._is_heard = self._was_proved = False

    async def run(self) -> None:
        """Until the connection fails, which raises."""
        try:
            self._connection.add_termination_listener(self._end)
            await self._connection.add_listener(CHANNEL, self._on_change)
            await self._connection.add_listener(self._channel, self._on_echo)
            await self._prove_until_silent()
        finally:
            self._listener.on_disconnected()
            self._connection.terminate()

    async def catches_up(self) -> bool:
        """Whether all that was committed before is heard, by an echo of its own behind it.

        It goes the way that changes take, for the listening connection may be at another server.
        """
        if not self._is_heard or self._announce_elsewhere is None:
            return False
        return await self._comes_back(self._announce_elsewhere)

    async def _prove_until_silent(self) -> None:
        loop = asyncio.get_running_loop()
        proved = loop.time()
        while loop.time() - proved < _SILENT_SECONDS:
            began = loop.time()
            heard = await self._comes_back(self._announce)
            self._tell(heard)
            if heard:
                proved = loop.time()
                self._watch(proved - began)
                await self._rest()
            else:
                self._watch(None)
        raise TimeoutError

    async def _comes_back(self, announce: Announce) -> bool:
        """Whether what is announced now is heard in time."""
        text, echo = uuid4().hex, asyncio.Event()
        self._expected[text] = echo
        try:
            async with asyncio.timeout(self._pause):
                await announce(self._channel, text)
                await echo.wait()
        except (TimeoutError, CatalogueUnavailable):
            # A loop that was busy meanwhile looks at its clock before it looks at its sockets.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        finally:
            del self._expected[text]
        return echo.is_set()

    async def _announce(self, channel: str, text: str) -> None:
        if self._announce_elsewhere is not None:
            try:
                async with asyncio.timeout(self._pause / 2):
                    await self._announce_elsewhere(channel, text)
                return
            except (TimeoutError, CatalogueUnavailable):
                if not self._was_proved:
                    raise
        await self._connection.execute(_ANNOUNCE, channel, text)

    async def _rest(self) -> None:
        """Until it is time for the next. Raises ``ConnectionError`` once the connection is lost."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._pause):
                await self._ended.wait()
                raise ConnectionError

    def _tell(self, heard: bool) -> None:
        if heard and not self._is_heard:
            self._was_proved = True
            self._listener.on_connected()
        elif self._is_heard and not heard:
            _log.warning("changes are heard late, or not at all: nothing is kept meanwhile")
            self._listener.on_disconnected()
        self._is_heard = heard

    def _on_change(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        self._listener.on_change(parse_change(str(payload)))

    def _on_echo(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        if (echo := self._expected.get(str(payload))) is not None:
            echo.set()

    def _end(self, _connection: Any) -> None:
        self._ended.set()
        self._is_heard = False
        self._listener.on_disconnected()
