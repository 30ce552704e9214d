"""The documents' curl line as it stands, and what the official JavaScript client sends, byte for byte.

The requests were recorded from losant-rest 4.2.0 (with axios 1.17 and form-data 4) and from the ``fetch`` and
``FormData`` of Node 20; only ids, tokens and the host are filled in.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.dialects.losant_storage.conftest import CONTENT, Owner
from tests.tools.clients import run
from tests.tools.rawhttp import Answer, raw_connection

GET_LINE = r"""
curl -H 'Content-Type: application/json' \
-H 'Accept: application/json' \
-H 'Authorization: Bearer YOUR_API_ACCESS_TOKEN' \
-X GET \
https://api.losant.com/applications/APPLICATION_ID/privateFiles
"""
POST_LINE = r"""
curl -H 'Content-Type: application/json' \
-H 'Accept: application/json' \
-H 'Authorization: Bearer YOUR_API_ACCESS_TOKEN' \
-X POST \
-d '{"name":"file.csv","type":"file","parentDirectory":"/","fileSize":500,"contentType":"text/csv"}' \
https://api.losant.com/applications/APPLICATION_ID/privateFiles
"""


async def test_the_documents_other_curl_lines(owner: Owner, tmp_path: Path) -> None:
    """As a shell runs them: only the host, the token and the id are ours."""
    ours = {
        "YOUR_API_ACCESS_TOKEN": owner.client.token,
        "https://api.losant.com": owner.client.url,
        "APPLICATION_ID": owner.application,
    }
    answers = []
    for written in (POST_LINE, GET_LINE):
        line = reduce(lambda said, theirs: said.replace(theirs, ours[theirs]), ours, written)
        answers.append(json.loads((await run("sh", "-c", line, cwd=tmp_path)).stdout))
    made, listed = answers
    assert ("file.csv", "pending", 500) == (made["name"], made["status"], made["fileSize"])
    assert [made["id"]] == [item["id"] for item in listed["items"]]
    assert {"url", "fields"} <= made["upload"].keys()


async def test_the_documents_curl_line_uploads_a_file(owner: Owner, tmp_path: Path) -> None:
    made = await owner.make()
    local = tmp_path / "local.csv"
    local.write_bytes(CONTENT)
    fields = made["upload"]["fields"]
    names = ("Content-Type", "key", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "Policy")
    parts = [f"{name}={fields[name]}" for name in (*names, "X-Amz-Signature")]
    arguments = [argument for part in (*parts, f"file=@{local}") for argument in ("-F", part)]
    said = ("-sS", "-o", "body", "-w", "%{http_code}")
    ran = await run("curl", *said, "-X", "POST", *arguments, made["upload"]["url"], cwd=tmp_path)
    assert (0, b"204", b"") == (ran.status, ran.stdout, ran.stderr)
    seen = await owner.see(made)
    assert "completed" == seen["status"]
    ran = await run("curl", "-sS", seen["url"], cwd=tmp_path)
    assert CONTENT == ran.stdout


ALWAYS = "_actions=false&_links=true&_embedded=true"
TAIL = """\
User-Agent: axios/1.17.0
{length}Accept-Encoding: gzip, compress, deflate, br
Host: {host}
Connection: keep-alive
"""
READ = f"""\
{{method}} {{path}}?{ALWAYS}{{query}} HTTP/1.1
Accept: application/json
Accept-Version: ^1.30.0
Authorization: Bearer {{token}}
{TAIL}"""
WRITE = READ.replace("Accept-Version", "Content-Type: {kind}\nAccept-Version")
FETCH = """\
{method} {path} HTTP/1.1
host: {host}
connection: keep-alive
{kind}accept: */*
accept-language: *
sec-fetch-mode: cors
user-agent: node
accept-encoding: gzip, deflate
{length}"""


@dataclass
class Program:
    """Sends what the client sent, each request on a connection of its own."""

    owner: Owner
    token: str
    seen: list[int] = field(default_factory=list)

    async def read(self, path: str, query: str = "") -> Any:
        return await self._json(READ, b"", method="GET", path=path, query=query, length="")

    async def write(self, method: str, path: str, body: object = None, query: str = "") -> Any:
        content = json.dumps({} if body is None else body, separators=(",", ":")).encode()
        kind = "application/json"
        return await self._json(WRITE, content, method=method, path=path, query=query, kind=kind)

    async def upload(self, path: str, part: str, content: bytes) -> Any:
        """``form-data`` of npm; ``part`` are the headers that it gives the file."""
        boundary = "-" * 26 + "3f91148c905a627d7e8ae6b6"
        body = f"--{boundary}\r\n{part}\r\n\r\n".encode() + content
        body += f"\r\n--{boundary}--\r\n".encode()
        kind = f"multipart/form-data; boundary={boundary}"
        return await self._json(WRITE, body, method="POST", path=path, query="", kind=kind)

    async def post(self, upload: dict[str, Any], content: bytes) -> int:
        """``FormData`` and ``fetch`` of Node."""
        boundary = "----formdata-undici-001620021142"
        fields = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in upload["fields"].items()
        )
        file = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="local.csv"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        body = (fields + file).encode() + content + f"\r\n--{boundary}--\r\n".encode()
        kind = f"content-type: multipart/form-data; boundary={boundary}\n"
        path = urlsplit(upload["url"]).path
        answer = await self._ask(FETCH, body, method="POST", path=path, kind=kind)
        return answer.status

    async def fetch(self, url: str) -> Answer:
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}"
        return await self._ask(FETCH, b"", method="GET", path=path, kind="", length="")

    async def _json(self, template: str, body: bytes, **values: str) -> Any:
        answer = await self._ask(template, body, **values)
        assert answer.status in (200, 201), answer
        assert answer.head.one("Content-Type").startswith("application/json")
        return json.loads(answer.body)

    async def _ask(self, template: str, body: bytes, **values: str) -> Answer:
        host = urlsplit(self.owner.client.url).netloc
        name = "content-length" if template == FETCH else "Content-Length"
        filled = {"length": f"{name}: {len(body)}\n", **values}
        text = template.format(token=self.token, host=host, **filled)
        async with raw_connection(int(host.rpartition(":")[2])) as connection:
            await connection.send(
                text.strip("\n").replace("\n", "\r\n").encode() + b"\r\n\r\n", body
            )
            answer = await connection.read_answer(method=values["method"])
        self.seen.append(answer.status)
        return answer


@pytest.fixture
async def program(owner: Owner) -> Program:
    """The client with a token of the application's."""
    scopes = ["privateFiles.*", "privateFile.*"]
    answer = await owner.client.ask(
        "POST", f"/applications/{owner.application}/tokens", {"name": "t", "scope": scopes}
    )
    assert answer.status == 201, answer
    return Program(owner, answer.json["token"])


STRING = 'Content-Disposition: form-data; name="privateFile"; filename="privateFile"'
BUFFER = (
    'Content-Disposition: form-data; name="privateFile"\r\nContent-Type: application/octet-stream'
)


async def test_every_call_of_the_official_client_is_answered(program: Program) -> None:
    files = program.owner.path
    await program.write("POST", files, {"name": "a", "type": "directory"})
    said = {"name": "file.csv", "type": "file", "parentDirectory": "/a"}
    made = await program.write("POST", files, {**said, "fileSize": 8, "contentType": "text/csv"})
    assert (13, "pending", "/a/") == (len(made), made["status"], made["parentDirectory"])
    assert 204 == await program.post(made["upload"], CONTENT)
    assert 403 == await program.post(made["upload"], CONTENT)
    one = f"{files}/{made['id']}"
    got = await program.read(one)
    assert CONTENT == (await program.fetch(got["url"])).body
    assert "url" not in await program.read(one, "&urlTTL=0")
    query = (
        "&sortField=name&sortDirection=desc&page=0&perPage=10&filterField=name&filter=f%2A"
        "&type=file&status=completed&directory=%2Fa&urlTTL=60"
    )
    listed = await program.read(files, query)
    assert ([made["id"]], 1, True) == (
        [file["id"] for file in listed["items"]],
        listed["totalCount"],
        listed["parentExists"],
    )
    again = await program.write("PATCH", one, {"fileSize": 5, "contentType": "text/plain"})
    assert CONTENT == (await program.fetch(got["url"])).body
    assert 204 == await program.post(again["upload"], b"hello")
    assert 404 == (await program.fetch(got["url"])).status
    for part, content in ((STRING, b"from a string"), (BUFFER, b"from a buffer")):
        uploaded = await program.upload(f"{one}/upload", part, content)
        assert content == (await program.fetch(uploaded["url"])).body
    moved = await program.write("POST", f"{one}/move", query="&name=moved.csv&parentDirectory=%2F")
    assert ("moved.csv", "/", "completed") == tuple(
        moved[name] for name in ("name", "parentDirectory", "status")
    )
    assert {"success": True} == await program.write("DELETE", f"{files}/{moved['id']}")
