"""Suite A: the service is killed at a seeded moment, again and again, on one disk and database.

``python -m tests.faults.crash --kills N --seed S --result FILE``. In every life a few clients
write and remove files of their own; in the next one each name must hold what was acknowledged
last, or what was under way when the life ended; nothing else, nothing partial, nothing lost.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import io
import json
import os
import platform
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import asyncpg

from gateway.blobs.disk.store import open_disk_store
from gateway.catalogue.postgres_blobs import PostgresBlobLedger
from gateway.database.embedded import embedded_server
from gateway.database.migrations import migrate
from gateway.database.pool import Database, open_database
from gateway.upkeep.check import What, check, scrub
from tests.faults.forkserver import POINTS, ForkServer
from tests.faults.house import SECRET, new_thing
from tests.tools.deployment import sql_folders
from tests.tools.firmware import Firmware
from tests.tools.gateway import environment_of, new_database
from tests.tools.ports import HOST, free_port

CLIENTS: Final = 3
NAMES_EACH: Final = 2
SIZES: Final = (0, 1, 5_000, 70_000, 1_500_000, 3_000_000)
UNTOUCHED_SECONDS: Final = 0.7
READY_SECONDS: Final = 30.0

Content = str | None
"""What a name holds: the digest of its bytes, or nothing."""


class Violated(AssertionError):
    """A promise did not hold."""


@dataclass(slots=True)
class Name:
    """One file name, and what it may hold; more than one thing only while that is unknown."""

    name: str
    may_hold: set[Content] = field(default_factory=lambda: {None})


@dataclass(slots=True)
class Tally:
    """What happened."""

    kills: int = 0
    at: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    under_way: int = 0
    from_outside: int = 0
    slowest_start: float = 0.0


class Crash:
    """One disk, one database, many short lives."""

    def __init__(
        self, folder: Path, database: Database, dsn: str, headers: dict[str, str], seed: int
    ) -> None:
        self.tally = Tally()
        self._choice = random.Random(seed)
        self._folder, self._database, self._dsn, self._headers = folder, database, dsn, headers
        self._names = [Name(f"f{n}.bin") for n in range(CLIENTS * NAMES_EACH)]
        self._armed = folder / "armed"
        self._port = free_port()
        self._seed = 0
        self._environment = environment_of(
            {
                "host": HOST,
                "port": self._port,
                "data_dir": folder / "data",
                "database_url": dsn,
                "secret": SECRET,
                "admin_email": "admin@gateway.test",
                "admin_password": "correct-horse",
                "sweep_interval_seconds": 0.05,
                "garbage_grace_seconds": 0,
                "orphan_grace_seconds": 5,
                "incoming_grace_seconds": 5,
                "read_cache_seconds": 0,
            }
        )

    async def run(self, kills: int) -> None:
        """So many lives, each ended by SIGKILL; then a last look. Raises ``Violated``."""
        servers = await ForkServer.open()
        try:
            async with aiohttp.ClientSession() as session:
                while self.tally.kills < kills:
                    await self._live(servers, session, kills)
        finally:
            await servers.close()
        await self._command("check", ORPHAN="86400", INCOMING="86400")
        for command in ("sweep", "check"):
            await self._command(command, ORPHAN="0", INCOMING="0")
        await self._look(last=True)

    async def _command(self, name: str, **graces: str) -> None:
        """One of the service's own commands, with these graces; it must find nothing wrong."""
        named = {f"GATEWAY_{kind}_GRACE_SECONDS": grace for kind, grace in graces.items()}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", name),
            env=self._environment | named,
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await process.communicate()
        if process.returncode != 0:
            raise Violated(f"{name}: {said!r}")

    async def _live(self, servers: ForkServer, session: aiohttp.ClientSession, kills: int) -> None:
        failpoint, at_start = self._chosen_failpoint()
        self._armed.write_bytes(b"\1" if at_start else b"\0")
        started = time.monotonic()
        log = str(self._folder / "gateway.log")
        pid = await servers.start(self._environment, log, failpoint)
        if await self._is_ready(pid, session):
            self.tally.slowest_start = max(self.tally.slowest_start, time.monotonic() - started)
            with contextlib.suppress(aiohttp.ClientError):
                await self._read_all(session)
            await self._work_until_death(pid, session, failpoint is not None)
        await servers.wait(pid)
        self.tally.kills += 1
        await self._settled()
        await self._look()

    def _chosen_failpoint(self) -> tuple[dict[str, Any] | None, bool]:
        if self._choice.random() < 0.3:
            self.tally.at["any time"] += 1
            return None, False
        point, side = self._choice.choice(POINTS), self._choice.choice(("before", "after"))
        at_start = point in ("open", "fsync", "link", "unlink") and self._choice.random() < 0.1
        self.tally.at[f"{side} {point}" + (" at start" if at_start else "")] += 1
        nth = self._choice.choice((1, 1, 2, 3, 4, 6, 9, 14))
        return {"point": point, "side": side, "nth": nth, "armed": str(self._armed)}, at_start

    async def _is_ready(self, pid: int, session: aiohttp.ClientSession) -> bool:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if not _lives(pid):
                return False
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"http://{HOST}:{self._port}/health"):
                    return True
            await asyncio.sleep(0.01)
        raise Violated("the gateway did not start after a crash")

    async def _work_until_death(
        self, pid: int, session: aiohttp.ClientSession, by_failpoint: bool
    ) -> None:
        self._armed.write_bytes(b"\1")
        clients = [
            asyncio.create_task(self._client(session, self._names[n::CLIENTS]))
            for n in range(CLIENTS)
        ]
        patience = UNTOUCHED_SECONDS if by_failpoint else self._choice.random() ** 2 * 0.5
        try:
            async with asyncio.timeout(patience):
                while _lives(pid):
                    await asyncio.sleep(0.002)
        except TimeoutError:
            self.tally.from_outside += 1
            os.kill(pid, signal.SIGKILL)
        await asyncio.gather(*clients)

    async def _client(self, session: aiohttp.ClientSession, names: list[Name]) -> None:
        """Change one's own files until nobody answers."""
        with contextlib.suppress(aiohttp.ClientError):
            while True:
                await self._change(session, self._choice.choice(names))

    async def _change(self, session: aiohttp.ClientSession, name: Name) -> None:
        [held] = name.may_hold
        new, method, content = None, "DELETE", None
        if held is None or self._choice.random() < 0.8:
            content = self._content()
            new, method = hashlib.sha256(content).hexdigest(), "POST" if held is None else "PUT"
        name.may_hold = {held, new}
        self.tally.under_way += 1
        status = await self._ask(session, method, name.name, content)
        self.tally.under_way -= 1
        if status in (200, 201, 204):
            self.tally.acknowledged += 1
            name.may_hold = {new}
        elif status < 500:
            raise Violated(f"{method} {name.name} when it held {held}: {status}")
        else:
            await self._read(session, name)

    def _content(self) -> bytes:
        self._seed += 1
        return Firmware(self._seed, self._choice.choice(SIZES)).content

    async def _ask(
        self, session: aiohttp.ClientSession, method: str, name: str, content: bytes | None
    ) -> int:
        form = None
        if content is not None:
            form = aiohttp.FormData()
            form.add_field("file", io.BytesIO(content), filename=name)
        url = f"http://{HOST}:{self._port}/files"
        if method != "POST":
            url += f"/{name}"
        async with session.request(method, url, data=form, headers=self._headers) as answer:
            await answer.read()
            return answer.status

    async def _read_all(self, session: aiohttp.ClientSession) -> None:
        for name in self._names:
            await self._read(session, name)
        url = f"http://{HOST}:{self._port}/files?limit=100"
        async with session.get(url, headers=self._headers) as answer:
            listed = {file["name"] for file in (await answer.json())["files"]}
        held = {name.name for name in self._names if name.may_hold != {None}}
        if listed != held:
            raise Violated(f"listed {sorted(listed)}, held {sorted(held)}")

    async def _read(self, session: aiohttp.ClientSession, name: Name) -> None:
        url = f"http://{HOST}:{self._port}/files/{name.name}"
        async with session.get(url, headers=self._headers) as answer:
            body, status = await answer.read(), answer.status
        if status not in (200, 404):
            raise Violated(f"{name.name}: {status} {body[:200]!r}")
        found = hashlib.sha256(body).hexdigest() if status == 200 else None
        if found not in name.may_hold:
            raise Violated(f"{name.name} holds {found}, not one of {name.may_hold}")
        name.may_hold = {found}

    async def _settled(self) -> None:
        """Wait until the server is through with what the dead gateway asked of it."""
        connection = await asyncpg.connect(self._dsn)
        try:
            while await connection.fetchval(
                "select count(*) from pg_stat_activity where datname = current_database()"
                " and application_name = 'filestore-gateway' and pid <> pg_backend_pid()"
                " and state <> 'idle'"
            ):
                await asyncio.sleep(0.005)
        finally:
            await connection.close()

    async def _look(self, *, last: bool = False) -> None:
        """No row without its blob; and, at the end, no byte damaged and nothing left over."""
        ledger = PostgresBlobLedger(self._database)
        async with open_disk_store(self._folder / "data") as blobs:
            report = await check(blobs, ledger)
            if not report.sound:
                raise Violated(f"rows without their blob: {report}")
            if not last:
                return
            if damaged := (await scrub(blobs, ledger)).findings:
                raise Violated(f"damaged: {damaged}")
            left = {stored.id async for stored in blobs.walk()}
            parts = list((self._folder / "data" / "incoming").iterdir())
            report = await check(blobs, ledger)
            if len(left) != report.blobs or parts:
                orphans = report.blobs_that_are(What.ORPHAN)
                garbage = left - set(orphans)
                raise Violated(
                    f"left over: orphans {orphans}, parts {parts},"
                    f" {report.blobs} rows for {len(garbage)} other blobs"
                )


