"""PostgreSQL: pool, named statements, transactions, and its refusals in our words.

Knows asyncpg; does not know what any statement is for.

Rule: SQL lives in ``gateway.sql`` under a name and is never assembled here. An exception
out of COMMIT says nothing about its outcome, so it has an error of its own. What a due guard
(``model/guard.py``) stands before is done in one transaction with its proof.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar, cast
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg
import orjson

from gateway.database.servers import Servers
from gateway.database.statements import SqlFolder, read_statements
from gateway.model.errors import (
    CatalogueUnavailable,
    CommitUnknown,
    Conflict,
    NotFound,
    OverDay,
    OverQuota,
    OverStorage,
)
from gateway.model.guard import Guard, due_guard, unguarded
from gateway.process.holder import HOLDER, Holder
from gateway.process.priority import put_behind

Row = Mapping[str, Any]
T = TypeVar("T")

_OVER_QUOTA: Final = "FQ001"  # as refuse_quota raises it
_STORED: Final = frozenset({"bytes", "files"})
_BY_SOCKET: Final = "host=%2F"  # as the embedded server is reached
_PREFETCHED: Final = 500  # rows of a stream that are in memory at a time

# What looks at many rows to answer a question gives its connection back sooner than a change does.
_LISTS: Final = ("list_", "count_", "search_")
_LIST_SECONDS: Final = 5.0

_UNAVAILABLE: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.InvalidCachedStatementError,  # migrated a moment ago: it is prepared anew next time
)

# How the SQLSTATEs begin of what may be asked again. Not asyncpg's classes: it has none for some of
# them, and files under other kinds what an operator's own limits of time end.
_PASSING: Final = ("08", "25006", "25P03", "25P04", "28", "3D", "40", "53", "55P03", "57", "58")


# What may hide a COMMIT that happened; any other refusal was the server's own.
_UNANSWERED: Final = (
    OSError,
    TimeoutError,
    asyncio.CancelledError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
)


class Taken(Conflict):
    """A unique constraint refused the row; ``constraint`` is its name."""

    def __init__(self, constraint: str) -> None:
        super().__init__()
        self.constraint = constraint


class Unrelated(NotFound):
    """A foreign key refused the row: what it refers to is not there."""

    def __init__(self, constraint: str) -> None:
        super().__init__()
        self.constraint = constraint


class Queries(Protocol):
    """Named statements, inside a transaction or each in its own."""

    async def rows(self, statement: str, *args: object) -> Sequence[Row]:
        """All rows."""

    async def row(self, statement: str, *args: object) -> Row | None:
        """The first row, or ``None``."""

    async def value(self, statement: str, *args: object) -> Any:
        """The first column of the first row, or ``None``."""

    async def run(self, statement: str, *args: object) -> int:
        """Execute; the number of rows affected."""


class Places(Protocol):
    """Who may have a connection now, and who has to wait."""

    async def take(self, holder: Holder | None, seconds: float | None = None) -> None:
        """A place, when it is this holder's turn. Raises ``TimeoutError`` after ``seconds``."""

    def give_back(self, holder: Holder | None) -> None:
        """The place is free again."""


class _First:
    """Who comes first is served first, by the pool itself."""

    async def take(self, holder: Holder | None, seconds: float | None = None) -> None:
        pass

    def give_back(self, holder: Holder | None) -> None:
        pass


@contextlib.contextmanager
def database_errors() -> Iterator[None]:
    """asyncpg's exceptions, in our words."""
    try:
        yield
    except asyncpg.UnknownPostgresError as exc:
        raise _own_refusal(exc) from exc
    except asyncpg.UniqueViolationError as exc:
        raise Taken(exc.constraint_name or "") from exc
    except asyncpg.ForeignKeyViolationError as exc:
        raise Unrelated(exc.constraint_name or "") from exc
    except _UNAVAILABLE as exc:
        raise CatalogueUnavailable() from exc
    except asyncpg.PostgresError as exc:
        if _is_passing(exc):
            raise CatalogueUnavailable() from exc
        raise


def _is_passing(exc: asyncpg.PostgresError) -> bool:
    """Whether the same may be asked again, by what the server says."""
    return str(exc.sqlstate).startswith(_PASSING)


