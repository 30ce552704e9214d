"""The published page's curl examples, as a shell runs them: only host, keys and scheme are ours."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest_asyncio

from tests.tools.clients import run
from tests.tools.gateway import running_gateway
from tests.tools.mainflux import Thing, signed_in

READINGS = b"time,temperature\n" + b"1700000000,21.5\n" * 62 + b"end-of-data,1.0"
READINGS_2 = READINGS + b"\n1700000063,22.0"
CALIBRATION = json.dumps({"offset": 0.5}).encode().ljust(256)
CONFIG = b'{"interval": 60}'


@dataclass(frozen=True)
class Shell:
    """A folder with the page's files, and its placeholders' values."""

    folder: Path
    thing: Thing
    values: dict[str, str]

    async def curl(self, line: str) -> tuple[int, dict[str, str], bytes]:
        """The status, headers and body that a command of the page printed."""
        for placeholder, value in self.values.items():
            line = line.replace(placeholder, value)
        assert "<" not in line
        ran = await run("sh", "-c", line, cwd=self.folder)
        assert ran.status == 0, ran.stderr
        head, _, body = ran.stdout.partition(b"\r\n\r\n")
        first, *fields = head.decode().split("\r\n")
        named = (field.partition(": ") for field in fields)
        return int(first.split(" ")[1]), {name.lower(): value for name, _, value in named}, body


@pytest_asyncio.fixture
async def shell(tmp_path: Path, postgres_server: str) -> AsyncIterator[Shell]:
    """A thing that is a member of a group of the admin's."""
    folder = tmp_path / "shell"
    folder.mkdir()
    (folder / "sensor-data.csv").write_bytes(READINGS)
    (folder / "sensor-data-v2.csv").write_bytes(READINGS_2)
    (folder / "calibration.json").write_bytes(CALIBRATION)
    (folder / "config.json").write_bytes(CONFIG)
    async with (
        running_gateway(tmp_path, database_server=postgres_server) as gateway,
        signed_in(gateway.url) as user,
    ):
        thing = await user.thing()
        values = {
            "https://localhost": gateway.url,
            "<thing_key>": thing.key,
            "<user_token>": user.token,
            "<group_id>": await user.group("line", thing.id),
        }
        yield Shell(folder, thing, values)


def entries(body: bytes) -> list[Any]:
    """The fields of the page's list entries; ours have more."""
    wanted = ("name", "content_type", "size")
    return [{key: entry[key] for key in wanted} for entry in json.loads(body)["files"]]


def without_digest(body: bytes) -> dict[str, Any]:
    """The members of the page; ours has the bytes' SHA-256 as well."""
    said: dict[str, Any] = json.loads(body)
    assert re.fullmatch("[0-9a-f]{64}", said.pop("sha256"))
    return said


async def test_the_thing_scoped_examples(shell: Shell) -> None:
    # Upload a file
    status, _, body = await shell.curl("""
curl -s -S -i -X POST \\
-H "Authorization: Thing <thing_key>" \\
-F "file=@sensor-data.csv" \\
-F 'metadata={"type":"readings","sensor":"temperature"}' \\
https://localhost/filestore/files
""")
    assert status == 201
    assert without_digest(body) == {
        "name": "sensor-data.csv",
        "content_type": "text/csv",
        "size": 1024,
        "thing_id": shell.thing.id,
    }
    await shell.curl(
        'curl -s -S -i -H "Authorization: Thing <thing_key>" -F "file=@calibration.json"'
        " https://localhost/filestore/files"
    )

    # List files
    status, _, body = await shell.curl("""
curl -s -S -i \\
-H "Authorization: Thing <thing_key>" \\
https://localhost/filestore/files
""")
    assert (status, json.loads(body)["total"]) == (200, 2)
    csv = {"name": "sensor-data.csv", "content_type": "text/csv", "size": 1024}
    calibration = {"name": "calibration.json", "content_type": "application/json", "size": 256}
    assert sorted(map(str, entries(body))) == sorted(map(str, [csv, calibration]))
    [stored] = [f for f in json.loads(body)["files"] if f["name"] == "sensor-data.csv"]
    assert stored["metadata"] == {"type": "readings", "sensor": "temperature"}

    # Download a file
    shell.values["<name>"] = "sensor-data.csv"
    download = """
curl -s -S -i \\
-H "Authorization: Thing <thing_key>" \\
https://localhost/filestore/files/<name>
"""
    status, headers, body = await shell.curl(download)
    assert (status, headers["content-type"], body) == (200, "text/csv", READINGS)

    # Update a file
    status, _, body = await shell.curl("""
curl -s -S -i -X PUT \\
-H "Authorization: Thing <thing_key>" \\
-F "file=@sensor-data-v2.csv" \\
https://localhost/filestore/files/<name>
""")
    assert status == 200
    assert json.loads(body)["name"] == "sensor-data.csv"
    assert (await shell.curl(download))[2] == READINGS_2

    # Delete a file
    status, _, body = await shell.curl("""
curl -s -S -i -X DELETE \\
-H "Authorization: Thing <thing_key>" \\
https://localhost/filestore/files/<name>
""")
    assert (status, body) == (204, b"")
    assert (await shell.curl(download))[0] == 404


async def test_the_group_scoped_examples(shell: Shell) -> None:
    # Upload a group file
    status, _, body = await shell.curl("""
curl -s -S -i -X POST \\
-H "Authorization: Bearer <user_token>" \\
-F "file=@config.json" \\
https://localhost/filestore/groups/<group_id>/files
""")
    config = {"name": "config.json", "content_type": "application/json", "size": len(CONFIG)}
    assert status == 201
    assert without_digest(body) == {**config, "group_id": shell.values["<group_id>"]}

    # List group files
    status, _, body = await shell.curl("""
curl -s -S -i \\
-H "Authorization: Bearer <user_token>" \\
https://localhost/filestore/groups/<group_id>/files
""")
    assert (status, json.loads(body)["total"], entries(body)) == (200, 1, [config])

    # Download a group file
    shell.values["<name>"] = "config.json"
    status, headers, body = await shell.curl("""
curl -s -S -i \\
-H "Authorization: Bearer <user_token>" \\
https://localhost/filestore/groups/<group_id>/files/<name>
""")
    assert (status, headers["content-type"], body) == (200, "application/json", CONFIG)

    # A thing can also retrieve a group file directly using its Thing key
    status, headers, body = await shell.curl("""
curl -s -S -i \\
-H "Authorization: Thing <thing_key>" \\
https://localhost/filestore/groupfiles/<name>
""")
    assert (status, headers["content-type"], body) == (200, "application/json", CONFIG)
