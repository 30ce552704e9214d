"""``python -m tests.upgrades.make COMMIT``: a deployment of an earlier commit, as a fixture.

The commit's own code is taken out of the history and serves; it is asked for what a deployment has, over HTTP, and
then its database is dumped and its blobs are packed beside it, with a list of who has what (``held.json``). All of
it is ``tests/upgrades/<commit>.tar.xz``.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import random
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp

from gateway.database.dump import held_snapshot
from gateway.database.embedded import embedded_server
from tests.tools.gateway import ADMIN_EMAIL, ADMIN_PASSWORD, new_database
from tests.tools.mainflux import User, sign_in, upload
from tests.tools.ports import HOST, free_port

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
SECRET = "s" * 32
_START_SECONDS = 60


def check_out(commit: str, folder: Path) -> None:
    """The commit's tree; its SQL is where an installation has it."""
    archive = subprocess.run(
        ["git", "archive", commit], cwd=ROOT, check=True, capture_output=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        packed.extractall(folder, filter="data")
    (folder / "gateway" / "sql").symlink_to(folder / "sql")


class Earlier:
    """A gateway of an earlier commit, whose tree is ``code``."""

    def __init__(self, code: Path, data: Path, dsn: str) -> None:
        self.port, self.url = free_port(), ""
        self._code, self._log = code, data.with_name("log")
        self.url = f"http://{HOST}:{self.port}"
        self._environment = {
            "PATH": "/usr/bin:/bin",
            "GATEWAY_PORT": str(self.port),
            "GATEWAY_DATA_DIR": str(data),
            "GATEWAY_DATABASE_URL": dsn,
            "GATEWAY_SECRET": SECRET,
            "GATEWAY_ADMIN_EMAIL": ADMIN_EMAIL,
            "GATEWAY_ADMIN_PASSWORD": ADMIN_PASSWORD,
        }
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Serve. Raises ``RuntimeError`` with its log if it does not."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gateway", "serve"],
                cwd=self._code, env=self._environment, stdout=log, stderr=log,
            )  # fmt: skip
        async with aiohttp.ClientSession() as session, asyncio.timeout(_START_SECONDS):
            while not await self._answers(session):
                if self._process.poll() is not None:
                    raise RuntimeError(self._log.read_text())
                await asyncio.sleep(0.1)

    def stop(self) -> None:
        """SIGTERM, and wait."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)

    async def _answers(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"{self.url}/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False


async def live(url: str) -> dict[str, Any]:
    """What a deployment has been used for; who holds what afterwards."""
    choice = random.Random(url)
    async with aiohttp.ClientSession() as session:
        admin = await sign_in(session, url)
        owner = await _somebody(session, url, "owner@example.com")
        reader = await _somebody(session, url, "reader@example.com")
        thing, other = await owner.thing("gate"), await owner.thing("other")
        group = await owner.group("fleet", thing.id)
        held: dict[str, Any] = {
            "thing": [thing.id, thing.key],
            "other": [other.id, other.key],
            "group": group,
            "users": ["owner@example.com", "reader@example.com"],
            "api_key": await _api_key(owner),
            "files": {},
            "group_files": {},
            "hasura": {},
        }
        del reader
        for name, size in (("fw.bin", 3_000), ("empty.bin", 0), ("ä ö.txt", 40), ("b.cfg", 1)):
            content = choice.randbytes(size)
            await upload(session, f"{url}/files", thing.headers, name, content)
            held["files"][name] = hashlib.sha256(content).hexdigest()
        content = choice.randbytes(500)
        await upload(session, f"{url}/files/fw.bin", thing.headers, "fw.bin", content, method="PUT")
        held["files"]["fw.bin"] = hashlib.sha256(content).hexdigest()
        async with session.delete(f"{url}/files/b.cfg", headers=thing.headers) as answer:
            assert answer.status == 204
        del held["files"]["b.cfg"]
        content = choice.randbytes(700)
        await upload(session, f"{url}/groups/{group}/files", owner.headers, "image.swu", content)
        held["group_files"]["image.swu"] = hashlib.sha256(content).hexdigest()
        for file_id in (str(uuid4()), "one of mine.bin"):
            content = choice.randbytes(300)
            async with session.post(
                f"{url}/v1/file/{file_id}", data=content, headers=admin.headers
            ) as answer:
                assert answer.status in (200, 201), await answer.text()
            held["hasura"][file_id] = hashlib.sha256(content).hexdigest()
    return held


async def _somebody(session: aiohttp.ClientSession, url: str, email: str) -> User:
    body = {"email": email, "password": ADMIN_PASSWORD}
    async with session.post(f"{url}/users", json=body) as answer:
        assert answer.status == 201, await answer.text()
    return await sign_in(session, url, email, ADMIN_PASSWORD)


async def _api_key(user: User) -> str:
    body = {"type": 2, "duration": 0}
    async with user.session.post(f"{user.url}/keys", json=body, headers=user.headers) as answer:
        assert answer.status == 201, await answer.text()
        return str((await answer.json())["value"])


async def make(commit: str, server: str, folder: Path) -> Path:
    """Write the fixture; where it is."""
    code, data = folder / "code", folder / "data"
    check_out(commit, code)
    dsn = await new_database(server)
    earlier = Earlier(code, data, dsn)
    await earlier.start()
    try:
        held = await live(earlier.url)
        async with held_snapshot(dsn) as snapshot:
            await snapshot.dump(folder / "catalogue.dump")
    finally:
        earlier.stop()
    (folder / "held.json").write_text(json.dumps(held, indent=1, sort_keys=True))
    target = FOLDER / f"{commit}.tar.xz"
    with tarfile.open(target, "w:xz") as packed:
        for path in (folder / "held.json", folder / "catalogue.dump", data / "blobs"):
            packed.add(path, path.name)
    return target


def main() -> None:
    """One fixture for each commit that is named."""
    for commit in sys.argv[1:]:
        with (
            tempfile.TemporaryDirectory() as name,
            embedded_server(Path(name) / "db", superuser=True) as server,
        ):
            made = asyncio.run(make(commit, server, Path(name)))
        print(made, made.stat().st_size)


if __name__ == "__main__":
    main()