def _own_refusal(exc: asyncpg.PostgresError) -> Exception:
    """What one of our own functions refused, in our words; else the exception itself."""
    if exc.sqlstate != _OVER_QUOTA:
        return CatalogueUnavailable() if _is_passing(exc) else exc
    said = orjson.loads(exc.detail or "{}")
    account, resource = f"{said['kind']}/{said['owner']}", said["resource"]
    limit, used, wanted = said["limit"], said["used"], said["wanted"]
    if (tomorrow := said["seconds"]) is not None:
        return OverDay(
            account, resource, limit=limit, used=used, wanted=wanted, retry_after_seconds=tomorrow
        )
    kind = OverStorage if resource in _STORED else OverQuota
    return kind(account, resource, limit=limit, used=used, wanted=wanted)


@contextlib.contextmanager
def connecting(dsn: str) -> Iterator[None]:
    """A connection that cannot be made, in the server's own words, with where it was sought.

    Raises ``CatalogueUnavailable``.
    """
    try:
        yield
    except (asyncpg.PostgresError, ValueError, *_UNAVAILABLE) as exc:  # of a PG* variable, too
        raise CatalogueUnavailable(f"{place_of(dsn)}: {_words_of(exc)}") from exc


def place_of(dsn: str) -> str:
    """Host, database and user of a DSN, for an operator; never its password."""
    url = urlsplit(dsn)
    asked = {name: values[-1] for name, values in parse_qs(url.query).items()}
    host = _host_of(url.netloc) or asked.get("host") or "the default socket"
    user = unquote(url.username or "") or asked.get("user") or "of the system"
    name = unquote(url.path.strip("/")) or asked.get("database") or asked.get("dbname") or user
    return f"PostgreSQL at {host}, database {name}, user {user}"


def _host_of(netloc: str) -> str:
    return unquote(netloc.rpartition("@")[2])


def _words_of(exc: BaseException) -> str:
    """Why there is no connection, in one line."""
    if isinstance(exc, TimeoutError):
        return "no answer in time"
    if isinstance(exc, OSError) and exc.errno and exc.strerror:
        return os.strerror(exc.errno) if exc.errno > 0 else exc.strerror
    return " ".join(str(exc).split()) or type(exc).__name__


def _seconds_for(statement: str) -> float | None:
    """How long the statement may take, after which the server is told to end it.

    ``None``: as long as any. The gateway's own work, a count of everything among it, has its time.
    """
    is_list = statement.rpartition("/")[2].startswith(_LISTS)
    return _LIST_SECONDS if is_list and HOLDER.get() is not None else None


@dataclass(frozen=True, slots=True)
class Session:
    """Named statements on one connection."""

    connection: asyncpg.Connection
    statements: Mapping[str, str]

    async def rows(self, statement: str, *args: object) -> Sequence[Row]:
        """All rows."""
        with database_errors():
            text, seconds = self.statements[statement], _seconds_for(statement)
            return cast(Sequence[Row], await self.connection.fetch(text, *args, timeout=seconds))

    async def row(self, statement: str, *args: object) -> Row | None:
        """The first row, or ``None``."""
        with database_errors():
            return cast(
                Row | None, await self.connection.fetchrow(self.statements[statement], *args)
            )

    async def value(self, statement: str, *args: object) -> Any:
        """The first column of the first row, or ``None``."""
        with database_errors():
            text, seconds = self.statements[statement], _seconds_for(statement)
            return await self.connection.fetchval(text, *args, timeout=seconds)

    async def run(self, statement: str, *args: object) -> int:
        """Execute; the number of rows affected."""
        with database_errors():
            tag = await self.connection.execute(self.statements[statement], *args)
        return int(tag.rpartition(" ")[2]) if tag[-1:].isdigit() else 0


