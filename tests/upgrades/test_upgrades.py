"""Deployments of earlier commits, restored and served by today's gateway: everybody has what they had.

``python -m tests.upgrades.make COMMIT`` has made the fixtures; ``python -m tests.upgrades.beside COMMIT`` tries the
commit's own gateway beside today's.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from gateway.database.dump import load_dump
from gateway.database.migrations import migrate
from tests.tools.deployment import sql_folders
from tests.tools.gateway import ADMIN_PASSWORD, new_database
from tests.tools.inside import InsideGateway
from tests.tools.mainflux import sign_in, upload

FIXTURES = sorted(Path(__file__).parent.glob("*.tar.xz"))


@dataclass(frozen=True, slots=True)
class Upgraded:
    """Today's gateway over what an earlier one left, and what that is."""

    gateway: InsideGateway
    held: Mapping[str, Any]
    session: aiohttp.ClientSession

    async def digest(self, path: str, credential: str) -> tuple[int, str]:
        """The status, and the SHA-256 of what comes of it."""
        headers = {"Authorization": credential}
        async with self.session.get(self.gateway.url + quote(path), headers=headers) as answer:
            return answer.status, hashlib.sha256(await answer.read()).hexdigest()

    async def status(self, path: str, credential: str) -> int:
        return (await self.digest(path, credential))[0]


@pytest.fixture(params=FIXTURES, ids=[path.name.partition(".")[0] for path in FIXTURES])
async def upgraded(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_server: str
) -> AsyncIterator[Upgraded]:
    """A fixture, restored and brought up to date."""
    data = tmp_path / "data"
    data.mkdir()
    with tarfile.open(request.param) as packed:
        packed.extractall(data, filter="data")
    dsn = await new_database(postgres_server)
    await load_dump(dsn, data / "catalogue.dump")
    await migrate(dsn, sql_folders())
    gateway = InsideGateway(tmp_path, dsn, {})
    await gateway.start()
    async with aiohttp.ClientSession() as session:
        yield Upgraded(gateway, json.loads((data / "held.json").read_text()), session)
    await gateway.stop()


def test_there_is_a_fixture_of_each_release_of_the_history() -> None:
    assert {"a212761", "451f8fc", "b907e96"} <= {path.name.partition(".")[0] for path in FIXTURES}


async def test_everybody_has_the_files_keys_rights_and_digests_that_they_had(
    upgraded: Upgraded,
) -> None:
    held = upgraded.held
    thing, other = (f"Thing {held[name][1]}" for name in ("thing", "other"))
    for name, digest in held["files"].items():
        assert (200, digest) == await upgraded.digest(f"/files/{name}", thing)
        assert 404 == await upgraded.status(f"/files/{name}", other)
    assert 404 == await upgraded.status("/files/b.cfg", thing)
    group = held["group"]
    for name, digest in held["group_files"].items():
        assert (200, digest) == await upgraded.digest(f"/groups/{group}/files/{name}", thing)
        assert (200, digest) == await upgraded.digest(f"/groupfiles/{name}", thing)
        assert 404 == await upgraded.status(f"/groups/{group}/files/{name}", other)
    admin = await sign_in(upgraded.session, upgraded.gateway.url)
    for file_id, digest in held["hasura"].items():
        found = await upgraded.digest(f"/v1/file/{file_id}", admin.headers["Authorization"])
        assert (200, digest) == found
    await check_users(upgraded)
    await check_changes(upgraded, thing)
    status, said = await upgraded.gateway.run("check")
    assert (0, True) == (status, json.loads(said)["sound"]), said
    status, said = await upgraded.gateway.run("scrub")
    assert (0, True) == (status, json.loads(said)["sound"]), said


async def check_users(upgraded: Upgraded) -> None:
    """Passwords and API keys are good for what they were, and for nothing else."""
    url, thing = upgraded.gateway.url, upgraded.held["thing"][0]
    owner, reader = [
        await sign_in(upgraded.session, url, email, ADMIN_PASSWORD)
        for email in upgraded.held["users"]
    ]
    assert 200 == await upgraded.status(f"/things/{thing}", owner.headers["Authorization"])
    assert 404 == await upgraded.status(f"/things/{thing}", reader.headers["Authorization"])
    assert 200 == await upgraded.status(f"/things/{thing}", f"Bearer {upgraded.held['api_key']}")


async def check_changes(upgraded: Upgraded, thing: str) -> None:
    """What was there is replaced, and what is new stands beside it."""
    headers, url = {"Authorization": thing}, f"{upgraded.gateway.url}/files"
    for name, method, at in (("fw.bin", "PUT", f"{url}/fw.bin"), ("new.bin", "POST", url)):
        await upload(upgraded.session, at, headers, name, b"newer", method=method)
        newer = hashlib.sha256(b"newer").hexdigest()
        assert (200, newer) == await upgraded.digest(f"/files/{name}", thing)
