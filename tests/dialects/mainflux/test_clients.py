"""The products' own Go SDKs, byte for byte: what their programs were seen to send, in the order of a day's work.

Recorded between the SDKs of MainfluxLabs (July 2023) and of Mainflux 0.13, which the command lines use, and a
gateway. They send ``Content-Type`` with everything that has a credential, and take one status literally.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.tools.client import Client
from tests.tools.rawhttp import Answer, RawConnection, raw_connection

MESSAGE = '[{"bn":"gate:","bu":"V","n":"voltage","v":12.1}]'
PLACE = re.compile(r"<([a-z0-9]+)>")

# Method, path, body, the status that the SDK wants, and what is kept of the answer or expected in it.
SHARED_BEGINNING = """
POST /tokens {"email":"<email>","password":"correct-horse"} 201 token=token
GET /users - 200
PUT /users {"email":"<email>","metadata":{"k":"v"}} 200
PATCH /password {"old_password":"correct-horse","password":"another-horse"} 201
POST /tokens {"email":"<email>","password":"another-horse"} 201 token=token
"""
SHARED = """
GET /things/<thing> - 200 key=key
PUT /things/<thing> {"id":"<thing>","name":"t1b"} 200
GET /channels/<channel> - 200
PUT /channels/<channel> {"id":"<channel>","name":"c1b"} 200
POST /connect {"channel_ids":["<channel>"],"thing_ids":["<thing>"]} 200
GET /channels/<channel>/things?offset=0&limit=100&disconnected=false - 200 total:1
GET /channels/<channel>/things?offset=0&limit=100&disconnected=true - 200 total:2
GET /things/<thing>/channels?offset=0&limit=100&disconnected=false - 200 total:1
GET /things/<thing>/channels?offset=0&limit=100&disconnected=true - 200 total:2
"""
SHARED_END = """
GET /channels/<channel>/messages - 200 total:2
GET /channels/<channel>/messages?subtopic=eng/room1 - 200 total:1
POST /groups {"name":"g1","description":"d"} 201 group=Location
POST /groups {"name":"g2","parent_id":"<group>"} 201 child=Location
GET /groups/<group> - 200
PUT /groups/<group> {"id":"<group>","name":"g1b"} 200
POST /groups/<group>/members {"type":"things","members":["<thing>"]} 200
POST /groups/<group>/members {"type":"users","members":["<user>"]} 200
GET /groups/<group>/members?offset=0&limit=100& - 200 total:3
DELETE /groups/<group>/members {"members":["<thing>"]} 204
DELETE /groups/<child> - 204
DELETE /groups/<group> - 204
POST /keys {"type":2,"duration":3600000000000} 201 apikey=id
GET /keys/<apikey> - 200
DELETE /keys/<apikey> - 204
POST /keys {"type":2} 201 apikey=id
DELETE /keys/<apikey> - 204
GET /health - 200
DELETE /channels/<channel>/things/<thing> - 204
DELETE /things/<thing> - 204
DELETE /channels/<channel> - 204
"""
L23 = f"""
POST /register {{"email":"<email>","password":"correct-horse"}} 201
POST /users {{"email":"x<email>","password":"correct-horse"}} 201 user=Location
{SHARED_BEGINNING}
GET /users?limit=100&offset=0&total=0 - 200
POST /things [{{"name":"t1","metadata":{{"k":"v"}}}}] 201 thing=Location
POST /things [{{"name":"t2"}},{{"name":"t3"}}] 201
GET /things?limit=100&metadata=%7B%7D&name=t&offset=0&total=0 - 200 total:3
GET /things?limit=100&metadata=%7B%22k%22%3A%22v%22%7D&offset=0&total=0 - 200 total:1
POST /channels [{{"name":"c1"}}] 201 channel=Location
POST /channels [{{"name":"c2"}},{{"name":"c3"}}] 201
GET /channels?limit=100&offset=0&total=0 - 200 total:3
{SHARED}
POST /identify {{"token":"<key>"}} 200
POST /http/channels/<channel>/messages/ {MESSAGE} 202
POST /http/channels/<channel>/messages//eng/room1 {MESSAGE} 202
GET /things/<thing>/groups?offset=0&limit=100& - 200 total:0
GET /groups?limit=100&offset=0 - 200 total:0
{SHARED_END}
"""
MF013 = f"""
POST /users {{"email":"<email>","password":"correct-horse"}} 201
POST /users {{"email":"x<email>","password":"correct-horse"}} 201 user=Location
{SHARED_BEGINNING}
POST /things {{"name":"t1","metadata":{{"k":"v"}}}} 201 thing=Location
POST /things/bulk [{{"name":"t2"}},{{"name":"t3"}}] 201
GET /things?offset=0&limit=100&name=t - 200 total:3
POST /channels {{"name":"c1"}} 201 channel=Location
POST /channels/bulk [{{"name":"c2"}},{{"name":"c3"}}] 201
GET /channels?offset=0&limit=100&name= - 200 total:3
{SHARED}
POST /http/channels/<channel>/messages {MESSAGE} 202
POST /http/channels/<channel>/messages/eng/room1 {MESSAGE} 202
GET /groups?offset=0&limit=100&tree=false - 200 total:0
GET /members/<thing>/groups?offset=0&limit=100& - 200 total:0
POST /groups {{"name":"g0"}} 201 group=Location
GET /groups/<group>/parents?offset=0&limit=100&tree=false&level=5 - 200 total:1
GET /groups/<group>/children?offset=0&limit=100&tree=false&level=5 - 200 total:1
{SHARED_END}
"""


class GoSdk:
    """One client, on one connection that it keeps, and what it knows by now."""

    def __init__(self, raw: RawConnection, host: str, email: str) -> None:
        self._raw, self._host = raw, host
        self.known = {"email": email}

    async def work(self, line: str) -> None:
        """One request of the script, and what it says of the answer."""
        method, path, body, status, *more = line.split(" ")
        answer = await self._send(method, self._filled(path), self._filled(body))
        assert int(status) == answer.status, (line, answer.body)
        for word in more:
            name, kept, value = re.split("([=:])", word, maxsplit=1)
            if kept == "=":
                self.known[name] = _found(answer, value)
            else:
                assert int(value) == json.loads(answer.body)[name], (line, answer.body)

    def _filled(self, text: str) -> str:
        return PLACE.sub(lambda place: self.known[place[1]], text)

    async def _send(self, method: str, path: str, body: str) -> Answer:
        content = b"" if body == "-" else body.encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}"]
        lines += ["User-Agent: Go-http-client/1.1"]
        lines += [f"Content-Length: {len(content)}"] if content else []
        lines += self._credential(path)
        lines += ["Accept-Encoding: gzip", "", ""]
        await self._raw.send("\r\n".join(lines).encode() + content)
        return await self._raw.read_answer(method=method)

    def _credential(self, path: str) -> list[str]:
        kind = "application/senml+json" if "/messages" in path else "application/json"
        if "/http/" in path:
            return [f"Authorization: Thing {self.known['key']}", f"Content-Type: {kind}"]
        if path.endswith("/health"):
            return []
        token = self.known.get("token")
        known = token and not path.endswith(("/tokens", "/identify"))
        return [*([f"Authorization: Bearer {token}"] if known else []), f"Content-Type: {kind}"]


def _found(answer: Answer, where: str) -> Any:
    if where == "Location":
        location = answer.head.one("Location")
        assert re.fullmatch(r"/[a-z]+/[0-9a-f-]{36}", location)
        return location.rpartition("/")[2]
    return json.loads(answer.body)[where]


@pytest.mark.parametrize("script", [L23, MF013], ids=["MainfluxLabs 2023", "Mainflux 0.13"])
@pytest.mark.parametrize("prefix", ["", "/filestore"])
async def test_a_day_of_the_official_sdk(nobody: Client, script: str, prefix: str) -> None:
    parts = urlsplit(nobody.url)
    assert parts.port is not None
    async with raw_connection(parts.port) as raw:
        sdk = GoSdk(raw, parts.netloc, "u1795665610552990572@example.com")
        for line in script.strip().splitlines():
            if line:
                method, _, rest = line.partition(" ")
                await sdk.work(f"{method} {prefix}{rest}")
