"""The digest beside a file, and the names of Mainflux's services: other addresses for what is there.

Directly, through nginx that sends, and through nginx that decides.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from gateway.model.digest import Digest
from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess
from tests.tools.inside import gateway_inside
from tests.tools.losant import new_application
from tests.tools.mainflux import User, sign_in, upload
from tests.tools.nginx import Nginx
from tests.tools.ports import HOST
from tests.tools.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.asyncio(loop_scope="module")

IMAGE, OTHER = Firmware(91, 300_000), Firmware(92, 1)
MD5 = hashlib.md5(IMAGE.content, usedforsecurity=False).hexdigest()
ETAG = Digest(IMAGE.sha256).etag
DIGESTS = {"sha256": IMAGE.sha256, "md5": MD5}
NAMES = ("fw {}.bin", "größe {}.bin", "{}-" + "n" * 250)
_numbers = itertools.count()


@dataclass(frozen=True)
class Kept:
    """A file: where it is, and the credential that reads it."""

    name: str
    url: str
    headers: Mapping[str, str]

    def beside(self, suffix: str) -> URL:
        """The same address, its path with ``suffix`` behind it."""
        parts = urlsplit(self.url)
        query = f"?{parts.query}" if parts.query else ""
        return URL(f"{parts.scheme}://{parts.netloc}{parts.path}{suffix}{query}", encoded=True)


Keep = Callable[[User, str, str], Awaitable[Kept]]


async def of_a_thing(user: User, base: str, name: str) -> Kept:
    thing = await user.thing()
    await upload(user.session, f"{user.url}/files", thing.headers, name, IMAGE.content)
    return Kept(name, f"{base}/files/{quote(name, safe='')}", thing.headers)


async def of_a_group(user: User, base: str, name: str) -> Kept:
    group = await user.group()
    url = f"/groups/{group}/files"
    await upload(user.session, f"{user.url}{url}", user.headers, name, IMAGE.content)
    return Kept(name, f"{base}{url}/{quote(name, safe='')}", user.headers)


async def of_some_group(user: User, base: str, name: str) -> Kept:
    thing = await user.thing()
    group = await user.group("g", thing.id)
    url = f"{user.url}/groups/{group}/files"
    await upload(user.session, url, user.headers, name, IMAGE.content)
    return Kept(name, f"{base}/groupfiles/{quote(name, safe='')}", thing.headers)


async def of_gravwell(user: User, base: str, name: str) -> Kept:
    form = aiohttp.FormData({"name": name})
    form.add_field("file", IMAGE.content, filename="x")
    async with user.session.post(
        f"{user.url}/api/files", data=form, headers=user.headers
    ) as answer:
        made = await answer.json()
    return Kept(name, f"{base}/api/files/{made['GUID']}", user.headers)


async def of_losant(user: User, base: str, name: str) -> Kept:
    application = await new_application(user, base)
    file = await application.publish(name, IMAGE.content)
    return Kept(name, await application.link(file), {})


KEEPS = {
    "thing": of_a_thing,
    "group": of_a_group,
    "groupfiles": of_some_group,
    "gravwell": of_gravwell,
    "losant": of_losant,
}


async def keep(user: User, base: str, how: Keep, pattern: str = NAMES[0]) -> Kept:
    """A file of the image, under a name of its own of at most 255 bytes."""
    return await how(user, base, pattern.format(next(_numbers))[:255])


async def ask(
    user: User, url: URL, headers: Mapping[str, str], method: str = "GET"
) -> tuple[int, bytes, Mapping[str, str]]:
    async with user.session.request(method, url, headers=headers) as answer:
        return answer.status, await answer.read(), answer.headers


@pytest.mark.parametrize("how", KEEPS.values(), ids=KEEPS)
async def test_a_digest_is_read_where_its_file_is(admin: User, base_url: str, how: Keep) -> None:
    """Also of the longest name, whose digest's name is longer than a name may be."""
    for pattern in NAMES:
        kept = await keep(admin, base_url, how, pattern)
        for algorithm, digest in DIGESTS.items():
            url = kept.beside(f".{algorithm}")
            line = f"{digest}  {kept.name}\n".encode()
            status, body, headers = await ask(admin, url, kept.headers)
            assert (200, line) == (status, body)
            expected = {
                "Content-Type": "text/plain; charset=utf-8",
                "Content-Length": str(len(line)),
                "Cache-Control": "no-cache",
                "X-Content-Type-Options": "nosniff",
            }
            assert expected == {name: headers[name] for name in expected}
            status, body, head = await ask(admin, url, kept.headers, "HEAD")
            assert (200, b"") == (status, body)
            # The date comes when it is settled, a second after the file.
            assert {"Last-Modified"} >= dict(head).keys() ^ dict(headers).keys()
            assert [headers[n] for n in (*expected, "ETag")] == [
                head[n] for n in (*expected, "ETag")
            ]


