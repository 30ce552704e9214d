"""How flat user files stay: ``python -m benchmarks.user_files [--count N] [--result FILE]``.

Starts the real service, gives one user a thousand user files (the Gravwell routes) and another a
million, then asks for records by GUID in turns: one's own, one shared with a group, a global one,
none. Then reads the long list and looks at the gateway's process meanwhile (PostgreSQL is another
one). Prints JSON; exits with 1 if a median ratio or the growth is above its limit.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final
from uuid import UUID

import aiohttp
import asyncpg

from benchmarks.memory import MIB, SAMPLE_SECONDS
from benchmarks.procfs import rss_bytes
from gateway.database.embedded import embedded_postgres
from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.mainflux import User, sign_in, signed_in

RATIO_LIMIT: Final = 1.3
GROWTH_LIMIT_MIB: Final = 16.0
FEW: Final = 1_000
MOST_SHARED: Final = 100_000
ROUNDS: Final = 300
_PASSWORD: Final = "correct-horse-battery"
_BATCH: Final = 100_000

# The GUID of a file follows from its prefix and its number, so that it can be asked for.
FILL: Final = """
with made as (
    insert into blobs (id, kind, owner, size, sha256)
    select gen_random_uuid(), 'users', $1, n, sha256('x') from generate_series($2::int, $3::int) n
    returning id, size
)
insert into files (id, kind, owner, name, blob_id, content_type, attributes, creator, updated_at)
select id, 'users', $1, id::text, id, 'text/plain; charset=utf-8', jsonb_build_object(
           'guid', md5($4 || size)::uuid, 'name', 'file ' || size, 'desc', 'of many',
           'global', $5::bool, 'gids', to_jsonb($6::int[]), 'labels', jsonb_build_array('a', 'b'),
           'write_gids', '[]'::jsonb, 'write_global', false), $1,
       now() - make_interval(secs => size)
from made
"""


@dataclass(frozen=True, slots=True)
class Person:
    """A user, and what GUIDs of theirs are made of."""

    user: User
    id: str
    gid: int
    count: int

    def address(self, rank: str, number: int) -> str:
        """The path of a record."""
        prefix = {"own": self.id, "shared": f"shared {self.gid}"}.get(rank, rank)
        return f"{self.user.url}/api/files/{guid_of(prefix, number)}/details"


def guid_of(prefix: str, number: int) -> UUID:
    """What ``FILL`` makes of it."""
    return UUID(hashlib.md5(f"{prefix}{number}".encode(), usedforsecurity=False).hexdigest())


async def fill(
    connection: asyncpg.Connection,
    owner: str,
    count: int,
    prefix: str,
    *,
    to_all: bool = False,
    gids: tuple[int, ...] = (),
) -> None:
    """So many rows of user files, without bytes and without telling anybody."""
    await connection.execute("set session_replication_role = replica")
    for first in range(1, count + 1, _BATCH):
        last = min(first + _BATCH - 1, count)
        await connection.execute(FILL, owner, first, last, prefix, to_all, list(gids))
    await connection.execute("set session_replication_role = origin")


async def _person(admin: User, connection: asyncpg.Connection, email: str, count: int) -> Person:
    account = {"email": email, "password": _PASSWORD}
    async with admin.session.post(f"{admin.url}/users", json=account) as answer:
        answer.raise_for_status()
    user = await sign_in(admin.session, admin.url, email, _PASSWORD)
    await user.group()
    user_id = str(await connection.fetchval("select id from users where email = $1", email))
    async with user.session.get(f"{user.url}/api/info/whoami", headers=user.headers) as answer:
        gid = (await answer.json())["Groups"][0]["GID"]
    return Person(user, user_id, gid, count)


async def _lookup_milliseconds(person: Person, rank: str, number: int) -> float:
    expected = 404 if rank == "none" else 200
    began = time.perf_counter()
    url, user = person.address(rank, number), person.user
    async with user.session.get(url, headers=user.headers) as answer:
        await answer.read()
        elapsed = (time.perf_counter() - began) * 1000
        if answer.status != expected:
            raise RuntimeError(f"{rank} {number}: {answer.status}")
    return elapsed


async def compare(few: Person, many: Person, rank: str) -> Mapping[str, object]:
    """Both users' look-ups in turns, after some that do not count."""
    chance, times = random.Random(1), {FEW: list[float](), many.count: list[float]()}
    for turn in range(-20, ROUNDS):
        for person in (few, many):
            most = person.count if rank == "own" else FEW
            elapsed = await _lookup_milliseconds(person, rank, chance.randint(1, most))
            if turn >= 0:
                times[person.count].append(elapsed)
    medians = {str(count): round(median(found), 3) for count, found in times.items()}
    ratio = median(times[many.count]) / median(times[FEW])
    return {"look-up": rank, "milliseconds": medians, "ratio": round(ratio, 2)}