def _lives(pid: int) -> bool:
    """Whether the process has not ended, reaped or not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")


async def crash(folder: Path, dsn: str, kills: int, seed: int) -> Tally:
    """The suite on a migrated, empty database. Raises ``Violated``."""
    async with open_database(dsn, sql_folders(), connections=2) as database:
        run = Crash(folder, database, dsn, await new_thing(database), seed)
        await run.run(kills)
    return run.tally


async def _full(folder: Path, kills: int, seed: int) -> Tally:
    with embedded_server(folder / "server", superuser=True) as server:
        dsn = await new_database(server)
        await migrate(dsn, sql_folders())
        return await crash(folder, dsn, kills, seed)


def main() -> int:
    """Run, report, and say whether every promise held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=9)
    parser.add_argument("--result", type=Path, help="where to write the JSON result")
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        try:
            tally = asyncio.run(_full(Path(folder), options.kills, options.seed))
        except Violated as violation:
            print(f"seed {options.seed}: {violation}", file=sys.stderr)
            return 1
    result = {
        "suite": "A: kill -9 and restart, one disk and one database",
        "kills": tally.kills,
        "goal": 10_000,
        "killed_from_outside": tally.from_outside,
        "acknowledged": tally.acknowledged,
        "under_way_when_killed": tally.under_way,
        "acknowledged_and_lost_or_altered": 0,
        "rows_without_blob": 0,
        "left_over_after_sweep": 0,
        "slowest_start_seconds": round(tally.slowest_start, 2),
        "killed": dict(sorted(tally.at.items())),
        "seed": options.seed,
        "seconds": round(time.monotonic() - started),
        "python": platform.python_version(),
    }
    text = json.dumps(result, indent=2) + "\n"
    print(text, end="")
    if options.result:
        options.result.parent.mkdir(parents=True, exist_ok=True)
        options.result.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