@pytest.mark.parametrize("how", KEEPS.values(), ids=KEEPS)
async def test_who_may_not_read_the_file_does_not_read_its_digest(
    admin: User, base_url: str, how: Keep
) -> None:
    """The same refusal, to the letter, as of a file that is not there."""
    kept = await keep(admin, base_url, how)
    stranger = (await admin.thing()).headers
    signed = URL(kept.url, encoded=True).query_string
    for headers in ({}, {"Authorization": "Thing nobody"}, stranger, {"Authorization": "Bearer x"}):
        url = str(kept.beside(".md5")).removesuffix(f"?{signed}" if signed else "")
        none = url.replace(".md5", ".none")
        said = (await ask(admin, URL(url, encoded=True), headers))[:2]
        assert said == (await ask(admin, URL(none, encoded=True), headers))[:2]
        assert said[0] in (400, 401, 403, 404), said


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of the digest; ``{etag}`` is that of its text."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


ASKED = {
    "what is known already": Asked(304, headers={"If-None-Match": "{etag}"}),
    "what is known of the file": Asked(200, b"*", {"If-None-Match": ETAG}),
    "a condition that fails": Asked(412, b"*", {"If-Match": ETAG}),
    "the digest alone": Asked(206, MD5.encode(), {"Range": "bytes=0-31"}),
    "what is behind the end": Asked(416, b"*", {"Range": "bytes=1000-"}),
    "no range": Asked(400, b"*", {"Range": "bytes=z"}),
}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
async def test_a_digest_is_read_as_a_file_is(admin: User, base_url: str, asked: Asked) -> None:
    kept = await keep(admin, base_url, of_a_thing)
    url = kept.beside(".md5")
    etag = (await ask(admin, url, kept.headers))[2]["ETag"]
    headers = {n: v.format(etag=etag) for n, v in asked.headers.items()} | dict(kept.headers)
    status, body, _ = await ask(admin, url, headers)
    assert asked.status == status
    assert asked.body in (body, b"*")


async def test_a_file_of_that_name_comes_first(admin: User, base_url: str) -> None:
    kept = await keep(admin, base_url, of_a_thing)
    digest, name = kept.beside(".sha256"), f"{kept.name}.sha256"
    line = (await ask(admin, digest, kept.headers))[1]
    await upload(admin.session, f"{admin.url}/files", kept.headers, name, OTHER.content)
    assert OTHER.content == (await ask(admin, digest, kept.headers))[1]
    of_it = f"{OTHER.sha256}  {name}\n".encode()
    assert of_it == (await ask(admin, kept.beside(".sha256.sha256"), kept.headers))[1]
    await ask(admin, URL(f"{admin.url}/files/{quote(name)}", encoded=True), kept.headers, "DELETE")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while line != (await ask(admin, digest, kept.headers))[1]:
            await asyncio.sleep(0.05)
    for method in ("DELETE", "PATCH"):
        assert (await ask(admin, digest, kept.headers, method))[0] in (404, 405)


