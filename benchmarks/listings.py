"""How flat the lists stay: ``python -m benchmarks.listings [--result FILE]``.

Starts the real service, gives one user a thousand things and channels and another a hundred
thousand, and asks both for pages of a hundred, in turns. Prints medians and spreads in
milliseconds and their ratio as JSON; exits with 1 if a median ratio is above the limit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import aiohttp
import asyncpg

from gateway.database.embedded import embedded_postgres
from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.mainflux import User, sign_in, signed_in

LIMIT: Final = 1.5
FEW: Final = 1_000
MANY: Final = 100_000
ROUNDS: Final = 40
_BATCH: Final = 1_000
_PASSWORD: Final = "correct-horse-battery"
_QUERIES: Final = ("limit=100", "limit=100&order=name&dir=desc", "limit=100&offset=500")


@dataclass(frozen=True, slots=True)
class Pages:
    """One query's times in milliseconds."""

    times: Sequence[float]

    @property
    def shown(self) -> Mapping[str, float]:
        """Median, fastest and slowest."""
        times = self.times
        return {
            "median": round(median(times), 2),
            "min": round(min(times), 2),
            "max": round(max(times), 2),
        }


Listed = tuple[User, str, str]
"""Who asks, for which list, with which query."""


async def fill(user: User, noun: str, count: int) -> None:
    """So many of them, by the bulk request."""
    for first in range(0, count, _BATCH):
        batch = [{"name": f"{noun}-{number:06d}"} for number in range(first, first + _BATCH)]
        async with user.session.post(
            f"{user.url}/{noun}", json=batch, headers=user.headers
        ) as answer:
            if answer.status != 201:
                raise RuntimeError(f"{answer.status} {(await answer.text())[:200]}")


async def analyze(gateway: GatewayProcess) -> None:
    """Let PostgreSQL look at what was filled in, as it does by itself within a minute or two."""
    async with embedded_postgres(gateway.data_dir) as dsn:
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute("analyze")
        finally:
            await connection.close()


async def page_milliseconds(user: User, noun: str, query: str) -> float:
    """The time of one page, checked for being full; an application's files are its ``items``."""
    started = time.perf_counter()
    async with user.session.get(f"{user.url}/{noun}?{query}", headers=user.headers) as answer:
        page = await answer.json()
    elapsed = (time.perf_counter() - started) * 1000
    items = page["items"] if "items" in page else page[noun]
    if len(items) != 100:
        raise RuntimeError(f"a page of {len(items)}")
    return elapsed


async def compare(few: Listed, many: Listed, shown: str) -> dict[str, object]:
    """Both users' pages in turns, after one of each that does not count."""
    times: dict[str, list[float]] = {"few": [], "many": []}
    for number in range(ROUNDS + 1):
        for name, (user, noun, query) in (("few", few), ("many", many)):
            elapsed = await page_milliseconds(user, noun, query)
            if number:
                times[name].append(elapsed)
    ratio = median(times["many"]) / median(times["few"])
    return {
        "list": shown,
        f"{FEW}": Pages(times["few"]).shown,
        f"{MANY}": Pages(times["many"]).shown,
        "ratio": round(ratio, 2),
    }


async def private_files(gateway: GatewayProcess, few: User, many: User) -> list[dict[str, object]]:
    """Pages of one directory of private files, which are put there by their rows."""
    places = {}
    for user, count in ((few, FEW), (many, MANY)):
        async with user.session.post(
            f"{user.url}/applications", json={"name": "a"}, headers=user.headers
        ) as answer:
            application = (await answer.json())["id"]
        async with embedded_postgres(gateway.data_dir) as dsn:
            connection = await asyncpg.connect(dsn)
            await private_file_rows(connection, application, count)
            await connection.execute("vacuum analyze losant_files, losant_counts, files")
            await connection.close()
        places[count] = f"applications/{application}/privateFiles"
    return [
        await compare(
            (few, places[FEW], query.format(page=5)),
            (many, places[MANY], query.format(page=page)),
            f"/applications/<id>/privateFiles?{query.format(page=page)}",
        )
        for query in _PRIVATE_QUERIES
        for page in ((5, 995) if "{page}" in query else (0,))
    ]


async def private_file_rows(connection: asyncpg.Connection, application: str, count: int) -> None:
    """So many private files in the root directory, counted."""
    await connection.execute(_PRIVATE_FILES, application, count)
    while await connection.fetchval("select max(id) from losant_counts where not settled"):
        await asyncio.sleep(0.5)  # the service sums them up in the background


_PRIVATE_QUERIES: Final = (
    "directory=/",
    "directory=/&sortField=name&sortDirection=desc&status=completed",
    "directory=/&page={page}",
)
_PRIVATE_FILES: Final = """
insert into files (id, kind, owner, name, content_type, attributes, creator)
select gen_random_uuid(), 'applications', $1, substr(md5(n::text || $1), 1, 24), 'text/plain',
       jsonb_build_object('type', 'file', 'parent', '/', 'name', 'file-' || n,
           'status', 'completed', 'generation', 1, 'upload', null, 'expires', null, 'into', null,
           'size', 0, 'dimensions', null, 'author', repeat('0', 24), 'author_type', 'user'), ''
from generate_series(1, $2) n
"""


async def _user(session: aiohttp.ClientSession, url: str, email: str) -> User:
    account = {"email": email, "password": _PASSWORD}
    async with session.post(f"{url}/users", json=account) as answer:
        answer.raise_for_status()
    return await sign_in(session, url, email, _PASSWORD)


async def _main(folder: Path) -> dict[str, object]:
    async with (
        running_gateway(folder, database_server=None, access_log=False) as gateway,
        signed_in(gateway.url) as admin,
    ):
        few = await _user(admin.session, gateway.url, "few@example.com")
        many = await _user(admin.session, gateway.url, "many@example.com")
        found = []
        for noun in ("things", "channels"):
            await fill(few, noun, FEW)
            await fill(many, noun, MANY)
            await analyze(gateway)
            found += [
                await compare((few, noun, query), (many, noun, query), f"/{noun}?{query}")
                for query in _QUERIES
            ]
        found += await private_files(gateway, few, many)
    return {"limit": LIMIT, "rounds": ROUNDS, "lists": found}


def main() -> int:
    """Run; 0 if every list is flat."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--result", type=Path, help="also write the JSON there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(_main(Path(folder)))
    text = json.dumps(result, indent=2) + "\n"
    sys.stdout.write(text)
    if arguments.result is not None:
        arguments.result.write_text(text, encoding="utf-8")
    lists = result["lists"]
    assert isinstance(lists, list), "made above"
    return 0 if all(entry["ratio"] <= LIMIT for entry in lists) else 1


if __name__ == "__main__":
    sys.exit(main())
