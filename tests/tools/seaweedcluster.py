"""SeaweedFS as a small cluster on loopback: a master, three volume servers, a filer that speaks S3.

As it has to be to keep what it acknowledges: each blob on two volume servers, both of which sync it before they say
so, and the names in a PostgreSQL. Knows how the roles are started; how one process has all of them is
``tests.tools.seaweed``'s.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from tests.tools.ports import HOST
from tests.tools.postgres import Server, running_server
from tests.tools.s3store import BUCKET
from tests.tools.seaweed import Engine, identities, port_with_twin, until_ready, weed_binary

VOLUME_SERVERS = 3
_COPIES = "001"
_VOLUME_MB = 64
_SHELL_SECONDS = 30.0
_FILER = """\
[postgres2]
enabled = true
createTable = '''
  CREATE TABLE IF NOT EXISTS "%s" (
    dirhash BIGINT, name VARCHAR(65535), directory VARCHAR(65535), meta bytea, PRIMARY KEY (dirhash, name))
'''
hostname = "{host}"
port = {port}
username = "postgres"
password = ""
database = "names"
schema = ""
sslmode = "disable"
connection_max_idle = 8
connection_max_open = 32
enableUpsert = true
upsertQuery = '''
  INSERT INTO "%[1]s" (dirhash, name, directory, meta) VALUES ($1, $2, $3, $4)
  ON CONFLICT (dirhash, name) DO UPDATE SET directory = EXCLUDED.directory, meta = EXCLUDED.meta
'''
"""


@dataclass(frozen=True, slots=True)
class Weeds:
    """A running cluster: how it is reached, and its volume servers."""

    engine: Engine
    volumes: tuple[asyncio.subprocess.Process, ...]
    master: int

    async def kill_volume_server(self, number: int) -> None:
        """SIGKILL, as if its machine were gone."""
        self.volumes[number].kill()
        await self.volumes[number].wait()


@contextlib.asynccontextmanager
async def running_weeds(folder: Path, *, bucket: str = BUCKET) -> AsyncIterator[Weeds]:
    """A cluster with this bucket; all of it is gone when the block ends."""
    folder.mkdir(parents=True)
    async with (
        running_server(folder / "names", fsync=True) as names,
        contextlib.AsyncExitStack() as stack,
    ):
        await names.execute("create database names")
        master, filer, s3, *volumes = [port_with_twin() for _ in range(3 + VOLUME_SERVERS)]
        start = _Starter(folder, stack)
        await start("master", _master(folder, master))
        servers = [
            await start(f"volume-{n}", _volume(folder, n, port, master))
            for n, port in enumerate(volumes)
        ]
        process = await start("filer", _filer(folder, names, filer, s3, master))
        engine = Engine(f"http://{HOST}:{s3}", process.pid)
        await until_ready(engine, bucket, process)
        await _sync_before_answers(folder, bucket, master, filer)
        yield Weeds(engine, tuple(servers), master)


class _Starter:
    """Starts a role, which ends with the stack."""

    def __init__(self, folder: Path, stack: contextlib.AsyncExitStack) -> None:
        self._folder = folder
        self._stack = stack

    async def __call__(self, name: str, arguments: list[str]) -> asyncio.subprocess.Process:
        (self._folder / name).mkdir()
        with (self._folder / f"{name}.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(weed_binary(), f"-logdir={self._folder / name}", *arguments),
                cwd=self._folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._stack.push_async_callback(_end, process)
        return process


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


def _master(folder: Path, port: int) -> list[str]:
    return [
        *("master", f"-ip={HOST}", f"-ip.bind={HOST}", f"-port={port}", f"-mdir={folder}/master"),
        *(f"-defaultReplication={_COPIES}", f"-volumeSizeLimitMB={_VOLUME_MB}", "-telemetry=false"),
    ]


def _volume(folder: Path, number: int, port: int, master: int) -> list[str]:
    return [
        *("volume", f"-ip={HOST}", f"-ip.bind={HOST}", f"-port={port}", "-max=40"),
        *(f"-dir={folder}/volume-{number}", f"-master={HOST}:{master}"),
    ]


def _filer(folder: Path, names: Server, port: int, s3: int, master: int) -> list[str]:
    (folder / "filer.toml").write_text(
        _FILER.replace("{host}", HOST).replace("{port}", str(names.port))
    )
    (folder / "s3.json").write_text(identities())
    return [
        *("filer", f"-ip={HOST}", f"-ip.bind={HOST}", f"-port={port}", f"-master={HOST}:{master}"),
        *(
            f"-defaultReplicaPlacement={_COPIES}",
            "-s3",
            f"-s3.port={s3}",
            f"-s3.config={folder}/s3.json",
        ),
        *("-s3.port.iceberg=0", "-s3.port.lance=0"),
    ]


async def _sync_before_answers(folder: Path, bucket: str, master: int, filer: int) -> None:
    """A 2xx of the store is to mean what ours does."""
    said = f"fs.configure -locationPrefix=/buckets/{bucket} -fsync -replication={_COPIES} -apply\nexit\n"
    process = await asyncio.create_subprocess_exec(
        *(weed_binary(), "shell", f"-master={HOST}:{master}", f"-filer={HOST}:{filer}"),
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(_SHELL_SECONDS):
        told, _ = await process.communicate(said.encode())
    assert b'"fsync": true' in told or b'"fsync":' in told, told.decode(errors="replace")
