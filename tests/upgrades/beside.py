"""``python -m tests.upgrades.beside COMMIT``: a gateway of an earlier commit goes on beside today's.

The earlier one serves; today's is started on the same database and the same folder, and brings the schema up to date
under it. From then on each reads what the other stores, replaces and removes, a moment later at most. Status 1 if not.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from gateway.database.embedded import embedded_server
from gateway.database.migrations import migrate
from tests.tools.deployment import sql_folders
from tests.tools.gateway import new_database
from tests.tools.inside import InsideGateway
from tests.tools.mainflux import upload
from tests.upgrades.make import Earlier, check_out, live

_ROUNDS = 30
_BOUND_SECONDS = 3.0


async def beside(commit: str, server: str, folder: Path) -> int:
    """How many operations agreed. Raises ``AssertionError`` if one did not."""
    check_out(commit, folder / "code")
    dsn = await new_database(server)
    earlier, today = Earlier(folder / "code", folder / "data", dsn), None
    await earlier.start()
    try:
        held = await live(earlier.url)
        await migrate(dsn, sql_folders())
        today = InsideGateway(folder, dsn, {})
        await today.start()
        headers = {"Authorization": f"Thing {held['thing'][1]}"}
        return await _in_turns([earlier.url, today.url], headers, held["files"])
    finally:
        earlier.stop()
        if today is not None:
            await today.stop()


async def _in_turns(urls: list[str], headers: dict[str, str], digests: dict[str, str]) -> int:
    choice, done, expected = random.Random(15), 0, dict(digests)
    async with aiohttp.ClientSession() as session:
        for number in range(_ROUNDS):
            here, there = choice.sample(urls, 2)
            name, content = f"{number % 5}.bin", choice.randbytes(choice.randrange(200_000))
            if name in expected and choice.random() < 0.4:
                async with session.delete(f"{here}/files/{name}", headers=headers) as answer:
                    assert answer.status == 204, answer.status
                del expected[name]
            else:
                method, at = ("PUT", f"/{name}") if name in expected else ("POST", "")
                await upload(session, f"{here}/files{at}", headers, name, content, method=method)
                expected[name] = hashlib.sha256(content).hexdigest()
            for url in (here, there):
                await _agrees(session, url, headers, name, expected.get(name))
                done += 1
        for url in urls:
            for name, digest in expected.items():
                await _agrees(session, url, headers, name, digest)
                done += 1
    return done


async def _agrees(
    session: aiohttp.ClientSession, url: str, headers: dict[str, str], name: str, digest: str | None
) -> None:
    """Within the bound that readers are promised."""
    deadline = time.monotonic() + _BOUND_SECONDS
    while True:
        async with session.get(f"{url}/files/{name}", headers=headers) as answer:
            body = await answer.read()
            found = hashlib.sha256(body).hexdigest() if answer.status == 200 else None
            if found == digest and (answer.status in (200, 404)):
                return
        assert time.monotonic() < deadline, (url, name, answer.status)
        await asyncio.sleep(0.05)


def main() -> None:
    """Each commit that is named."""
    for commit in sys.argv[1:]:
        with (
            tempfile.TemporaryDirectory() as name,
            embedded_server(Path(name) / "db", superuser=True) as server,
        ):
            done = asyncio.run(beside(commit, server, Path(name)))
        print(f"{commit}: {done} reads agreed")


if __name__ == "__main__":
    main()