async def read_list(gateway: GatewayProcess, person: Person) -> Mapping[str, object]:
    """The whole list, and how far the process grew meanwhile."""
    done, before, peak = asyncio.Event(), rss_bytes(gateway.pid), 0

    async def watch() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, rss_bytes(gateway.pid))
            await asyncio.sleep(SAMPLE_SECONDS)

    watching, began, size, records, user = (
        asyncio.create_task(watch()),
        time.perf_counter(),
        0,
        0,
        person.user,
    )
    timeout = aiohttp.ClientTimeout(total=None)
    async with user.session.get(
        f"{user.url}/api/files", headers=user.headers, timeout=timeout
    ) as answer:
        async for piece in answer.content.iter_any():
            size += len(piece)
            records += piece.count(b'"ThingUUID"')  # one that is cut in two is missed
    done.set()
    await watching
    return {
        "records, nearly": records,
        "MB": round(size / 1e6),
        "seconds": round(time.perf_counter() - began, 1),
        "growth_mib": round((peak - before) / MIB, 1),
    }


async def _main(folder: Path, count: int) -> dict[str, object]:
    async with (
        running_gateway(folder, database_server=None, access_log=False) as gateway,
        signed_in(gateway.url) as admin,
        embedded_postgres(gateway.data_dir) as dsn,
    ):
        connection = await asyncpg.connect(dsn)
        few, many, other = [
            await _person(admin, connection, f"{name}@example.com", files)
            for name, files in (("few", FEW), ("many", count), ("other", 0))
        ]
        await fill(connection, other.id, FEW, "global", to_all=True)
        for person in (few, many):
            await fill(connection, person.id, person.count, person.id)
            shared = min(person.count, MOST_SHARED)
            await fill(connection, other.id, shared, f"shared {person.gid}", gids=(person.gid,))
        await connection.execute("vacuum analyze")
        await connection.close()
        ranks = ("own", "shared", "global", "none")
        found = [await compare(few, many, rank) for rank in ranks]
        lists = [await read_list(gateway, many) for _ in range(2)]
    return {"files": count, "rounds": ROUNDS, "look-ups": found, "lists": lists}


def main() -> int:
    """Run; 0 if nothing is above its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="files of the one user")
    parser.add_argument("--result", type=Path, help="also write the JSON there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(_main(Path(folder), arguments.count))
    text = json.dumps(result, indent=2) + "\n"
    sys.stdout.write(text)
    if arguments.result is not None:
        arguments.result.write_text(text, encoding="utf-8")
    ratios, lists = result["look-ups"], result["lists"]
    assert isinstance(ratios, list), "made above"
    assert isinstance(lists, list), "made above"
    flat = all(entry["ratio"] <= RATIO_LIMIT for entry in ratios)
    return 0 if flat and all(entry["growth_mib"] <= GROWTH_LIMIT_MIB for entry in lists) else 1


if __name__ == "__main__":
    sys.exit(main())