async def test_a_digest_is_that_of_the_bytes_that_are_there(admin: User, base_url: str) -> None:
    """Also where the address says which these are to be."""
    kept = await keep(admin, base_url, of_a_thing)
    for image in (OTHER, IMAGE):
        await upload(admin.session, kept.url, kept.headers, "x", image.content, method="PUT")
        line = f"{image.sha256}  {kept.name}\n".encode()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while line != (await ask(admin, kept.beside(".sha256"), kept.headers))[1]:
                await asyncio.sleep(0.05)
    for pin, expected in ((IMAGE, 200), (OTHER, 412)):
        url = URL(f"{kept.beside('.md5')}?sha256={pin.sha256}", encoded=True)
        status, _, headers = await ask(admin, url, kept.headers)
        assert expected == status
        assert ("immutable" in headers["Cache-Control"]) == (status == 200)


NOTHING_BESIDE = ("", ".sha256", ".md5", "x.md5", "/.md5", ".SHA256", ".md5 ", ".md5.md5")


@pytest.mark.parametrize("suffix", NOTHING_BESIDE)
async def test_what_is_beside_nothing(admin: User, base_url: str, suffix: str) -> None:
    thing = await admin.thing()
    url = URL(f"{base_url}/files/none{quote(suffix)}", encoded=True)
    status, body, _ = await ask(admin, url, thing.headers)
    assert status in (400, 404), body


async def test_md5_is_computed_once_for_all_who_ask(
    admin: User, gateway: GatewayProcess, way: str
) -> None:
    """And is known when the bytes are read no more: from what was computed, not from them."""
    if way != "direct":
        return
    kept = await keep(admin, gateway.url, of_a_thing)
    asked = [ask(admin, kept.beside(".md5"), kept.headers) for _ in range(100)]
    line = f"{MD5}  {kept.name}\n".encode()
    assert {(200, line)} == {answer[:2] for answer in await asyncio.gather(*asked)}
    for blob in gateway.data_dir.glob("blobs/things/*/*"):
        blob.write_bytes(OTHER.content)
    assert 500 == (await ask(admin, kept.beside(""), kept.headers))[0]
    assert line == (await ask(admin, kept.beside(".md5"), kept.headers))[1]


async def test_nothing_is_beside_a_file_where_it_is_switched_off(
    tmp_path: Path, postgres_server: str, admin: User
) -> None:
    settings = {"digest_beside": False}
    async with gateway_inside(tmp_path, database_server=postgres_server, **settings) as gateway:
        user = await sign_in(admin.session, gateway.url)
        kept = await keep(user, gateway.url, of_a_thing)
        for suffix, expected in (("", 200), (".md5", 404), (".sha256", 404)):
            assert expected == (await ask(user, kept.beside(suffix), kept.headers))[0]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def through(nginx: Nginx, http: aiohttp.ClientSession) -> AsyncIterator[User]:
    """The admin, as nginx lets them through."""
    yield await sign_in(http, f"http://{HOST}:{nginx.port}")


SERVICES = {
    "/svcthings/things": 200,
    "/svcthings/channels/?limit=5": 200,
    "/svcusers/users/profile": 200,
    "/svcauth/keys": 200,
    "/reader/things": 200,
    "/svcthings/a%2Fb/..%2fthings": 404,
    "/svcthings": 404,
    "/svcthingsx/things": 404,
    "/svcthings/metrics": 404,
    "/svcusers/filestore/metrics": 404,
    "/svcauth/ready": 404,
    "/reader//metrics": 404,
    "/reader/x/../metrics": 404,
    "/reader/%6detrics": 404,
    "/metrics": 404,
}


@pytest.mark.parametrize(("path", "status"), SERVICES.items())
async def test_names_of_services_are_taken_off_by_nginx(
    through: User, path: str, status: int
) -> None:
    """And nothing comes through by them that does not come through without."""
    url = URL(through.url + path, encoded=True)
    said, body, _ = await ask(through, url, through.headers)
    assert status == said, body
