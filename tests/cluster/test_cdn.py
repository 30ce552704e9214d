"""nginx as a CDN: it checks our links alone, keeps slices of 1 MiB, and asks for none twice."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from gateway.web.signing.secure_link import SecureLinks
from tests.tools.firmware import Firmware
from tests.tools.inside import InsideGateway, gateway_inside
from tests.tools.mainflux import User, sign_in
from tests.tools.nginx import DEPLOY, nginx_binary
from tests.tools.ports import HOST, answers, free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")
MIB = 1024 * 1024
IMAGE = Firmware(1, 4 * MIB + 12_345)
NAME = "größe 1.bin"
SECRET = "known to the gateway and to the CDN"
_AROUND = """
load_module /usr/lib/nginx/modules/ndk_http_module.so;
load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;
{user}
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    proxy_temp_path {folder}/temporary;
    client_body_temp_path {folder}/bodies;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    {text}
}}
"""


@dataclass(frozen=True, slots=True)
class Scene:
    """A gateway, the CDN before it, and the image in a group."""

    session: aiohttp.ClientSession
    gateway: InsideGateway
    user: User
    group: str
    cdn: str

    @property
    def path(self) -> str:
        return f"/groups/{self.group}/files/sha256/{IMAGE.sha256}/{quote(NAME)}"

    async def link(self, **body: object) -> str:
        """A link, as the owner makes it."""
        url = f"{self.gateway.url}{self.path}"
        async with self.session.post(url, json=body, headers=self.user.headers) as answer:
            assert answer.status == 201, await answer.text()
            return str((await answer.json())["url"])

    async def get(self, url: str, **headers: str) -> tuple[int, bytes]:
        async with self.session.get(URL(url, encoded=True), headers=headers) as answer:
            return answer.status, await answer.read()


@contextlib.asynccontextmanager
async def cdn(folder: Path, port: int, origin: str, key: str) -> AsyncIterator[None]:
    """The shipped file, with the places and the secrets of this test."""
    text = (DEPLOY.parent / "cdn" / "nginx-cdn.conf").read_text(encoding="utf-8")
    for old, new in {
        "/var/cache/nginx/firmware": f"{folder}/cache",
        "listen 443 ssl;": f"listen {HOST}:{port};",
        "gateway.internal:8080": origin,
        "the-link-secret": SECRET,
        "the-api-key": key,
    }.items():
        assert old in text, old
        text = text.replace(old, new)
    folder.mkdir()
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(_AROUND.format(folder=folder, text=text, user=user))
    process = await asyncio.create_subprocess_exec(
        nginx_binary(), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"
    )
    try:
        while not await answers(port):
            assert process.returncode is None
            await asyncio.sleep(0.01)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[Scene]:
    folder, port = tmp_path_factory.mktemp("cdn"), free_port()
    async with (
        gateway_inside(
            folder,
            database_server=postgres_server,
            surrogate_keys=True,
            link_url=f"http://{HOST}:{port}",
            link_secret=SECRET,
        ) as gateway,
        aiohttp.ClientSession() as session,
    ):
        user = await sign_in(session, gateway.url)
        group = await user.group("fleet")
        url = f"{gateway.url}/groups/{group}/files/{quote(NAME)}"
        headers = user.headers | {"Content-Type": "application/x-firmware"}
        async with session.put(url, data=io.BytesIO(IMAGE.content), headers=headers) as answer:
            assert answer.status == 201
        body = {"type": 2, "name": "cdn", "group_id": group, "read_only": True}
        async with session.post(f"{gateway.url}/keys", json=body, headers=user.headers) as answer:
            key = (await answer.json())["value"]
        async with cdn(folder / "nginx", port, f"{HOST}:{gateway.port}", key):
            yield Scene(session, gateway, user, group, f"http://{HOST}:{port}")


async def test_slices_out_of_order_are_the_image(scene: Scene) -> None:
    """Each as another client asks for it, the last first; then all of it, kept."""
    link, whole = await scene.link(), IMAGE.content
    for start in reversed(range(0, len(whole), MIB - 1000)):
        end = min(start + MIB, len(whole)) - 1
        got = await scene.get(link, Range=f"bytes={start}-{end}")
        assert (206, whole[start : end + 1]) == got, start
    await scene.gateway.stop()
    try:
        assert (200, whole) == await scene.get(link)
        assert (206, whole[-10:]) == await scene.get(another_link(scene), Range="bytes=-10")
    finally:
        await scene.gateway.start()


def another_link(scene: Scene) -> str:
    """Another link to the same bytes: the cache has nothing of the signature in its key."""
    path = scene.path.removesuffix(quote(NAME)) + NAME
    return SecureLinks(scene.cdn, SECRET).link(path, int(time.time()) + 60)


async def test_only_a_link_of_ours_that_has_not_ended_is_a_permission(scene: Scene) -> None:
    link = await scene.link(seconds=60)
    path = scene.path.removesuffix(quote(NAME)) + NAME
    ended = SecureLinks(scene.cdn, SECRET).link(path, int(time.time()) - 1)
    foreign = SecureLinks(scene.cdn, "x" * 32).link(path, int(time.time()) + 60)
    refused = {
        "none": f"{scene.cdn}{scene.path}",
        "of another secret": foreign,
        "of another time": link.replace("expires=", "expires=9"),
        "of another file": link.replace(".bin?", ".bi?"),
        "after its end": ended,
    }
    assert 200 == (await scene.get(link))[0]
    assert {what: 403 for what in refused if what != "after its end"} | {"after its end": 410} == {
        what: (await scene.get(url))[0] for what, url in refused.items()
    }


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({"seconds": 0}, 400, id="no time"),
        pytest.param({"seconds": 604_801}, 400, id="more than a week"),
        pytest.param({"seconds": True}, 400, id="no number"),
        pytest.param({}, 201, id="an hour"),
    ],
)
async def test_a_link_is_for_a_time(scene: Scene, body: dict[str, object], status: int) -> None:
    url = f"{scene.gateway.url}{scene.path}"
    async with scene.session.post(url, json=body, headers=scene.user.headers) as answer:
        assert status == answer.status


async def test_an_address_with_a_digest_is_of_those_bytes_alone(scene: Scene) -> None:
    url, other = f"{scene.gateway.url}{scene.path}", "0" * 64
    for path, status in ((url, 200), (url.replace(IMAGE.sha256, other), 412)):
        where = URL(path, encoded=True)
        async with scene.session.get(where, headers=scene.user.headers) as answer:
            assert status == answer.status
            if status == 200:
                assert IMAGE.content == await answer.read()
                assert "private, max-age=31536000, immutable" == answer.headers["Cache-Control"]
                keys = f"sha256-{IMAGE.sha256} scope-groups-{scene.group}"
                assert keys == answer.headers["Surrogate-Key"]
        async with scene.session.post(where, json={}, headers=scene.user.headers) as answer:
            assert (201 if status == 200 else 412) == answer.status