class Database:
    """A pool of connections that speak in named statements.

    While a right is proved in a transaction, everything that the proof asks is asked there.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        statements: Mapping[str, str],
        *,
        wait_seconds: float,
        places: Places | None = None,
        pooled: bool = False,
        servers: Servers | None = None,
    ) -> None:
        self._proving: ContextVar[Session | None] = ContextVar("proving", default=None)
        self._pool = pool
        self._places = places or _First()
        self._statements = statements
        self._wait_seconds = wait_seconds
        self._pooled = pooled
        self._servers = servers
        # Half of the connections at most: who reads slowly must not keep everybody waiting.
        self._streams = asyncio.Semaphore(max(1, pool.get_max_size() // 2))

    @property
    def connections(self) -> tuple[int, int]:
        """How many connections are in use, and how many idle."""
        idle = self._pool.get_idle_size()
        return self._pool.get_size() - idle, idle

    @property
    def failovers(self) -> int:
        """How often another server took the connections than before."""
        return 0 if self._servers is None else self._servers.failovers

    @property
    def most_connections(self) -> int:
        """How many there may be."""
        return int(self._pool.get_max_size())

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """One connection, each statement in a transaction of its own."""
        if (proving := self._proving.get()) is not None:
            yield proving
            return
        async with self._place():
            connection = await self._acquire()
            try:
                yield Session(connection, self._statements)
            finally:
                await self._release(connection)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Session]:
        """One transaction: committed at the end of the block, rolled back if it raises.

        Raises what a due guard raises, and ``CommitUnknown`` if COMMIT was sent and no answer
        came back. Any exception but that means that nothing was committed.
        """
        guard = due_guard()
        async with self._transaction(guard) as session:
            yield session
        if guard is not None:
            guard.is_settled = True

    @contextlib.asynccontextmanager
    async def _transaction(self, guard: Guard | None) -> AsyncIterator[Session]:
        committed = False
        try:
            async with self.session() as session:
                transaction = session.connection.transaction()
                with database_errors():
                    await transaction.start()
                try:
                    if guard is not None:
                        await self._prove(guard, session)
                    yield session
                except BaseException:
                    with contextlib.suppress(Exception):  # without COMMIT nothing happened anyway
                        await transaction.rollback()
                    raise
                await _commit(transaction)
                committed = True
        except asyncio.CancelledError as exc:
            if committed:
                raise CommitUnknown() from exc
            raise

    async def change(self, statement: str, *args: object) -> Row | None:
        """As ``change_all``; the first row, or ``None``."""
        rows = await self.change_all(statement, *args)
        return rows[0] if rows else None

    async def change_all(self, statement: str, *args: object) -> Sequence[Row]:
        """One statement that changes rows, the only one of its transaction; its rows.

        PostgreSQL commits a lone statement with its end, which saves two round trips; a due guard
        needs them. Raises ``CommitUnknown`` if it was sent and no answer came back. Any other
        exception means that nothing was committed.
        """
        try:
            async with self.session() as session:
                if due_guard() is None:  # looked at only now: there may have been a long wait
                    text = self._statements[statement]
                    return cast(Sequence[Row], await session.connection.fetch(text, *args))
        except _UNANSWERED as exc:
            raise CommitUnknown() from exc
        except BaseException:
            with database_errors():
                raise
        async with self.transaction() as session:
            return await session.rows(statement, *args)

    async def rows(self, statement: str, *args: object) -> Sequence[Row]:
        """All rows."""
        return await self._guarded(lambda session: session.rows(statement, *args))

    async def row(self, statement: str, *args: object) -> Row | None:
        """The first row, or ``None``."""
        return await self._guarded(lambda session: session.row(statement, *args))

    async def value(self, statement: str, *args: object) -> Any:
        """The first column of the first row, or ``None``."""
        return await self._guarded(lambda session: session.value(statement, *args))

    async def run(self, statement: str, *args: object) -> int:
        """Execute; the number of rows affected."""
        block = self.session() if due_guard() is None else self.transaction()
        async with block as session:
            return await session.run(statement, *args)

    async def stream(self, statement: str, *args: object) -> AsyncGenerator[Row, None]:
        """All rows, however many, as of one moment; a few at a time, off a cursor of the server.

        Close it (``contextlib.aclosing``): it holds a connection until then. Raises
        ``CatalogueUnavailable`` if it does not get one of those that may be held so.
        """
        async with self._stream_place(), self.session() as session:
            with database_errors():
                async with session.connection.transaction(
                    isolation="repeatable_read", readonly=True
                ):
                    rows = await self._cursor(session, self._statements[statement], args)
                    async for row in rows:
                        yield cast(Row, row)

    async def _cursor(self, session: Session, text: str, args: Sequence[object]) -> Any:
        """Behind a pooler a name would stay with the server, where another process has it, too."""
        if not self._pooled:
            return session.connection.cursor(text, *args, prefetch=_PREFETCHED)
        prepared = await session.connection.prepare(text)
        return prepared.cursor(*args, prefetch=_PREFETCHED)

    async def _guarded(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """One statement, which may or may not change something: a due guard is due afterwards."""
        guard = due_guard()
        block = self.session() if guard is None else self._transaction(guard)
        async with block as session:
            return await work(session)

    async def _prove(self, guard: Guard, session: Session) -> None:
        """The guard's proof in this transaction, which holds still what it is about to see."""
        await session.rows("hold_rights", list(guard.whose))
        token = self._proving.set(session)
        try:
            with unguarded():
                await guard.prove()
        finally:
            self._proving.reset(token)

    @contextlib.asynccontextmanager
    async def _stream_place(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._streams.acquire()
        except TimeoutError as exc:
            raise CatalogueUnavailable() from exc
        try:
            yield
        finally:
            self._streams.release()

    @contextlib.asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """A place among the connections, for whom this task works for."""
        holder = HOLDER.get()
        with database_errors():
            await self._places.take(holder, self._wait_seconds)
        try:
            yield
        finally:
            self._places.give_back(holder)

    async def _acquire(self) -> Any:
        with database_errors():
            try:
                return await self._pool.acquire(timeout=self._wait_seconds)
            except asyncpg.PostgresError as exc:  # why the server takes no connection is its affair
                raise CatalogueUnavailable() from exc

    async def _release(self, connection: Any) -> None:
        # What was done on it stays done, whatever happens on its way back: an error here would
        # be taken for a change that was not committed. Only who is cancelled has to hear of it.
        try:
            with contextlib.suppress(Exception):
                await self._pool.release(connection, timeout=self._wait_seconds)
        except asyncio.CancelledError:
            if _is_cancelled():
                raise


@contextlib.asynccontextmanager
async def open_database(
    dsn: str,
    folders: Sequence[SqlFolder] = (),
    *,
    connections: int = 10,
    wait_seconds: float = 5.0,
    statement_seconds: float = 15.0,
    places: Places | None = None,
    pooled: bool = False,
) -> AsyncIterator[Database]:
    """A pool on ``dsn``; closed at the end of the block.

    It knows the shared statements and those of these dialects' ``folders``. ``pooled``: a pooler
    stands before the server, and may give each transaction another connection to it.
    ``wait_seconds`` bounds the wait for a free connection and the making of one; ``places``
    says whose turn it is.
    Raises ``CatalogueUnavailable`` if the first connection cannot be made.
    """
    statements = read_statements(folders)
    with connecting(dsn):
        servers = Servers(dsn, pooled=pooled)
        pool: asyncpg.Pool = await asyncpg.create_pool(
            connect=cast(Any, lambda _, **settings: servers.connect(wait_seconds, **settings)),
            min_size=1,
            max_size=connections,
            command_timeout=statement_seconds,
            init=_prepare_neighbour if _BY_SOCKET in dsn else _prepare_connection,
            reset=_keep_as_is,
            server_settings={"application_name": "filestore-gateway", "timezone": "UTC"},
        )
    try:
        yield Database(
            pool,
            statements,
            wait_seconds=wait_seconds,
            places=places,
            pooled=pooled,
            servers=servers,
        )
    finally:
        await _close(pool, wait_seconds)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _commit(transaction: Any) -> None:
    try:
        await transaction.commit()
    except (Exception, asyncio.CancelledError) as exc:
        raise CommitUnknown() from exc


async def _prepare_connection(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=json.dumps, decoder=orjson.loads
    )


async def _prepare_neighbour(connection: asyncpg.Connection) -> None:
    """To a server on this machine: what works for it there does not keep us from a processor."""
    await _prepare_connection(connection)
    put_behind(connection.get_server_pid(), "postgres")


async def _keep_as_is(connection: object) -> None:
    """Between users there is nothing to reset: no statement of ours changes the session."""


async def _close(pool: asyncpg.Pool, wait_seconds: float) -> None:
    try:
        await asyncio.wait_for(pool.close(), wait_seconds)
    except TimeoutError:
        pool.terminate()
